package msrp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
)

// RFC 4976 sections 3.1, 5.2 and 5.4: every session has a URI of its own, on one connection, which stays for an hour
// without any. The nonce of the last answer does for the next AUTH.
func TestRelayConnectionIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		one, two := NewSession(s.alice, nil), NewSession(s.alice, nil)
		first, c := s.offer(one)
		offered := later(func() (*sdp.Media, error) { return two.Offer(t.Context()) })
		req := c.next(frame.AUTH)
		if _, ok := req.Get("Authorization"); !ok {
			t.Errorf("%q has no credentials, want those for the nonce that is known", req.text)
		}
		c.answer(req, "200 OK", "Use-Path: msrp://192.0.2.9:2855/other;tcp")
		second, err := offered()
		if err != nil {
			t.Fatal(err)
		}
		if own(t, first) == own(t, second) || attribute(t, first, "path") == attribute(t, second, "path") {
			t.Errorf("paths are %s and %s, want two", attribute(t, first, "path"), attribute(t, second, "path"))
		}
		one.Close()
		two.Close()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		c.silent()
		time.Sleep(time.Minute)
		if !c.gone() {
			t.Error("the connection is there after an hour without sessions")
		}
	})
}

// A relay that is gone takes its sessions along; an offer makes a new connection with a new path.
func TestRelayGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		c.nc.Close()
		for _, err := range session.Messages(t.Context()) {
			if !errors.Is(err, ErrLost) {
				t.Errorf("Messages: %v, want ErrLost", err)
			}
		}
		if err := session.SendText(t.Context(), "Hi"); !errors.Is(err, ErrLost) {
			t.Errorf("SendText() = %v, want ErrLost", err)
		}
		next, _ := s.offer(session)
		if own(t, next) == own(t, m) {
			t.Error("the next offer has the same URI")
		}
		s.relay.l.Close()
		session.Close()
		s.alice.mu.Lock()
		for _, d := range s.alice.dialed {
			d.conn.link.Close()
		}
		s.alice.mu.Unlock()
		synctest.Wait()
		var network *net.OpError
		if _, err := NewSession(s.alice, nil).Offer(t.Context()); !errors.As(err, &network) {
			t.Errorf("Offer() = %v, want a *net.OpError", err)
		}
	})
}

// A connection that has ended while nobody looked is made again.
func TestRelayGoneMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		_, c := s.offer(NewSession(s.alice, nil))
		two := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return two.Offer(t.Context()) })
		c.next(frame.AUTH)
		c.nc.Close()
		s.relay.accept().admit(usePath)
		if _, err := offered(); err != nil {
			t.Error(err)
		}
	})
}

// A relay that does not answer is given 30 seconds, and the next session tries another connection.
func TestRelaySilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		begin := time.Now()
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		s.relay.accept().next(frame.AUTH)
		if _, err := offered(); !errors.Is(err, frame.StatusTimeout) || time.Since(begin) != 30*time.Second {
			t.Errorf("Offer() = %v after %v, want 408 after 30 seconds", err, time.Since(begin))
		}
		s.offer(session)
		// One that has answered before is given up, too.
		if _, err := NewSession(s.alice, nil).Offer(t.Context()); !errors.Is(err, frame.StatusTimeout) {
			t.Errorf("Offer() = %v, want 408", err)
		}
		s.offer(NewSession(s.alice, nil))
	})
}

// A relay that takes the connection and no TLS is given 30 seconds.
func TestRelayWithoutHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(cfg *Config) { cfg.Relays[0].URI = "msrps://192.0.2.9:2855;tcp" })
		begin := time.Now()
		var network *net.OpError
		var offers []func() (*sdp.Media, error)
		for range 3 {
			session := NewSession(s.alice, nil)
			offers = append(offers, later(func() (*sdp.Media, error) { return session.Offer(t.Context()) }))
		}
		for _, offer := range offers {
			_, err := offer()
			if !errors.As(err, &network) || !network.Timeout() || time.Since(begin) != connectTime {
				t.Errorf("Offer() = %v after %v, want a timeout after %v", err, time.Since(begin), connectTime)
			}
		}
	})
}

// A context that ends is heard, and does not hold up others: the next request is authenticated in its turn.
func TestRelayGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		one, two := NewSession(s.alice, nil), NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return one.Offer(ctx) })
		c := s.relay.accept()
		c.next(frame.AUTH)
		other := later(func() (*sdp.Media, error) { return two.Offer(t.Context()) })
		synctest.Wait()
		cancel()
		if _, err := offered(); !errors.Is(err, context.Canceled) {
			t.Errorf("Offer() = %v, want %v", err, context.Canceled)
		}
		c.admit(usePath)
		if _, err := other(); err != nil {
			t.Error(err)
		}
	})
}

// RFC 4976 section 9.2: the certificate is for the host of the URI, and the client shows none.
func TestRelayTLS(t *testing.T) {
	authority := siptest.NewAuthority()
	for name, c := range map[string]struct {
		certificate string
		trusted     bool
		ok          bool
	}{
		"the domain":   {"example.com", true, true},
		"another name": {"relay.example.net", true, false},
		"by nobody":    {"example.com", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			relay := newStandIn(t, n.Host("192.0.2.9"), ":9000")
			relay.tls = &tls.Config{Certificates: []tls.Certificate{authority.Certificate(c.certificate)}, ClientAuth: tls.RequestClientCert}
			mine := &tls.Config{Certificates: []tls.Certificate{authority.Certificate("192.0.2.1")}}
			if c.trusted {
				mine.RootCAs = authority.Pool()
			}
			alice, err := New(&Config{TLS: mine, Network: named{n.Host("192.0.2.1"), map[string]string{"example.com": "192.0.2.9"}},
				Relays: []Relay{{URI: "msrps://alice@example.com:9000;tcp", Username: "alice", Password: "secret"}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { alice.Close() })
			session := NewSession(alice, nil)
			offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
			conn := relay.accept()
			if !c.ok {
				go conn.read() // the handshake; ends with the connection
				var certificate *tls.CertificateVerificationError
				if _, err := offered(); !errors.As(err, &certificate) {
					t.Errorf("Offer() = %v, want a *tls.CertificateVerificationError", err)
				}
				return
			}
			req := conn.admit("msrps://example.com:9000/x;tcp")
			m, err := offered()
			if err != nil {
				t.Fatal(err)
			}
			if m.Proto != "TCP/TLS/MSRP" || !strings.HasPrefix(own(t, m), "msrps://192.0.2.1:9/") {
				t.Errorf("offered %s with %s, want TLS", m.Proto, own(t, m))
			}
			if want := "msrps://alice@example.com:9000;tcp"; req.To != want {
				t.Errorf("AUTH to %s, want %s", req.To, want)
			}
			if state := conn.nc.(*tls.Conn).ConnectionState(); len(state.PeerCertificates) != 0 || state.ServerName != "example.com" {
				t.Errorf("the client has shown %d certificates and asked for %q, want none and example.com", len(state.PeerCertificates), state.ServerName)
			}
		})
	}
}

// A session that has to have TLS does not go by a relay without: the Use-Path says how peers connect to it (RFC 4976
// section 5.1, RFC 4975 section 6). It does by one with.
func TestRelayWithoutTheTLSOfASession(t *testing.T) {
	for _, c := range []struct {
		name, relay, use string
		ok               bool
	}{
		{"a relay without TLS", "msrp://example.com:9000;tcp", "msrp://example.com:9000/x;tcp", false},
		{"one that peers reach without", "msrps://example.com:9000;tcp", "msrp://example.com:9000/x;tcp", false},
		{"one that we reach without", "msrp://example.com:9000;tcp", "msrps://example.com:9000/x;tcp", false},
		{"with TLS", "msrps://example.com:9000;tcp", "msrps://example.com:9000/x;tcp", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			authority, n := siptest.NewAuthority(), siptest.NewNetwork(nil)
			relay := newStandIn(t, n.Host("192.0.2.9"), ":9000")
			if strings.HasPrefix(c.relay, "msrps") {
				relay.tls = &tls.Config{Certificates: []tls.Certificate{authority.Certificate("example.com")}}
			}
			alice, err := New(&Config{TLS: &tls.Config{RootCAs: authority.Pool()},
				Network: named{n.Host("192.0.2.1"), map[string]string{"example.com": "192.0.2.9"}},
				Relays:  []Relay{{URI: c.relay, Username: "alice", Password: "secret"}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { alice.Close() })
			offered := later(func() (*sdp.Media, error) {
				return NewSession(alice, &SessionConfig{TLS: true}).Offer(t.Context())
			})
			relay.accept().admit(c.use)
			m, err := offered()
			if (err == nil) != c.ok || c.ok && m.Proto != "TCP/TLS/MSRP" || !c.ok && !strings.Contains(err.Error(), "without TLS") {
				t.Errorf("Offer() = %v, %v", m, err)
			}
			alice.mu.Lock()
			defer alice.mu.Unlock()
			if left := len(alice.legs); !c.ok && left != 0 {
				t.Errorf("%d URIs are left", left)
			}
		})
	}
}

// named is a host that knows others by name.
type named struct {
	*siptest.Host
	names map[string]string
}

func (n named) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if a, ok := n.names[host]; ok {
		host = a
	}
	return n.Host.DialContext(ctx, network, net.JoinHostPort(host, port))
}

// RFC 4976 section 8: without a port a relay is found by SRV records, and at port 2855 if there are none.
func TestRelayFound(t *testing.T) {
	authority := siptest.NewAuthority()
	for name, c := range map[string]struct {
		zone, address string
		ok            bool
	}{
		"by a record":       {"_msrps._tcp.example.com. IN SRV 0 1 9000 server1.example.com.", "192.0.2.9:9000", true},
		"by the second one": {"_msrps._tcp.example.com. IN SRV 0 1 9000 server2.example.com.\n_msrps._tcp.example.com. IN SRV 1 1 9000 server1.example.com.", "192.0.2.9:9000", true},
		"by its name":       {"", "192.0.2.9:2855", true},
		"not at all":        {"_msrps._tcp.example.com. IN SRV 0 0 0 .", "192.0.2.9:2855", false},
	} {
		t.Run(name, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			dns, err := siptest.NewDNS(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			defer dns.Close()
			if err := dns.Listen(n.Host("192.0.2.53")); err != nil {
				t.Fatal(err)
			}
			n.Host("192.0.2.10")
			relay := newStandIn(t, n.Host("192.0.2.9"), c.address)
			relay.tls = &tls.Config{Certificates: []tls.Certificate{authority.Certificate("example.com")}}
			host := named{n.Host("192.0.2.1"), map[string]string{"example.com": "192.0.2.9", "server1.example.com": "192.0.2.9", "server2.example.com": "192.0.2.10"}}
			alice, err := New(&Config{TLS: &tls.Config{RootCAs: authority.Pool()}, Network: host,
				Relays: []Relay{{URI: "msrps://example.com;tcp", Username: "alice", Password: "secret"}}})
			if err != nil {
				t.Fatal(err)
			}
			defer alice.Close()
			alice.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return host.Host.DialContext(ctx, network, "192.0.2.53:53")
			}}
			session := NewSession(alice, nil)
			offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
			if !c.ok {
				var none *net.DNSError
				if _, err := offered(); !errors.As(err, &none) || !none.IsNotFound {
					t.Errorf("Offer() = %v, want a *net.DNSError", err)
				}
				return
			}
			relay.accept().admit("msrps://server1.example.com:9000/x;tcp")
			if _, err := offered(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRelayURIs(t *testing.T) {
	for uri, ok := range map[string]bool{
		"msrps://relay.example.com;tcp":      true,
		"msrps://relay.example.com:443;ws":   true,
		"msrp://[2001:db8::1]:2855;TCP":      true,
		"":                                   false,
		"relay.example.com":                  false,
		"msrps://relay.example.com/x;tcp":    false, // of a session
		"msrps://relay.example.com;dc":       false,
		"msrps://192.0.2.1;tcp":              false, // RFC 4976 section 8
		"msrps://relay.example.com:2855;udp": false,
	} {
		e, err := New(&Config{Relays: []Relay{{URI: uri}}})
		if (err == nil) != ok {
			t.Errorf("New() with %q: %v", uri, err)
		}
		if err == nil {
			e.Close()
		}
	}
}

// The relay of a peer knows certificates by name alone (RFC 4976 section 9.2): who has none of that kind
// connects to it, where it may choose.
func TestAnswerToPeerWithRelay(t *testing.T) {
	certificate := siptest.NewAuthority().Certificate("192.0.2.1")
	for name, c := range map[string]struct {
		cfg  *tls.Config
		path string
		want string
	}{
		"a fingerprint":              {nil, "msrps://relay.example.com:2855/a;tcp msrps://192.0.2.2:9/b;tcp", "active"},
		"a certificate":              {&tls.Config{Certificates: []tls.Certificate{certificate}}, "msrps://relay.example.com:2855/a;tcp msrps://192.0.2.2:9/b;tcp", "passive"},
		"a fingerprint, to the peer": {nil, "msrps://192.0.2.2:9/b;tcp", "passive"},
	} {
		e, err := New(&Config{TLS: c.cfg, Listen: []string{"tls:192.0.2.1:0"}, Network: siptest.NewNetwork(nil).Host("192.0.2.1")})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		offer := answerOf(c.path, "actpass")
		offer.Proto = "TCP/TLS/MSRP"
		offer.Address, offer.Port = "192.0.2.2", 9
		m, err := NewSession(e, nil).Answer(t.Context(), offer)
		if err != nil || m == nil {
			t.Fatalf("Answer() = %v, %v", m, err)
		}
		if got := attribute(t, m, "setup"); got != c.want {
			t.Errorf("with %s: setup = %s, want %s", name, got, c.want)
		}
	}
}

// A Post goes to whom the session has been connected to last, by the connection to the relay that stays.
func TestPostToAnotherByRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		_, c := s.offer(session)
		const third = "msrp://192.0.2.7:2855/third;tcp"
		for _, to := range []string{bobPath, third} {
			path, err := frame.ParsePath(to)
			if err == nil {
				err = session.Connect(t.Context(), path, true)
			}
			if err != nil {
				t.Fatal(err)
			}
			if to == bobPath { // the connection is opened once
				c.answer(c.next(frame.SEND), "200 OK")
			}
			p, err := NewPost("text/plain", []byte("hello"))
			if err == nil {
				err = session.Post(p)
			}
			if err != nil {
				t.Fatal(err)
			}
			if r := c.next(frame.SEND); r.To != usePath+" "+to || r.body != "hello" {
				t.Errorf("%q is posted to %s, want %s", r.body, r.To, to)
			}
		}
	})
}

// What transport the peer has is the matter of our relay, which connects to it (RFC 7977 section 5.2.2).
func TestRelayReachesOtherTransports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		const peer = "msrp://192.0.2.2:4444/bob;ws"
		offer := answerOf(peer, "passive")
		answered := later(func() (*sdp.Media, error) { return session.Answer(t.Context(), offer) })
		c := s.relay.accept()
		c.admit(usePath)
		answer, err := answered()
		if err != nil || answer == nil {
			t.Fatalf("Answer() = %v, %v, want one", answer, err)
		}
		if err := session.Update(t.Context(), answer, offer); err != nil {
			t.Fatal(err)
		}
		if hello := c.next(frame.SEND); hello.To != usePath+" "+peer {
			t.Errorf("To-Path = %s, want %s %s", hello.To, usePath, peer)
		}
	})
}
