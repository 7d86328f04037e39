package msrp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/websocket"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/digest"
	"github.com/goparley/parley/sip/siptest"
)

// A standIn is a relay by script, which a test reads and writes for.
type standIn struct {
	t      testing.TB
	l      net.Listener
	digest *digest.Server
	tls    *tls.Config // nil: TCP
}

// newStandIn has a relay listen that knows alice with the password secret.
func newStandIn(t testing.TB, h *siptest.Host, address string) *standIn {
	t.Helper()
	l, err := h.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	server, err := digest.NewServer(digest.ServerConfig{
		Realm: "relay.example.com",
		Password: func(_ context.Context, user string) (string, error) {
			if user != "alice" {
				return "", digest.ErrUnknownUser
			}
			return "secret", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &standIn{t: t, l: l, digest: server}
}

// accept waits for a client.
func (r *standIn) accept() *client {
	r.t.Helper()
	nc, err := r.l.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { nc.Close() })
	if r.tls != nil {
		nc = tls.Server(nc, r.tls)
	}
	in := bufio.NewReader(nc)
	return &client{relay: r, nc: nc,
		read: func() (string, error) { return readFrame(in) },
		write: func(s string) error {
			_, err := nc.Write([]byte(s))
			return err
		}}
}

// acceptWebSocket waits for a client that does the handshake of a WebSocket, which look may look at.
func (r *standIn) acceptWebSocket(look func(*http.Request)) (*client, *websocket.Conn) {
	r.t.Helper()
	conns := make(chan *websocket.Conn, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		look(req)
		c, err := websocket.Accept(w, req, &websocket.Config{Subprotocol: "msrp"})
		if err != nil {
			r.t.Error(err)
		}
		conns <- c
	})}
	go server.Serve(r.l) // ends with the server
	r.t.Cleanup(func() { server.Close() })
	ws := <-conns
	if ws == nil {
		r.t.FailNow()
	}
	r.t.Cleanup(ws.CloseNow)
	return &client{relay: r, nc: ws.NetConn(), read: ws.Read, write: func(s string) error { return ws.Write(s, time.Time{}) }}, ws
}

// A client is the connection of one, as its relay has it.
type client struct {
	relay *standIn
	nc    net.Conn
	read  func() (string, error)
	write func(string) error
}

// A request is what a client has sent.
type request struct {
	*frame.Head
	text string
	body string
	flag frame.Flag
}

// next returns the next frame of the client, which is to be a request with a method, or a response if that is "".
func (c *client) next(method frame.Method) request {
	c.relay.t.Helper()
	req := c.any()
	if req.Method != method {
		c.relay.t.Fatalf("got %.1000q, want a %q", req.text, method)
	}
	return req
}

// any returns the next frame of the client.
func (c *client) any() request {
	c.relay.t.Helper()
	text, err := c.read()
	if err != nil {
		c.relay.t.Fatal(err)
	}
	h, body, flag, err := frame.Parse([]byte(text))
	if err != nil || h.Err != nil {
		c.relay.t.Fatalf("%v, %v: %q", err, h.Err, text)
	}
	return request{h, text, string(body), flag}
}

// answer sends a response with more header fields.
func (c *client) answer(req request, status string, fields ...string) {
	c.relay.t.Helper()
	to, _, _ := strings.Cut(req.To, " ")
	from := req.From
	if req.Method == frame.SEND {
		from, _, _ = strings.Cut(from, " ")
	}
	c.send("MSRP %s %s\nTo-Path: %s\nFrom-Path: %s\n%s-------%s$\n", req.ID, status, from, to, lines(fields), req.ID)
}

// send sends a frame, for whose line feeds CRLF is sent.
func (c *client) send(format string, args ...any) {
	c.relay.t.Helper()
	if err := c.write(crlf(format, args...)); err != nil {
		c.relay.t.Fatal(err)
	}
}

// admit lets alice in, by whatever number of AUTH requests that takes, and returns the last one.
func (c *client) admit(use string, fields ...string) request {
	c.relay.t.Helper()
	for {
		req := c.next(frame.AUTH)
		credentials, _ := req.Get("Authorization")
		uri := req.To[strings.LastIndexByte(req.To, ' ')+1:]
		_, info, err := c.relay.digest.Verify(c.relay.t.Context(), "one", credentials, "AUTH", uri)
		if err == nil {
			c.answer(req, "200 OK", append(fields, "Use-Path: "+use, "Authentication-Info: "+info)...)
			return req
		}
		c.challenge(req, errors.Is(err, digest.ErrStale))
	}
}

func (c *client) challenge(req request, stale bool) {
	c.relay.t.Helper()
	var fields []string
	for _, value := range c.relay.digest.Challenge("one", stale) {
		fields = append(fields, "WWW-Authenticate: "+value)
	}
	c.answer(req, "401 Unauthorized", fields...)
}

// gone reports whether the client has closed the connection.
func (c *client) gone() bool {
	c.nc.SetReadDeadline(time.Now().Add(3 * time.Second))
	_, err := c.read()
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
}

// silent fails if the client says something within a second.
func (c *client) silent() {
	c.relay.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(time.Second))
	if text, err := c.read(); !isTimeout(err) {
		c.relay.t.Errorf("got %q, %v, want silence", text, err)
	}
	c.nc.SetReadDeadline(time.Time{})
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// readFrame returns a frame as it is, to its end-line.
func readFrame(in *bufio.Reader) (string, error) {
	var b strings.Builder
	id := ""
	for {
		line, err := in.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), err
		}
		if id == "" {
			id = strings.Fields(line)[1]
		}
		if rest, ok := strings.CutPrefix(line, "-------"+id); ok && len(rest) == 3 {
			return b.String(), nil
		}
	}
}

func lines(fields []string) string {
	if len(fields) == 0 {
		return ""
	}
	return strings.Join(fields, "\n") + "\n"
}

// later runs f in a goroutine; what it returns waits for f to end.
func later[T any](f func() (T, error)) (wait func() (T, error)) {
	var v T
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		v, err = f()
	}()
	return func() (T, error) {
		<-done
		return v, err
	}
}

func crlf(format string, args ...any) string {
	return strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\r\n")
}
