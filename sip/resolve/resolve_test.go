package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/goparley/parley/sip"
)

// names is a Resolver that knows a few names.
type names map[string][]netip.Addr

func (n names) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	addrs, ok := n[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

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
		{"sip:bob@example.com", []string{"udp:192.0.2.1:5060", "udp:[2001:db8::1]:5060", "udp:192.0.2.2:5060"}, "example.com"},
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
		targets, err := Targets(t.Context(), known, uri)
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
		"tel:+15551234", "sips:bob@example.com", "sip:bob@example.com;transport=tls",
		"sip:bob@example.com;transport=sctp", "sip:bob@example.com;transport=ws", "sip:bob@example.com;transport",
	} {
		uri, err := sip.ParseURI(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Targets(t.Context(), known, uri); !errors.Is(err, ErrTransport) || got != nil {
			t.Errorf("%s: %v, %v, want ErrTransport", text, got, err)
		}
	}
}

// anything is a Resolver that knows every name, and would take literals with a
// zone, or with fewer numbers than an address has, as the system's does.
type anything struct{}

func (anything) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("fe80::1%eth0")}, nil
}

// A zone would have whoever wrote the URI choose the interface that a request
// leaves by; a host that is a number is an address to some systems only, and
// another one than it looks like. Neither is looked up.
func TestTargetsNoHost(t *testing.T) {
	for _, host := range []string{
		"fe80::1%25eth0", "[fe80::1%25eth0]", "[fe80::1%251]", "fe80::1%251", "[::ffff:192.0.2.1%251]", "%5Bfe80::1%5D", "[", "[]", "a:5060", "a/b", "a&b", "$a", "(a)",
		"127.1", "999.999.999.999", "2130706433", "0x7f000001", "0x7F.1", "a.1", "a.1.", "0x", "192.0.2.1.", "192.0.2.01", ".", "..", "a..b", ".a",
	} {
		for _, uri := range []sip.URI{
			{Scheme: "sip", User: "b", Host: "h.example", Params: sip.Params(";maddr=" + host)},
			{Scheme: "sip", User: "b", Host: host},
		} {
			var bad *net.AddrError
			if got, err := Targets(t.Context(), anything{}, uri); !errors.As(err, &bad) || got != nil {
				t.Errorf("%s: %v, %v, want an AddrError", uri, got, err)
			}
		}
	}
	for _, host := range []string{"a", "a.example.", "3cx", "a-1", "my_host", "1.example", "xn--p1ai", "0xyz"} {
		if _, err := Targets(t.Context(), anything{}, sip.URI{Scheme: "sip", Host: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for maddr, want := range map[string]string{"2001:db8::7": "udp:[2001:db8::7]:5060", "[2001:DB8::7]": "udp:[2001:db8::7]:5060"} {
		uri := sip.URI{Scheme: "sip", Host: "h.example", Params: sip.Params(";maddr=" + maddr)}
		if got, err := Targets(t.Context(), anything{}, uri); err != nil || got[0].String() != want {
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
		if got, err := Targets(t.Context(), known, uri); !errors.As(err, &dns) || !dns.IsNotFound || dns.Name != host || got != nil {
			t.Errorf("%s: %v, %v, want a DNSError", host, got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Targets(ctx, known, sip.URI{Scheme: "sip", Host: "example.com"}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v, want Canceled", err)
	}
	// The system's resolver, which looks at the context first.
	if _, err := Targets(ctx, nil, sip.URI{Scheme: "sip", Host: "nowhere.invalid"}); err == nil {
		t.Error("the system's resolver knows nowhere.invalid")
	}
}
