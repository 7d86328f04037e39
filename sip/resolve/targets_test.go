package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// names is a Resolver that knows a few addresses.
type names map[string][]netip.Addr

func (n names) Lookup(ctx context.Context, name string, t Type) (*Answer, error) {
	addrs, ok := n[name]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	a := &Answer{TTL: time.Minute}
	for _, addr := range addrs {
		if t == TypeA && addr.Is4() || t == TypeAAAA && addr.Is6() {
			a.Addrs = append(a.Addrs, addr)
		}
	}
	return a, nil
}

// everywhere is a Dialer with a route to every address, which connects to none.
type everywhere struct{}

func (everywhere) DialContext(context.Context, string, string) (net.Conn, error) {
	c, _ := net.Pipe()
	return c, nil
}

// with returns a Client that asks a Resolver.
func with(r Resolver) *Client { return New(&Config{Resolver: r, Dialer: everywhere{}}) }

var known = names{
	"example.com": {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:192.0.2.2")},
	"gw.example":  {netip.MustParseAddr("192.0.2.9")},
	"empty":       nil,
}

// RFC 3263 sections 4.1 and 4.2, as far as they go without NAPTR and SRV.
func TestTargets(t *testing.T) {
	for _, c := range []struct {
		uri  string
		want []string
		host string
	}{
		{"sip:bob@192.0.2.1", []string{"udp:192.0.2.1:5060"}, "192.0.2.1"},
		{"sip:bob@192.0.2.1:5070", []string{"udp:192.0.2.1:5070"}, "192.0.2.1"},
		{"sip:bob@192.0.2.1;transport=tcp", []string{"tcp:192.0.2.1:5060"}, "192.0.2.1"},
		{"sip:bob@192.0.2.1:5070;transport=UDP", []string{"udp:192.0.2.1:5070"}, "192.0.2.1"},
		{"sip:[2001:db8::1]", []string{"udp:[2001:db8::1]:5060"}, "[2001:db8::1]"},
		{"sip:bob@[2001:db8::1]:5070;transport=tcp", []string{"tcp:[2001:db8::1]:5070"}, "[2001:db8::1]"},
		{"sip:[::ffff:192.0.2.1]", []string{"udp:192.0.2.1:5060"}, "[::ffff:192.0.2.1]"},
		{"sip:bob@example.com", []string{"udp:[2001:db8::1]:5060", "udp:192.0.2.1:5060", "udp:192.0.2.2:5060"}, "example.com"},
		{"sip:bob@gw.example:5080;transport=tcp", []string{"tcp:192.0.2.9:5080"}, "gw.example"},
		// RFC 3263 section 4: maddr is what is looked up.
		{"sip:bob@example.com;maddr=192.0.2.7", []string{"udp:192.0.2.7:5060"}, "192.0.2.7"},
		{"sip:bob@example.com:5070;maddr=gw.example;transport=tcp", []string{"tcp:192.0.2.9:5070"}, "gw.example"},
		{"sip:bob@example.com;maddr=[2001:db8::7]", []string{"udp:[2001:db8::7]:5060"}, "[2001:db8::7]"},
		{"sip:bob@192.0.2.1;maddr=224.0.1.75", []string{"udp:224.0.1.75:5060"}, "224.0.1.75"},
	} {
		uri, err := sip.ParseURI(c.uri)
		if err != nil {
			t.Fatal(err)
		}
		targets, err := with(known).Targets(t.Context(), uri)
		if err != nil {
			t.Errorf("%s: %v", c.uri, err)
			continue
		}
		var got []string
		for _, target := range targets {
			got = append(got, target.String())
			if target.Host != c.host {
				t.Errorf("%s: Host = %s, want %s", c.uri, target.Host, c.host)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.uri, got, c.want)
		}
	}
}

func TestTargetsRefused(t *testing.T) {
	for _, text := range []string{
		"tel:+15551234", "mailto:bob@example.com", "sip:bob@example.com;transport=sctp", "sip:bob@example.com;transport",
		"sip:bob@192.0.2.1;transport=sctp", "sips:bob@example.com;transport=udp", "sips:bob@192.0.2.1;transport=udp",
	} {
		uri, err := sip.ParseURI(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := with(known).Targets(t.Context(), uri); !errors.Is(err, ErrTransport) || got != nil {
			t.Errorf("%s: %v, %v, want ErrTransport", text, got, err)
		}
	}
}

// anything is a Resolver that knows every name, and would take literals with a
// zone, or with fewer numbers than an address has, as the system's does.
type anything struct{}

func (anything) Lookup(context.Context, string, Type) (*Answer, error) {
	return &Answer{Addrs: []netip.Addr{netip.MustParseAddr("fe80::1%eth0")}}, nil
}

// A zone would have whoever wrote the URI choose the interface that a request
// leaves by; a host that is a number is an address to some systems only, and
// another one than it looks like. Neither is looked up.
func TestTargetsNoHost(t *testing.T) {
	for _, host := range []string{
		"fe80::1%25eth0", "[fe80::1%25eth0]", "[fe80::1%251]", "fe80::1%251", "[::ffff:192.0.2.1%251]", "%5Bfe80::1%5D", "[", "[]", "a:5060", "a/b", "a&b", "$a", "(a)",
		"127.1", "999.999.999.999", "2130706433", "0x7f000001", "0x7F.1", "a.1", "a.1.", "0x", "192.0.2.1.", "192.0.2.01", ".", "..", "a..b", ".a",
		strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "a",
	} {
		for _, uri := range []sip.URI{
			{Scheme: "sip", User: "b", Host: "h.example", Params: sip.Params(";maddr=" + host)},
			{Scheme: "sip", User: "b", Host: host},
		} {
			var bad *net.AddrError
			if got, err := with(anything{}).Targets(t.Context(), uri); !errors.As(err, &bad) || got != nil {
				t.Errorf("%s: %v, %v, want an AddrError", uri, got, err)
			}
		}
	}
	for _, host := range []string{"a", "a.example.", "3cx", "a-1", "my_host", "1.example", "xn--p1ai", "0xyz"} {
		if _, err := with(anything{}).Targets(t.Context(), sip.URI{Scheme: "sip", Host: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for maddr, want := range map[string]string{"2001:db8::7": "udp:[2001:db8::7]:5060", "[2001:DB8::7]": "udp:[2001:db8::7]:5060"} {
		uri := sip.URI{Scheme: "sip", Host: "h.example", Params: sip.Params(";maddr=" + maddr)}
		if got, err := with(anything{}).Targets(t.Context(), uri); err != nil || got[0].String() != want {
			t.Errorf("%s: %v, %v, want %s", uri, got, err, want)
		}
	}
}

// An unknown name, and one without addresses, are a *net.DNSError; the end of
// the caller's context is its error.
func TestTargetsUnknown(t *testing.T) {
	for _, host := range []string{"nowhere.example", "empty"} {
		uri := sip.URI{Scheme: "sip", Host: host}
		var dns *net.DNSError
		if got, err := with(known).Targets(t.Context(), uri); !errors.As(err, &dns) || !dns.IsNotFound || dns.Name != host || got != nil {
			t.Errorf("%s: %v, %v, want a DNSError", host, got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, client := range map[string]*Client{"a resolver": with(known), "the system": New(nil)} {
		if _, err := client.Targets(ctx, sip.URI{Scheme: "sip", Host: "example.com"}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, after the end of the context: %v, want Canceled", name, err)
		}
	}
}

// localhost is this machine, and invalid is nowhere, without a question to
// anybody (RFC 6761 section 6).
func TestTargetsSpecialNames(t *testing.T) {
	client := New(&Config{Resolver: &DNS{Dialer: everywhere{}}})
	for host, want := range map[string]string{
		"localhost":            "[udp:[::1]:5060 udp:127.0.0.1:5060]",
		"phone.LOCALHOST.":     "[udp:[::1]:5060 udp:127.0.0.1:5060]",
		"df7jal23ls0d.invalid": "[]",
	} {
		got, err := client.Targets(t.Context(), sip.URI{Scheme: "sip", Host: host})
		var dns *net.DNSError
		if fmt.Sprint(got) != want || got == nil && (!errors.As(err, &dns) || !dns.IsNotFound) {
			t.Errorf("%s: %v, %v, want %s", host, got, err, want)
		}
	}
}
