package room_test

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

// A peer writes what it likes, and reads what comes.
type peer struct {
	t        testing.TB
	conn     net.Conn
	in       *frame.Reader
	to, from string
	n        int
	early    []early // what came before the answer to the first SEND
}

type early struct {
	h    *frame.Head
	body string
}

// raw has a guest go on by hand, over a connection of its own, in place of its session.
func (h *house) raw(g *guest) *peer {
	h.t.Helper()
	g.Session.Close()
	p := h.moves(g)
	p.connects(g)
	return p
}

// moves has a guest say that it is at another path, from where it has not connected yet.
func (h *house) moves(g *guest) *peer {
	h.t.Helper()
	h.peers++
	p := &peer{t: h.t}
	again := *g.own
	again.Attributes = nil
	p.from = fmt.Sprintf("msrp://%s:9999/raw%d;tcp", g.host.Addr(), h.peers)
	for _, a := range g.own.Attributes {
		switch a.Name {
		case "path":
			a.Value = p.from
		case "setup":
			a.Value = "active"
		}
		again.Attributes = append(again.Attributes, a)
	}
	again.Address, again.Port = g.host.Addr().String(), 9999
	answer, err := g.p.Answer(h.t.Context(), &again)
	if err != nil || answer == nil {
		h.t.Fatalf("answer %v, %v", answer, err)
	}
	if err := g.p.Update(h.t.Context(), answer, &again); err != nil {
		h.t.Fatal(err)
	}
	p.to, _ = answer.Attribute("path")
	return p
}

// connects has the peer connect, and say so.
func (p *peer) connects(g *guest) {
	p.t.Helper()
	var err error
	if p.conn, err = g.host.DialContext(p.t.Context(), "tcp", "192.0.2.1:2855"); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.conn.Close() })
	p.in = frame.NewReader(p.conn)
	p.write("MSRP bind0 SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: bind\r\nByte-Range: 1-0/0\r\n-------bind0$\r\n", p.to, p.from)
	for {
		head, body := p.read()
		if head.Method != "" {
			p.early = append(p.early, early{head, body})
			continue
		}
		if head.Status != 200 {
			p.t.Fatalf("the first SEND is answered with %d", head.Status)
		}
		return
	}
}

func (p *peer) write(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.conn, format, args...); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the next frame.
func (p *peer) next() (*frame.Head, string) {
	p.t.Helper()
	if len(p.early) > 0 {
		e := p.early[0]
		p.early = p.early[1:]
		return e.h, e.body
	}
	return p.read()
}

func (p *peer) read() (*frame.Head, string) {
	p.t.Helper()
	h, err := p.in.Next()
	if err != nil {
		p.t.Fatal(err)
	}
	h = h.Clone()
	var body []byte
	for {
		piece, err := p.in.Body()
		if err == io.EOF {
			return h, string(body)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		body = append(body, piece...)
	}
}

// status returns the code of the next response, passing over requests.
func (p *peer) status() frame.Status {
	p.t.Helper()
	for {
		if h, _ := p.next(); h.Method == "" {
			return h.Status
		}
	}
}

// send sends a message in one chunk, and returns how it is answered.
func (p *peer) send(kind, body string) frame.Status {
	p.t.Helper()
	p.n++
	id := fmt.Sprintf("s%03d", p.n)
	p.write("MSRP %s SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: %[1]s\r\nContent-Type: %[4]s\r\n\r\n%[5]s\r\n-------%[1]s$\r\n", id, p.to, p.from, kind, body)
	return p.status()
}

// chunk sends a chunk of message/cpim, and returns how it is answered.
func (p *peer) chunk(message, bytes string, flag byte, body string) frame.Status {
	p.t.Helper()
	p.n++
	id := fmt.Sprintf("c%03d", p.n)
	p.write("MSRP %s SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: %s\r\nByte-Range: %s\r\nContent-Type: message/cpim\r\n\r\n%s\r\n-------%[1]s%[7]c\r\n",
		id, p.to, p.from, message, bytes, body, flag)
	return p.status()
}

// nick sends a NICKNAME with some header fields and what follows them, and returns how it is answered.
func (p *peer) nick(fields string) frame.Status {
	p.t.Helper()
	p.n++
	id := fmt.Sprintf("n%03d", p.n)
	p.write("MSRP %s NICKNAME\r\nTo-Path: %s\r\nFrom-Path: %s\r\n%s\r\n-------%[1]s$\r\n", id, p.to, p.from, fields)
	return p.status()
}
