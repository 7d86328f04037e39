package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// sendTo sends a request to a domain at an address and returns the flow that it
// took.
func (s *scene) sendTo(e *inbox, host, transport, addr string) Flow {
	s.Helper()
	flow, _, err := e.SendRequest(background, outgoing(s), domainAt(host, transport, addr), "z9hG4bK1")
	if err != nil {
		s.Fatal(err)
	}
	return flow
}

// Two domains at one address: a connection to the one is no connection to the
// other, as who is at its end depends on the name (RFC 5923 section 8.1, RFC
// 5922 section 7.3). The same name, in any case, is.
func TestAnotherNameTakesAnotherConnection(t *testing.T) {
	for _, transport := range []string{"TLS", "WSS", "WS"} {
		t.Run(transport, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				authority := siptest.NewAuthority()
				cfg := identified(authority)
				a, b := authority.Certificate("a.example"), authority.Certificate("b.example")
				cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
					if hello.ServerName == "b.example" {
						return &b, nil
					}
					return &a, nil
				}
				s.listenTLS(s.bob, cfg, &Config{Listen: []string{strings.ToLower(transport) + ":" + bobTLS}})
				alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
				first := s.sendTo(alice, "a.example", transport, bobTLS)
				for _, c := range []struct {
					host string
					same bool
				}{{"b.example", false}, {"a.example", true}, {"A.Example.", true}} {
					if got := s.sendTo(alice, c.host, transport, bobTLS); (got == first) != c.same {
						t.Errorf("%s takes %v, and a.example %v", c.host, got, first)
					}
				}
				s.tables(alice, 2, 0)
			})
		})
	}
}

// A connection serves all names that the certificate at its end proves, also a
// number; the first sixteen of them, if it has more.
func TestProvedNameSharesTheConnection(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		s.listenTLS(s.bob, identified(authority, "a.example", "b.example", "192.0.2.2"), nil)
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
		first := s.sendTo(alice, "a.example", "TLS", bobTLS)
		for _, host := range []string{"b.example", "", "192.0.2.2"} {
			if got := s.sendTo(alice, host, "TLS", bobTLS); got != first {
				t.Errorf("%q takes %v, want %v", host, got, first)
			}
		}
		_, _, err := alice.SendRequest(background, outgoing(t), domainAt("c.example", "TLS", bobTLS), "z9hG4bK1")
		if !isIdentityError(err) {
			t.Errorf("a name that is not proved: %v, want an *IdentityError", err)
		}
		s.bob.Reset()
		s.tables(alice, 0, 0)
	})
}

// The numbers of IPv6 are names like any other.
func TestProvedNumberOfIPv6(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		s.listenTLS(s.n.Host("2001:db8::2"), identified(authority, "example.com", "2001:db8::2"), nil)
		alice := s.listen(&Config{Network: s.n.Host("2001:db8::1"), Listen: []string{}, TLS: identified(authority)})
		const bob = "[2001:db8::2]:5061"
		first := s.sendTo(alice, "example.com", "TLS", bob)
		for _, host := range []string{"", "2001:db8::2", "[2001:DB8::2]"} {
			if got := s.sendTo(alice, host, "TLS", bob); got != first {
				t.Errorf("%q takes %v, want %v", host, got, first)
			}
		}
	})
}

// A WebSocket server calls itself transport=ws in its Record-Route, whether it
// has TLS or not, and often a number. A client takes the connection that it has
// (RFC 7118 section 8.2). It asks for proof where it has said sips, or another
// name.
func TestWebSocketServerByWhatItCallsItself(t *testing.T) {
	for _, transport := range []string{"WS", "WSS"} {
		t.Run(transport, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				authority := siptest.NewAuthority()
				s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Listen: []string{strings.ToLower(transport) + ":" + bobTLS}})
				alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
				first := s.sendTo(alice, "example.com", transport, bobTLS)
				for _, host := range []string{"example.com", "192.0.2.2", ""} {
					if got := s.sendTo(alice, host, "WS", bobTLS); got != first {
						t.Errorf("ws to %q takes %v, want %v", host, got, first)
					}
				}
				flow, _, err := alice.SendRequest(background, outgoing(t), domainAt("192.0.2.2", "WSS", bobTLS), "z9hG4bK1")
				if err == nil {
					t.Errorf("wss to 192.0.2.2 takes %v, want an error", flow)
				}
				flow, _, err = alice.SendRequest(background, outgoing(t), domainAt("other.example", "WS", bobTLS), "z9hG4bK1")
				if err == nil && flow == first {
					t.Errorf("ws to other.example takes %v", flow)
				}
				s.bob.Reset()
				s.tables(alice, 0, 0)
			})
		})
	}
}

// A program that does not verify has nothing proved to it.
func TestNothingIsProvedWithoutVerification(t *testing.T) {
	play(t, nil, func(s *scene) {
		s.listenTLS(s.bob, identified(siptest.NewAuthority(), "a.example", "b.example"), nil)
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: &tls.Config{InsecureSkipVerify: true}})
		first := s.sendTo(alice, "a.example", "TLS", bobTLS)
		if got := first.Identities(); got != nil {
			t.Errorf("Identities() = %q, want none", got)
		}
		if s.sendTo(alice, "b.example", "TLS", bobTLS) == first {
			t.Error("b.example takes the connection to a.example")
		}
	})
}

// Those who send to one server at once share one connection, and the error if it
// cannot be had. The next one tries again.
func TestConcurrentSendersDialOnce(t *testing.T) {
	for _, transport := range []string{"TCP", "TLS", "WS", "WSS"} {
		t.Run(transport, func(t *testing.T) {
			play(t, &siptest.NetworkConfig{Delay: 100 * time.Millisecond}, func(s *scene) {
				authority := siptest.NewAuthority()
				network := &countingNetwork{Network: s.alice}
				alice := s.listen(&Config{Network: network, Listen: []string{}, TLS: identified(authority)})
				all := func() (flows []Flow, errs []error) {
					var mu sync.Mutex
					var senders sync.WaitGroup
					for range 20 {
						senders.Go(func() {
							flow, _, err := alice.SendRequest(background, outgoing(t), domainAt("example.com", transport, bobTLS), "z9hG4bK1")
							mu.Lock()
							defer mu.Unlock()
							if flows, errs = append(flows, flow), append(errs, err); len(flows) > 1 && flow != flows[0] {
								t.Errorf("flows %v and %v", flow, flows[0])
							}
						})
					}
					senders.Wait()
					return flows, errs
				}
				_, errs := all()
				for _, err := range errs {
					if !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("SendRequest = %v, want refusal", err)
					}
				}
				if got := network.dials.Load(); got != 1 {
					t.Errorf("%d dials, want 1", got)
				}
				s.tables(alice, 0, 0)
				bob := s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Listen: []string{strings.ToLower(transport) + ":" + bobTLS}})
				flows, errs := all()
				if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
					t.Errorf("SendRequest = %v", errs)
				}
				if got := network.dials.Load(); got != 2 || flows[0].IsZero() {
					t.Errorf("%d dials in all, want 2", got)
				}
				s.wait(time.Second)
				if got := len(bob.take()); got != 20 {
					t.Errorf("%d requests arrived, want 20", got)
				}
			})
		})
	}
}

// An accepted connection of TLS says nothing about who is at its other end, and
// so gets no requests of ours, whatever they are addressed to.
func TestAcceptedTLSConnectionIsNotUsedForItsAddress(t *testing.T) {
	for _, more := range []string{"", ";alias"} {
		play(t, nil, func(s *scene) {
			authority := siptest.NewAuthority()
			bob := s.listenTLS(s.bob, identified(authority, "example.com"), nil)
			phone, err := s.dialTLS(s.alice, bobTLS, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"})
			if err != nil {
				t.Fatal(err)
			}
			phone.send(message(options, tlsVia+more))
			in := s.one(bob)
			for _, addr := range []string{in.Flow.RemoteAddr().String(), aliceTLS} {
				for _, host := range []string{"", "example.net"} {
					_, _, err := bob.SendRequest(background, outgoing(t), domainAt(host, "TLS", addr), "z9hG4bK1")
					if !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("request to %q at %s, with%q in the Via: %v, want a connection tried and refused", host, addr, more, err)
					}
				}
			}
			if text := phone.receive(); text != "" {
				t.Errorf("%q was sent to who has connected", text)
			}
		})
	}
}

// RFC 5923 section 8.2: a client that has proved to be example.net and asks for
// it in the Via gets the requests for example.net, at its address and the port of
// its sent-by, on the connection that it has made. Those for other names and
// other ports go elsewhere, and when the connection ends, all of them.
func TestAliasedConnectionIsReused(t *testing.T) {
	for _, c := range []struct{ sentBy, addr, other string }{
		{"192.0.2.1", aliceTLS, "192.0.2.1:5071"},
		{"alice.example.net:5071", "192.0.2.1:5071", aliceTLS},
	} {
		play(t, nil, func(s *scene) {
			authority := siptest.NewAuthority()
			bob := s.listenTLS(s.bob, identified(authority, "example.com"), nil)
			client := identified(authority, "example.net", "example.org")
			client.ServerName = "example.com"
			s.n.Host("192.0.2.9")
			phone, err := s.dialTLS(s.alice, bobTLS, client)
			if err != nil {
				t.Fatal(err)
			}
			phone.send(message(options, "Via: SIP/2.0/TLS "+c.sentBy+";branch=z9hG4bK1;alias"))
			in := s.one(bob)
			for _, host := range []string{"example.net", "Example.Org."} {
				if got := s.sendTo(bob, host, "TLS", c.addr); got != in.Flow {
					t.Errorf("a request to %s takes %v, want %v", host, got, in.Flow)
				}
				s.contains(phone.receive(), options)
			}
			for _, to := range []struct{ host, addr string }{
				{"example.edu", c.addr}, {"", c.addr}, {"192.0.2.1", c.addr}, // not proved
				{"example.net", c.other}, {"example.net", in.Flow.RemoteAddr().String()}, {"example.net", "192.0.2.9:5061"},
			} {
				if _, _, err := bob.SendRequest(background, outgoing(t), domainAt(to.host, "TLS", to.addr), "z9hG4bK1"); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("a request to %q at %s: %v, want a connection tried and refused", to.host, to.addr, err)
				}
			}
			// A second alias is one too many.
			phone.send(message(options, "Via: SIP/2.0/TLS "+c.other+";branch=z9hG4bK2;alias"))
			s.one(bob)
			if _, _, err := bob.SendRequest(background, outgoing(t), domainAt("example.net", "TLS", c.other), "z9hG4bK1"); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("the alias of a second port: %v, want a connection tried and refused", err)
			}
			if got := s.sendTo(bob, "example.net", "TLS", c.addr); got != in.Flow {
				t.Errorf("the first alias is lost: %v", got)
			}
			phone.Close()
			s.tables(bob, 0, 0)
			if _, _, err := bob.SendRequest(background, outgoing(t), domainAt("example.net", "TLS", c.addr), "z9hG4bK1"); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("a request when the connection is gone: %v, want a connection tried and refused", err)
			}
		})
	}
}

// Between two proxies that both listen one connection is enough, as each asks for
// the alias (RFC 5923 section 5).
func TestTwoProxiesShareOneConnection(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		bob := s.listenTLS(s.bob, identified(authority, "example.com"), nil)
		alice := s.listenTLS(s.alice, identified(authority, "example.net"), nil)
		there := s.sendTo(alice, "example.com", "TLS", bobTLS)
		in := s.one(bob)
		if back := s.sendTo(bob, "example.net", "TLS", aliceTLS); back != in.Flow {
			t.Errorf("bob's request takes %v, want %v", back, in.Flow)
		}
		if got := s.one(alice).Flow; got != there {
			t.Errorf("it came by %v, want %v", got, there)
		}
		s.tables(alice, 1, 0)
		s.tables(bob, 1, 0)
	})
}

// Section 9.3 of RFC 5923 speaks of connection hijacking: somebody with a good
// certificate for evil.example shares an address with victim.example, and takes
// its port in the Via. Requests for the victim go to the victim.
func TestAliasDoesNotCaptureAnothersRequests(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		bob := s.listenTLS(s.bob, identified(authority, "example.com"), nil)
		client := identified(authority, "evil.example")
		client.ServerName = "example.com"
		evil, err := s.dialTLS(s.alice, bobTLS, client)
		if err != nil {
			t.Fatal(err)
		}
		steal := func(sentBy string) {
			evil.send(message(options, "Via: SIP/2.0/TLS "+sentBy+";branch=z9hG4bK1;alias;received=192.0.2.9"))
			s.one(bob)
		}
		steal("victim.example:5061")

		// Before there is a connection to the victim, and while there is one.
		victim := s.acceptTLS(s.alice, aliceTLS, identified(authority, "victim.example"))
		s.sendTo(bob, "victim.example", "TLS", aliceTLS)
		steal("victim.example")
		s.sendTo(bob, "victim.example", "TLS", aliceTLS)
		if got := victim.ends(); len(got) != 1 || strings.Count(got[0].text, options) != 2 {
			t.Errorf("the victim has got %+v, want both requests", got)
		}
		if text := evil.receive(); text != "" {
			t.Errorf("evil.example has got %q", text)
		}
	})
}

// A certificate that nobody has verified proves nothing, though the program has
// let its bearer in.
func TestAliasOfAnUnverifiedClient(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		cfg := identified(authority, "example.com")
		cfg.ClientAuth = tls.RequireAnyClientCert
		bob := s.listenTLS(s.bob, cfg, nil)
		forged := siptest.NewAuthority().Certificate("example.net")
		phone, err := s.dialTLS(s.alice, bobTLS, &tls.Config{
			RootCAs: authority.Pool(), ServerName: "example.com",
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &forged, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		phone.send(message(options, tlsVia+";alias"))
		if got := s.one(bob).Flow.Identities(); got != nil {
			t.Errorf("Identities() = %q, want none", got)
		}
		if _, _, err := bob.SendRequest(background, outgoing(t), domainAt("example.net", "TLS", aliceTLS), "z9hG4bK1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("SendRequest = %v, want a connection tried and refused", err)
		}
	})
}

// A request that finds its connection gone takes a new one, at once.
func TestSendAfterTheConnectionBroke(t *testing.T) {
	for _, transport := range []string{"TCP", "TLS", "WS", "WSS"} {
		t.Run(transport, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				authority := siptest.NewAuthority()
				bob := s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Listen: []string{strings.ToLower(transport) + ":" + bobTLS}})
				alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
				first := s.sendTo(alice, "example.com", transport, bobTLS)
				s.one(bob)
				s.bob.Reset()
				synctest.Wait()
				if second := s.sendTo(alice, "example.com", transport, bobTLS); second == first {
					t.Error("the request takes the connection that is gone")
				}
				s.one(bob)
				s.tables(alice, 1, 0)
			})
		})
	}
}

// A request that comes while its connection is being closed, when that takes a
// moment, takes a new one too.
func TestSendWhileTheConnectionEnds(t *testing.T) {
	play(t, nil, func(s *scene) {
		server := s.accept(s.bob, bobAddr)
		network := &slowlyClosed{Network: s.alice, closing: make(chan struct{}), closed: make(chan struct{})}
		alice := s.listen(&Config{Network: network, Listen: []string{}})
		first := s.sendTo(alice, "", "TCP", bobAddr)
		server.all()[0].Close()
		<-network.closing
		if second := s.sendTo(alice, "", "TCP", bobAddr); second == first {
			t.Error("the request takes the connection that ends")
		}
		close(network.closed)
	})
}

// slowlyClosed has connections whose Close, when it is first called, waits.
type slowlyClosed struct {
	Network
	once            sync.Once
	closing, closed chan struct{}
}

func (n *slowlyClosed) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := n.Network.DialContext(ctx, network, address)
	return slowlyClosedConn{nc, n}, err
}

type slowlyClosedConn struct {
	net.Conn
	n *slowlyClosed
}

func (c slowlyClosedConn) Close() error {
	c.n.once.Do(func() {
		close(c.n.closing)
		<-c.n.closed
	})
	return c.Conn.Close()
}

// Aliases are for TLS (RFC 5923 section 8.2), and without a port in the sent-by
// the one of TLS is meant, whatever transport the Via names.
func TestAliasIsOfTLS(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		bob := s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Listen: []string{"tls:" + bobTLS, "wss:" + bobWSS}})
		client := identified(authority, "example.net")
		client.ServerName = "example.com"
		phone, err := s.dialTLS(s.alice, bobTLS, client)
		if err != nil {
			t.Fatal(err)
		}
		phone.send(message(options, "Via: SIP/2.0/TCP example.net;branch=z9hG4bK1;alias"))
		in := s.one(bob)
		if got := s.sendTo(bob, "example.net", "TLS", aliceTLS); got != in.Flow {
			t.Errorf("a request takes %v, want %v", got, in.Flow)
		}
		secure, err := s.dialTLS(s.alice, bobWSS, client)
		if err != nil {
			t.Fatal(err)
		}
		s.upgrade(secure).write(frameText, message(options, "Via: SIP/2.0/WSS example.net:443;branch=z9hG4bK1;alias"))
		s.one(bob)
		if _, _, err := bob.SendRequest(background, outgoing(t), domainAt("example.net", "WSS", "192.0.2.1:443"), "z9hG4bK1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a request by WSS: %v, want a connection tried and refused", err)
		}
	})
}

// Without TLS an address is all that a connection is known by. One that somebody
// makes from the address and port of a server, as a neighbour behind the same NAT
// may, does not take the place of the one that we have made to that server.
func TestAcceptedConnectionDoesNotReplaceOurOwn(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		server := s.accept(s.alice, aliceAddr)
		first := s.sendTo(e, "", "TCP", aliceAddr)
		near, far := net.Pipe()
		defer near.Close()
		take(e.Endpoint, renamed{far, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(bobAddr)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(aliceAddr))})
		if got := s.sendTo(e, "", "TCP", aliceAddr); got != first {
			t.Errorf("the request takes %v, that somebody else has made", got)
		}
		if got := server.all(); len(got) != 1 || strings.Count(got[0].receive(), options) != 2 {
			t.Error("the server has not got both requests")
		}
	})
}
