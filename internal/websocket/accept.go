package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	answerTimeout = 10 * time.Second // for the 101 to leave
	headerBuffer  = 16               // a frame header has at most 14 bytes
)

// Accept takes the handshake of a client and answers it, with 101 if it offers
// the subprotocol (RFC 7118 section 4.1), and else with the 400, 403 or 426
// that says why not; the error says the same. The connection then belongs to
// the server of r no more. Read from it in a goroutine of its own and let the
// handler return, for until then the server keeps 10 KB for the request.
func Accept(w http.ResponseWriter, r *http.Request, cfg *Config) (*Conn, error) {
	offered, ok := offer(r, cfg.Subprotocol)
	switch {
	case r.Header.Get("Upgrade") == "":
		// No handshake at all, which is said below.
	case cfg.Origin != nil && !cfg.Origin(r):
		http.Error(w, "origin not allowed", http.StatusForbidden)
		return nil, fmt.Errorf("websocket: accept: origin %.100q not allowed", r.Header.Get("Origin"))
	case !ok:
		http.Error(w, "subprotocol "+cfg.Subprotocol+" not offered", http.StatusBadRequest)
		return nil, fmt.Errorf("websocket: accept: subprotocol %q not offered", cfg.Subprotocol)
	}
	// Of the request only this is looked at and kept.
	handshake := &http.Request{Method: r.Method, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Host: r.Host, Header: http.Header{"Sec-Websocket-Protocol": {strings.Clone(offered)}}}
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Version", "Sec-Websocket-Key"} {
		handshake.Header[name] = r.Header[name]
	}
	if !hijackable(w) {
		http.Error(w, http.StatusText(http.StatusNotImplemented), http.StatusNotImplemented)
		return nil, fmt.Errorf("websocket: accept: a %T cannot be hijacked: %w", w, http.ErrNotSupported)
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)) // best effort; cleared when hijacked
	c := new(Conn)                                                                // must not lead to w, or all that the server has stays
	ws, err := websocket.Accept(upgrade{w, cfg, c}, handshake, &websocket.AcceptOptions{
		Subprotocols:       []string{cfg.Subprotocol},
		InsecureSkipVerify: true, // cfg.Origin has spoken
		OnPingReceived:     func(context.Context, []byte) bool { return c.link.control() },
		OnPongReceived:     func(context.Context, []byte) { c.link.control() },
	})
	if err != nil {
		if c.link != nil {
			c.link.nc.Close()
		}
		return nil, fmt.Errorf("websocket: accept: %w", err)
	}
	c.start(ws, cfg)
	return c, nil
}

// offer returns how the client spells the subprotocol, if it offers it: it
// expects the same in the answer.
func offer(r *http.Request, subprotocol string) (string, bool) {
	for _, line := range r.Header["Sec-Websocket-Protocol"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); strings.EqualFold(name, subprotocol) {
				return name, true
			}
		}
	}
	return "", false
}

// upgrade hands over the connection of a server without the buffers that came
// with it.
type upgrade struct {
	http.ResponseWriter
	cfg  *Config
	conn *Conn
}

func (u upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	l := newLink(nc, u.cfg)
	u.conn.link = l
	// A client may not wait for the 101 with its first message.
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(err, nc.Close())
	}
	l.early = bytes.Clone(early)
	return linkConn{nc, l}, bufio.NewReadWriter(bufio.NewReaderSize(l, headerBuffer), bufio.NewWriterSize(l, headerBuffer)), nil
}

// linkConn is a net.Conn that reads, writes and closes through its link.
type linkConn struct {
	net.Conn
	link *link
}

func (c linkConn) Read(p []byte) (int, error)  { return c.link.Read(p) }
func (c linkConn) Write(p []byte) (int, error) { return c.link.Write(p) }
func (c linkConn) Close() error                { return c.link.Close() }

// hijackable says whether Hijack of a ResponseController will find a Hijacker.
func hijackable(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}
