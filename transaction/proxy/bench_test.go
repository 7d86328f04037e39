package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/internal/race"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// A pipe is a network of one socket: what is read from it comes from a channel,
// and what is written to it goes to a function.
type pipe struct {
	transport.Network
	in    chan []byte
	out   func(b []byte, to net.Addr)
	close func()
	done  chan struct{}
}

func newPipe(n *siptest.Network, out func([]byte, net.Addr)) *pipe {
	p := &pipe{Network: n.Host(proxyAddr), in: make(chan []byte, 256), out: out, done: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.done) })
	return p
}

func (p *pipe) ListenPacket(context.Context, string, string) (net.PacketConn, error) { return p, nil }

var fromAlice = &net.UDPAddr{IP: net.ParseIP(aliceAddr), Port: 5060}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case m := <-p.in:
		return copy(b, m), fromAlice, nil
	case <-p.done:
		return 0, nil, net.ErrClosed
	}
}

func (p *pipe) WriteTo(b []byte, to net.Addr) (int, error) { p.out(b, to); return len(b), nil }
func (p *pipe) Close() error                               { p.close(); return nil }
func (p *pipe) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(proxyAddr + ":5060"))
}
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// message is what phones send: an INVITE with a body, by an outbound proxy.
func message(method string, n int) []byte {
	const body = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
	return fmt.Appendf(nil, "%s sip:bob@192.0.2.11 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%010d;rport\r\n"+
		"Route: <sip:192.0.2.3;lr>\r\nMax-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@example.com>;tag=88sja8x\r\nTo: <sip:bob@example.com>\r\n"+
		"Call-ID: %010d@192.0.2.1\r\nCSeq: 1 %s\r\nContact: <sip:alice@192.0.2.1:5060>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"+
		"User-Agent: Phone 1.0\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", method, n, n, method, len(body), body)
}

// BenchmarkStateless is a request in and out without a transaction: to read it,
// parse it, edit it, and write it, all of it but the system calls.
func BenchmarkStateless(b *testing.B) {
	sent := make(chan struct{}, 1024)
	n := newPipe(siptest.NewNetwork(nil), func([]byte, net.Addr) { sent <- struct{}{} })
	p, err := Listen(&transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: n, MaxRate: -1, Logger: quiet},
		&Config{Stateless: func(*sip.Request, Arrival) (Target, bool) { return Target{}, true }})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	m := message("INVITE", 1)
	b.ReportAllocs()
	for range b.N {
		n.in <- m
		<-sent
	}
}

// BenchmarkStatelessPipelined is the same for one request after the other, as
// under load.
func BenchmarkStatelessPipelined(b *testing.B) {
	sent := make(chan struct{}, 1<<16)
	n := newPipe(siptest.NewNetwork(nil), func([]byte, net.Addr) { sent <- struct{}{} })
	p, err := Listen(&transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: n, MaxRate: -1, Logger: quiet},
		&Config{Stateless: func(*sip.Request, Arrival) (Target, bool) { return Target{}, true }})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	m := message("INVITE", 1)
	b.ReportAllocs()
	go func() { // ends with the last
		for range b.N {
			n.in <- m
		}
	}()
	for range b.N {
		<-sent
	}
}

// work is what the proxy itself does with a request without a transaction: all
// but to read, to look up and to send.
func work(tb testing.TB) func() {
	ep, err := transport.Listen(&transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: siptest.NewNetwork(nil).Host(proxyAddr), Logger: quiet})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ep.Close() })
	p := &Proxy{cfg: Config{MaxBreadth: 60}}
	p.tc.Listen = []string{"udp:192.0.2.3:5060"}
	m, err := sip.Parse(string(message("INVITE", 1)))
	if err != nil {
		tb.Fatal(err)
	}
	req := m.(*sip.Request)
	return func() {
		var own route
		pass := passage{p: p, ep: ep, counted: true, relay: true}
		out, m, ok := pass.ready(&own, req)
		if !ok {
			tb.Fatal("the request was refused")
		}
		p.key.statelessBranch(req.Via(), req, m)
		way, err := pass.way(out, &Target{})
		if err != nil {
			tb.Fatal(err)
		}
		way.isReliable()
		if _, err := pass.prepare(out, way); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkStatelessWork(b *testing.B) {
	f := work(b)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

// One copy of the request, a branch, and the Route that is read.
func TestStatelessAllocations(t *testing.T) {
	if got, want := testing.AllocsPerRun(1000, work(t)), 3.0+race.PoolMisses; got > want {
		t.Errorf("%v allocations, want %v at most", got, want)
	}
}

// BenchmarkForward is an INVITE transaction through the proxy: INVITE, 180 and
// 486 with its ACK, the callee included.
func BenchmarkForward(b *testing.B) {
	for _, route := range []bool{false, true} {
		b.Run(fmt.Sprintf("record-route=%v", route), func(b *testing.B) { benchmarkForward(b, route) })
	}
}

func benchmarkForward(b *testing.B, route bool) {
	answered := make(chan struct{}, 64)
	var current atomic.Int64
	var n *pipe
	n = newPipe(siptest.NewNetwork(nil), func(m []byte, to net.Addr) {
		switch {
		case bytes.HasPrefix(m, []byte("INVITE")):
			ringing, busy := answers(m)
			n.in <- ringing
			n.in <- busy
		case bytes.HasPrefix(m, []byte("SIP/2.0 486")):
			// Once, though it is said again if the ACK is late.
			if i := current.Load(); bytes.Contains(m, fmt.Appendf(nil, "z9hG4bK%010d", i)) && current.CompareAndSwap(i, -1) {
				answered <- struct{}{}
			}
		}
	})
	timers := transaction.Timers{T1: 10 * time.Millisecond, T4: 10 * time.Millisecond, D: time.Millisecond}
	p, err := Listen(&transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: n, MaxRate: -1, Logger: quiet},
		&Config{Handler: relay, RecordRoute: route, Transaction: &transaction.Config{Timers: timers}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for i := range b.N {
		current.Store(int64(i))
		n.in <- message("INVITE", i)
		<-answered
		n.in <- []byte(strings.Replace(string(message("ACK", i)), "<sip:bob@example.com>", "<sip:bob@example.com>;tag=b", 1))
	}
}

// answers makes a 180 and a 486 of the text of an INVITE.
func answers(m []byte) (ringing, busy []byte) {
	var head []byte
	for line := range bytes.Lines(m) {
		switch {
		case bytes.HasPrefix(line, []byte("Via:")), bytes.HasPrefix(line, []byte("From:")), bytes.HasPrefix(line, []byte("Call-ID:")), bytes.HasPrefix(line, []byte("CSeq:")):
			head = append(head, line...)
		case bytes.HasPrefix(line, []byte("To:")):
			head = append(append(head, bytes.TrimRight(line, "\r\n")...), ";tag=b\r\n"...)
		}
	}
	head = append(head, "Content-Length: 0\r\n\r\n"...)
	return append([]byte("SIP/2.0 180 Ringing\r\n"), head...), append([]byte("SIP/2.0 486 Busy Here\r\n"), head...)
}
