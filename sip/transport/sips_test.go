package transport

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// sips returns a request for a sips URI.
func sips(t testing.TB) *sip.Request {
	t.Helper()
	return parse[*sip.Request](t, message("OPTIONS sips:bob@example.com SIP/2.0")).With(sip.Del("Via"))
}

// RFC 3261 section 26.2.2: a request for a sips URI goes by TLS or not at all.
// RFC 7118 section 9.2: on a WebSocket that is WSS.
func TestSIPSTakesTLS(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		s.listenTLS(s.bob, identified(authority, "example.com"), &Config{
			Listen: []string{"udp:" + bobAddr, "tcp:" + bobAddr, "tls:" + bobTLS, "ws:192.0.2.2:80", "wss:192.0.2.2:443"},
		})
		alice := s.listen(&Config{Network: s.alice, Listen: []string{"udp:" + aliceAddr}, TLS: identified(authority)})
		for _, c := range []struct {
			transport, addr string
			want            error
		}{
			{"UDP", bobAddr, ErrInsecure},
			{"TCP", bobAddr, ErrInsecure},
			{"WS", "192.0.2.2:80", ErrInsecure},
			{"TLS", bobTLS, nil},
			{"WSS", "192.0.2.2:443", nil},
		} {
			to := domainAt("example.com", c.transport, c.addr)
			before := alice.Stats().Sent
			if _, _, err := alice.SendRequest(background, sips(t), to, "z9hG4bK1"); !errors.Is(err, c.want) {
				t.Errorf("SendRequest by %s = %v, want %v", c.transport, err, c.want)
			}
			if got := alice.Stats().Sent - before; (got == 1) != (c.want == nil) {
				t.Errorf("%d requests were sent by %s", got, c.transport)
			}
			// The same on a flow that is there, which a sip URI may take.
			flow, _, err := alice.Prepare(background, outgoing(t), to, "z9hG4bK2")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := alice.PrepareOn(background, sips(t), flow, "z9hG4bK3"); !errors.Is(err, c.want) {
				t.Errorf("PrepareOn for %s = %v, want %v", c.transport, err, c.want)
			}
		}
	})
}

// A Via names the transport, and the port that we listen on for it; a connection
// for which we listen on none is named by its own port (RFC 3261 section 18.1.1).
// A Contact is the same, with a parameter that TLS and WebSocket need (RFC 7118
// section 5.2: ws, also where it is WSS).
func TestViaAndContactOfEachTransport(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		all := []string{"udp:" + bobAddr, "tcp:192.0.2.2:5070", "tls:" + bobTLS, "ws:192.0.2.2:8080", "wss:192.0.2.2:443"}
		bob := s.listenTLS(s.bob, identified(authority, "example.com"), &Config{Listen: all})
		s.listenTLS(s.alice, identified(authority, "example.net"), &Config{
			Listen: []string{"udp:" + aliceAddr, "tcp:" + aliceAddr, "tls:" + aliceTLS, "ws:192.0.2.1:80", "wss:192.0.2.1:443"},
		})
		carol := s.listen(&Config{Network: s.n.Host("192.0.2.3"), Listen: []string{}, TLS: identified(authority)})
		for _, c := range []struct {
			transport, addr        string
			via, contact           string // with listeners
			viaAlone, contactAlone string // without
		}{
			{"UDP", aliceAddr, "UDP 192.0.2.2:5060;branch=z9hG4bK1;rport", "sip:192.0.2.2:5060", "", ""},
			{"TCP", aliceAddr, "TCP 192.0.2.2:5070;branch=z9hG4bK1;rport", "sip:192.0.2.2:5070;transport=tcp",
				"TCP 192.0.2.3:49152;branch=z9hG4bK1;rport", "sip:192.0.2.3:49152;transport=tcp"},
			{"TLS", aliceTLS, "TLS 192.0.2.2:5061;branch=z9hG4bK1;rport;alias", "sip:192.0.2.2:5061;transport=tls",
				"TLS 192.0.2.3:49153;branch=z9hG4bK1;rport", "sip:192.0.2.3:49153;transport=tls"},
			{"WS", "192.0.2.1:80", "WS 192.0.2.2:8080;branch=z9hG4bK1;rport", "sip:192.0.2.2:8080;transport=ws",
				"WS 192.0.2.3:49154;branch=z9hG4bK1;rport", "sip:192.0.2.3:49154;transport=ws"},
			{"WSS", "192.0.2.1:443", "WSS 192.0.2.2:443;branch=z9hG4bK1;rport", "sip:192.0.2.2:443;transport=ws",
				"WSS 192.0.2.3:49155;branch=z9hG4bK1;rport", "sip:192.0.2.3:49155;transport=ws"},
		} {
			to := domainAt("example.net", c.transport, c.addr)
			for _, from := range []struct {
				*inbox
				via, contact string
			}{{bob, c.via, c.contact}, {carol, c.viaAlone, c.contactAlone}} {
				if from.via == "" {
					continue
				}
				_, out, err := from.Prepare(background, outgoing(t), to, "z9hG4bK1")
				if err != nil {
					t.Fatalf("%s: %v", c.transport, err)
				}
				if got, _ := out.Value("Via"); got != "SIP/2.0/"+from.via {
					t.Errorf("Via = %q, want %q", got, from.via)
				}
				contact, err := from.Contact(background, to)
				if got := contact.String(); err != nil || got != from.contact {
					t.Errorf("Contact = %q, %v; want %q", got, err, from.contact)
				}
			}
		}
	})
}

// A sent-by without a port means the default one of its transport: responses to
// our requests pass with it, and those to others go there when the connection of
// the request is gone (RFC 3261 section 18.2.2).
func TestDefaultPortOfSecureSentBy(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		bob := s.listenTLS(s.bob, identified(authority, "example.com"), nil)
		client := identified(authority, "example.net")
		client.ServerName = "example.com"
		phone, err := s.dialTLS(s.alice, bobTLS, client)
		if err != nil {
			t.Fatal(err)
		}
		bob.noteHost("192.0.2.2")
		phone.send(message("SIP/2.0 200 OK", "Via: SIP/2.0/TLS 192.0.2.2;branch=z9hG4bK1"))
		s.one(bob)
		phone.send(message("SIP/2.0 200 OK", "Via: SIP/2.0/TLS 192.0.2.2:5099;branch=z9hG4bK1"))
		s.none(bob)

		server := s.acceptTLS(s.alice, aliceTLS, identified(authority, "example.net"))
		phone.send(message(options, "Via: SIP/2.0/TLS example.net;branch=z9hG4bK1"))
		in := s.one(bob)
		phone.Close()
		synctest.Wait()
		if err := bob.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK)); err != nil {
			t.Fatal(err)
		}
		got := server.ends()
		if len(got) != 1 {
			t.Fatalf("%d connections to the default port, want 1", len(got))
		}
		s.contains(got[0].text, "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS example.net;branch=z9hG4bK1;received=192.0.2.1\r\n")
	})
}

// What cannot be prepared for a flow is told apart.
func TestPrepareOnRefuses(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		flow, good, err := e.Prepare(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		broken := good.With(sip.Field{Name: "Subject", Value: "a\r\nb"})
		for _, c := range []struct {
			r    *sip.Request
			flow Flow
			want error
		}{
			{nil, flow, errNoMessage},
			{good, Flow{}, ErrNoFlow},
			{broken, flow, broken.Err()},
			{sips(t), flow, ErrInsecure},
			{good, flow, nil},
		} {
			if _, err := e.PrepareOn(background, c.r, c.flow, "z9hG4bK2"); !errors.Is(err, c.want) {
				t.Errorf("PrepareOn = %v, want %v", err, c.want)
			}
		}
	})
}
