package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// The tests of this file run on the sockets of the operating system.

// echo answers every request with 200, and hands responses over.
type echo struct {
	*Endpoint
	responses chan *Inbound
}

func newEcho(t testing.TB, listen ...string) *echo {
	t.Helper()
	return newSecureEcho(t, nil, listen...)
}

func newSecureEcho(t testing.TB, cfg *tls.Config, listen ...string) *echo {
	t.Helper()
	e := &echo{responses: make(chan *Inbound, 100)}
	ready := make(chan struct{}) // closed when e.Endpoint is set
	ep, err := Listen(&Config{Listen: listen, TLS: cfg, Handle: func(in *Inbound) {
		<-ready
		if r, isRequest := in.Message.(*sip.Request); isRequest {
			e.Respond(in, r.Reply(sip.StatusOK))
			return
		}
		e.responses <- in
	}})
	if err != nil {
		t.Fatal(err)
	}
	e.Endpoint = ep
	close(ready)
	t.Cleanup(func() { ep.Close() })
	return e
}

func TestSystemSockets(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		for _, network := range []string{"UDP", "TCP"} {
			t.Run(network+" "+host, func(t *testing.T) {
				client := newEcho(t, "udp:"+host+":0", "tcp:"+host+":0")
				server := newEcho(t, "udp:"+host+":0", "tcp:"+host+":0")
				to := resolve.Target{Transport: network, Addr: server.Addr(network)}
				flow, out, err := client.SendRequest(t.Context(), outgoing(t), to, "z9hG4bK1")
				if err != nil {
					t.Fatal(err)
				}
				in := <-client.responses
				if in.Flow != flow {
					t.Errorf("the response came by %v, want %v", in.Flow, flow)
				}
				via := in.Message.Via()
				if got, want := via.SentBy(), fmt.Sprintf("%s:%d", host, client.Addr(network).Port()); got != want {
					t.Errorf("sent-by = %s, want %s", got, want)
				}
				rport, _ := via.RPort()
				if want := int(flow.LocalAddr().Port()); rport != want || via.Received() != flow.LocalAddr().Addr() {
					t.Errorf("received=%v;rport=%d, want %v", via.Received(), rport, flow.LocalAddr())
				}
				if out.Via().Branch() != via.Branch() {
					t.Errorf("branch = %s, want %s", via.Branch(), out.Via().Branch())
				}
			})
		}
	}
}

// TLS and WebSocket, between a client that does not listen and a server.
func TestSystemTLSAndWebSocket(t *testing.T) {
	cfg := identified(siptest.NewAuthority(), "example.com")
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		for _, network := range []string{"TLS", "WS", "WSS"} {
			t.Run(network+" "+host, func(t *testing.T) {
				client, server := newSecureEcho(t, cfg), newSecureEcho(t, cfg, strings.ToLower(network)+":"+host+":0")
				to := resolve.Target{Transport: network, Addr: server.Addr(network), Host: "example.com"}
				for range 3 {
					flow, _, err := client.SendRequest(t.Context(), outgoing(t), to, "z9hG4bK1")
					if err != nil {
						t.Fatal(err)
					}
					in := <-client.responses
					if in.Flow != flow || flow.RemoteAddr() != to.Addr {
						t.Errorf("the response came by %v, the request went by %v, want %v", in.Flow, flow, to.Addr)
					}
					if got, want := in.Message.Via().SentBy(), fmt.Sprintf("%s:%d", host, flow.LocalAddr().Port()); got != want {
						t.Errorf("sent-by = %s, want %s", got, want)
					}
				}
				if err := server.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown = %v", err)
				}
			})
		}
	}
}

// Bound to all addresses, the Via names the one that leads to the peer, for
// both families.
func TestSystemWildcard(t *testing.T) {
	client := newEcho(t, "udp::0", "tcp::0")
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		server := newEcho(t, "udp:"+host+":0", "tcp:"+host+":0")
		for _, network := range []string{"UDP", "TCP"} {
			to := resolve.Target{Transport: network, Addr: server.Addr(network)}
			_, out, err := client.SendRequest(t.Context(), outgoing(t), to, "z9hG4bK1")
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("%s:%d", host, client.Addr(network).Port())
			if got := out.Via().SentBy(); got != want {
				t.Errorf("sent-by = %s, want %s", got, want)
			}
			if in := <-client.responses; in.Flow.RemoteAddr() != server.Addr(network) {
				t.Errorf("the response came from %v, want %v", in.Flow.RemoteAddr(), server.Addr(network))
			}
			if uri, err := client.Contact(t.Context(), to); err != nil || uri.HostPort() != want {
				t.Errorf("Contact = %v, %v, want %s", uri, err, want)
			}
		}
	}
}

func TestSystemErrors(t *testing.T) {
	e := newEcho(t, "udp:127.0.0.1:0", "tcp:127.0.0.1:0")
	var op *net.OpError
	for _, network := range []string{"udp", "tcp"} {
		_, err := Listen(&Config{Listen: []string{network + ":" + e.Addr(network).String()}})
		if !errors.As(err, &op) || !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s port in use: %v, want EADDRINUSE in a *net.OpError", network, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	_, _, err = e.SendRequest(t.Context(), outgoing(t), resolve.Target{Transport: "TCP", Addr: nobody}, "z9hG4bK1")
	if !errors.As(err, &op) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v, want ECONNREFUSED in a *net.OpError", err)
	}
	// More than a datagram holds, to a peer that refuses TCP.
	big := outgoing(t).With(sip.Body{Type: "text/plain", Content: strings.Repeat("x", 70000)})
	_, _, err = e.SendRequest(t.Context(), big, resolve.Target{Transport: "UDP", Addr: nobody}, "z9hG4bK1")
	if !errors.As(err, &op) || !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("70,000 bytes: %v, want EMSGSIZE in a *net.OpError", err)
	}
}

// Everything at once: requests by many goroutines over both transports, peers
// that come and go, and an end in the middle of it.
func TestSystemStress(t *testing.T) {
	client := newEcho(t, "udp:127.0.0.1:0", "tcp:127.0.0.1:0")
	server := newEcho(t, "udp:127.0.0.1:0", "tcp:127.0.0.1:0")
	var senders, drain sync.WaitGroup
	stop := make(chan struct{})
	drain.Go(func() { // ends when stop is closed
		for {
			select {
			case <-client.responses:
			case <-stop:
				return
			}
		}
	})
	for i := range 8 {
		senders.Go(func() {
			for n := range 200 {
				to := resolve.Target{Transport: "TCP", Addr: server.Addr("tcp")}
				if (i+n)%2 == 0 {
					to.Transport = "UDP"
				}
				if _, _, err := client.SendRequest(background, outgoing(t), to, fmt.Sprintf("z9hG4bK%d.%d", i, n)); err != nil {
					if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNoFlow) && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
						t.Error(err)
					}
				}
			}
		})
	}
	senders.Go(func() {
		for range 50 {
			c, err := net.Dial("tcp", server.Addr("tcp").String())
			if err != nil {
				continue
			}
			c.Write([]byte(message(options, tcpVia))[:100])
			c.Close()
		}
	})
	senders.Go(func() {
		for range 20 {
			e := newEcho(t, "udp:127.0.0.1:0", "tcp:127.0.0.1:0")
			e.SendRequest(background, outgoing(t), resolve.Target{Transport: "TCP", Addr: server.Addr("tcp")}, "z9hG4bK1")
			e.Close()
		}
		server.Close()
	})
	senders.Wait()
	client.Close()
	close(stop)
	drain.Wait()
}

func TestAddrPort(t *testing.T) {
	mapped := &net.UDPAddr{IP: net.ParseIP("192.0.2.1"), Port: 5060}
	if got, want := addrPort(mapped), netip.MustParseAddrPort("192.0.2.1:5060"); got != want {
		t.Errorf("addrPort = %v, want %v", got, want)
	}
	if got := addrPort(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("addrPort of a Unix socket = %v, want none", got)
	}
}

// 0.0.0.0 is every IPv4 address and nothing else; no host is every address.
func TestWildcards(t *testing.T) {
	four := newEcho(t, "udp:0.0.0.0:0", "tcp:0.0.0.0:0")
	both := newEcho(t, "udp::0", "tcp::0")
	for _, network := range []string{"udp", "tcp"} {
		if got := four.Addr(network).Addr(); got != netip.IPv4Unspecified() {
			t.Errorf("%s: 0.0.0.0 is bound as %v", network, got)
		}
		if got := both.Addr(network).Addr(); got != netip.IPv6Unspecified() {
			t.Errorf("%s: no host is bound as %v", network, got)
		}
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		to := resolve.Target{Transport: "UDP", Addr: netip.AddrPortFrom(netip.MustParseAddr(host), both.Addr("udp").Port())}
		if _, _, err := both.SendRequest(t.Context(), outgoing(t), to, "z9hG4bK1"); err != nil {
			t.Fatal(err)
		}
		if in := <-both.responses; in.Flow.RemoteAddr() != to.Addr {
			t.Errorf("the response came from %v, want %v", in.Flow.RemoteAddr(), to.Addr)
		}
	}
}
