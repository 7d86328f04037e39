package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// The places of the stories.
const (
	aliceAddr = "192.0.2.1"
	proxyAddr = "192.0.2.3"
	bobAddr   = "192.0.2.11"
	carolAddr = "192.0.2.12"
	aor       = "sip:bob@example.com"
)

var quiet = slog.New(slog.DiscardHandler)

// A scene is a network in fake time where a packet takes 10 ms, and who is on it.
type scene struct {
	*testing.T
	net   *siptest.Network
	start time.Time

	mu    sync.Mutex
	lines []string
}

// play runs a story.
func play(t *testing.T, f func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond, Record: true, Queue: 1 << 12})
		f(&scene{T: t, net: n, start: time.Now()})
	})
}

// note writes down what happened, when.
func (s *scene) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// noted checks what was written down since it was last checked.
func (s *scene) noted(want ...string) {
	s.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := strings.Join(s.lines, ", "); got != strings.Join(want, ", ") {
		s.Errorf("noted %q, want %q", got, strings.Join(want, ", "))
	}
	s.lines = nil
}

// notedAll is noted for what happens at once, in any order.
func (s *scene) notedAll(want ...string) {
	s.Helper()
	synctest.Wait()
	s.mu.Lock()
	slices.Sort(s.lines)
	s.mu.Unlock()
	slices.Sort(want)
	s.noted(want...)
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func on(t testing.TB, n *siptest.Network, host string, kinds ...string) *transport.Config {
	if kinds == nil {
		kinds = []string{"udp", "tcp"}
	}
	tc := &transport.Config{Network: n.Host(host), Logger: quiet}
	for _, kind := range kinds {
		tc.Listen = append(tc.Listen, kind+":"+netip.AddrPortFrom(netip.MustParseAddr(host), 5060).String())
	}
	return tc
}

// proxy runs a Proxy.
func (s *scene) proxy(host string, cfg *Config) *Proxy {
	s.Helper()
	p, err := Listen(on(s, s.net, host), cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		pass(5 * time.Minute)
		p.Close()
	})
	return p
}

// ua runs a user agent. handler may be nil.
func (s *scene) ua(host string, handler func(tx *transaction.Server, req *sip.Request)) *transaction.Layer {
	s.Helper()
	l, err := transaction.Listen(on(s, s.net, host), &transaction.Config{Handler: handler, Merged: true,
		Accepted: func(_ *sip.Request, resp *sip.Response) {
			s.note("%s further %d", host, int(resp.Status()))
		}})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { l.Close() })
	return l
}

// phone is a user agent that answers an INVITE with these and all else with 200.
// It notes what it gets under its name, and a CANCEL.
func (s *scene) phone(name, host string, statuses ...sip.Status) *transaction.Layer {
	return s.ua(host, func(tx *transaction.Server, req *sip.Request) {
		s.note("%s %s", name, req.Method())
		switch req.Method() {
		case sip.ACK:
			return
		case sip.INVITE:
		default:
			tx.Reply(sip.StatusOK)
			return
		}
		contact := sip.Contact{URI: uri("sip:" + name + "@" + host)}
		for _, status := range statuses {
			if tx.Reply(status, contact) != nil {
				return
			}
			if !status.Final() {
				<-time.After(100 * time.Millisecond)
			}
		}
		if !statuses[len(statuses)-1].Final() {
			<-tx.Context().Done()
			s.note("%s cancelled", name)
		}
	})
}

func uri(text string) sip.URI {
	u, err := sip.ParseURI(text)
	if err != nil {
		panic(err)
	}
	return u
}

// request makes a request of alice's, the first of a call.
func request(method sip.Method, to string, edits ...sip.Edit) *sip.Request {
	u := uri(to)
	return sip.NewRequest(method, u,
		sip.MaxForwards(70),
		sip.From{URI: uri("sip:alice@a.example"), Params: ";tag=1"},
		sip.To{URI: u},
		sip.Contact{URI: uri("sip:alice@" + aliceAddr)},
		sip.CallID("call-1"),
		sip.CSeq{Seq: 1, Method: method}).With(edits...)
}

// by is a Route to a host, as a client has it that is configured with a proxy.
func by(hosts ...string) sip.Edit {
	var list []sip.Route
	for _, host := range hosts {
		list = append(list, sip.Route{URI: uri("sip:" + host + ";lr")})
	}
	return sip.List(list...)
}

// collect runs a request to its end and returns what came, such as "180 200".
func collect(ctx context.Context, l *transaction.Layer, r *sip.Request) (string, *sip.Response) {
	var words []string
	var last *sip.Response
	for resp, err := range l.Responses(ctx, r) {
		if err != nil {
			words = append(words, err.Error())
			continue
		}
		words = append(words, fmt.Sprint(int(resp.Status())))
		last = resp
	}
	return strings.Join(words, " "), last
}

// expect is collect where nothing but this is expected.
func (s *scene) expect(l *transaction.Layer, r *sip.Request, want string) *sip.Response {
	s.Helper()
	got, last := collect(s.Context(), l, r)
	if got != want {
		s.Errorf("%s: responses %q, want %q", r.Method(), got, want)
	}
	if last == nil {
		s.Fatalf("%s: no response", r.Method())
	}
	return last
}

// within makes a request within the dialog that a response has set up.
func within(method sip.Method, seq uint32, resp *sip.Response) *sip.Request {
	contact, err := sip.Get[sip.Contact](resp)
	if err != nil {
		panic(err)
	}
	var set []sip.Route
	for rr := range sip.All[sip.RecordRoute](resp) {
		set = append([]sip.Route{sip.Route(rr)}, set...)
	}
	return request(method, contact.URI.String(), resp.To(), sip.CSeq{Seq: seq, Method: method}, sip.List(set...))
}

// A wire is a socket of no layer: it says what it is told to, and shows what
// comes as it came.
type wire struct {
	s    *scene
	conn net.PacketConn
	addr netip.AddrPort
	to   net.Addr
}

func (s *scene) wire(host string) *wire {
	s.Helper()
	conn, err := s.net.Host(host).ListenPacket(s.Context(), "udp", host+":5060")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	return &wire{s, conn, netip.AddrPortFrom(netip.MustParseAddr(host), 5060),
		net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(proxyAddr), 5060))}
}

// send sends a message; a request without a Via gets one.
func (w *wire) send(m sip.Message) {
	w.s.Helper()
	if req, ok := m.(*sip.Request); ok && req.Via().Host == "" {
		m = req.With(sip.Push(sip.Via{Transport: "UDP", Host: w.addr.Addr().String(), Params: ";branch=z9hG4bKwire"}))
	}
	if m.Err() != nil {
		w.s.Fatal(m.Err())
	}
	if _, err := w.conn.WriteTo([]byte(m.String()), w.to); err != nil {
		w.s.Fatal(err)
	}
}

// next returns the next message, nil if none comes in a second.
func (w *wire) next() sip.Message {
	w.s.Helper()
	w.conn.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 1<<16)
	n, _, err := w.conn.ReadFrom(buf)
	if err != nil {
		return nil
	}
	m, err := sip.Parse(string(buf[:n]))
	if err != nil {
		w.s.Fatalf("%v in %q", err, buf[:n])
	}
	return m
}

// request returns the next message, which must be a request of that method.
func (w *wire) request(method sip.Method) *sip.Request {
	w.s.Helper()
	req, ok := w.next().(*sip.Request)
	if !ok || req.Method() != method {
		w.s.Fatalf("got %v, want %s", req, method)
	}
	return req
}

// response returns the next message, which must be a response with that status.
func (w *wire) response(status sip.Status) *sip.Response {
	w.s.Helper()
	resp, ok := w.next().(*sip.Response)
	if !ok || resp.Status() != status {
		w.s.Fatalf("got %v, want %d", resp, int(status))
	}
	return resp
}
