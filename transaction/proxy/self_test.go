package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// A socket that is bound to all addresses: each of them is us, whichever the
// request has come to (RFC 3261 sections 16.4 and 16.5).
func TestSelfOfWildcard(t *testing.T) {
	p, err := Listen(&transport.Config{Listen: []string{"udp:0.0.0.0:0"}, Logger: quiet}, &Config{
		Handler: func(tx *Server, req *sip.Request) {
			route, _ := req.Value("Route")
			tx.Reply(sip.StatusOK, sip.ReasonPhrase(fmt.Sprintf("local %v %s", tx.Local(), route)))
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	port := p.Layer().Endpoint().Addr("udp").Port()
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hosts := []string{"127.0.0.1", "127.0.0.2"}
	interfaces, _ := net.InterfaceAddrs()
	for _, a := range interfaces {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is4() {
			hosts = append(hosts, prefix.Addr().String())
		}
	}
	for i, host := range hosts {
		fmt.Fprintf(conn, "OPTIONS sip:%[1]s:%[2]d SIP/2.0\r\nVia: SIP/2.0/UDP %[3]s;branch=z9hG4bK%[4]d\r\nRoute: <sip:%[1]s:%[2]d;lr>\r\n"+
			"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: %[4]d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", host, port, conn.LocalAddr(), i)
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 2000)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		m, err := sip.Parse(string(buf[:n]))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(*sip.Response).ReasonPhrase(); got != "local true " {
			t.Errorf("with %s in Route and Request-URI the handler has %q, want %q", host, got, "local true ")
		}
	}
}

// Other networks have other addresses than this machine's, and a socket that is
// bound to one is at no other.
func TestSelfOfOneAddress(t *testing.T) {
	play(t, func(s *scene) {
		p := s.proxy(proxyAddr, &Config{Handler: relay})
		for _, host := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
			if p.self.isHost(host, netip.MustParseAddrPort(proxyAddr+":5060")) {
				s.Errorf("%s is us", host)
			}
		}
	})
}

// A domain is a host. What is none would be nobody's address, and users of it
// strangers.
func TestDomainsThatAreNone(t *testing.T) {
	play(t, func(s *scene) {
		for domain, ok := range map[string]bool{
			"example.com": true, "2001:db8::1": true, "[2001:db8::1]": true,
			"": false, "sip:example.com": false, "example.com:5060": false, "*.example.com": false, "ex ample": false,
		} {
			p, err := Listen(on(s, s.net, proxyAddr), &Config{Domains: []string{"example.net", domain}})
			if (err == nil) != ok {
				s.Errorf("Listen() with the domain %q = %v", domain, err)
			}
			if p != nil {
				p.Close()
			}
		}
	})
}
