package transaction

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// overloaded has a layer refuse new work, with requests that wait for so long.
func overloaded(l *Layer, delay time.Duration) {
	o := l.overload
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watch(time.Now())
	o.limiter.limiting = true
	o.limiter.target, o.limiter.base = 1, 1
	o.limiter.delay = delay
}

// Urgent of the user panics, or looks at the layer: each request that it is asked
// about costs that request alone, and no lock is held meanwhile.
func TestUrgentIsAskedWithoutLocks(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		asked := 0
		var l *Layer
		var flow transport.Flow
		l, flow = alone(t, &Config{Overload: &Overload{Urgent: func(r *sip.Request) bool {
			asked++
			for range l.Servers() {
			}
			if !l.overload.mu.TryLock() {
				t.Fatal("asked with the lock of the overload control held")
			}
			l.overload.mu.Unlock()
			if asked%2 == 0 {
				panic("a bug of the user")
			}
			return false
		}}})
		overloaded(l, 450*time.Millisecond)
		for _, r := range flood(t, 100, "OPTIONS", "z9hG4bKNUMBER", "From: <sip:a@h>;tag=1\r\nCall-ID: NUMBER\r\n", "") {
			func() {
				defer func() { recover() }() // as the transport does
				l.handle(&transport.Inbound{Message: r, Flow: flow, Time: time.Now()})
			}()
		}
		if asked != 100 || l.overload.waiting.Load() != 0 {
			t.Errorf("asked %d times, %d wait; want 100 and 0", asked, l.overload.waiting.Load())
		}
	})
}

// A request that is urgent comes twice, by two sockets: while the user thinks
// about the one, the other is taken. It reaches its handler once.
func TestUrgentTwice(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		handled := make(chan string, 10)
		var l *Layer
		var again func()
		l, flow := alone(t, &Config{
			Handler: func(tx *Server, req *sip.Request) { handled <- req.CallID() },
			Overload: &Overload{Urgent: func(r *sip.Request) bool {
				if f := again; f != nil {
					again = nil
					f()
				}
				return true
			}},
		})
		overloaded(l, 450*time.Millisecond)
		r := flood(t, 1, "OPTIONS", "z9hG4bKNUMBER", "From: <sip:a@h>;tag=1\r\nCall-ID: NUMBER\r\n", "")[0]
		in := func() *transport.Inbound { return &transport.Inbound{Message: r, Flow: flow, Time: time.Now()} }
		again = func() { l.handle(in()) }
		l.handle(in())
		pass(time.Second)
		if len(handled) != 1 || l.overload.waiting.Load() != 0 {
			t.Errorf("%d handlers ran, %d wait; want 1 and 0", len(handled), l.overload.waiting.Load())
		}
	})
}

// As a client, too: the user is asked what is urgent without the lock of what is
// known of servers.
func TestUrgentIsAskedWithoutLocksOfServers(t *testing.T) {
	server := netip.MustParseAddrPort("192.0.2.2:5060")
	var o *overload
	asked := 0
	o = newOverload(&Overload{Offer: true, Urgent: func(*sip.Request) bool {
		asked++
		if !o.targets.mu.TryLock() {
			t.Fatal("asked with the lock held")
		}
		o.targets.mu.Unlock()
		return true
	}}, 500*time.Millisecond)
	for seq := range uint64(2) {
		o.targets.learn(time.Now(), server, sip.OverloadControl{OC: 50, Algo: "loss", Validity: time.Minute, Seq: seq + 1}, true)
	}
	o.allow(server, request(sip.OPTIONS, bobURI))
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
}
