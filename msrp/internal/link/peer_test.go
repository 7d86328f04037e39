package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sip/siptest"
)

const (
	aliceURI = "msrp://alice.example.com:7654/jshA7weztas;tcp"
	bobURI   = "msrp://bob.example.com:8888/9di4eae923wzd;tcp"
)

// sendHead is the head of a SEND from Alice to Bob of so many bytes.
func sendHead(total int64) *frame.Head {
	return &frame.Head{
		Method: frame.SEND, To: bobURI, From: aliceURI, MessageID: "87652491",
		Range: frame.Range{Start: 1, End: frame.Unknown, Total: total}, ContentType: "text/plain",
	}
}

// A peer is the other end of a Conn. It keeps what it reads.
type peer struct {
	t  *testing.T
	nc net.Conn

	mu   sync.Mutex
	raw  strings.Builder
	seen []*seenFrame
	shut error // what has ended the reading
}

type seenFrame struct {
	head frame.Head
	body []byte
	flag frame.Flag // 0: it is open
}

// story runs f in a bubble, with a Conn on a pipe and the peer at its end, which reads.
func story(t *testing.T, f func(t *testing.T, c *Conn, h *ear, p *peer)) {
	stalled(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		go p.read() // ends with the connection
		f(t, c, h, p)
	})
}

// stalled is a story with a peer that does not read yet.
func stalled(t *testing.T, f func(t *testing.T, c *Conn, h *ear, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		h, p := &ear{}, &peer{t: t, nc: far}
		c := New(near, h)
		c.Start()
		f(t, c, h, p)
		c.CloseNow()
		far.Close()
	})
}

// network returns the ends of a connection across a network, which holds 64 KB.
func network(t *testing.T) (near, far net.Conn) {
	t.Helper()
	n := siptest.NewNetwork(nil)
	l, err := n.Host("192.0.2.2").Listen(t.Context(), "tcp", "192.0.2.2:2855")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = n.Host("192.0.2.1").DialContext(t.Context(), "tcp", "192.0.2.2:2855"); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

func (p *peer) read() {
	r := frame.NewReader(io.TeeReader(p.nc, lockedWriter{p}))
	for {
		h, err := r.Next()
		p.mu.Lock()
		if err != nil {
			p.shut = err
			p.mu.Unlock()
			return
		}
		f := &seenFrame{head: *h.Clone()}
		p.seen = append(p.seen, f)
		p.mu.Unlock()
		for {
			piece, err := r.Body()
			p.mu.Lock()
			f.body = append(f.body, piece...)
			if errors.Is(err, io.EOF) {
				f.flag = r.Flag()
			}
			p.mu.Unlock()
			if err != nil {
				break
			}
		}
	}
}

type lockedWriter struct{ p *peer }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.p.raw.Write(b)
}

// frames returns what has come so far.
func (p *peer) frames() []seenFrame {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []seenFrame
	for _, f := range p.seen {
		all = append(all, *f)
	}
	return all
}

func (f seenFrame) String() string {
	what := fmt.Sprint(int(f.head.Status))
	if f.head.Method != "" {
		what = string(f.head.Method)
	}
	if f.head.Range != (frame.Range{}) {
		what += " " + f.head.Range.String()
	}
	if f.head.HasBody {
		if len(f.body) <= 20 {
			what += fmt.Sprintf(" %q", f.body)
		} else {
			what += fmt.Sprintf(" (%d)", len(f.body))
		}
	}
	if f.flag == 0 {
		return what + " ..."
	}
	return what + " " + string(f.flag)
}

// saw compares all that has come so far: a line for each frame.
func (p *peer) saw(want ...string) {
	p.t.Helper()
	var got []string
	ids := make(map[string]bool)
	for _, f := range p.frames() {
		got = append(got, f.String())
		if ids[f.head.ID] {
			p.t.Errorf("transaction identifier %q is there twice", f.head.ID)
		}
		ids[f.head.ID] = true
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("the peer saw\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

var identifiers = regexp.MustCompile(`(MSRP |-------)[a-z2-7]{13}`)

// text returns what has come, with ID for each transaction identifier.
func (p *peer) text() string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return identifiers.ReplaceAllString(p.raw.String(), "${1}ID")
}

// write has the peer send something.
func (p *peer) write(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.nc, text); err != nil {
		p.t.Fatal(err)
	}
}

// answer has the peer answer a request that it has seen.
func (p *peer) answer(f seenFrame, status frame.Status) {
	p.t.Helper()
	r := f.head.Response(status, bobURI)
	text, err := r.Append(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(string(r.AppendEnd(text, frame.Complete)))
}

// An ear is a Handler that keeps what it hears.
type ear struct {
	on func(c *Conn, h *frame.Head, body []byte, flag frame.Flag) // at the end of each request

	mu     sync.Mutex
	heard  []seenFrame
	closed []error
}

type earBody struct {
	e    *ear
	c    *Conn
	head frame.Head
	body []byte
}

func (e *ear) Request(c *Conn, h *frame.Head) Body { return &earBody{e: e, c: c, head: *h.Clone()} }

func (b *earBody) Write(piece []byte) { b.body = append(b.body, piece...) }

func (b *earBody) End(flag frame.Flag) {
	b.e.mu.Lock()
	b.e.heard = append(b.e.heard, seenFrame{b.head, b.body, flag})
	b.e.mu.Unlock()
	if b.e.on != nil {
		b.e.on(b.c, &b.head, b.body, flag)
	}
}

func (e *ear) Closed(_ *Conn, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = append(e.closed, err)
}

// requests returns what was heard so far.
func (e *ear) requests() []string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, f := range e.heard {
		all = append(all, f.String())
	}
	return all
}

// end returns what Closed was called with: nil if it was not.
func (e *ear) end(t *testing.T) error {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.closed) > 1 {
		t.Errorf("Closed was called %d times, want once", len(e.closed))
	}
	return errors.Join(e.closed...)
}

// An asker is an Owner that keeps the answers.
type asker struct {
	mu      sync.Mutex
	answers []string
}

func (a *asker) Answered(r frame.Range, h *frame.Head, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.answers = append(a.answers, fmt.Sprintf("%v: %v", r, err))
		return
	}
	a.answers = append(a.answers, fmt.Sprintf("%v: %d", r, int(h.Status)))
}

func (a *asker) heard(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.answers, want) {
		t.Errorf("answers:\n  %s\nwant\n  %s", strings.Join(a.answers, "\n  "), strings.Join(want, "\n  "))
	}
}

// nobody is an Owner who does not listen.
type nobody struct{}

func (nobody) Answered(frame.Range, *frame.Head, error) {}

func newStream(t testing.TB, c *Conn, cfg *StreamConfig) *Stream {
	t.Helper()
	s, err := c.NewStream(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustWrite(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); n != len(text) || err != nil {
		t.Fatalf("Write = %d, %v, want %d", n, err, len(text))
	}
}
