package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A request goes to another domain and its answer comes back by the same
// connection; and so does one the other way, on the flow.
func TestTLSBothWays(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		var bob *inbox
		bob = s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Handle: func(in *Inbound) { ok(&bob)(in) }})
		var alice *inbox
		alice = s.listenTLS(s.alice, identified(authority, "example.net"), &Config{Handle: func(in *Inbound) { ok(&alice)(in) }})

		out, sent, err := alice.SendRequest(background, outgoing(t), domainAt("example.com", "TLS", bobTLS), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		s.contains(sent.String(), "\r\nVia: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1;rport;alias\r\n")
		in := s.one(bob)
		s.contains(in.Message.String(), ";rport=49152;alias;received=192.0.2.1\r\n")
		if got := s.one(alice).Message; !strings.HasPrefix(got.String(), "SIP/2.0 200 OK\r\n") {
			t.Errorf("the answer is %q, want 200", got)
		}
		if got, want := out.String(), "TLS 192.0.2.1:49152 to 192.0.2.2:5061"; got != want || !out.Secure() || !out.Reliable() {
			t.Errorf("flow %q, secure %v, want %q", got, out.Secure(), want)
		}
		if got := out.Identities(); !slices.Equal(got, []string{"example.com"}) {
			t.Errorf("bob is %q to alice, want example.com", got)
		}
		if got := in.Flow.Identities(); !slices.Equal(got, []string{"example.net"}) {
			t.Errorf("alice is %q to bob, want example.net", got)
		}

		back, err := bob.PrepareOn(background, outgoing(t), in.Flow, "z9hG4bK2")
		if err == nil {
			err = bob.Send(in.Flow, back)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.contains(back.String(), "\r\nVia: SIP/2.0/TLS 192.0.2.2:5061;branch=z9hG4bK2;rport\r\n")
		if got := s.one(alice); got.Flow != out {
			t.Errorf("the request came by %v, want %v", got.Flow, out)
		}
		if got := s.one(bob); got.Flow != in.Flow {
			t.Errorf("the answer came by %v, want %v", got.Flow, in.Flow)
		}
	})
}

// RFC 5922 section 7.3: a server has to prove that it is the host of the URI.
// Where it is, and what else it proves to be, makes no difference. It gets not a
// byte of a message before.
func TestTLSServerHasToBeTheURIsHost(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		m := newMint(t)
		trusted := authority.Pool()
		trusted.AddCert(m.cert)
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: &tls.Config{RootCAs: trusted}})
		for i, c := range []struct {
			story string
			cert  tls.Certificate
			host  string
			as    func(error) bool // nil: it is sent
		}{
			{"its name", authority.Certificate("example.com"), "example.com", nil},
			{"its name, and not where it is", authority.Certificate("sip:example.com", "198.51.100.1"), "Example.COM.", nil},
			{"its number", authority.Certificate("192.0.2.2"), "", nil},
			{"its number alone", authority.Certificate("192.0.2.2"), "example.com", isIdentityError},
			{"another name", authority.Certificate("example.org"), "example.com", isIdentityError},
			{"a wildcard", authority.Certificate("*.example.com"), "sip.example.com", isIdentityError},
			{"a name where a number is wanted", authority.Certificate("example.com"), "", isIdentityError},
			{"self-signed", (&mint{}).sign(t, forDNS("example.com")), "example.com", isUnknownAuthority},
			{"of another authority", siptest.NewAuthority().Certificate("example.com"), "example.com", isUnknownAuthority},
			{"expired", m.leaf(t, func(c *x509.Certificate) {
				c.DNSNames, c.NotAfter = []string{"example.com"}, time.Now().Add(-time.Minute)
			}), "example.com", isExpired},
		} {
			addr := "192.0.2.2:" + []string{"5061", "5062", "5063", "5064", "5065", "5066", "5067", "5068", "5069", "5070"}[i]
			server := s.acceptTLS(s.bob, addr, &tls.Config{Certificates: []tls.Certificate{c.cert}})
			_, _, err := alice.SendRequest(background, outgoing(t), domainAt(c.host, "TLS", addr), "z9hG4bK1")
			if c.as == nil && err != nil || c.as != nil && (err == nil || !c.as(err)) {
				t.Errorf("%s: %v", c.story, err)
			}
			got := server.ends()
			if len(got) != 1 || (got[0].text == "") != (c.as != nil) {
				t.Errorf("%s: the server has read %+v", c.story, got)
			}
			if c.as != nil && (got[0].err == nil || !strings.Contains(got[0].err.Error(), "tls: ")) {
				t.Errorf("%s: the server sees %v, want an alert", c.story, got[0].err)
			}
		}
		if got := alice.Stats().Sent; got != 3 {
			t.Errorf("%d requests were sent, want 3", got)
		}
	})
}

// RFC 7118 section 9.1: a WSS server is verified as any other of WebSocket, by
// the rules of HTTPS. A wildcard stands for a label, and a sip URI for nothing.
// What the server has proved is to be the host that was asked for.
func TestWSSServerVerifiedAsHTTPS(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		for i, c := range []struct {
			story string
			names []string
			host  string
			want  string // the identity
			wrong string // in the error; "": none
		}{
			{"its name", []string{"sip.example.com", "example.com"}, "Example.com.", "example.com", ""},
			{"a wildcard", []string{"*.example.com"}, "sip.example.com", "sip.example.com", ""},
			{"its name beside a sip URI", []string{"sip:example.net", "example.com"}, "example.com", "example.com", ""},
			{"its number", []string{"192.0.2.2"}, "", "192.0.2.2", ""},
			{"a sip URI alone", []string{"sip:example.com"}, "example.com", "", "not valid for any names"},
			{"a sip URI beside another name", []string{"sip:example.com", "example.net"}, "example.com", "", "valid for example.net, not example.com"},
			{"a wildcard for two labels", []string{"*.example.com"}, "a.b.example.com", "", "valid for *.example.com, not a.b.example.com"},
			{"a wildcard for none", []string{"*.example.com"}, "example.com", "", "valid for *.example.com, not example.com"},
			{"its number where a name is wanted", []string{"192.0.2.2"}, "example.com", "", "not valid for any names"},
		} {
			addr := fmt.Sprintf("192.0.2.2:%d", 8443+i)
			bob := s.listenTLS(s.bob, identified(authority, c.names...), &Config{Listen: []string{"wss:" + addr}})
			alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
			flow, _, err := alice.SendRequest(background, outgoing(t), domainAt(c.host, "WSS", addr), "z9hG4bK1")
			if c.wrong != "" {
				wrong, isWrong := errors.AsType[x509.HostnameError](err)
				if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok || !isWrong || !strings.Contains(wrong.Error(), c.wrong) {
					t.Errorf("%s: %v, want %q", c.story, err, c.wrong)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", c.story, err)
				continue
			}
			if got := flow.Identities(); !slices.Equal(got, []string{c.want}) {
				t.Errorf("%s: Identities() = %q, want %q", c.story, got, c.want)
			}
			s.one(bob)
		}
	})
}

// The program may name the server that it expects, and may look itself.
func TestWSSServerNameOfProgram(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		bob := s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Listen: []string{"wss:" + bobWSS}})
		for _, c := range []struct {
			cfg  *tls.Config
			want []string
		}{
			{&tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"}, []string{"example.com"}},
			{&tls.Config{InsecureSkipVerify: true}, nil},
		} {
			alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: c.cfg})
			flow, _, err := alice.SendRequest(background, outgoing(t), domainAt("example.net", "WSS", bobWSS), "z9hG4bK1")
			if err != nil {
				t.Fatal(err)
			}
			if got := flow.Identities(); !slices.Equal(got, c.want) {
				t.Errorf("Identities() = %q, want %q", got, c.want)
			}
			s.one(bob)
		}
	})
}

func isIdentityError(err error) bool {
	_, is := errors.AsType[*IdentityError](err)
	return is
}

func isUnknownAuthority(err error) bool {
	_, is := errors.AsType[x509.UnknownAuthorityError](err)
	return is
}

func isExpired(err error) bool {
	invalid, is := errors.AsType[x509.CertificateInvalidError](err)
	return is && invalid.Reason == x509.Expired
}

// The server learns by SNI which of its domains is asked for, and none if that
// is a number.
func TestTLSServerNameIndication(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		server := s.acceptTLS(s.bob, bobTLS, identified(authority, "example.net")) // so that nothing is shared
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
		for _, host := range []string{"example.com", "", "EXAMPLE.org."} {
			alice.SendRequest(background, outgoing(t), domainAt(host, "TLS", bobTLS), "z9hG4bK1")
		}
		synctest.Wait()
		if want := []string{"example.com", "", "example.org"}; !slices.Equal(server.names, want) {
			t.Errorf("names asked for: %q, want %q", server.names, want)
		}
	})
}

// What a client proves is known to whoever gets its requests. A client that
// proves nothing is welcome where the program says so, and one that shows a
// certificate that is not good is not.
func TestTLSClientCertificates(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		e := s.listenTLS(s.bob, identified(authority, "example.com"), nil)
		shows := func(certs ...tls.Certificate) *tls.Config {
			return &tls.Config{
				RootCAs: authority.Pool(), ServerName: "example.com",
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &append(certs, tls.Certificate{})[0], nil
				},
			}
		}
		for _, c := range []struct {
			story string
			cfg   *tls.Config
			want  []string
		}{
			{"none", shows(), nil},
			{"one domain", shows(authority.Certificate("example.net")), []string{"example.net"}},
			{"a URI before names", shows(authority.Certificate("sip:a.example", "b.example")), []string{"a.example"}},
		} {
			phone, err := s.dialTLS(s.alice, bobTLS, c.cfg)
			if err != nil {
				t.Fatalf("%s: %v", c.story, err)
			}
			phone.send(message(options, tlsVia))
			if got := s.one(e).Flow.Identities(); !slices.Equal(got, c.want) {
				t.Errorf("%s: Identities() = %q, want %q", c.story, got, c.want)
			}
		}
		stranger, err := s.dialTLS(s.alice, bobTLS, shows(siptest.NewAuthority().Certificate("example.net")))
		if err == nil { // in TLS 1.3 the client learns of it when it reads
			io.WriteString(stranger, message(options, tlsVia))
			_, err = stranger.rest()
		}
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("a certificate of an unknown authority: %v, want an alert", err)
		}
		s.none(e)
		s.stats(e, Stats{Received: 3, FailedHandshakes: 1})
	})
}

// A program that chooses a configuration for each client, as a server of several
// domains does, has its clients asked and verified as any other: by the
// authorities of what it has chosen.
func TestTLSClientCertificatesByHello(t *testing.T) {
	for _, c := range []struct {
		story, kind string
		auth        tls.ClientAuthType
		want        []string
	}{
		{"asked by default", "tls", tls.NoClientCert, []string{"example.net"}},
		{"must show one", "tls", tls.RequireAndVerifyClientCert, []string{"example.net"}},
		{"browsers are not asked by default", "wss", tls.NoClientCert, nil},
		{"browsers are asked", "wss", tls.VerifyClientCertIfGiven, []string{"example.net"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				authority, other := siptest.NewAuthority(), siptest.NewAuthority()
				server, client := authority.Certificate("example.com"), other.Certificate("example.net")
				chosen := &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: other.Pool(), ClientAuth: c.auth}
				choose := func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil }
				bob := s.listenTLS(s.bob, &tls.Config{GetConfigForClient: choose}, &Config{Listen: []string{c.kind + ":" + bobTLS}})
				alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: &tls.Config{RootCAs: authority.Pool(), Certificates: []tls.Certificate{client}}})
				s.sendTo(alice, "example.com", strings.ToUpper(c.kind), bobTLS)
				flow := s.one(bob).Flow
				if got := flow.Identities(); !slices.Equal(got, c.want) {
					t.Errorf("Identities() = %q, want %q", got, c.want)
				}
				if flow.via.(*conn).sock.chosen != nil {
					t.Error("the connection holds the configuration")
				}
			})
		})
	}
}

// A server without a certificate could do nothing but fail every handshake. It
// is told so, and what to do.
func TestTLSListenTakesACertificate(t *testing.T) {
	play(t, nil, func(s *scene) {
		unread, _ := tls.LoadX509KeyPair("missing.pem", "missing.key")
		for _, cfg := range []*tls.Config{nil, {}, {Certificates: []tls.Certificate{unread}}} {
			for _, kind := range []string{"tls", "wss"} {
				e, err := Listen(&Config{Network: s.bob, Listen: []string{kind + ":" + bobTLS}, TLS: cfg})
				if err == nil || !strings.Contains(err.Error(), "set Certificates, GetCertificate or GetConfigForClient of Config.TLS") {
					t.Errorf("%s: %v, want an error that says what to set", kind, err)
				}
				if err == nil {
					e.Close()
				}
			}
		}
		own := siptest.NewAuthority().Certificate("example.com")
		for _, cfg := range []*tls.Config{
			{Certificates: []tls.Certificate{own}},
			{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &own, nil }},
			{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }},
		} {
			s.listenTLS(s.bob, cfg, nil).Close()
		}
	})
}

// A certificate is exchanged while connections are open: they stay, and new ones
// see the new one, by both of its directions.
func TestTLSCertificateExchanged(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		files := newPair(t)
		renew := func(names ...string) {
			cert := authority.Certificate(names...)
			files.writeCert(t, cert)
			files.writeKey(t, cert)
		}
		renew("example.com")
		cert, err := LoadCertificate(files.certFile, files.keyFile)
		if err != nil {
			t.Fatal(err)
		}
		e := s.listenTLS(s.bob, &tls.Config{
			RootCAs:        authority.Pool(),
			GetCertificate: cert.GetCertificate, GetClientCertificate: cert.GetClientCertificate,
		}, nil)
		alice := s.listenTLS(s.alice, identified(authority, "example.net"), nil)
		first, _, err := alice.SendRequest(background, outgoing(t), domainAt("example.com", "TLS", bobTLS), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		in := s.one(e)

		renew("example.com", "chat.example.com")
		if err := cert.Reload(); err != nil {
			t.Fatal(err)
		}
		if err := e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK)); err != nil {
			t.Errorf("Respond on the old connection: %v", err)
		}
		if got := s.one(alice).Flow; got != first {
			t.Errorf("the answer came by %v, want %v", got, first)
		}
		second, _, err := alice.SendRequest(background, outgoing(t), domainAt("chat.example.com", "TLS", bobTLS), "z9hG4bK2")
		if err != nil {
			t.Fatal(err)
		}
		if second == first {
			t.Error("the old connection was taken for a name that it does not prove")
		}
		s.one(e)
		if _, _, err := e.SendRequest(background, outgoing(t), domainAt("example.net", "TLS", aliceTLS), "z9hG4bK3"); err != nil {
			t.Fatal(err)
		}
		if got := s.one(alice).Flow.Identities(); !slices.Equal(got, []string{"example.com", "chat.example.com"}) {
			t.Errorf("bob is %q as a client, want what the new certificate says", got)
		}
	})
}

// Whoever ends a connection of TLS says so by a closing alert, so that the other
// end can tell it from one that an attacker has cut off (RFC 5923 section 8.3).
func TestTLSClosingAlert(t *testing.T) {
	for name, end := range map[string]func(*scene, *inbox){
		"Shutdown": func(s *scene, e *inbox) {
			if err := e.Shutdown(background); err != nil {
				s.Error(err)
			}
		},
		"idle": func(s *scene, e *inbox) { s.wait(100 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				authority := siptest.NewAuthority()
				var closed atomic.Int64
				e := s.listenTLS(s.bob, identified(authority, "example.com"), &Config{
					Idle: 100 * time.Second, Closed: func(Flow, error) { closed.Add(1) },
				})
				phone, err := s.dialTLS(s.alice, bobTLS, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"})
				if err != nil {
					t.Fatal(err)
				}
				server := s.acceptTLS(s.alice, aliceTLS, identified(authority, "example.net"))
				phone.send(message(options, tlsVia))
				in := s.one(e)
				if _, _, err := e.SendRequest(background, outgoing(t), domainAt("example.net", "TLS", aliceTLS), "z9hG4bK1"); err != nil {
					t.Fatal(err)
				}
				if err := e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK)); err != nil {
					t.Fatal(err)
				}
				end(s, e)
				if text, err := phone.rest(); err != nil || !strings.HasPrefix(text, "SIP/2.0 200 OK\r\n") {
					t.Errorf("who connected to us reads %q and %v, want 200 and a closing alert", text, err)
				}
				if got := server.ends(); got[0].err != io.EOF || !strings.HasPrefix(got[0].text, options) {
					t.Errorf("who we connected to reads %+v, want the request and a closing alert", got[0])
				}
				if got := closed.Load(); got != 2 {
					t.Errorf("Closed was called %d times, want 2", got)
				}
			})
		})
	}
}
