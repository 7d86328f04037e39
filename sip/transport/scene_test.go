package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// scene is two machines on a network. The endpoint under test is bob's; alice
// is a peer of bare sockets.
type scene struct {
	*testing.T
	n          *siptest.Network
	alice, bob *siptest.Host
	began      time.Time
	log        bytes.Buffer // what the endpoints log
	logger     *slog.Logger
}

const (
	aliceAddr = "192.0.2.1:5060"
	bobAddr   = "192.0.2.2:5060"
)

// play runs a story in a bubble. When it ends the bubble sees to it that no
// goroutine is left.
func play(t *testing.T, config *siptest.NetworkConfig, story func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(config)
		s := &scene{T: t, n: n, alice: n.Host("192.0.2.1"), bob: n.Host("192.0.2.2"), began: time.Now()}
		s.logger = slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		story(s)
	})
}

// at checks the time that has passed.
func (s *scene) at(want time.Duration) {
	s.Helper()
	if got := time.Since(s.began); got != want {
		s.Errorf("at %v, want %v", got, want)
	}
}

// wait lets time pass.
func (s *scene) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// inbox keeps what an endpoint hands over, and what it traces.
type inbox struct {
	*Endpoint
	mu        sync.Mutex
	got       []*Inbound
	sent      []TraceMessage
	received  []TraceMessage
	malformed []TraceMessage
}

// listen makes an endpoint at bob's port 5060, or as cfg says.
func (s *scene) listen(cfg *Config) *inbox {
	s.Helper()
	in := &inbox{}
	c := Config{}
	if cfg != nil {
		c = *cfg
	}
	if c.Listen == nil {
		c.Listen = []string{"udp:" + bobAddr, "tcp:" + bobAddr}
	}
	if c.Network == nil {
		c.Network = s.bob
	}
	handle := c.Handle
	c.Handle = func(m *Inbound) {
		in.mu.Lock()
		in.got = append(in.got, m)
		in.mu.Unlock()
		if handle != nil {
			handle(m)
		}
	}
	keep := func(to *[]TraceMessage) func(TraceMessage) {
		return func(m TraceMessage) {
			in.mu.Lock()
			defer in.mu.Unlock()
			*to = append(*to, m)
		}
	}
	if c.Trace == nil {
		c.Trace = &Trace{Sent: keep(&in.sent), Received: keep(&in.received), Malformed: keep(&in.malformed)}
	}
	c.Logger = s.logger
	e, err := Listen(&c)
	if err != nil {
		s.Fatal(err)
	}
	in.Endpoint = e
	s.Cleanup(func() { e.Close() })
	return in
}

// take returns the messages handed over since it was last called.
func (in *inbox) take() []*Inbound {
	synctest.Wait()
	in.mu.Lock()
	defer in.mu.Unlock()
	got := in.got
	in.got = nil
	return got
}

// one returns the message handed over since the last call, which must be one.
func (s *scene) one(in *inbox) *Inbound {
	s.Helper()
	got := in.take()
	if len(got) != 1 {
		s.Fatalf("%d messages were handed over, want 1", len(got))
	}
	return got[0]
}

func (s *scene) none(in *inbox) {
	s.Helper()
	if got := in.take(); len(got) != 0 {
		s.Errorf("%.300q was handed over, want nothing", got[0].Message)
	}
}

// socket is a peer that speaks UDP.
type peerSocket struct {
	s *scene
	net.PacketConn
}

func (s *scene) peerSocket(h *siptest.Host, address string) *peerSocket {
	s.Helper()
	pc, err := h.ListenPacket(s.Context(), "udp", address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { pc.Close() })
	return &peerSocket{s, pc}
}

func (c *peerSocket) send(text, to string) {
	c.s.Helper()
	if _, err := c.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))); err != nil {
		c.s.Fatal(err)
	}
}

// receive returns the next datagram and where it came from; "" after a second
// in which none came.
func (c *peerSocket) receive() (text, from string) {
	c.s.Helper()
	c.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 65536)
	n, addr, err := c.ReadFrom(b)
	if err != nil {
		return "", ""
	}
	return string(b[:n]), addr.String()
}

// stream is a peer that speaks TCP.
type peerStream struct {
	s *scene
	net.Conn
}

func (s *scene) dial(h *siptest.Host, address string) *peerStream {
	s.Helper()
	c, err := h.DialContext(s.Context(), "tcp", address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	return &peerStream{s, c}
}

func (c *peerStream) send(text string) {
	c.s.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.s.Fatal(err)
	}
}

// receive returns what has arrived within a second.
func (c *peerStream) receive() string {
	c.s.Helper()
	c.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 1<<20)
	n, _ := c.Read(b)
	return string(b[:n])
}

// isClosed reports whether the peer has closed the connection.
func (c *peerStream) isClosed() bool {
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

// accepting counts and keeps the connections made to a listener.
type accepting struct {
	net.Listener
	mu    sync.Mutex
	conns []*peerStream
}

func (s *scene) accept(h *siptest.Host, address string) *accepting {
	s.Helper()
	l, err := h.Listen(s.Context(), "tcp", address)
	if err != nil {
		s.Fatal(err)
	}
	a := &accepting{Listener: l}
	s.Cleanup(func() { l.Close() })
	go func() { // ends when the listener is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.conns = append(a.conns, &peerStream{s, c})
			a.mu.Unlock()
		}
	}()
	return a
}

func (a *accepting) all() []*peerStream {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conns
}

// message writes a message with the usual header fields. A line "Name: value"
// in more replaces that field or is added; "Name:" alone removes it.
func message(start string, more ...string) string {
	method, _, _ := strings.Cut(start, " ")
	if method == "SIP/2.0" {
		method = "OPTIONS"
	}
	lines := []string{
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa",
		"Max-Forwards: 70",
		"From: <sip:alice@192.0.2.1>;tag=a",
		"To: <sip:bob@192.0.2.2>",
		"Call-ID: 1@192.0.2.1",
		"CSeq: 1 " + method,
		"Content-Length: 0",
	}
	body := ""
next:
	for _, m := range more {
		name, value, isLine := strings.Cut(m, ":")
		if !isLine || strings.HasPrefix(m, "\n") {
			body = strings.TrimPrefix(m, "\n")
			continue
		}
		for i, l := range lines {
			if strings.HasPrefix(l, name+":") {
				lines[i] = m
				if value == "" {
					lines = append(lines[:i], lines[i+1:]...)
				}
				continue next
			}
		}
		lines = append(lines, m)
	}
	return start + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

const options = "OPTIONS sip:bob@192.0.2.2 SIP/2.0"

// parse parses a message that the test knows to be good.
func parse[M sip.Message](t testing.TB, text string) M {
	t.Helper()
	m, err := sip.Parse(text)
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return m.(M)
}

// outgoing returns a request without Via, as the layer above makes it.
func outgoing(t testing.TB, more ...string) *sip.Request {
	t.Helper()
	return parse[*sip.Request](t, message(options, more...)).With(sip.Del("Via"))
}

func target(network, addr string) resolve.Target {
	return resolve.Target{Transport: network, Addr: netip.MustParseAddrPort(addr)}
}

// contains checks that text has a part.
func (s *scene) contains(text, part string) {
	s.Helper()
	if !strings.Contains(text, part) {
		s.Errorf("%q was sent, want %q in it", text, part)
	}
}

// timedOut checks that an error says what was waited for, for longer than we do, and
// not for longer than a context of the program's lets us.
func (s *scene) timedOut(err error, want string) {
	s.Helper()
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || !op.Timeout() || op.Error() != want || errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("err = %v, want the timeout %q", err, want)
	}
}

// stats checks the counters.
func (s *scene) stats(in *inbox, want Stats) {
	s.Helper()
	synctest.Wait()
	if got := in.Stats(); got != want {
		s.Errorf("Stats() = %+v, want %+v", got, want)
	}
}

// tables checks how much an endpoint remembers: connections, routes.
func (s *scene) tables(in *inbox, conns, routes int) {
	s.Helper()
	synctest.Wait()
	in.Endpoint.mu.Lock()
	defer in.Endpoint.mu.Unlock()
	listed := map[any]struct{}{} // a connection may have several keys
	for key, entry := range in.conns {
		if entry.conn != nil {
			listed[entry.conn] = struct{}{}
		} else {
			listed[key] = struct{}{}
		}
	}
	if got := len(listed); got != conns {
		s.Errorf("%d connections in the table, want %d", got, conns)
	}
	if got := len(in.live); got != conns {
		s.Errorf("%d connections open, want %d", got, conns)
	}
	if got := len(in.routes); got > routes {
		s.Errorf("%d routes in the table, want at most %d", got, routes)
	}
}

var background = context.Background()

// siptestRecord is a perfect network that keeps what is sent.
var siptestRecord = siptest.NetworkConfig{Record: true}

// countingNetwork counts the streams dialled.
type countingNetwork struct {
	Network
	dials atomic.Int64
}

func (n *countingNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "tcp" {
		n.dials.Add(1)
	}
	return n.Network.DialContext(ctx, network, address)
}

// twoAddresses is a machine with two addresses, the second of which leads
// nowhere.
type twoAddresses struct {
	Network
	second Network
}

func (n twoAddresses) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	pc, err := n.Network.ListenPacket(ctx, network, address)
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return n.second.ListenPacket(ctx, network, address)
	}
	return pc, err
}
