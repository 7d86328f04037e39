package transport

import (
	"bufio"
	"crypto/tls"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A program that is a client and one that is a server talk both ways, over WS
// and WSS (RFC 7118 section 5).
func TestWebSocketBothWays(t *testing.T) {
	for _, c := range []struct{ transport, addr string }{{"WS", bobWS}, {"WSS", bobWSS}} {
		play(t, nil, func(s *scene) {
			authority := siptest.NewAuthority()
			var bob, alice *inbox
			bob = s.listenTLS(s.bob, identified(authority, "example.com"), &Config{
				Listen: []string{strings.ToLower(c.transport) + ":" + c.addr}, Handle: func(in *Inbound) { ok(&bob)(in) }})
			alice = s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority), Handle: func(in *Inbound) { ok(&alice)(in) }})
			flow, sent, err := alice.SendRequest(background, outgoing(t), domainAt("example.com", c.transport, c.addr), "z9hG4bK1")
			if err != nil {
				t.Fatal(err)
			}
			s.contains(sent.String(), "\r\nVia: SIP/2.0/"+c.transport+" 192.0.2.1:49152;branch=z9hG4bK1;rport\r\n")
			in := s.one(bob)
			if got := s.one(alice); got.Flow != flow || !strings.HasPrefix(got.Message.String(), "SIP/2.0 200 OK\r\n") {
				t.Errorf("%q came by %v, want 200 by %v", got.Message, got.Flow, flow)
			}
			if flow.Transport() != c.transport || flow.Secure() != (c.transport == "WSS") || !flow.Reliable() {
				t.Errorf("flow %v, secure %v, reliable %v", flow, flow.Secure(), flow.Reliable())
			}
			back, err := bob.PrepareOn(background, outgoing(t), in.Flow, "z9hG4bK2")
			if err == nil {
				err = bob.Send(in.Flow, back)
			}
			if err != nil {
				t.Fatal(err)
			}
			s.one(alice)
			s.one(bob)
			// More than one message in a write of ours is a frame each.
			for range 5 {
				bob.Send(in.Flow, back)
			}
			if got := len(alice.take()); got != 5 {
				t.Errorf("%d messages, want 5", got)
			}
		})
	}
}

// The messages of RFC 7118 section 8 as they come from a browser.
func TestRFC7118Section8(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		proxy := s.listenTLS(s.bob, identified(authority, "proxy.example.com"), &Config{
			Listen: []string{"wss:" + bobWSS}, Advertise: "proxy.example.com"})
		secure, err := s.dialTLS(s.alice, bobWSS, &tls.Config{RootCAs: authority.Pool(), ServerName: "proxy.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		alice := s.upgrade(secure)

		// 8.1: registration. Via and Contact name a host that does not exist.
		alice.write(frameText, example(t, "001-s8.1-F3-REGISTER"))
		in := s.one(proxy)
		register := in.Message.(*sip.Request)
		s.contains(register.String(), "Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKasudf;received=192.0.2.1\r\n")
		answer := parse[*sip.Response](t, example(t, "002-s8.1-F4-200"))
		if err := proxy.Respond(in, answer); err != nil {
			t.Fatal(err)
		}
		alice.reads(frameText, answer.String()[:300])

		// 8.2: the INVITE of a caller in a browser.
		alice.write(frameText, example(t, "003-s8.2-F1-INVITE"))
		in = s.one(proxy)
		if got := in.Message.(*sip.Request).Method(); got != sip.INVITE {
			t.Errorf("%s, want INVITE", got)
		}
		proxy.Respond(in, parse[*sip.Response](t, example(t, "004-s8.2-F2-100")))
		alice.reads(frameText, "SIP/2.0 100 Trying\r\n")

		// The BYE of the other side, by the connection that the browser holds.
		bye := parse[*sip.Request](t, example(t, "010-s8.2-F8-BYE"))
		out, err := proxy.PrepareOn(background, bye, in.Flow, "z9hG4bKmma01m3r5")
		if err == nil {
			err = proxy.Send(in.Flow, out)
		}
		if err != nil {
			t.Fatal(err)
		}
		alice.reads(frameText, "Via: SIP/2.0/WSS proxy.example.com:443;branch=z9hG4bKmma01m3r5;rport\r\nVia: SIP/2.0/UDP 203.0.113.22")
		alice.write(frameText, example(t, "012-s8.2-F10-200"))
		if got := s.one(proxy).Message; !strings.HasPrefix(got.String(), "SIP/2.0 200 OK\r\n") {
			t.Errorf("%q, want the answer to BYE", got)
		}
		s.stats(proxy, Stats{Received: 3, Sent: 3})
	})
}

// example returns a message of RFC 7118.
func example(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/rfc7118/" + name + ".sip")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimRight(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	text, _, _ = strings.Cut(text, "\n\nF") // the figure that follows
	return strings.ReplaceAll(text, "\n", "\r\n") + "\r\n\r\n"
}

// RFC 7118 section 5: each WebSocket message is one SIP message, in text or
// binary frames, with or without Content-Length. One that is malformed is
// answered and costs that message alone.
func TestWebSocketMessages(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Listen: []string{"ws:" + bobWS}, Handle: func(in *Inbound) { ok(&e)(in) }})
		phone := s.browse(s.alice, bobWS)
		for _, c := range []struct {
			story       string
			first       byte
			text        string
			body        string
			answer      string // "": none
			answerFrame byte
		}{
			{"text", frameText, message(options, wsVia), "", "SIP/2.0 200 OK\r\n", frameText},
			{"binary", frameBinary, message(options, wsVia), "", "SIP/2.0 200 OK\r\n", frameText},
			{"no Content-Length", frameText, message(options, wsVia, "Content-Length:", "\nbody"), "body", "SIP/2.0 200 OK\r\n", frameText},
			{"Content-Length shorter than the body", frameText, message(options, wsVia, "Content-Length: 2", "\nbody"), "bo", "SIP/2.0 200 OK\r\n", frameText},
			{"Content-Length longer than the body", frameText, message(options, wsVia, "Content-Length: 5", "\nbody"), "", "SIP/2.0 400 ", frameText},
			{"no Call-ID", frameText, message(options, wsVia, "Call-ID:"), "", "SIP/2.0 400 Bad Call-ID\r\n", frameText},
			{"not UTF-8", frameBinary, message(options, wsVia, "Subject: \xff", "CSeq: 1 OPTIONS"), "", "SIP/2.0 200 OK\r\n", frameText},
			{"not UTF-8, and its answer is not", frameBinary, message(options, wsVia, "Call-ID: \"\xff\"@x"), "", "SIP/2.0 400 Bad Call-ID\r\n", frameBinary},
			{"nothing that is SIP", frameText, "hello", "", "", 0},
			{"half a message", frameText, message(options, wsVia)[:100], "", "SIP/2.0 400 Bad header section\r\n", frameText},
			{"behind CRLFs", frameText, "\r\n\r\n" + message(options, wsVia), "", "SIP/2.0 200 OK\r\n", frameText},
		} {
			phone.write(c.first, c.text)
			got := e.take()
			if isOK := strings.HasPrefix(c.answer, "SIP/2.0 200 OK"); (len(got) == 1) != isOK {
				t.Errorf("%s: %d messages were handed over", c.story, len(got))
			}
			if len(got) == 1 && got[0].Message.Body() != c.body {
				t.Errorf("%s: body %q, want %q", c.story, got[0].Message.Body(), c.body)
			}
			first, text := phone.read()
			if first != c.answerFrame || !strings.HasPrefix(text, c.answer) {
				t.Errorf("%s: answered with frame %#x %.300q, want %#x %q", c.story, first, text, c.answerFrame, c.answer)
			}
		}
		if phone.isClosed() {
			t.Error("the connection was closed")
		}
	})
}

// RFC 7118 section 4.1: both ends insist on the subprotocol sip.
func TestWebSocketSubprotocol(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"ws:" + bobWS}})
		for _, c := range []struct {
			story, hello string
			status       int
		}{
			{"none", wsHello("Sec-WebSocket-Protocol:"), 400},
			{"another", wsHello("Sec-WebSocket-Protocol: xmpp"), 400},
			{"among others", wsHello("Sec-WebSocket-Protocol: xmpp, sip"), 101},
			{"no upgrade", wsHello("Upgrade:"), 426},
			{"another version", wsHello("Sec-WebSocket-Version: 8"), 400},
			{"no key", wsHello("Sec-WebSocket-Key:"), 400},
			{"POST", strings.Replace(wsHello(), "GET", "POST", 1), 405},
		} {
			conn := s.dial(s.alice, bobWS)
			b := &browser{conn, bufio.NewReader(conn)}
			b.send(c.hello)
			resp := b.answer()
			if resp == nil || resp.StatusCode != c.status {
				t.Errorf("%s: answered %+v, want %d", c.story, resp, c.status)
			}
			s.wait(time.Second)
			if got := b.isClosed(); got != (c.status != 101) {
				t.Errorf("%s: closed = %v", c.story, got)
			}
			b.Close()
		}
		s.stats(e, Stats{FailedHandshakes: 6})

		// A server that knows nothing of SIP is none to talk to.
		mute := s.accept(s.alice, "192.0.2.1:80")
		failed := make(chan error)
		go func() { // ends with the handshake
			_, _, err := e.SendRequest(background, outgoing(t), target("WS", "192.0.2.1:80"), "z9hG4bK1")
			failed <- err
		}()
		server := mute.all()[0]
		s.contains(server.receive(), "\r\nSec-Websocket-Protocol: sip\r\n")
		server.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("SendRequest = %v, want the 404 named", err)
		}
		if !server.isClosed() {
			t.Error("the connection is open")
		}
		s.tables(e, 0, 0)
	})
}

// A request is for the path of the Config, and for the host of the URI.
func TestWebSocketRequestLine(t *testing.T) {
	play(t, nil, func(s *scene) {
		for i, c := range []struct{ path, host, addr, want string }{
			{"", "example.com", "192.0.2.2:80", "GET / HTTP/1.1\r\nHost: example.com\r\n"},
			{"/sip?a=b", "example.com", "192.0.2.2:8080", "GET /sip?a=b HTTP/1.1\r\nHost: example.com:8080\r\n"},
			{"", "", "192.0.2.2:8081", "GET / HTTP/1.1\r\nHost: 192.0.2.2:8081\r\n"},
			{"", "", "[2001:db8::2]:80", "GET / HTTP/1.1\r\nHost: [2001:db8::2]\r\n"},
			{"", "2001:db8::2", "[2001:db8::2]:81", "GET / HTTP/1.1\r\nHost: [2001:db8::2]:81\r\n"},
		} {
			from, to := s.alice, s.bob
			if i > 2 {
				from, to = s.n.Host("2001:db8::1"), s.n.Host("2001:db8::2")
			}
			e := s.listen(&Config{Network: from, Listen: []string{}, WebSocketPath: c.path})
			server := s.accept(to, c.addr)
			go e.SendRequest(background, outgoing(t), domainAt(c.host, "WS", c.addr), "z9hG4bK1") // ends with Close
			if got := server.all()[0].receive(); !strings.HasPrefix(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			e.Close()
		}
	})
}

// RFC 7118 section 6: CRLFs keep a connection alive as they do on TCP (RFC 5626
// section 4.4.1), and so do pings of WebSocket.
func TestWebSocketKeepalives(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"ws:" + bobWS}, Idle: 100 * time.Second})
		phone := s.browse(s.alice, bobWS)
		phone.write(frameText, message(options, wsVia))
		s.one(e)
		for range 3 {
			s.wait(60 * time.Second)
			phone.write(frameText, "\r\n\r\n")
			phone.reads(frameText, "\r\n")
			s.wait(60 * time.Second)
			phone.write(framePing, "are you there")
			phone.reads(framePong, "are you there")
			s.wait(60 * time.Second)
			phone.write(frameText, "\r\n") // a pong
		}
		if first, text := phone.read(); first != 0 {
			t.Errorf("a pong was answered with %#x %q", first, text)
		}
		s.none(e)
		s.stats(e, Stats{Received: 1})
		s.wait(98 * time.Second)
		if phone.isClosed() {
			t.Error("closed while it was kept alive")
		}
		s.wait(2 * time.Second)
		if !phone.isClosed() {
			t.Error("open 100 s after the last keepalive")
		}
	})
}

// A close frame is answered with its code, and Shutdown sends one (RFC 6455
// section 7.4.1: 1001, going away).
func TestWebSocketCloseCodes(t *testing.T) {
	play(t, nil, func(s *scene) {
		var reasons []string
		e := s.listen(&Config{Listen: []string{"ws:" + bobWS}, Closed: func(_ Flow, err error) { reasons = append(reasons, err.Error()) }})
		first, second := s.browse(s.alice, bobWS), s.browse(s.alice, bobWS)
		for _, phone := range []*browser{first, second} {
			phone.write(frameText, message(options, wsVia))
			s.one(e)
		}
		first.write(frameClose, closeCode(1000)+"bye")
		first.reads(frameClose, closeCode(1000))
		if !first.isClosed() {
			t.Error("open after the close frames")
		}
		if len(reasons) != 1 || !strings.Contains(reasons[0], `closed by the peer: 1000 "bye"`) {
			t.Errorf("Closed was called with %q, want the code", reasons)
		}
		done := make(chan error)
		go func() { done <- e.Shutdown(background) }() // ends a second later at most
		second.reads(frameClose, closeCode(1001))
		second.write(frameClose, closeCode(1001))
		if err := <-done; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		s.at(0)
		if !second.isClosed() {
			t.Error("open after the close frames")
		}
	})
}

// Shutdown does not wait for messages that a handler is still busy with, nor
// does what comes meanwhile get in its way.
func TestWebSocketShutdownWhileHandling(t *testing.T) {
	play(t, nil, func(s *scene) {
		busy := make(chan struct{})
		e := s.listen(&Config{Listen: []string{"ws:" + bobWS}, Handle: func(*Inbound) { <-busy }})
		phone := s.browse(s.alice, bobWS)
		phone.write(frameText, message(options, wsVia))
		synctest.Wait()
		go func() { // ends with the connection
			for range 10 {
				if _, err := phone.Write([]byte(masked(frameText, message(options, wsVia)))); err != nil {
					return
				}
				<-time.After(50 * time.Millisecond)
			}
		}()
		done := make(chan error)
		go func() { done <- e.Shutdown(background) }() // ends when the handler does
		s.wait(2 * time.Second)
		close(busy)
		if err := <-done; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		s.at(2 * time.Second)
	})
}

// A browser does not listen: a response whose connection is gone goes nowhere,
// by Respond or, as of a proxy without state, by Forward.
func TestWebSocketResponseWhoseConnectionIsGone(t *testing.T) {
	for _, c := range []struct{ transport, addr string }{{"WS", bobWS}, {"WSS", bobWSS}} {
		play(t, nil, func(s *scene) {
			authority := siptest.NewAuthority()
			network := &countingNetwork{Network: s.bob}
			e := s.listen(&Config{Network: network, TLS: identified(authority, "example.com"), Listen: []string{strings.ToLower(c.transport) + ":" + c.addr}})
			conn := s.dial(s.alice, c.addr)
			if c.transport == "WSS" {
				conn.Close()
				var err error
				if conn, err = s.dialTLS(s.alice, c.addr, &tls.Config{RootCAs: authority.Pool(), ServerName: "example.com"}); err != nil {
					t.Fatal(err)
				}
			}
			phone := s.upgrade(conn)
			phone.write(frameText, message(options, "Via: SIP/2.0/"+c.transport+" df7jal23ls0d.invalid;rport;branch=z9hG4bK1"))
			in := s.one(e)
			resp := in.Message.(*sip.Request).Reply(sip.StatusOK)
			if c.transport == "WS" { // one that is there is found by its address
				if err := e.Forward(background, resp); err != nil {
					t.Errorf("Forward while the connection is there: %v", err)
				}
				phone.reads(frameText, "SIP/2.0 200 OK\r\n")
			}
			phone.Close()
			synctest.Wait()
			if err := e.Respond(in, resp); !errors.Is(err, ErrNoFlow) {
				t.Errorf("Respond = %v, want ErrNoFlow", err)
			}
			if err := e.Forward(background, resp); !errors.Is(err, ErrNoFlow) {
				t.Errorf("Forward = %v, want ErrNoFlow", err)
			}
			if err := e.Forward(background, resp.With(sip.Pop("Via"), sip.Push(sip.Via{Transport: c.transport, Host: "192.0.2.1", Port: 8080, Params: ";branch=z9hG4bK1"}))); !errors.Is(err, ErrNoFlow) {
				t.Errorf("Forward to a sent-by = %v, want ErrNoFlow", err)
			}
			synctest.Wait()
			if got := network.dials.Load(); got != 0 {
				t.Errorf("%d connections were tried, want none", got)
			}
		})
	}
}

// A panic in the program's handler costs the message that it was called for.
func TestWebSocketPanicInHandle(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Listen: []string{"ws:" + bobWS}, Handle: func(in *Inbound) {
			if in.Message.Body() == "boom" {
				panic("boom in the handler")
			}
			ok(&e)(in)
		}})
		phone := s.browse(s.alice, bobWS)
		phone.write(frameText, message(options, wsVia, "Content-Length:", "\nboom"))
		phone.write(frameText, message(options, wsVia))
		phone.reads(frameText, "SIP/2.0 200 OK\r\n")
		for _, part := range []string{"boom in the handler", "flow=\"WS 192.0.2.2:80", "Call-ID: 1@192.0.2.1"} {
			if !strings.Contains(s.log.String(), part) {
				t.Errorf("the log is %q, want %q in it", s.log.String(), part)
			}
		}
	})
}
