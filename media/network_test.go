package media

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
)

// A wire is a network in memory. In a synctest bubble it takes no real time.
type wire struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*wireConn
	port  uint16

	// fate is asked for every datagram, with the lock held, what becomes of
	// it: nil delivers all at once.
	fate func(from, to netip.AddrPort, b []byte) (delay time.Duration, lost bool)
}

func newWire() *wire { return &wire{conns: make(map[netip.AddrPort]*wireConn), port: 40000} }

// A wireHost is the Network of one host on a wire.
type wireHost struct {
	wire *wire
	ip   netip.Addr
}

func (w *wire) host(ip string) wireHost { return wireHost{w, netip.MustParseAddr(ip)} }

func (h wireHost) ListenPacket(_ context.Context, _, address string) (net.PacketConn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		h.ip = ip
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	w := h.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	for n == 0 {
		w.port++
		if w.conns[netip.AddrPortFrom(h.ip, w.port)] == nil {
			n = uint64(w.port)
		}
	}
	at := netip.AddrPortFrom(h.ip, uint16(n))
	if w.conns[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: "udp", Err: os.NewSyscallError("bind", os.ErrExist)}
	}
	c := &wireConn{wire: w, at: at, in: make(chan datagram, 64), closed: make(chan struct{})}
	w.conns[at] = c
	return c, nil
}

func (w *wire) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
}

type datagram struct {
	from netip.AddrPort
	b    []byte
}

type wireConn struct {
	wire   *wire
	at     netip.AddrPort
	in     chan datagram
	once   sync.Once
	closed chan struct{}
	net.PacketConn
}

func (c *wireConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-c.in:
		return copy(b, d.b), d.from, nil
	case <-c.closed:
		return 0, netip.AddrPort{}, &net.OpError{Op: "read", Net: "udp", Err: net.ErrClosed}
	}
}

func (c *wireConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	w := c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	d := datagram{c.at, append([]byte(nil), b...)}
	var delay time.Duration
	if w.fate != nil {
		var lost bool
		if delay, lost = w.fate(c.at, to, d.b); lost {
			return len(b), nil
		}
	}
	deliver := func() {
		if peer := w.conns[to]; peer != nil {
			select {
			case peer.in <- d:
			default: // its buffer is full
			}
		}
	}
	if delay > 0 {
		time.AfterFunc(delay, func() { w.mu.Lock(); deliver(); w.mu.Unlock() })
	} else {
		deliver()
	}
	return len(b), nil
}

func (c *wireConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.at) }

func (c *wireConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.wire.mu.Lock()
		delete(c.wire.conns, c.at)
		c.wire.mu.Unlock()
	})
	return nil
}

// pass lets time pass, and waits until all that then happens has happened.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// connect lets caller offer and callee answer, as a user agent would.
func connect(t *testing.T, caller, callee *Audio) {
	t.Helper()
	ctx := t.Context()
	offer, err := caller.Offer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := callee.Answer(ctx, offer)
	if err != nil || answer == nil {
		t.Fatalf("Answer() = %v, %v, want a section", answer, err)
	}
	update(t, caller, callee, offer, answer)
}

func update(t *testing.T, caller, callee *Audio, offer, answer *sdp.Media) {
	t.Helper()
	offer, answer = offer.Clone(), answer.Clone()
	answer.Direction = offer.Direction.Answer(answer.Direction)
	offer.Direction = answer.Direction.Reverse()
	if err := callee.Update(t.Context(), answer, offer); err != nil {
		t.Fatal(err)
	}
	if err := caller.Update(t.Context(), offer, answer); err != nil {
		t.Fatal(err)
	}
}

func closed(t *testing.T, streams ...*Audio) {
	t.Helper()
	for _, a := range streams {
		if err := a.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
}
