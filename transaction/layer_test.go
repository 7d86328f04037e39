package transaction

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// story runs f in fake time on a network where a packet takes 10 ms. Every
// layer in it is checked in the end to have nothing left.
func story(t *testing.T, f func(t *testing.T, n *siptest.Network)) {
	t.Helper()
	storyOn(t, siptest.NetworkConfig{Delay: 10 * time.Millisecond, Record: true}, f)
}

func storyOn(t *testing.T, cfg siptest.NetworkConfig, f func(t *testing.T, n *siptest.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, siptest.NewNetwork(&cfg)) })
}

const (
	aliceAddr = "192.0.2.1"
	bobAddr   = "192.0.2.2"
	bobURI    = "sip:bob@192.0.2.2"
)

// listen makes a layer on a host of the in-memory network.
func listen(t testing.TB, host *siptest.Host, cfg *Config) *Layer {
	t.Helper()
	return listenAsking(t, host, nil, cfg)
}

// listenAsking is listen with a resolver.
func listenAsking(t testing.TB, host *siptest.Host, names resolve.Resolver, cfg *Config) *Layer {
	t.Helper()
	if cfg == nil {
		cfg = &Config{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	at := netip.AddrPortFrom(host.Addr(), 5060).String()
	l, err := Listen(&transport.Config{Listen: []string{"udp:" + at, "tcp:" + at}, Network: host, Resolver: names, Logger: cfg.Logger}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if _, ok := t.(*testing.T); ok {
		t.Cleanup(func() { nothingLeft(t, l) })
	}
	return l
}

// nothingLeft lets five minutes pass, and checks that every table is empty.
func nothingLeft(t testing.TB, l *Layer) {
	t.Helper()
	pass(5 * time.Minute)
	if n := l.overload.waiting.Load(); n != 0 {
		t.Errorf("%d requests wait for overload control", n)
	}
	if got := tallyOf(l); got != (tally{}) {
		t.Errorf("left in the layer: %+v", got)
	}
}

// tally is what there is in a layer.
type tally struct {
	servers, clients, merged, waiting, lines, byFlow, alarms, handlers, open, bytes, calls int
}

func tallyOf(l *Layer) (n tally) {
	for _, t := range l.tables.tables {
		t.mu.Lock()
		n.servers += len(t.servers.m)
		n.clients += len(t.clients.m)
		n.byFlow += len(t.byFlow)
		t.mu.Unlock()
		t.alarms.mu.Lock()
		for _, b := range t.alarms.buckets {
			for a := b.first; a != nil; a = a.next {
				n.alarms++
			}
		}
		t.alarms.mu.Unlock()
	}
	for _, line := range l.lines {
		line.mu.Lock()
		n.merged += len(line.merged.m)
		n.lines += len(line.waiting.m)
		line.mu.Unlock()
	}
	n.waiting = int(l.waiting.Load())
	n.handlers, n.open = int(l.handlers.Load()), int(l.open.Load())
	n.bytes, n.calls = int(l.bytes.Load()), int(l.calls.Load())
	return n
}

// pass lets fake time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// request makes a request of alice's, the first of a call.
func request(method sip.Method, uri string, edits ...sip.Edit) *sip.Request {
	u, err := sip.ParseURI(uri)
	if err != nil {
		panic(err)
	}
	return sip.NewRequest(method, u,
		sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "a.example"}, Params: ";tag=1"},
		sip.To{URI: u},
		sip.CallID("call-1"),
		sip.CSeq{Seq: 1, Method: method}).With(edits...)
}

// inDialog makes a request within the dialog that a response set up.
func inDialog(method sip.Method, seq uint32, resp *sip.Response) *sip.Request {
	return request(method, bobURI, resp.To(), sip.CallID(resp.CallID()), sip.CSeq{Seq: seq, Method: method})
}

// collect runs a request to its end and returns what was yielded, such as
// "180 200" or "180 error".
func collect(ctx context.Context, l *Layer, r *sip.Request) (got string, err error) {
	var words []string
	for resp, e := range l.Responses(ctx, r) {
		if e != nil {
			words, err = append(words, "error"), e
			continue
		}
		words = append(words, fmt.Sprint(int(resp.Status())))
	}
	return strings.Join(words, " "), err
}

// expect is collect for a request of which nothing but got is expected.
func expect(t *testing.T, l *Layer, r *sip.Request, want string) {
	t.Helper()
	if got, err := collect(t.Context(), l, r); got != want || err != nil {
		t.Errorf("%s: responses %q, error %v, want %q", r.Method(), got, err, want)
	}
}

// label names a packet: "INVITE", or "180 INVITE" for a response.
func label(data []byte) string {
	m, err := sip.Parse(string(data))
	switch m := m.(type) {
	case *sip.Request:
		return string(m.Method())
	case *sip.Response:
		return fmt.Sprintf("%d %s", int(m.Status()), m.CSeq().Method)
	}
	return fmt.Sprint(err)
}

// lose has the network lose the next packet of each label given.
func lose(n *siptest.Network, labels ...string) {
	n.SetFilter(func(p siptest.Packet) (v siptest.Verdict) {
		is := label(p.Data)
		for i, l := range labels {
			if l == is {
				labels[i] = ""
				v.Drop = true
				return v
			}
		}
		return v
	})
}

// ladder checks what was sent so far: ">" from alice, "<" from bob, "x" lost.
func ladder(t *testing.T, n *siptest.Network, start time.Time, want string) {
	t.Helper()
	ladderTo(t, n, start, 1, want)
}

// ladderTo is ladder with times that are rounded: alarms of long waits may ring
// late.
func ladderTo(t *testing.T, n *siptest.Network, start time.Time, precision time.Duration, want string) {
	t.Helper()
	var got strings.Builder
	for _, p := range n.Packets() {
		arrow, lost := "<", ""
		if p.From.Addr().String() == aliceAddr {
			arrow = ">"
		}
		if p.Lost {
			lost = " x"
		}
		if len(p.Data) > 0 {
			fmt.Fprintf(&got, "%7v %s %s%s\n", p.Time.Sub(start).Round(precision), arrow, label(p.Data), lost)
		}
	}
	trim := func(s string) string {
		var out []string
		for line := range strings.Lines(s) {
			if f := strings.Fields(line); len(f) > 0 {
				out = append(out, strings.Join(f, " "))
			}
		}
		return strings.Join(out, "\n")
	}
	if trim(got.String()) != trim(want) {
		t.Errorf("on the wire:\n%swant:\n%s", got.String(), want)
	}
}

// journal is what handlers note from their goroutines.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) check(t *testing.T, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if got := strings.Join(j.lines, ", "); got != strings.Join(want, ", ") {
		t.Errorf("noted %q, want %q", got, strings.Join(want, ", "))
	}
}

// answer is a handler that answers an INVITE with these, and all else with 200.
func answer(statuses ...sip.Status) func(*Server, *sip.Request) {
	return func(tx *Server, req *sip.Request) {
		switch req.Method() {
		case sip.ACK:
		case sip.INVITE:
			for _, s := range statuses {
				tx.Reply(s)
			}
		default:
			tx.Reply(sip.StatusOK)
		}
	}
}

// A cancelled context is a CANCEL: the handler's context ends, the CANCEL gets
// 200, and the INVITE 487.
func TestContextIsCancel(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var cause error
				listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
					tx.Reply(sip.StatusRinging)
					<-tx.Context().Done()
					cause = context.Cause(tx.Context())
				}})
				alice := listen(t, n.Host(aliceAddr), nil)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				got, err := collect(ctx, alice, request(sip.INVITE, bobURI+";transport="+transport))
				if got != "180 487" || err != nil {
					t.Errorf("responses %q, %v, want 180 and 487", got, err)
				}
				if !errors.Is(cause, ErrCancelled) {
					t.Errorf("the handler's context ended with %v, want %v", cause, ErrCancelled)
				}
			})
		})
	}
}

// A Layer without sockets of its own is a client over what it connects to.
func TestListenOnNothing(t *testing.T) {
	l, err := Listen(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}
