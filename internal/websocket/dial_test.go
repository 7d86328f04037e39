package websocket_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

// answering returns the client's end of a connection whose server sends what
// answer says to the request, and then drip, a byte a second; and the server.
func answering(t testing.TB, answer func(r *http.Request) string, drip ...byte) (net.Conn, *peer) {
	return answeringOver(t, answer, func(nc net.Conn) net.Conn { return nc }, drip...)
}

// answeringOver has the server put something around its connection, such as TLS.
func answeringOver(t testing.TB, answer func(r *http.Request) string, over func(net.Conn) net.Conn, drip ...byte) (net.Conn, *peer) {
	ours, theirs := net.Pipe()
	p := newPeer(t, over(theirs))
	p.tasks.Go(func() {
		r, err := http.ReadRequest(bufio.NewReader(p.nc))
		if err != nil {
			return
		}
		p.send(answer(r))
		for _, b := range drip {
			time.Sleep(time.Second)
			if !p.send(string([]byte{b})) {
				break
			}
		}
	})
	return ours, p
}

// switching is the answer of RFC 7118 section 4.1.
func switching(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n" +
		"Sec-WebSocket-Protocol: sip\r\n\r\n"
}

// dialled returns a Conn that was dialled, and its server. early comes in one
// piece with the answer.
func dialled(t testing.TB, cfg *websocket.Config, early ...string) (*websocket.Conn, *peer) {
	nc, p := answering(t, func(r *http.Request) string { return switching(r) + strings.Join(early, "") })
	c, err := websocket.Dial(context.Background(), nc, "ws://sip-ws.example.com/", sipConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseNow)
	return c, p
}

// The request is that of RFC 7118 section 4.1, and says nothing more.
func TestRequest(t *testing.T) {
	var got *http.Request
	nc, _ := answering(t, func(r *http.Request) string {
		got = r
		return switching(r)
	})
	c, err := websocket.Dial(context.Background(), nc, "wss://sip-ws.example.com:8443/sip?x=y", &websocket.Config{
		Subprotocol: "sip",
		Header:      http.Header{"Origin": {"http://www.example.com"}, "Cookie": {"session=1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.CloseNow()
	if got.Method != "GET" || got.RequestURI != "/sip?x=y" || got.Host != "sip-ws.example.com:8443" {
		t.Errorf("asked %s %s of %s", got.Method, got.RequestURI, got.Host)
	}
	if key, err := base64.StdEncoding.DecodeString(got.Header.Get("Sec-WebSocket-Key")); len(key) != 16 || err != nil {
		t.Errorf("a key of %d bytes, %v, want 16", len(key), err)
	}
	got.Header.Del("Sec-WebSocket-Key")
	want := "map[Connection:[Upgrade] Cookie:[session=1] Origin:[http://www.example.com]" +
		" Sec-Websocket-Protocol:[sip] Sec-Websocket-Version:[13] Upgrade:[websocket]]"
	if got := fmt.Sprint(got.Header); got != want {
		t.Errorf("header fields %s, want %s", got, want)
	}
}

// Answers that are no agreement on SIP over WebSocket. The connection is closed.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(*http.Request) string
		status int // of a *StatusError; 0: another error
	}{
		"no subprotocol":      {changed("Sec-WebSocket-Protocol: sip\r\n", ""), 0},
		"another subprotocol": {changed("Protocol: sip", "Protocol: msrp"), 0},
		"another key":         {changed("Accept: ", "Accept: x"), 0},
		"no upgrade":          {changed("Upgrade: websocket\r\n", ""), 0},
		"an extension":        {changed("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), 0},
		"a challenge":         {changed("101 Switching Protocols", "401 Unauthorized\r\nWWW-Authenticate: Basic realm=x"), 401},
		"a redirect":          {changed("101 Switching Protocols", "302 Found\r\nLocation: ws://other.example/"), 302},
		"200":                 {changed("101 Switching Protocols", "200 OK\r\nContent-Length: 1000000"), 200},
		"SIP":                 {func(*http.Request) string { return "SIP/2.0 400 Bad Request\r\n\r\n" }, 0},
		"nonsense":            {func(*http.Request) string { return "\x00\r\n\r\n" }, 0},
		"a line for ever":     {func(*http.Request) string { return "HTTP/1.1 101 " + strings.Repeat("x", 1<<20) }, 0},
		"lines for ever":      {func(*http.Request) string { return "HTTP/1.1 101 x\r\n" + strings.Repeat("a: b\r\n", 1<<20) }, 0},
		"hints for ever":      {func(*http.Request) string { return strings.Repeat("HTTP/1.1 103 x\r\n\r\n", 1<<16) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, p := answering(t, c.answer)
				_, err := websocket.Dial(t.Context(), nc, "ws://sip-ws.example.com/", sipConfig(nil))
				var status *websocket.StatusError
				if errors.As(err, &status); err == nil || (status != nil) != (c.status != 0) || status != nil && status.Code != c.status {
					t.Errorf("Dial = %v, want an error with status %d", err, c.status)
				}
				if c.status == 401 && status.Header.Get("WWW-Authenticate") == "" {
					t.Error("no challenge in the error")
				}
				p.listen()
				if !p.gone() {
					t.Error("the connection is open")
				}
			})
		})
	}
}

// changed returns the answer of a server with something else in it.
func changed(old, new string) func(*http.Request) string {
	return func(r *http.Request) string { return strings.Replace(switching(r), old, new, 1) }
}

// A server may say something before it agrees (RFC 8297), and at once when it
// has agreed.
func TestAroundTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, p := answering(t, func(r *http.Request) string {
			return "HTTP/1.1 103 Early Hints\r\n\r\n" + switching(r) + frame(fin|text, options) + frame(fin|ping, "x")
		})
		c, err := websocket.Dial(t.Context(), nc, "ws://sip-ws.example.com/", sipConfig(nil))
		if err != nil {
			t.Fatal(err)
		}
		p.listen()
		results := reads(c)
		if got := next(t, results); got.text != options || got.err != nil {
			t.Errorf("read %q, %v, want %q", got.text, got.err, options)
		}
		if got := p.received(); len(got) != 7 || got[0] != fin|pong {
			t.Errorf("a ping was answered with %q, want a masked pong", got)
		}
		c.CloseNow()
	})
}

// A handshake that never completes ends with its context, and that of the
// context does not end what came of a complete one.
func TestHandshakeEndsWithContext(t *testing.T) {
	for name, c := range map[string]struct{ answer, drip string }{
		"nothing":          {},
		"half a line":      {"HTTP/1.1 101 Swi", ""},
		"half the lines":   {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n", ""},
		"a byte at a time": {"", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, p := answering(t, func(*http.Request) string { return c.answer }, []byte(c.drip)...)
				ctx, cancel := context.WithTimeout(t.Context(), 32*time.Second)
				defer cancel()
				start := time.Now()
				_, err := websocket.Dial(ctx, nc, "ws://sip-ws.example.com/", sipConfig(nil))
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 32*time.Second {
					t.Errorf("Dial = %v after %v, want %v after 32s", err, time.Since(start), context.DeadlineExceeded)
				}
				p.listen()
				if !p.gone() {
					t.Error("the connection is open")
				}
			})
		})
	}
	t.Run("complete", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			nc, p := answering(t, switching)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			c, err := websocket.Dial(ctx, nc, "ws://sip-ws.example.com/", sipConfig(nil))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			results := reads(c)
			p.send(frame(fin|text, options))
			if got := next(t, results); got.text != options || got.err != nil {
				t.Errorf("read %q, %v, want %q", got.text, got.err, options)
			}
			c.CloseNow()
		})
	})
}

// RFC 6455 sections 5.5.2 and 5.5.3: our ping is answered by a peer that is
// there. One that is not is for the caller to close.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := both(t, nil)
		reads(client)
		reads(server)
		if err := client.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := server.Ping(t.Context()); err != nil {
			t.Error(err)
		}

		lonely, p := dialled(t, nil)
		p.listen()
		results := reads(lonely)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := lonely.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ping = %v, want %v", err, context.DeadlineExceeded)
		}
		quiet(t, results)
		lonely.CloseNow()
		if err := lonely.Ping(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Ping = %v, want %v", err, net.ErrClosed)
		}
	})
}
