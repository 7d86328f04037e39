package msrp

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
)

// offerOverWebSocket returns the offer of a session over WebSocket, and the relay's end.
func (s *scene) offerOverWebSocket(session *Session) (*sdp.Media, *client, *websocket.Conn) {
	s.t.Helper()
	offered := later(func() (*sdp.Media, error) { return session.Offer(s.t.Context()) })
	c, ws := s.relay.acceptWebSocket(func(*http.Request) {})
	c.admit(usePath)
	m, err := offered()
	if err != nil {
		s.t.Fatal(err)
	}
	return m, c, ws
}

// RFC 7977 sections 4.1, 5.2 and 7: the handshake, and a URI with ws that is described as one of TCP.
func TestWebSocketHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(cfg *Config) {
			overWebSocket(cfg)
			cfg.Relays[0].Path, cfg.Relays[0].Header = "/msrp", http.Header{"Cookie": {"a=b"}}
		})
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c, _ := s.relay.acceptWebSocket(func(r *http.Request) {
			if r.URL.Path != "/msrp" || r.Host != "192.0.2.9:2855" || r.Header.Get("Cookie") != "a=b" || r.Header.Get("Sec-WebSocket-Protocol") != "msrp" {
				t.Errorf("the handshake is for %s at %s with %v", r.URL, r.Host, r.Header)
			}
		})
		if req := c.admit(usePath); req.To != webSocketURI {
			t.Errorf("AUTH to %s, want %s", req.To, webSocketURI)
		}
		m, err := offered()
		if err != nil {
			t.Fatal(err)
		}
		if u := own(t, m); !strings.HasSuffix(u, ";ws") || m.Proto != "TCP/MSRP" {
			t.Errorf("offered %s with %s, want TCP/MSRP and a URI with ws", m.Proto, u)
		}
	})
}

// RFC 7977 section 5.1: one chunk is one message, whatever is in it.
func TestWebSocketMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, overWebSocket)
		session := NewSession(s.alice, &SessionConfig{AcceptTypes: []string{"*"}})
		m, c, _ := s.offerOverWebSocket(session)
		if err := session.Update(t.Context(), m, answerOf(bobPath, "passive")); err != nil {
			t.Fatal(err)
		}
		c.answer(c.next(frame.SEND), "200 OK")
		for _, data := range []string{"text", "binary \xff\x00", strings.Repeat("long ", 20000)} {
			sent := later(func() (any, error) {
				return nil, session.Send(t.Context(), &Message{ContentType: "application/octet-stream", Body: strings.NewReader(data)})
			})
			var got strings.Builder
			for flag := frame.Continued; flag == frame.Continued; {
				req := c.next(frame.SEND)
				got.WriteString(req.body)
				if len(req.body) > 8192 {
					t.Errorf("a chunk has %d bytes, want 8192 at most", len(req.body))
				}
				flag = req.flag
				c.answer(req, "200 OK")
			}
			if _, err := sent(); err != nil || got.String() != data {
				t.Errorf("sent %.80q of %d bytes, %v, want %.80q of %d", got.String(), got.Len(), err, data, len(data))
			}
			c.send("MSRP dkei38sd SEND\nTo-Path: %s\nFrom-Path: %s %s\nMessage-ID: %d\nByte-Range: 1-%d/%d\nContent-Type: text/plain\n\n%s\n-------dkei38sd$\n",
				own(t, m), usePath, bobPath, len(data), len(data), len(data), data)
			if resp := c.next(""); resp.Status != frame.StatusOK {
				t.Errorf("got %q, want 200", resp.text)
			}
			for in, err := range session.Messages(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if back, err := io.ReadAll(in); err != nil || string(back) != data {
					t.Errorf("read %.80q, %v, want %.80q", back, err, data)
				}
				break
			}
		}
	})
}

// Two frames in a message, or half of one, are none (RFC 7977 section 5.1).
func TestWebSocketMessageIsNoFrame(t *testing.T) {
	hello := crlf("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: 1\n-------d93kswow$\n", bobPath, bobPath)
	for _, text := range []string{"", hello + hello, hello[:40], "GET / HTTP/1.1\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, overWebSocket)
			session := NewSession(s.alice, nil)
			_, c, _ := s.offerOverWebSocket(session)
			if err := c.write(text); err != nil {
				t.Fatal(err)
			}
			for _, err := range session.Messages(t.Context()) {
				if !errors.Is(err, ErrLost) {
					t.Errorf("after %q: %v, want ErrLost", text, err)
				}
			}
		})
	}
}

// RFC 7977 section 6: pings keep the connection, and tell when it is gone.
func TestWebSocketPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, overWebSocket)
		session := NewSession(s.alice, nil)
		m, c, ws := s.offerOverWebSocket(session)
		if err := session.Update(t.Context(), m, answerOf(bobPath, "passive")); err != nil {
			t.Fatal(err)
		}
		c.answer(c.next(frame.SEND), "200 OK")
		read := later(ws.Read) // which answers pings
		time.Sleep(10 * time.Minute)
		if err := session.Connected(t.Context()); err != nil {
			t.Fatalf("after ten minutes: %v", err)
		}
		begin := time.Now()
		s.net.Host("192.0.2.9").Down()
		for _, err := range session.Messages(t.Context()) {
			if !errors.Is(err, ErrLost) || time.Since(begin) > 2*silentTime {
				t.Errorf("after %v: %v, want ErrLost after %v", time.Since(begin), err, silentTime)
			}
		}
		s.net.Host("192.0.2.9").Up()
		read()
	})
}

// Who reads slowly holds the relay up, and takes it not for gone.
func TestWebSocketSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, overWebSocket)
		session := NewSession(s.alice, nil)
		m, c, _ := s.offerOverWebSocket(session)
		if err := session.Update(t.Context(), m, answerOf(bobPath, "passive")); err != nil {
			t.Fatal(err)
		}
		c.answer(c.next(frame.SEND), "200 OK")
		const chunk, chunks = 900 << 10, 3
		go func() { // ends when all is sent
			for i := range chunks {
				flag := "+"
				if i == chunks-1 {
					flag = "$"
				}
				c.write(crlf("MSRP dkei38sd SEND\nTo-Path: %s\nFrom-Path: %s %s\nMessage-ID: 1\nFailure-Report: no\nByte-Range: %d-*/%d\nContent-Type: text/plain\n\n%s\n-------dkei38sd%s\n",
					own(t, m), usePath, bobPath, 1+i*chunk, chunk*chunks, strings.Repeat("x", chunk), flag))
			}
		}()
		for in, err := range session.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for piece := make([]byte, 64<<10); ; {
				k, err := in.Read(piece)
				n += k
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				time.Sleep(15 * time.Second)
			}
			if n != chunk*chunks {
				t.Errorf("read %d bytes, want %d", n, chunk*chunks)
			}
			break
		}
	})
}

// An endpoint that closes says so (RFC 6455 section 7.1.1), and leaves nothing behind.
func TestWebSocketClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, overWebSocket)
		_, _, ws := s.offerOverWebSocket(NewSession(s.alice, nil))
		read := later(ws.Read)
		s.alice.Close()
		var closed *websocket.CloseError
		if _, err := read(); !errors.As(err, &closed) || closed.Code != websocket.CodeNormal {
			t.Errorf("the relay read %v, want a close frame with 1000", err)
		}
	})
}

// A relay that refuses the handshake is no relay.
func TestWebSocketRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, overWebSocket)
		server := &http.Server{Handler: http.NotFoundHandler()}
		go server.Serve(s.relay.l) // ends with the server
		defer server.Close()
		var status *websocket.StatusError
		if _, err := NewSession(s.alice, nil).Offer(t.Context()); !errors.As(err, &status) || status.Code != 404 {
			t.Errorf("Offer() = %v, want a *websocket.StatusError with 404", err)
		}
	})
}

// RFC 7977 section 5.1: WSS, at port 443 if the URI has none.
func TestWebSocketTLS(t *testing.T) {
	authority := siptest.NewAuthority()
	n := siptest.NewNetwork(nil)
	relay := newStandIn(t, n.Host("192.0.2.9"), ":443")
	relay.l = tls.NewListener(relay.l, &tls.Config{Certificates: []tls.Certificate{authority.Certificate("a.example.com")}})
	alice, err := New(&Config{TLS: &tls.Config{RootCAs: authority.Pool()},
		Network: named{n.Host("192.0.2.1"), map[string]string{"a.example.com": "192.0.2.9"}},
		Relays:  []Relay{{URI: "msrps://a.example.com;ws", Username: "alice", Password: "secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	session := NewSession(alice, nil)
	offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
	c, _ := relay.acceptWebSocket(func(r *http.Request) {
		if r.Host != "a.example.com" || r.TLS == nil {
			t.Errorf("the handshake is at %s, with TLS %v", r.Host, r.TLS != nil)
		}
	})
	c.admit("msrps://a.example.com:2855/jui787s2f;tcp")
	m, err := offered()
	if err != nil {
		t.Fatal(err)
	}
	if u := own(t, m); m.Proto != "TCP/TLS/MSRP" || !strings.HasPrefix(u, "msrps://") || !strings.HasSuffix(u, ";ws") {
		t.Errorf("offered %s with %s, want TCP/TLS/MSRP and a URI with msrps and ws", m.Proto, u)
	}
}
