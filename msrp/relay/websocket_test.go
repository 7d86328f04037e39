package relay_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// A browser is a net.Conn whose writes and reads are WebSocket messages, one frame of MSRP each: a test
// writes a frame at a time, and a message that has less or more than one frame fails it.
type browser struct {
	net.Conn
	t    testing.TB
	ws   *websocket.Conn
	rest string
	max  int
}

func (b *browser) Write(p []byte) (int, error) {
	return len(p), b.ws.Write(string(p), time.Now().Add(time.Minute))
}

func (b *browser) Read(p []byte) (int, error) {
	if b.rest == "" {
		text, err := b.ws.Read()
		if err != nil {
			return 0, err
		}
		if _, _, _, err := frame.Parse([]byte(text)); err != nil {
			b.t.Errorf("a message is no frame: %v", err)
		}
		b.max = max(b.max, len(text))
		b.rest = text
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (w *world) browse(name, to, url string, cfg *tls.Config) (*raw, error) {
	w.t.Helper()
	nc, err := w.host(name).DialContext(context.Background(), "tcp", to)
	if err != nil {
		w.t.Fatal(err)
	}
	if cfg != nil {
		nc = tls.Client(nc, cfg)
	}
	ws, err := websocket.Dial(context.Background(), nc, url, &websocket.Config{Subprotocol: "msrp", Header: http.Header{"Origin": {"https://www.example.com"}}})
	if err != nil {
		return nil, err
	}
	w.t.Cleanup(ws.CloseNow)
	b := &browser{Conn: nc, t: w.t, ws: ws}
	p := w.raw(name, b)
	p.ours = "msrps://" + name + ".invalid:2855/98cjs;ws"
	return p, nil
}

// RFC 7977 section 8.2: a client over WebSocket, its peer over TCP, both ways. Its URI at the relay is
// one of TCP.
func TestWebSocketClientWithAPeerOverTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"wss::443", "tls::2855"}, TLS: w.tls(example)})
		alice, err := w.browse("alice", example+":443", "wss://"+example+"/", &tls.Config{RootCAs: w.ca.Pool(), ServerName: example})
		if err != nil {
			t.Fatal(err)
		}
		a := alice.auth("alice", "msrps://alice@"+example+":443;ws")
		if !strings.HasPrefix(a, "msrps://"+example+":2855/") || !strings.HasSuffix(a, ";tcp") {
			t.Errorf("Use-Path is %q, want a URI of TLS over TCP", a)
		}
		bob := w.dialTLS("bob", example, ":2855", nil)
		bob.write(send("aaaa", a+" "+alice.ours, bob.ours, "Success-Report: no\n", "Thanks for the file."))
		bob.response("aaaa", frame.StatusOK)
		g := alice.read()
		if g.To != alice.ours || g.From != a+" "+bob.ours || g.body != "Thanks for the file." {
			t.Errorf("alice got %+v", g.Head)
		}
		alice.answer(g, frame.StatusOK)
		alice.write(send("bbbb", a+" "+bob.ours, alice.ours, "", "Hi Bob"))
		alice.response("bbbb", frame.StatusOK)
		if g := bob.read(); g.body != "Hi Bob" || g.From != a+" "+alice.ours {
			t.Errorf("bob got %+v", g.Head)
		}
	})
}

// RFC 7977 sections 5.1 and 8.3: two clients over WebSocket; what is large is split.
func TestWebSocketClientsAmongThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"ws::80"}, PlainAUTH: true})
		join := func(name string) (*raw, string) {
			p, err := w.browse(name, example+":80", "ws://"+example+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			return p, p.auth(name, "msrp://"+example+":80;ws")
		}
		alice, a := join("alice")
		carol, c := join("carol")
		if !strings.HasSuffix(a, ";ws") {
			t.Errorf("Use-Path is %q, want ws where there is nothing else", a)
		}
		body := strings.Repeat("x", 200000)
		alice.write(send("kjh6", a+" "+c+" "+carol.ours, alice.ours, "Byte-Range: 1-*/200000\n", body))
		alice.response("kjh6", frame.StatusOK)
		n := 0
		for n < len(body) {
			g := carol.read()
			if g.Range.Start != int64(n+1) || g.From != c+" "+a+" "+alice.ours {
				t.Errorf("carol got %+v after %d bytes", g.Head, n)
			}
			n += len(g.body)
			carol.answer(g, frame.StatusOK)
		}
		if most := carol.nc.(*browser).max; most > 64<<10 {
			t.Errorf("a message of %d bytes, want 64 KB at most", most)
		}
		alice.write("MSRP mmmm REPORT\nTo-Path: " + a + " " + c + " " + carol.ours + "\nFrom-Path: " + alice.ours + "\nMessage-ID: 1\nStatus: 000 200 OK\n-------mmmm$\n")
		if g := carol.read(); g.Method != frame.REPORT {
			t.Errorf("carol got %+v", g.Head)
		}
	})
}

// RFC 7977 section 5.1: one message has one frame.
func TestWebSocketMessagesThatAreNoFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"ws::80"}, PlainAUTH: true})
		ping := "MSRP aaaa SEND\r\nTo-Path: a\r\nFrom-Path: b\r\n-------aaaa$\r\n"
		for name, text := range map[string]string{"two": ping + ping, "half": ping[:30], "none": "", "else": "hello", "long": strings.Repeat("x", 300000)} {
			p, err := w.browse("alice", example+":80", "ws://"+example+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			p.nc.(*browser).ws.Write(text, time.Time{})
			if g, err := p.tryRead(0); err == nil {
				t.Errorf("%s: got %v, want the end", name, g)
			}
		}
	})
}

// RFC 7977 sections 5.3.1 and 7: who is known by the handshake needs no password.
func TestHandshakeMayBeEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"ws::80"}, PlainAUTH: true, Handshake: func(r *http.Request) (string, bool) {
			switch r.URL.Path {
			case "/alice":
				return "alice", true
			case "/anybody":
				return "", true
			}
			return "", false
		}})
		auth := "MSRP 49fi AUTH\nTo-Path: msrps://alice@" + example + ":443;ws\nFrom-Path: msrps://df7jal23ls0d.invalid:2855/98cjs;ws\n-------49fi$\n"
		for path, want := range map[string]frame.Status{"alice": frame.StatusOK, "anybody": frame.StatusUnauthorized} {
			p, err := w.browse("alice", example+":80", "ws://"+example+"/"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			p.write(auth)
			g := p.response("49fi", want)
			if _, has := g.Get("Use-Path"); has != (want == frame.StatusOK) {
				t.Errorf("%s: Use-Path is there: %v", path, has)
			}
		}
		var refused *websocket.StatusError
		if _, err := w.browse("alice", example+":80", "ws://"+example+"/mallory", nil); !errors.As(err, &refused) || refused.Code != http.StatusForbidden {
			t.Errorf("handshake: %v, want 403", err)
		}
	})
}

// RFC 7977 section 6.
func TestWebSocketsAreKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"ws::80", "tcp::2855"}, PlainAUTH: true})
		alice, err := w.browse("alice", example+":80", "ws://"+example+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		a := alice.auth("alice", "msrp://"+example+":80;ws")
		got := make(chan got)
		go func() { // ends with what comes; reading answers pings
			g, _ := alice.tryRead(0)
			got <- g
		}()
		time.Sleep(10 * time.Minute)
		bob := w.dial("bob", example)
		bob.write(send("aaaa", a+" "+alice.ours, bob.ours, "", "still there?"))
		if g := <-got; g.body != "still there?" {
			t.Errorf("alice got %+v", g)
		}
		// One who does not read answers no ping, and is gone in a minute or so.
		bob.response("aaaa", frame.StatusOK)
		time.Sleep(2 * time.Minute)
		if g := bob.read(); g.Report != frame.StatusTimeout && g.Report != frame.StatusNoSession {
			t.Errorf("bob got %+v", g)
		}
		bob.write(send("bbbb", a+" "+alice.ours, bob.ours, "", "hello?"))
		bob.response("bbbb", frame.StatusNoSession)
	})
}

// Connections of HTTP are connections from the first byte on, serve one request, and end if they do not
// become WebSockets.
func TestHTTPConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MaxConns: 8, Listen: []string{"ws::80"}, PlainAUTH: true})
		dial := func() net.Conn {
			nc, err := w.host("mallory").DialContext(t.Context(), "tcp", example+":80")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			synctest.Wait()
			return nc
		}
		join := func() error {
			p, err := w.browse("alice", example+":80", "ws://"+example+"/", nil)
			if err == nil {
				p.auth("alice", "msrp://"+example+":80;ws")
			}
			return err
		}
		ends := func(what string, nc net.Conn, after time.Duration) {
			t.Helper()
			began := time.Now()
			nc.SetReadDeadline(began.Add(time.Hour))
			text, err := io.ReadAll(nc)
			if took := time.Since(began); err != nil || took > after {
				t.Errorf("%s: %q, %v after %v, want the end in %v", what, text, err, took, after)
			}
		}
		if err := join(); err != nil {
			t.Fatal(err)
		}
		silent, head, body, web := dial(), dial(), dial(), dial()
		io.WriteString(head, "GET / HTTP/1.1\r\nHost: ")
		io.WriteString(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
		ends("one more", dial(), 0)
		io.WriteString(web, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		ends("a request for a page", web, time.Second)
		if err := join(); err != nil {
			t.Errorf("with room for one more: %v", err)
		}
		ends("nothing", silent, 10*time.Second)
		ends("half a head", head, 0)
		ends("half a body", body, 0)
		time.Sleep(time.Second)
		for i := range 2 {
			if err := join(); err != nil {
				t.Errorf("WebSocket %d when those are gone: %v", i, err)
			}
		}
	})
}

// A program with a web server of its own hands WebSockets over. Its clients write to each other (RFC 7977
// section 8.3), though their URIs have the port of the web server, at which the relay has no socket.
func TestServeHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.relay(example, relay.Config{Listen: []string{}, PlainAUTH: true})
		l, err := w.host(example).Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle("/chat", r)
		srv := &http.Server{Handler: mux}
		go srv.Serve(l)
		defer srv.Close()
		join := func(name string) (*raw, string) {
			p, err := w.browse(name, example+":80", "ws://"+example+"/chat", nil)
			if err != nil {
				t.Fatal(err)
			}
			uri := p.auth(name, "msrp://"+example+":80;ws")
			if !strings.HasPrefix(uri, "msrp://"+example+":80/") || !strings.HasSuffix(uri, ";ws") {
				t.Errorf("Use-Path is %q, want one of the web server", uri)
			}
			return p, uri
		}
		hears := func(p *raw) got {
			g := p.read()
			for g.flag == frame.Continued { // the end may come by itself, with a body of nothing
				p.answer(g, frame.StatusOK)
				end := p.read()
				end.body = g.body + end.body
				g = end
			}
			p.answer(g, frame.StatusOK)
			return g
		}
		alice, a := join("alice")
		carol, c := join("carol")
		alice.write(send("aaaa", a+" "+c+" "+carol.ours, alice.ours, "", "Hi Carol"))
		alice.response("aaaa", frame.StatusOK)
		if g := hears(carol); g.body != "Hi Carol" || g.To != carol.ours || g.From != c+" "+a+" "+alice.ours {
			t.Errorf("carol got %q, %+v", g.body, g.Head)
		}
		carol.write(send("bbbb", c+" "+a+" "+alice.ours, carol.ours, "", "Hi Alice"))
		carol.response("bbbb", frame.StatusOK)
		if g := hears(alice); g.body != "Hi Alice" || g.To != alice.ours || g.From != a+" "+c+" "+carol.ours {
			t.Errorf("alice got %q, %+v", g.body, g.Head)
		}
		for _, refused := range []struct {
			why, to string
			status  frame.Status
		}{
			{"a session that is not known", "msrp://" + example + ":80/nobody;ws " + carol.ours, frame.StatusNoSession},
			{"one of another transport", strings.Replace(c, ";ws", ";tls", 1) + " " + carol.ours, frame.StatusNoSession},
			{"a circle", a + " " + carol.ours, frame.StatusBadRequest},
			{"the end of the path", c, frame.StatusNoSession},
		} {
			alice.write(send("cccc", a+" "+refused.to, alice.ours, "", "x"))
			if g := alice.read(); g.Status != refused.status {
				t.Errorf("%s: got %d, want %d", refused.why, g.Status, refused.status)
			}
		}
		carol.nc.Close()
		synctest.Wait()
		alice.write(send("dddd", a+" "+c+" "+carol.ours, alice.ours, "", "still there?"))
		alice.response("dddd", frame.StatusNoSession)
		r.Close()
		if _, err := w.browse("alice", example+":80", "ws://"+example+"/chat", nil); err == nil {
			p, _ := w.browse("alice", example+":80", "ws://"+example+"/chat", nil)
			p.drained()
		}
	})
}
