package transport

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip/resolve"
)

// RFC 7118 section 7: a client shows what it has to show in the handshake, and
// sees the challenge of a server that wants something else.
func TestWebSocketHandshakeRefused(t *testing.T) {
	play(t, nil, func(s *scene) {
		header := http.Header{"Origin": {"https://www.example.com"}, "Cookie": {"session=1"}}
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, WebSocketHeader: func(to resolve.Target) http.Header {
			if to.Transport != "WS" || to.Addr.String() != bobWS {
				t.Errorf("WebSocketHeader is asked about %v, want %v", to, bobWS)
			}
			return header
		}})
		server := s.accept(s.bob, bobWS)
		failed := make(chan error)
		go func() { // ends with the handshake
			_, _, err := alice.SendRequest(background, outgoing(t), target("WS", bobWS), "z9hG4bK1")
			failed <- err
		}()
		conn := server.all()[0]
		hello, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"Origin": "https://www.example.com", "Cookie": "session=1", "User-Agent": ""} {
			if got := hello.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		conn.send("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
		err = <-failed
		refused, ok := errors.AsType[*HandshakeError](err)
		if !ok || refused.Status != http.StatusUnauthorized || refused.Header.Get("WWW-Authenticate") != `Basic realm="x"` {
			t.Errorf("SendRequest = %v, want a *HandshakeError with 401 and its challenge", err)
		}
		if want := "ws://192.0.2.2/: transport: WebSocket handshake answered with 401 Unauthorized"; !strings.HasSuffix(err.Error(), want) {
			t.Errorf("SendRequest = %v, want %q at the end", err, want)
		}
	})
}

// A program looks at the Origin, or whatever else it likes, before a handshake is
// taken: by our listener, and by the handler in its own server.
func TestAcceptWebSocket(t *testing.T) {
	for name, listen := range map[string]func(*scene, *Config) *inbox{
		"our listener": func(s *scene, cfg *Config) *inbox {
			cfg.Listen = []string{"ws:" + bobWS}
			return s.listen(cfg)
		},
		"the program's server": func(s *scene, cfg *Config) *inbox {
			cfg.Listen = []string{}
			return s.handling(cfg)
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e := listen(s, &Config{MaxConns: 1, AcceptWebSocket: func(r *http.Request) bool {
					switch r.Header.Get("Origin") {
					case "https://broken.example":
						panic("boom in AcceptWebSocket")
					case "https://www.example.com":
						return true
					}
					return false
				}})
				for _, c := range []struct {
					origin string
					status int
				}{
					{"https://evil.example", 403},
					{"", 403},
					{"https://broken.example", 403},
					{"https://www.example.com", 101},
				} {
					conn := s.dial(s.alice, bobWS)
					conn.send(wsHello("Origin: " + c.origin))
					resp := (&browser{conn, bufio.NewReader(conn)}).answer()
					if resp == nil || resp.StatusCode != c.status {
						t.Errorf("%q: answered %+v, want %d", c.origin, resp, c.status)
					}
					if c.status != 101 {
						conn.Close()
						synctest.Wait() // there is room for one
					}
				}
				s.stats(e, Stats{FailedHandshakes: 3})
				if !strings.Contains(s.log.String(), "boom in AcceptWebSocket") {
					t.Errorf("the log is %q, want the panic in it", s.log.String())
				}
			})
		})
	}
}

// The server of a program outlives the endpoint: it says 503 from then on.
func TestWebSocketHandlerAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*Endpoint) error{
		"Shutdown": func(e *Endpoint) error { return e.Shutdown(background) },
		"Close":    (*Endpoint).Close,
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e := s.handling(&Config{Listen: []string{}})
				s.browse(s.alice, bobWS)
				if err := end(e.Endpoint); err != nil {
					t.Fatal(err)
				}
				conn := s.dial(s.alice, bobWS)
				conn.send(wsHello())
				resp := (&browser{conn, bufio.NewReader(conn)}).answer()
				if resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("answered %+v, want 503", resp)
				}
			})
		})
	}
}

// While Shutdown waits for a peer that does not read, no other is taken.
func TestWebSocketHandlerDuringShutdown(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.handling(&Config{Listen: []string{}})
		busy := s.browse(s.alice, bobWS)
		busy.write(frameText, message(options, wsVia))
		flow := s.one(e).Flow
		long := outgoing(t, "\n"+strings.Repeat("x", 60000), "Content-Length: 60000")
		for e.Send(flow, long) == nil { // until no more can be queued
		}
		done := make(chan error)
		go func() { done <- e.Shutdown(background) }() // ends when the write gives up
		synctest.Wait()
		conn := s.dial(s.alice, bobWS)
		conn.send(wsHello())
		resp := (&browser{conn, bufio.NewReader(conn)}).answer()
		if resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("answered %+v, want 503", resp)
		}
		select {
		case err := <-done:
			t.Errorf("Shutdown = %v before the peer could", err)
		default:
		}
		if err := <-done; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
	})
}

// A path that would become part of the host is none.
func TestWebSocketPathBeginsWithASlash(t *testing.T) {
	if e, err := Listen(&Config{WebSocketPath: "sip"}); err == nil || !strings.Contains(err.Error(), `WebSocketPath "sip"`) {
		t.Errorf("Listen = %v, %v, want an error that names the path", e, err)
	}
}

// handling makes an endpoint whose handler stands in a program's own server at
// bobWS.
func (s *scene) handling(cfg *Config) *inbox {
	s.Helper()
	e := s.listen(cfg)
	ln, err := s.bob.Listen(s.Context(), "tcp", bobWS)
	if err != nil {
		s.Fatal(err)
	}
	s.serveHTTP(ln, e.WebSocketHandler())
	return e
}
