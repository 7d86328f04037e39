package transport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// named returns a certificate with a common name and alternative names, parsed
// as it would be off the wire. Other kinds of names are for change to set.
func named(t *testing.T, commonName string, names []string, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	return newMint(t).leaf(t, func(c *x509.Certificate) {
		c.Subject.CommonName = commonName
		for _, name := range names {
			kind, value, _ := strings.Cut(name, ":")
			switch kind {
			case "URI":
				uri, err := url.Parse(value)
				if err != nil {
					t.Fatal(err)
				}
				c.URIs = append(c.URIs, uri)
			case "DNS":
				c.DNSNames = append(c.DNSNames, value)
			case "IP":
				c.IPAddresses = append(c.IPAddresses, net.ParseIP(value))
			case "email":
				c.EmailAddresses = append(c.EmailAddresses, value)
			}
		}
		if change != nil {
			change(c)
		}
	}).Leaf
}

// RFC 5922 section 7.1.
func TestIdentities(t *testing.T) {
	for _, c := range []struct {
		story      string
		commonName string
		names      []string
		want       string
	}{
		{"a domain", "", []string{"URI:sip:example.com"}, "example.com"},
		{"several", "", []string{"URI:sip:example.com", "URI:sip:example.net"}, "example.com example.net"},
		{"with a port and parameters", "", []string{"URI:SIP:Example.COM:5061;transport=tls?Subject=x"}, "example.com"},
		{"by number", "", []string{"URI:sip:192.0.2.1", "URI:sip:[2001:DB8:0::1]:5061"}, "192.0.2.1 2001:db8::1"},
		{"a sip URI silences DNS", "", []string{"DNS:www.example.com", "URI:sip:example.com", "IP:192.0.2.1"}, "example.com"},
		{"a user is no domain", "", []string{"URI:sip:alice@example.com", "DNS:example.com"}, "example.com"},
		{"nor is a user alone", "", []string{"URI:sip:alice@example.com"}, ""},
		{"a user in what may be a header", "", []string{"URI:sip:example.com?x=a@example.net"}, ""},
		{"an escaped user", "", []string{"URI:sip:alice%40example.com"}, ""},
		{"sips is not sip", "", []string{"URI:sips:example.com", "DNS:example.net"}, "example.net"},
		{"another scheme", "", []string{"URI:https://example.com", "DNS:example.net"}, "example.net"},
		{"sip as if it were http", "", []string{"URI:sip://example.com", "DNS:example.net"}, "example.net"},
		{"names", "", []string{"DNS:Example.COM", "DNS:sip.example.com."}, "example.com sip.example.com"},
		{"names and numbers", "", []string{"DNS:example.com", "IP:192.0.2.1", "IP:2001:db8::1"}, "example.com 192.0.2.1 2001:db8::1"},
		{"a number that says it is a name", "", []string{"DNS:192.0.2.1"}, ""},
		{"IDNA", "", []string{"DNS:xn--bcher-kva.example"}, "xn--bcher-kva.example"},
		{"NUL", "", []string{"DNS:example.com\x00.example.net", "DNS:example.com\x00"}, ""},
		{"what is no name", "", []string{"DNS:", "DNS:.", "DNS:.example.com", "DNS:a..b", "DNS:a b", "DNS:a,b.example", "DNS:*", "DNS:a.*.example"}, ""},
		{"a wildcard is a name", "", []string{"DNS:*.example.com"}, "*.example.com"},
		{"common name", "Example.com", nil, "example.com"},
		{"a common name that is a person's", "Alice Smith", nil, ""},
		{"a common name that is a number", "192.0.2.1", nil, ""},
		{"a common name beside alternatives", "example.com", []string{"DNS:example.net"}, "example.net"},
		{"a common name beside mail addresses", "example.com", []string{"email:alice@example.com"}, ""},
		{"nothing", "", nil, ""},
	} {
		cert := named(t, c.commonName, c.names, nil)
		if got := strings.Join(identities(cert), " "); got != c.want {
			t.Errorf("%s: identities of %q = %q, want %q", c.story, c.names, got, c.want)
		}
	}
}

// RFC 5922 section 7.2.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		story string
		name  string // in the certificate
		host  string // asked for
		want  bool
	}{
		{"itself", "DNS:example.com", "example.com", true},
		{"in other letters", "DNS:example.com", "EXAMPLE.com", true},
		{"below the root", "DNS:example.com", "example.com.", true},
		{"below it twice", "DNS:example.com", "example.com..", false},
		{"a domain's host", "DNS:example.com", "foo.example.com", false},
		{"a host's domain", "DNS:foo.example.com", "example.com", false},
		{"a suffix", "DNS:example.com", "badexample.com", false},
		{"a wildcard", "DNS:*.example.com", "foo.example.com", false},
		{"a wildcard that asks", "DNS:foo.example.com", "*.example.com", false},
		{"a wildcard for a wildcard", "DNS:*.example.com", "*.example.com", true},
		{"a leading dot", "DNS:.example.com", "foo.example.com", false},
		{"no host", "DNS:example.com", "", false},
		{"the root", "DNS:example.com", ".", false},
		{"NUL", "DNS:example.com", "example.com\x00", false},
		{"U-label", "DNS:xn--bcher-kva.example", "b\u00fccher.example", false},
		{"A-label", "DNS:xn--bcher-kva.example", "XN--Bcher-kva.example", true},
		{"letters that fold into ASCII", "DNS:kelvin.example", "\u212aelvin.example", false},
		{"a number", "IP:192.0.2.1", "192.0.2.1", true},
		{"another number", "IP:192.0.2.1", "192.0.2.2", false},
		{"a number as a name", "DNS:192.0.2.1", "192.0.2.1", false},
		{"IPv6", "IP:2001:db8::1", "2001:DB8:0::1", true},
		{"IPv6 as URIs have it", "IP:2001:db8::1", "[2001:db8::1]", true},
		{"IPv4 in IPv6", "IP:192.0.2.1", "::ffff:192.0.2.1", true},
		{"a zone", "IP:fe80::1", "fe80::1%eth0", false},
		{"half a bracket", "IP:2001:db8::1", "[2001:db8::1", false},
		{"a sip URI", "URI:sip:example.com", "Example.com", true},
		{"a sip URI's number", "URI:sip:[2001:db8::1]", "2001:db8::1", true},
	} {
		cert := named(t, "", []string{c.name}, nil)
		if got := matches(cert, c.host); got != c.want {
			t.Errorf("%s: %s matches %q: %v, want %v", c.story, c.name, c.host, got, c.want)
		}
	}
}

// A certificate with names without end costs no more than its first thousand.
func TestIdentitiesBounded(t *testing.T) {
	cert := named(t, "", nil, func(c *x509.Certificate) {
		for i := range 10000 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("h%d.example.com", i))
		}
	})
	if got := len(identities(cert)); got != maxIdentities {
		t.Errorf("%d identities, want %d", got, maxIdentities)
	}
	if !matches(cert, "h0.example.com") || matches(cert, "h9999.example.com") {
		t.Error("the first name should count, the last should not")
	}
}

// The message says what the certificate has and what it lacks.
func TestIdentityError(t *testing.T) {
	for _, c := range []struct {
		err  IdentityError
		want string
	}{
		{
			IdentityError{"Example.com", []string{"sip.example.com"}},
			"transport: certificate is for sip.example.com, not for example.com; it needs the subjectAltName URI:sip:example.com or DNS:example.com",
		}, {
			IdentityError{"sip.example.com", []string{"*.example.com", "example.com"}},
			"transport: certificate is for *.example.com, example.com, not for sip.example.com; it needs the subjectAltName URI:sip:sip.example.com or DNS:sip.example.com (in SIP a wildcard stands for nothing)",
		}, {
			IdentityError{"192.0.2.1", []string{"a", "b", "c", "d", "e", "f"}},
			"transport: certificate is for a, b, c, d and 2 more, not for 192.0.2.1; it needs the subjectAltName IP:192.0.2.1",
		}, {
			IdentityError{"example.com", nil},
			"transport: certificate is for no SIP domain, not for example.com; it needs the subjectAltName URI:sip:example.com or DNS:example.com",
		}, {
			IdentityError{"a\r\nb", []string{"example.com"}},
			`transport: certificate is for example.com, and "a\r\nb" is not a name that one can have`,
		},
	} {
		err := fmt.Errorf("wrapped: %w", &c.err)
		found, ok := errors.AsType[*IdentityError](err)
		if !ok || found.Error() != c.want {
			t.Errorf("Error() = %v, want %v", found, c.want)
		}
	}
}

// Whatever a host or a name is like, it is compared in one form or not at all.
func FuzzDomainName(f *testing.F) {
	for _, s := range []string{"example.com", "Example.COM.", "*.example.com", "192.0.2.1", "[2001:db8::1]", "::ffff:192.0.2.1", "fe80::1%a", "a\x00.b", "..", "[", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := domainName(s)
		if again := domainName(name); again != name {
			t.Errorf("domainName(%q) = %q, and of that %q", s, name, again)
		}
		if slices.ContainsFunc([]byte(name), func(c byte) bool { return c <= ' ' || c >= 0x7f || 'A' <= c && c <= 'Z' }) {
			t.Errorf("domainName(%q) = %q", s, name)
		}
	})
}
