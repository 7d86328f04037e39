package websocket_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/goparley/parley/internal/websocket"
)

// What a client is told that does not do the handshake of RFC 7118 section 4.1.
func TestHandshakeAnswers(t *testing.T) {
	sub := "Sec-WebSocket-Protocol: sip\r\n"
	for name, c := range map[string]struct {
		old, new string // what of the handshake is not as it should be
		status   int
		protocol string
	}{
		"as it should be":    {"", "", 101, "sip"},
		"no subprotocol":     {sub, "", 400, ""},
		"another":            {sub, "Sec-WebSocket-Protocol: msrp\r\n", 400, ""},
		"part of a name":     {sub, "Sec-WebSocket-Protocol: sipx, xsip\r\n", 400, ""},
		"an empty one":       {sub, "Sec-WebSocket-Protocol:\r\n", 400, ""},
		"among others":       {sub, "Sec-WebSocket-Protocol: msrp,sip ,x\r\n", 101, "sip"},
		"in another line":    {sub, "Sec-WebSocket-Protocol: msrp\r\n" + sub, 101, "sip"},
		"in capitals":        {sub, "Sec-WebSocket-Protocol: SIP\r\n", 101, "SIP"},
		"with extensions":    {sub, sub + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", 101, "sip"},
		"no upgrade":         {"Upgrade: websocket\r\n", "", 426, ""},
		"another upgrade":    {"Upgrade: websocket\r\n", "Upgrade: h2c\r\n", 426, ""},
		"no connection":      {"Connection: Upgrade\r\n", "", 426, ""},
		"an old version":     {"Version: 13", "Version: 8", 400, ""},
		"no key":             {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, ""},
		"a short key":        {"dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 400, ""},
		"a POST":             {"GET /", "POST /", 405, ""},
		"HTTP/1.0":           {"HTTP/1.1", "HTTP/1.0", 426, ""},
		"an origin we know":  {"http://www.example.com", "https://app.example.com", 101, "sip"},
		"an origin we don't": {"http://www.example.com", "https://evil.example", 403, ""},
		"no origin":          {"Origin: http://www.example.com\r\n", "", 101, "sip"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc := serve(t, func(w http.ResponseWriter, r *http.Request) {
					conn, err := websocket.Accept(w, r, &websocket.Config{
						Subprotocol: "sip",
						Origin:      func(r *http.Request) bool { return !strings.Contains(r.Header.Get("Origin"), "evil") },
					})
					if (err == nil) != (c.status == 101) {
						t.Errorf("Accept: %v, want an answer with %d", err, c.status)
					}
					if err == nil {
						t.Cleanup(conn.CloseNow)
					}
				})
				p := newPeer(t, nc)
				go p.send(strings.Replace(hello, c.old, c.new, 1)) // ends when it is read, or with the connection
				resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != c.status || resp.Header.Get("Sec-WebSocket-Protocol") != c.protocol {
					t.Errorf("answered with %s and subprotocol %q, want %d and %q",
						resp.Status, resp.Header.Get("Sec-WebSocket-Protocol"), c.status, c.protocol)
				}
				if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != "" {
					t.Errorf("agreed to %q, want no extension", got)
				}
				if got, want := resp.Header.Get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; c.protocol != "" && got != want {
					t.Errorf("accepted with %q, want %q", got, want)
				}
			})
		})
	}
}

// What a server cannot hand over, such as a request of HTTP/2, is refused
// before anything is promised.
func TestAcceptWithoutHijacker(t *testing.T) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(hello)))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if _, err := websocket.Accept(w, r, sipConfig(nil)); err == nil || w.Code != http.StatusNotImplemented {
		t.Errorf("Accept = %v and answered with %d, want an error and %d", err, w.Code, http.StatusNotImplemented)
	}
}

// When the handler has returned, a connection keeps nothing of its request and
// of what the server had for it.
func TestServerLetsGo(t *testing.T) {
	var request weak.Pointer[http.Request]
	var writer weak.Pointer[byte]
	conns := make(chan *websocket.Conn, 1)
	nc := serve(t, func(w http.ResponseWriter, r *http.Request) {
		request = weak.Make(r)
		padding := make([]byte, 1<<10)
		writer = weak.Make(&padding[0])
		acceptTo(t, &websocket.Config{
			Origin: func(r *http.Request) bool { return len(padding) > 0 },
		}, conns)(&padded{w, padding}, r)
	})
	p := newPeer(t, nc)
	go p.send(hello) // ends when it is read
	if _, err := http.ReadResponse(bufio.NewReaderSize(nc, 16), nil); err != nil {
		t.Fatal(err)
	}
	c := <-conns
	results := reads(c)
	for range 100 {
		if request.Value() == nil && writer.Value() == nil {
			break
		}
		// The server's goroutine may still be on its way out.
		runtime.Gosched()
		runtime.GC()
	}
	if request.Value() != nil || writer.Value() != nil {
		t.Error("the connection holds its request or its response writer")
	}
	c.CloseNow()
	<-results
}

type padded struct {
	http.ResponseWriter
	padding []byte
}

func (p *padded) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// A message leaves as one write, so that it is one segment or one TLS record
// where it fits; and so does a pong.
func TestOneWriteEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := both(t, nil)
		for name, ends := range map[string][2]*websocket.Conn{"server": {server, client}, "client": {client, server}} {
			results := reads(ends[1])
			for _, size := range []int{0, 1, 20, 125, 126, 4000} {
				before := writes(ends[0])
				if err := ends[0].Write(strings.Repeat("x", size), time.Time{}); err != nil {
					t.Fatal(err)
				}
				next(t, results)
				if got := writes(ends[0]) - before; got != 1 {
					t.Errorf("the %s sent %d bytes with %d writes, want 1", name, size, got)
				}
			}
		}
	})
}
