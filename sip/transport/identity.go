package transport

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// IdentityError says that a TLS server has a valid certificate, but not for the
// host that the connection is for. It is what errors.As finds in the error of a
// request that could not be sent for that. For WSS, where other rules hold, it
// finds an x509.HostnameError there; a *tls.CertificateVerificationError for
// both, and for all else that can be wrong with a certificate.
//
// The host is that of the next hop's URI, not the name or the address that DNS
// led to: DNS may lie (RFC 5922 section 7.3). The certificate of every server
// that example.com names in its SRV records has to name example.com.
type IdentityError struct {
	Host  string   // the host that was asked for
	Names []string // the SIP identities of the certificate; 1000 at most
}

// Error names both, and what the certificate would have to say.
func (e *IdentityError) Error() string {
	const shown = 4
	var b strings.Builder
	b.WriteString("transport: certificate is for ")
	for i, name := range e.Names {
		if i == shown {
			fmt.Fprintf(&b, " and %d more", len(e.Names)-shown)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	if len(e.Names) == 0 {
		b.WriteString("no SIP domain")
	}
	host := domainName(e.Host)
	if host == "" {
		fmt.Fprintf(&b, ", and %q is not a name that one can have", e.Host)
		return b.String()
	}
	if _, err := netip.ParseAddr(host); err == nil {
		fmt.Fprintf(&b, ", not for %s; it needs the subjectAltName IP:%s", host, host)
		return b.String()
	}
	fmt.Fprintf(&b, ", not for %s; it needs the subjectAltName URI:sip:%s or DNS:%s", host, host, host)
	if slices.ContainsFunc(e.Names, func(name string) bool { return strings.HasPrefix(name, "*.") }) {
		b.WriteString(" (in SIP a wildcard stands for nothing)")
	}
	return b.String()
}

// maxIdentities bounds the names of a certificate that are looked at. The
// certificates of hosters name some hundreds.
const maxIdentities = 1000

var (
	oidSubjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}
)

func hasExtension(cert *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(oid) {
			return true
		}
	}
	return false
}

// identities returns the SIP domain identities of a certificate, as domainName
// writes them (RFC 5922 section 7.1): the hosts of its sip URIs; if there is
// none, its DNS names; if it has no subjectAltName at all, its common name.
//
// Its IP addresses stand with the DNS names, which goes beyond the RFC. They
// are what verifies a next hop that is configured by its number, which could
// only be reached with verification off otherwise. The numbers are matched as
// HTTP does (RFC 9110 section 4.3.5): no DNS name or common name is one.
func identities(cert *x509.Certificate) []string {
	var names []string
	add := func(name string) {
		if name != "" && len(names) < maxIdentities {
			names = append(names, name)
		}
	}
	for _, uri := range cert.URIs {
		add(uriIdentity(uri))
	}
	switch {
	case len(names) > 0:
	case hasExtension(cert, oidSubjectAltName):
		for _, name := range cert.DNSNames {
			if isName(name) {
				add(domainName(name))
			}
		}
		for _, ip := range cert.IPAddresses {
			add(domainName(ip.String()))
		}
	case isName(cert.Subject.CommonName):
		add(domainName(cert.Subject.CommonName))
	}
	return names
}

// uriIdentity returns the host of a sip URI without a user, and "" for any
// other. A sips URI is none: RFC 5922 section 7.1 takes the scheme sip alone.
func uriIdentity(uri *url.URL) string {
	// "sip:a?b@c" has a user or not, depending on who reads it.
	text := uri.String()
	if uri.Scheme != "sip" || strings.Contains(text, "@") {
		return ""
	}
	u, err := sip.ParseURI(text)
	if err != nil {
		return ""
	}
	return domainName(u.Host)
}

func isSIP(uri *url.URL) bool { return uriIdentity(uri) != "" }

// matches reports whether a host is a SIP identity of a certificate. Names are
// compared as a whole and without regard to case; a wildcard is a name like any
// other and stands for nothing but itself (RFC 5922 section 7.2).
func matches(cert *x509.Certificate, host string) bool {
	host = domainName(host)
	return host != "" && slices.Contains(identities(cert), host)
}

// isName tells domain names from numbers.
func isName(host string) bool {
	_, err := netip.ParseAddr(strings.TrimSuffix(host, "."))
	return err != nil
}

// domainName returns a host in the one form in which hosts are compared: a name
// in lower case and without the dot of the root, a number in its shortest text
// and without brackets. It is "" for what is neither, such as text with a NUL.
//
// Names are ASCII. Those of other scripts stand in SIP URIs and in certificates
// as A-labels ("xn--...": RFC 3261 section 25.1, RFC 5280 section 7.2), so that
// these are compared.
func domainName(host string) string {
	number := host
	if n := len(host) - 1; n > 0 && host[0] == '[' && host[n] == ']' {
		number = host[1:n]
	}
	if addr, err := netip.ParseAddr(number); err == nil {
		if addr.Zone() != "" {
			return "" // means another machine to everyone
		}
		return addr.Unmap().String()
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > 253 {
		return ""
	}
	first, last := true, ""
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) && !(first && label == "*") {
			return ""
		}
		first, last = false, label
	}
	if last == "*" || last[0] <= '9' { // toplabel (RFC 3261 section 25.1)
		return ""
	}
	return strings.ToLower(host)
}

// isLabel allows the underscore, which names of services have.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'z', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
