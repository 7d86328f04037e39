package msrp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
)

// A scene is a network with endpoints of ours and peers that do what the story says.
type scene struct {
	*testing.T
	n         *siptest.Network
	endpoints map[string]*msrp.Endpoint
}

// play plays a story in a bubble of fake time.
func play(t *testing.T, story func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		story(&scene{T: t, n: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond}), endpoints: map[string]*msrp.Endpoint{}})
	})
}

const (
	alice = "192.0.2.1"
	bob   = "192.0.2.2"
	raw   = "192.0.2.9" // where the scripted peer is
)

var quiet = slog.New(slog.DiscardHandler)

// endpoint makes an endpoint on a host, with nil for cfg one that listens at port 2855.
func (s *scene) endpoint(host string, cfg *msrp.Config) *msrp.Endpoint {
	s.Helper()
	c := msrp.Config{Listen: []string{"tcp:" + net.JoinHostPort(host, "2855")}}
	if cfg != nil {
		c = *cfg
	}
	c.Network, c.Logger = s.n.Host(host), quiet
	e, err := msrp.New(&c)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { e.Close() })
	s.endpoints[host] = e
	return e
}

// session makes a session on a host, whose endpoint is made when there is none.
func (s *scene) session(host string, cfg *msrp.SessionConfig) *msrp.Session {
	s.Helper()
	e := s.endpoints[host]
	if e == nil {
		e = s.endpoint(host, nil)
	}
	return msrp.NewSession(e, cfg)
}

func (s *scene) path(x *msrp.Session) frame.Path {
	s.Helper()
	p, err := x.Path(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// join connects two sessions.
func (s *scene) join(active, passive *msrp.Session) {
	s.Helper()
	if err := passive.Connect(s.Context(), s.path(active), false); err != nil {
		s.Fatal(err)
	}
	if err := active.Connect(s.Context(), s.path(passive), true); err != nil {
		s.Fatal(err)
	}
}

// pair returns two sessions, of Alice and Bob, that are connected.
func (s *scene) pair(a, b *msrp.SessionConfig) (active, passive *msrp.Session) {
	s.Helper()
	active, passive = s.session(alice, a), s.session(bob, b)
	s.join(active, passive)
	return active, passive
}

// A got is a message that has arrived.
type got struct {
	id, kind, text string
	size           int64
	err            error
}

// inbox reads the messages of a session as they come, each for itself. The goroutines end with the
// session.
func (s *scene) inbox(x *msrp.Session) <-chan got {
	box := make(chan got, 1000)
	go func() {
		for m, err := range x.Messages(context.WithoutCancel(s.Context())) {
			if err != nil {
				box <- got{err: err}
				return
			}
			go func() {
				b, err := io.ReadAll(m)
				box <- got{m.ID, m.ContentType, string(b), m.Size, err}
			}()
		}
	}()
	return box
}

// expect waits for the next message.
func (s *scene) expect(box <-chan got, text string, err error) got {
	s.Helper()
	select {
	case g := <-box:
		if g.text != text || !errors.Is(g.err, err) {
			s.Errorf("message %q, %v; want %q, %v", short(g.text), g.err, short(text), err)
		}
		return g
	case <-time.After(20 * time.Minute):
		s.Fatalf("no message; want %q, %v", short(text), err)
	}
	return got{}
}

// none says that nothing comes, however long what is on its way takes.
func (s *scene) none(box <-chan got) {
	s.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	select {
	case g := <-box:
		s.Errorf("message %q, %v; want none", short(g.text), g.err)
	default:
	}
}

func short(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%s... (%d bytes)", s[:60], len(s))
	}
	return s
}

// A peer is a connection that speaks MSRP as the story has it.
type peer struct {
	s    *scene
	conn net.Conn
	r    *frame.Reader
	to   string // of requests: the path of the session
	from string // our own
	n    int    // requests so far
}

const rawURI = "msrp://192.0.2.9:2855/raw;tcp"

// newPeer has a connection speak for the URI of a session.
func (s *scene) newPeer(conn net.Conn, x *msrp.Session) *peer {
	p := &peer{s: s, conn: conn, r: frame.NewReader(conn), from: rawURI}
	if x != nil {
		p.to = s.path(x).String()
	}
	s.Cleanup(func() { conn.Close() })
	return p
}

// calls connects to the host of a session, and says nothing yet.
func (s *scene) calls(x *msrp.Session) *peer {
	s.Helper()
	u := s.path(x)[0]
	conn, err := s.n.Host(raw).DialContext(s.Context(), "tcp", fmt.Sprintf("%s:%d", u.Host, u.Port))
	if err != nil {
		s.Fatal(err)
	}
	return s.newPeer(conn, x)
}

// rawPath is the path of the peer.
func rawPath(t testing.TB) frame.Path {
	t.Helper()
	p, err := frame.ParsePath(rawURI)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bound returns a session of Alice, and a peer that has connected to it and said so.
func (s *scene) bound(cfg *msrp.SessionConfig) (*msrp.Session, *peer) {
	s.Helper()
	x := s.session(alice, cfg)
	p := s.calls(x)
	if err := x.Connect(s.Context(), rawPath(s), false); err != nil {
		s.Fatal(err)
	}
	p.request("SEND", "Message-ID: hello")
	p.response(200)
	return x, p
}

// called returns a session of Alice that has connected to a peer, whose first SEND is answered.
func (s *scene) called(cfg *msrp.SessionConfig) (*msrp.Session, *peer) {
	s.Helper()
	x := s.session(alice, cfg)
	l, err := s.n.Host(raw).Listen(s.Context(), "tcp", ":2855")
	if err != nil {
		s.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() { done <- x.Connect(s.Context(), rawPath(s), true) }()
	conn, err := l.Accept()
	if err != nil {
		s.Fatal(err)
	}
	if err := <-done; err != nil {
		s.Fatal(err)
	}
	p := s.newPeer(conn, x)
	p.answer(p.next(), 200)
	return x, p
}

// write writes a text, with CRLF for each line end.
func (p *peer) write(text string) {
	p.s.Helper()
	if _, err := io.WriteString(p.conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		p.s.Fatal(err)
	}
}

func (p *peer) id() string {
	p.n++
	return fmt.Sprintf("raw%05d", p.n)
}

// request sends a request without a body, and returns its identifier.
func (p *peer) request(method string, fields ...string) string {
	p.s.Helper()
	id := p.id()
	p.write(fmt.Sprintf("MSRP %s %s\nTo-Path: %s\nFrom-Path: %s\n%s-------%s$\n", id, method, p.to, p.from, lines(fields), id))
	return id
}

func lines(fields []string) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f + "\n")
	}
	return b.String()
}

// chunk sends a chunk of a message in plain text: its Byte-Range is left out if it is "". flag is one of
// "$+#".
func (p *peer) chunk(message, byteRange, body, flag string, fields ...string) string {
	p.s.Helper()
	if byteRange != "" {
		fields = append([]string{"Byte-Range: " + byteRange}, fields...)
	}
	if !strings.Contains(strings.Join(fields, "\n"), "Content-Type") {
		fields = append(fields, "Content-Type: text/plain")
	}
	id := p.id()
	p.write(fmt.Sprintf("MSRP %s SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: %s\n%s\n", id, p.to, p.from, message, lines(fields)))
	if _, err := io.WriteString(p.conn, body); err != nil {
		p.s.Fatal(err)
	}
	p.write("\n-------" + id + flag + "\n")
	return id
}

// A read is a frame that the peer has read.
type read struct {
	*frame.Head
	body string
	flag frame.Flag
}

// tryNext reads a frame, and returns the error that comes instead: os.ErrDeadlineExceeded if
// nothing does for a time.
func (p *peer) tryNext(d time.Duration) (read, error) {
	p.conn.SetReadDeadline(time.Now().Add(d))
	defer p.conn.SetReadDeadline(time.Time{})
	h, err := p.r.Next()
	if err != nil {
		return read{}, err
	}
	f := read{Head: h.Clone()}
	for {
		piece, err := p.r.Body()
		f.body += string(piece)
		if err == io.EOF {
			f.flag = p.r.Flag()
			return f, nil
		}
		if err != nil {
			return f, err
		}
	}
}

func (p *peer) next() read {
	p.s.Helper()
	f, err := p.tryNext(3 * time.Minute)
	if err != nil {
		p.s.Fatalf("read: %v", err)
	}
	return f
}

// response reads a frame that has to be a response with a status.
func (p *peer) response(status frame.Status) read {
	p.s.Helper()
	f := p.next()
	if f.Method != "" || f.Status != status {
		p.s.Fatalf("got %v %s, want a response with %d", f.Head, f.body, int(status))
	}
	return f
}

// silent says that nothing comes for a time.
func (p *peer) silent(d time.Duration) {
	p.s.Helper()
	if f, err := p.tryNext(d); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.s.Errorf("got %v, %v; want nothing", f.Head, err)
	}
}

// closed says that the other end has closed the connection.
func (p *peer) closed() {
	p.s.Helper()
	if f, err := p.tryNext(time.Minute); !errors.Is(err, io.EOF) {
		p.s.Errorf("got %v, %v; want the end of the connection", f.Head, err)
	}
}

// answer answers a request.
func (p *peer) answer(req read, status frame.Status) {
	p.s.Helper()
	b, err := req.Response(status, p.from).Append(nil)
	if err != nil {
		p.s.Fatal(err)
	}
	p.write(strings.ReplaceAll(string(b), "\r\n", "\n") + "-------" + req.ID + "$\n")
}

// report sends a REPORT.
func (p *peer) report(message, byteRange, status string) {
	p.s.Helper()
	fields := []string{"Message-ID: " + message}
	if byteRange != "" {
		fields = append(fields, "Byte-Range: "+byteRange)
	}
	p.request("REPORT", append(fields, "Status: "+status)...)
}

// sends starts a Send, and returns where its error will be.
func (s *scene) sends(x *msrp.Session, m *msrp.Message) <-chan error {
	done := make(chan error, 1)
	go func() { done <- x.Send(s.Context(), m) }()
	return done
}

// sent waits for the end of a Send.
func (s *scene) sent(done <-chan error, want error) {
	s.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, want) {
			s.Errorf("Send() = %v, want %v", err, want)
		}
	case <-time.After(20 * time.Minute):
		s.Fatal("Send does not return")
	}
}

// busy says that a Send does not return, however long what is on its way takes.
func (s *scene) busy(done <-chan error) {
	s.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	select {
	case err := <-done:
		s.Errorf("Send() = %v, want that it waits", err)
	default:
	}
}

func text(s string) *msrp.Message { return &msrp.Message{Body: strings.NewReader(s)} }

// rebound has a session that has lost its connection offer again, and the peer connect again.
func (s *scene) rebound(x *msrp.Session) (<-chan got, *peer) {
	s.Helper()
	offer, err := x.Offer(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if err := x.Update(s.Context(), offer, section("msrp://192.0.2.9:9/again;tcp", "setup:active")); err != nil {
		s.Fatal(err)
	}
	p := s.calls(x)
	p.from = "msrp://192.0.2.9:9/again;tcp"
	p.request("SEND", "Message-ID: hello")
	p.response(200)
	return s.inbox(x), p
}

// section returns the section of a peer for plain text, with further attributes.
func section(path string, attributes ...string) *sdp.Media {
	p, err := frame.ParsePath(path)
	if err != nil {
		panic(err)
	}
	m := &sdp.Media{Type: "message", Proto: "TCP/MSRP", Formats: []string{"*"}, Address: p[0].Host, Port: int(p[0].Port)}
	if p[0].Secure {
		m.Proto = "TCP/TLS/MSRP"
	}
	for _, a := range append([]string{"path:" + path, "accept-types:text/plain"}, attributes...) {
		name, value, _ := strings.Cut(a, ":")
		m.Attributes = append(m.Attributes, sdp.Attribute{Name: name, Value: value})
	}
	return m
}

// agree has a session and a peer agree again, with an offer of ours.
func (s *scene) agree(x *msrp.Session, answer *sdp.Media) {
	s.Helper()
	offer, err := x.Offer(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	offer.Direction = answer.Direction.Reverse()
	if err := x.Update(s.Context(), offer, answer); err != nil {
		s.Fatal(err)
	}
}
