package transport

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip/siptest"
)

// The handler stands in a program's own server, under a path of its own, with
// TLS and without.
func TestWebSocketHandler(t *testing.T) {
	for _, c := range []struct{ transport, addr string }{{"WS", bobWS}, {"WSS", bobWSS}} {
		play(t, nil, func(s *scene) {
			authority := siptest.NewAuthority()
			var e *inbox
			e = s.listen(&Config{Listen: []string{}, TLS: identified(authority), MaxConns: 5, MaxConnsPerSource: 2, Handle: func(in *Inbound) { ok(&e)(in) }})
			mux := http.NewServeMux()
			mux.Handle("/sip", e.WebSocketHandler())
			ln, err := s.bob.Listen(s.Context(), "tcp", c.addr)
			if err != nil {
				t.Fatal(err)
			}
			if c.transport == "WSS" {
				cfg := identified(authority, "example.com")
				cfg.NextProtos = []string{"http/1.1"}
				ln = tls.NewListener(ln, cfg)
			}
			s.serveHTTP(ln, mux)

			client := func(n int) *inbox {
				h := s.n.Host(fmt.Sprintf("192.0.2.%d", n))
				return s.listen(&Config{Network: h, Listen: []string{}, TLS: identified(authority, "client.example"), WebSocketPath: "/sip"})
			}
			to := domainAt("example.com", c.transport, c.addr)
			alice := client(1)
			if _, _, err := alice.SendRequest(background, outgoing(t), to, "z9hG4bK1"); err != nil {
				t.Fatal(err)
			}
			in := s.one(e)
			if got, want := in.Flow.String(), c.transport+" "+c.addr+" to 192.0.2.1:49152"; got != want {
				t.Errorf("flow %q, want %q", got, want)
			}
			if got := len(in.Flow.Identities()); (got == 1) != (c.transport == "WSS") {
				t.Errorf("Identities() = %q", in.Flow.Identities())
			}
			s.one(alice) // the answer

			// Another path is the program's, and none of ours.
			lost := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
			if _, _, err := lost.SendRequest(background, outgoing(t), to, "z9hG4bK1"); err == nil || !strings.Contains(err.Error(), "404") {
				t.Errorf("another path: %v, want 404", err)
			}

			// Two from one source, five in all: more are answered with 503.
			refused := func(e *inbox) bool {
				_, _, err := e.SendRequest(background, outgoing(t), to, "z9hG4bK1")
				if err != nil && !strings.Contains(err.Error(), "503") {
					t.Errorf("SendRequest = %v, want 503", err)
				}
				return err != nil
			}
			got := []bool{refused(client(1)), refused(client(1)), refused(client(3)), refused(client(3)), refused(client(4)), refused(client(5))}
			if want := []bool{false, true, false, false, false, true}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("refused: %v, want %v", got, want)
			}
			s.stats(e, Stats{Received: 5, Sent: 5, RefusedConns: 2})
			// What fails gives its place back, and so does what ends.
			s.n.Host("192.0.2.3").Reset()
			synctest.Wait()
			lost.Close()
			for range 5 {
				conn := s.dial(s.n.Host("192.0.2.6"), c.addr)
				if c.transport == "WSS" {
					conn = &peerStream{s, tls.Client(conn, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"})}
				}
				conn.send(strings.Replace(wsHello("Sec-WebSocket-Protocol:"), "GET /", "GET /sip", 1))
				s.contains(conn.receive(), "400 Bad Request")
			}
			if first := refused(client(6)); first || refused(client(6)) {
				t.Error("refused with three connections open")
			}
		})
	}
}

// Our own listener has the same limits, and closes what is too much.
func TestWebSocketConnsLimits(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"ws:" + bobWS}, MaxConns: 3, MaxConnsPerSource: 2})
		first := s.browse(s.alice, bobWS)
		s.browse(s.alice, bobWS)
		third := s.dial(s.alice, bobWS)
		synctest.Wait()
		if !third.isClosed() {
			t.Error("a third connection of one source is open")
		}
		s.browse(s.n.Host("192.0.2.3"), bobWS)
		fourth := s.dial(s.n.Host("192.0.2.4"), bobWS)
		synctest.Wait()
		if !fourth.isClosed() {
			t.Error("a fourth connection in all is open")
		}
		s.stats(e, Stats{RefusedConns: 2})
		first.Close()
		synctest.Wait()
		s.browse(s.alice, bobWS)
	})
}

// A message may have a mebibyte; one byte more is 1009 (RFC 6455 section 7.4.1).
func TestWebSocketMessageLimit(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"ws:" + bobWS}})
		for _, c := range []struct {
			size int
			ok   bool
		}{{1 << 20, true}, {1<<20 + 1, false}} {
			phone := s.browse(s.alice, bobWS)
			head := message(options, wsVia, "Content-Length:")
			go phone.Write([]byte(masked(frameText, head+strings.Repeat("x", c.size-len(head))))) // ends when it is read, or with the connection
			if c.ok {
				if got := s.one(e).Message.Body(); len(got) != c.size-len(head) {
					t.Errorf("a body of %d bytes, want %d", len(got), c.size-len(head))
				}
				continue
			}
			s.none(e)
			phone.reads(frameClose, closeCode(1009))
		}
	})
}

// Handshakes of HTTP that never come to their end are closed after 10 seconds,
// whatever they stop in, and hold up nobody until then.
func TestSurvivesWebSocketHandshakeNeverCompleted(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		var e *inbox
		e = s.listenTLS(s.bob, identified(authority, "example.com"), &Config{
			Listen: []string{"ws:" + bobWS, "wss:" + bobWSS}, Handle: func(in *Inbound) { ok(&e)(in) }})
		stuck := map[string]*peerStream{}
		for story, text := range map[string]string{
			"nothing":             "",
			"half a line":         "GET / HT",
			"half a header":       wsHello()[:80],
			"a body that is due":  "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\n\r\n",
			"one with an upgrade": strings.Replace(wsHello("Sec-WebSocket-Version: 13\r\nContent-Length: 100000"), "GET", "PUT", 1),
		} {
			stuck[story] = s.dial(s.alice, bobWS)
			stuck[story].send(text)
		}
		stuck["half a handshake of TLS"] = s.dial(s.alice, bobWSS)
		stuck["half a handshake of TLS"].send("\x16\x03\x01\x02\x00\x01")
		mute, err := s.dialTLS(s.alice, bobWSS, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		stuck["TLS and no more"] = mute
		stuck["a request that asks for no upgrade"] = s.dial(s.alice, bobWS)
		stuck["a request that asks for no upgrade"].send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")

		phone := s.browse(s.n.Host("192.0.2.3"), bobWS)
		phone.write(frameText, message(options, wsVia))
		phone.reads(frameText, "SIP/2.0 200 OK\r\n")
		s.wait(handshakeTimeout)
		for story, conn := range stuck {
			for conn.receive() != "" { // what it was told
			}
			if !conn.isClosed() {
				t.Errorf("%s: open after 10 s", story)
			}
		}
		s.stats(e, Stats{Received: 1, Sent: 1, FailedHandshakes: uint64(len(stuck))})
		phone.write(frameText, message(options, wsVia))
		phone.reads(frameText, "SIP/2.0 200 OK\r\n")
	})
}

// A server that leaves a handshake unanswered costs those who send to it 10
// seconds.
func TestWebSocketServerThatDoesNotShakeHands(t *testing.T) {
	play(t, nil, func(s *scene) {
		s.accept(s.bob, bobWS)
		e := s.listen(&Config{Network: s.alice, Listen: []string{}})
		_, _, err := e.SendRequest(background, outgoing(t), target("WS", bobWS), "z9hG4bK1")
		s.timedOut(err, "WebSocket handshake tcp 192.0.2.2:80: i/o timeout")
		s.at(handshakeTimeout)
		s.tables(e, 0, 0)
	})
}
