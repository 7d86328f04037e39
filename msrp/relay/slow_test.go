package relay_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// slow is a connection on which n bytes can be read after each pause.
type slow struct {
	net.Conn
	n     int
	pause time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.Conn.Read(p[:min(len(p), s.n)])
}

// swallow reads to the end of the connection, answers nothing, and returns how many bytes there were in
// chunks.
func (p *raw) swallow() (n int) {
	p.nc.SetReadDeadline(time.Time{})
	for {
		if _, err := p.in.Next(); err != nil {
			return n
		}
		for {
			piece, err := p.in.Body()
			if n += len(piece); err != nil {
				break
			}
		}
	}
}

// A receiver at 64 kbit/s gets everything, and what its sender has for others takes as long. One that
// takes a byte or a message now and then holds the others up for no longer than one that takes nothing.
func TestSlowReceiverOrTrickle(t *testing.T) {
	for _, c := range []struct {
		n       int // bytes that bob takes
		pause   time.Duration
		size    int // of each message
		trickle bool
	}{
		{1, 10 * time.Second, 4 << 20, true},
		{1, 10 * time.Second, 200, true},
		{700, 15 * time.Second, 200, true},
		{700, 15 * time.Second, 2000, true},
		{8000, time.Second, 4 << 20, false},
		{8000, time.Second, 10000, false},
		{8000, time.Second, 2000, false},
		{8000, time.Second, 200, false},
		{8000, time.Second, 1, false},
	} {
		t.Run(fmt.Sprintf("%d bytes in %v of %d", c.n, c.pause, c.size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.relay(example, relay.Config{})
				alice, a := w.client("alice", example)
				bob, b := w.client("bob", example)
				carol, cu := w.client("carol", example)
				bob.in = frame.NewReader(&slow{bob.nc, c.n, c.pause})
				began, messages, n := time.Now(), min(20_000, (4<<20)/c.size), 0
				var wg sync.WaitGroup
				wg.Go(func() { n = bob.swallow() })
				wg.Go(func() {
					for range messages {
						alice.write(send("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: no\n", strings.Repeat("x", c.size)))
					}
					alice.write(send("cccc", a+" "+cu+" "+carol.ours, alice.ours, "", "hi carol"))
				})
				g := carol.read()
				if took := time.Since(began); g.body != "hi carol" || c.trickle && took > 21*time.Second+c.pause { // what was nearly written at first counts when it is
					t.Errorf("carol got %+v after %v, want it in 20s, or %v more", g.Head, took, c.pause)
				}
				time.Sleep(5 * time.Minute) // for what waits
				alice.nc.Close()
				bob.nc.Close()
				wg.Wait()
				if !c.trickle && n != messages*c.size {
					t.Errorf("bob got %d bytes, want %d", n, messages*c.size)
				}
			})
		})
	}
}

// Who has had others wait for one that takes nothing is waited for again by those who have a connection of their own: they
// wait for nobody else. That receiver may be another one, which is slow.
func TestSlowReceiverBehindOneThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		deaf, d := w.client("bob", example)
		bob, b := w.client("bob", example)
		const size = 2 << 20
		alice.write(send("aaaa", a+" "+d+" "+deaf.ours, alice.ours, "", strings.Repeat("x", size)))
		alice.response("aaaa", frame.StatusTimeout)
		bob.in = frame.NewReader(&slow{bob.nc, 8000, time.Second})
		go alice.write(send("bbbb", a+" "+b+" "+bob.ours, alice.ours, "Byte-Range: 1-*/*\n", strings.Repeat("y", size))) // ends with the connection
		n := 0
		for flag := frame.Continued; flag == frame.Continued; {
			g := bob.read()
			n, flag = n+len(g.body), g.flag
		}
		if n != size {
			t.Errorf("bob got %d bytes, want %d", n, size)
		}
		alice.response("bbbb", frame.StatusOK)
	})
}
