package msrp_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
)

// print writes a fingerprint of a certificate.
func print(algorithm string, cert tls.Certificate) string {
	var sum []byte
	switch strings.ToLower(algorithm) {
	case "sha-1":
		s := sha1.Sum(cert.Certificate[0])
		sum = s[:]
	case "sha-512":
		s := sha512.Sum512(cert.Certificate[0])
		sum = s[:]
	default:
		s := sha256.Sum256(cert.Certificate[0])
		sum = s[:]
	}
	text := strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("% X ", sum), " ", ":"), ":")
	return "fingerprint:" + algorithm + " " + text
}

// secure makes an endpoint that listens by TLS with a certificate, nil for one of its own making.
func (s *scene) secure(host string, cfg *tls.Config) {
	s.Helper()
	s.endpoint(host, &msrp.Config{Listen: []string{"tls:" + host + ":2855"}, TLS: cfg})
}

// Two endpoints that make their own certificates know each other by the fingerprints in their descriptions.
func TestFingerprints(t *testing.T) {
	play(t, func(s *scene) {
		s.secure(alice, nil)
		s.secure(bob, nil)
		for _, setup := range []string{"Bob is called", "Bob is called again"} {
			x, y := s.session(alice, &msrp.SessionConfig{TLS: true}), s.session(bob, nil)
			offer, answer := s.negotiate(x, y, sdp.NewEngine(nil), sdp.NewEngine(nil))
			if !strings.Contains(offer, "TCP/TLS/MSRP") || !strings.Contains(offer, "a=fingerprint:SHA-256 ") || !strings.Contains(answer, "a=fingerprint:SHA-256 ") {
				s.Errorf("%s:\n%s%s", setup, offer, answer)
			}
			box := s.inbox(y)
			s.sent(s.sends(x, text("hello")), nil)
			s.expect(box, "hello", nil)
		}
	})
}

// servesTLS has the scripted peer take a connection, and a frame on it.
func (s *scene) servesTLS(cfg *tls.Config) {
	s.Helper()
	l, err := s.n.Host(raw).Listen(s.Context(), "tcp", ":2855")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { l.Close() })
	go func() { // ends with the listener, and its connection
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		server := tls.Server(conn, cfg)
		server.Read(make([]byte, 1))
		server.Read(make([]byte, 1000))
	}()
}

const secureURI = "msrps://192.0.2.9:2855/raw;tcp"

// We connect to a peer with a certificate: it has to be the one whose fingerprint is known (RFC 8122 section
// 5), or without one, that of the host in the path, from an authority that we trust (RFC 4975 section 5.4).
func TestCertificateOfServers(t *testing.T) {
	for _, c := range []struct {
		name string
		of   string                                     // whom the certificate is for
		says func(cert, other tls.Certificate) []string // fingerprints
		ok   bool
	}{
		{"the right fingerprint", "nobody.example.com", func(c, _ tls.Certificate) []string { return []string{print("SHA-256", c)} }, true},
		{"of SHA-1", "nobody.example.com", func(c, _ tls.Certificate) []string { return []string{print("sha-1", c)} }, true},
		{"of SHA-512", "nobody.example.com", func(c, _ tls.Certificate) []string { return []string{print("sha-512", c)} }, true},
		{"in small letters", "nobody.example.com", func(c, _ tls.Certificate) []string { return []string{strings.ToLower(print("SHA-256", c))} }, true},
		{"one of several", "nobody.example.com", func(c, o tls.Certificate) []string { return []string{print("SHA-256", o), print("SHA-256", c)} }, true},
		{"beside one that is not known", "nobody.example.com", func(c, _ tls.Certificate) []string { return []string{"fingerprint:sha-3 AB:CD", print("SHA-256", c)} }, true},
		{"the wrong fingerprint", raw, func(_, o tls.Certificate) []string { return []string{print("SHA-256", o)} }, false},
		{"the best of several is wrong", raw, func(c, o tls.Certificate) []string { return []string{print("SHA-1", c), print("SHA-256", o)} }, false},
		{"one of MD5", raw, func(_, _ tls.Certificate) []string {
			return []string{"fingerprint:MD5 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"}
		}, false},
		{"one that is cut off", raw, func(c, _ tls.Certificate) []string { return []string{print("SHA-256", c)[:60]} }, false},
		{"none, and the right name", raw, func(_, _ tls.Certificate) []string { return nil }, true},
		{"none, and the wrong name", bob, func(_, _ tls.Certificate) []string { return nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				authority := siptest.NewAuthority()
				s.secure(alice, &tls.Config{RootCAs: authority.Pool()})
				x := s.session(alice, &msrp.SessionConfig{TLS: true})
				cert, other := authority.Certificate(c.of), authority.Certificate(c.of)
				s.servesTLS(&tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert})
				offer, err := x.Offer(s.Context())
				if err != nil {
					s.Fatal(err)
				}
				err = x.Update(s.Context(), offer, section(secureURI, append(c.says(cert, other), "setup:passive")...))
				if (err == nil) != c.ok {
					s.Errorf("Update() = %v, want success: %v", err, c.ok)
				}
				x.Close()
				time.Sleep(time.Second) // until the peer has heard of it
			})
		})
	}
}

// The certificate of a relay is for its name (RFC 4976 section 9.2), whatever fingerprint the peer behind it has said of
// its own, which is for who connects to the peer itself (RFC 4975 section 14.4).
func TestCertificateOfTheRelayOfAPeer(t *testing.T) {
	for _, c := range []struct {
		name    string
		of      string // whom the certificate is for
		session bool   // the fingerprint stands at the session level
		ok      bool
	}{
		{"the right name", raw, false, true},
		{"the right name, and a fingerprint of all sections", raw, true, true},
		{"the wrong name", bob, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				authority := siptest.NewAuthority()
				s.secure(alice, &tls.Config{RootCAs: authority.Pool(), Certificates: []tls.Certificate{authority.Certificate(alice)}})
				x := s.session(alice, &msrp.SessionConfig{TLS: true})
				s.servesTLS(&tls.Config{Certificates: []tls.Certificate{authority.Certificate(c.of)}})
				offer, err := x.Offer(s.Context())
				if err != nil {
					s.Fatal(err)
				}
				answer := section("msrps://192.0.2.9:2855/relay;tcp msrps://192.0.2.10:9/peer;tcp", "setup:passive")
				name, value, _ := strings.Cut(print("SHA-256", authority.Certificate("peer")), ":")
				if said := []sdp.Attribute{{Name: name, Value: value}}; c.session {
					answer.Inherited = said
				} else {
					answer.Attributes = append(answer.Attributes, said...)
				}
				if err := x.Update(s.Context(), offer, answer); (err == nil) != c.ok {
					s.Errorf("Update() = %v, want success: %v", err, c.ok)
				}
				x.Close()
				time.Sleep(time.Second) // until the relay has heard of it
			})
		})
	}
}

// A peer connects to us: where it has said a fingerprint its certificate has to be that one, and there has to
// be one (RFC 8122 section 6.2). What comes before the fingerprint is known is answered, and waits for it.
func TestCertificateOfClients(t *testing.T) {
	for _, c := range []struct {
		name   string
		shows  bool
		says   func(cert, other tls.Certificate) []string
		early  bool // the peer is there before its answer
		status frame.Status
	}{
		{"the right fingerprint", true, func(c, _ tls.Certificate) []string { return []string{print("SHA-256", c)} }, false, 200},
		{"the right fingerprint, late", true, func(c, _ tls.Certificate) []string { return []string{print("SHA-256", c)} }, true, 200},
		{"the wrong fingerprint", true, func(_, o tls.Certificate) []string { return []string{print("SHA-256", o)} }, false, 403},
		{"the wrong fingerprint, late", true, func(_, o tls.Certificate) []string { return []string{print("SHA-256", o)} }, true, 403},
		{"no certificate", false, func(c, _ tls.Certificate) []string { return []string{print("SHA-256", c)} }, false, 403},
		{"no fingerprint", true, func(_, _ tls.Certificate) []string { return nil }, false, 200},
		{"neither", false, func(_, _ tls.Certificate) []string { return nil }, false, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				authority := siptest.NewAuthority()
				s.secure(alice, nil)
				x := s.session(alice, &msrp.SessionConfig{TLS: true})
				box := s.inbox(x)
				cert, other := authority.Certificate(raw), authority.Certificate(raw)
				offer, err := x.Offer(s.Context())
				if err != nil {
					s.Fatal(err)
				}
				agree := func() {
					answer := section(secureURI, append(c.says(cert, other), "setup:active")...)
					if err := x.Update(s.Context(), offer, answer); err != nil {
						s.Error(err)
					}
				}
				if !c.early {
					agree()
				}
				conn, err := s.n.Host(raw).DialContext(s.Context(), "tcp", alice+":2855")
				if err != nil {
					s.Fatal(err)
				}
				cfg := &tls.Config{InsecureSkipVerify: true}
				if c.shows {
					cfg.Certificates = []tls.Certificate{cert}
				}
				p := s.newPeer(tls.Client(conn, cfg), x)
				p.from = secureURI
				p.chunk("m", "1-*/*", "hello", "$")
				if c.early {
					p.response(200)
					time.Sleep(10 * time.Second)
					s.none(box)
					agree()
					p.request("SEND", "Message-ID: n")
				}
				p.response(c.status)
				if c.status == 200 {
					s.expect(box, "hello", nil)
				} else {
					s.none(box)
				}
			})
		})
	}
}

// With certificates of an authority on both sides, each may ask for that of the other.
func TestMutualTLS(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprint(trusted), func(t *testing.T) {
			play(t, func(s *scene) {
				authority, clients := siptest.NewAuthority(), siptest.NewAuthority()
				cfg := func(host string, a *siptest.Authority) *tls.Config {
					return &tls.Config{Certificates: []tls.Certificate{a.Certificate(host)}, RootCAs: authority.Pool(), ClientCAs: authority.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}
				}
				s.secure(bob, cfg(bob, authority))
				if trusted {
					clients = authority
				}
				s.secure(alice, cfg(alice, clients))
				x, y := s.session(alice, &msrp.SessionConfig{TLS: true}), s.session(bob, &msrp.SessionConfig{TLS: true})
				if err := y.Connect(s.Context(), s.path(x), false); err != nil {
					s.Fatal(err)
				}
				err := x.Connect(s.Context(), s.path(y), true)
				if !trusted {
					// The client of TLS 1.3 hears of it only after its handshake.
					ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
					defer cancel()
					if err == nil {
						err = x.SendText(ctx, "hello")
					}
					if err == nil {
						s.Error("a certificate of an authority that is not trusted is")
					}
					return
				}
				if err != nil {
					s.Fatal(err)
				}
				box := s.inbox(y)
				s.sent(s.sends(x, text("hello")), nil)
				s.expect(box, "hello", nil)
			})
		})
	}
}

// Without descriptions who connects knows the certificate of its peer by the name in the path, and by an authority that it
// trusts. The one that is made where there is none does not do.
func TestConnectByTLS(t *testing.T) {
	for _, c := range []struct {
		name    string
		trusted bool
		of      string // whom the certificate is for; "" is one of its own making
		want    string // in the error; "" none
	}{
		{"for the host", true, bob, ""},
		{"for another host", true, raw, "is valid for 192.0.2.9, not 192.0.2.2"},
		{"of an authority that is not trusted", false, bob, "unknown authority"},
		{"of its own making", true, "", "cannot validate certificate for 192.0.2.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				authority, mine, theirs := siptest.NewAuthority(), &tls.Config{}, &tls.Config{}
				if c.trusted {
					mine.RootCAs = authority.Pool()
				}
				if c.of != "" {
					theirs.Certificates = []tls.Certificate{authority.Certificate(c.of)}
				}
				s.secure(alice, mine)
				s.secure(bob, theirs)
				x, y := s.session(alice, &msrp.SessionConfig{TLS: true}), s.session(bob, &msrp.SessionConfig{TLS: true})
				if err := y.Connect(s.Context(), s.path(x), false); err != nil {
					s.Fatal(err)
				}
				err := x.Connect(s.Context(), s.path(y), true)
				if c.want == "" {
					if err != nil {
						s.Fatalf("Connect() = %v", err)
					}
					s.inbox(y)
					s.sent(s.sends(x, text("hello")), nil)
					return
				}
				var certificate *tls.CertificateVerificationError
				if !errors.As(err, &certificate) || !strings.Contains(err.Error(), c.want) {
					s.Errorf("Connect() = %v, want a *tls.CertificateVerificationError: %s", err, c.want)
				}
				s.sent(s.sends(x, text("hello")), msrp.ErrLost)
			})
		})
	}
}

// Sessions share a connection of TLS only where they trust the same certificate.
func TestSharedTLS(t *testing.T) {
	play(t, func(s *scene) {
		host := &counted{Host: s.n.Host(alice)}
		e, err := msrp.New(&msrp.Config{Network: host, Listen: []string{"tls:" + alice + ":2855"}, Logger: quiet})
		if err != nil {
			s.Fatal(err)
		}
		defer e.Close()
		s.secure(bob, nil)
		for range 3 {
			s.negotiate(msrp.NewSession(e, &msrp.SessionConfig{TLS: true}), s.session(bob, nil), sdp.NewEngine(nil), sdp.NewEngine(nil))
		}
		if n := host.made.Load(); n != 1 {
			s.Errorf("%d connections, want 1", n)
		}
		var op *net.OpError
		w := msrp.NewSession(e, &msrp.SessionConfig{TLS: true})
		offer, err := w.Offer(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		other := section("msrps://"+bob+":2855/other;tcp", "setup:passive", print("SHA-256", siptest.NewAuthority().Certificate(bob)))
		if err := w.Update(s.Context(), offer, other); !errors.As(err, &op) {
			s.Errorf("Update() with another fingerprint = %v", err)
		}
		x, y := msrp.NewSession(e, &msrp.SessionConfig{TLS: true}), s.session(bob, &msrp.SessionConfig{TLS: true})
		if err := x.Connect(s.Context(), s.path(y), true); !errors.As(err, &op) {
			s.Errorf("Connect() by name to a certificate of nobody = %v", err)
		}
	})
}

// A peer that says nothing while TLS begins is given up.
func TestSilentHandshake(t *testing.T) {
	play(t, func(s *scene) {
		s.secure(alice, nil)
		x := s.session(alice, &msrp.SessionConfig{TLS: true})
		l, err := s.n.Host(raw).Listen(s.Context(), "tcp", ":2855")
		if err != nil {
			s.Fatal(err)
		}
		defer l.Close()
		path, err := frame.ParsePath(secureURI)
		if err != nil {
			s.Fatal(err)
		}
		start := time.Now()
		if err := x.Connect(s.Context(), path, true); err == nil || time.Since(start) != 30*time.Second {
			s.Errorf("Connect() = %v after %v", err, time.Since(start))
		}
		conn, err := s.n.Host(raw).DialContext(s.Context(), "tcp", alice+":2855")
		if err != nil {
			s.Fatal(err)
		}
		s.newPeer(conn, nil).closed()
	})
}

// A session whose URI says TLS is not reached without it, whatever else the endpoint listens for (RFC 4975
// section 6).
func TestSecureURIWithoutTLS(t *testing.T) {
	play(t, func(s *scene) {
		e := s.endpoint(alice, &msrp.Config{Listen: []string{"tls:" + alice + ":2855", "tcp:" + alice + ":2856"}})
		x := msrp.NewSession(e, &msrp.SessionConfig{TLS: true})
		to := s.path(x).String()
		if err := x.Connect(s.Context(), frame.Path{{Secure: true, Host: "192.0.2.9", Port: 2855, SessionID: "raw", Transport: "tcp"}}, false); err != nil {
			t.Fatal(err)
		}
		nc, err := s.n.Host(raw).DialContext(s.Context(), "tcp", alice+":2856")
		if err != nil {
			t.Fatal(err)
		}
		_, called := s.called(nil) // by a connection of ours, too
		for _, p := range []*peer{s.newPeer(nc, nil), called} {
			p.to, p.from = to, "msrps://192.0.2.9:2855/raw;tcp"
			p.chunk("m1", "1-5/5", "hello", "$")
			p.response(403)
		}
	})
}

// rsaCertificate makes a certificate that the suite of RFC 4975 section 14.2 can do with.
func rsaCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A peer that has nothing but the suite of RFC 4975 section 14.2 is spoken to by programs that say so: it keeps nothing
// secret from who gets hold of the key of a certificate later.
func TestCipherSuiteOfRFC4975(t *testing.T) {
	cert := rsaCertificate(t)
	old := &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}
	for _, c := range []struct {
		setup string // of the peer
		on    bool
	}{{"active", true}, {"active", false}, {"passive", true}, {"passive", false}} {
		t.Run(fmt.Sprintf("%s, turned on: %v", c.setup, c.on), func(t *testing.T) {
			play(t, func(s *scene) {
				ours := &tls.Config{Certificates: []tls.Certificate{cert}}
				if c.on {
					ours.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
				}
				s.secure(alice, ours)
				x := s.session(alice, &msrp.SessionConfig{TLS: true})
				offer, err := x.Offer(s.Context())
				if err != nil {
					s.Fatal(err)
				}
				answer := section(secureURI, print("SHA-256", cert), "setup:"+c.setup)
				if c.setup == "passive" {
					s.servesTLS(old)
					if err := x.Update(s.Context(), offer, answer); (err == nil) != c.on {
						s.Errorf("Update() = %v, want success: %v", err, c.on)
					}
					x.Close()
					time.Sleep(time.Second) // until the peer has heard of it
					return
				}
				if err := x.Update(s.Context(), offer, answer); err != nil {
					s.Fatal(err)
				}
				conn, err := s.n.Host(raw).DialContext(s.Context(), "tcp", alice+":2855")
				if err != nil {
					s.Fatal(err)
				}
				client := tls.Client(conn, old)
				if err := client.HandshakeContext(s.Context()); (err == nil) != c.on {
					s.Errorf("handshake: %v, want success: %v", err, c.on)
				}
				if c.on {
					p := s.newPeer(client, x)
					p.from = secureURI
					p.request("SEND", "Message-ID: n")
					p.response(200)
				}
			})
		})
	}
}
