package transaction

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/internal/race"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// alone makes a layer in real time whose peers are not there.
func alone(t testing.TB, cfg *Config) (*Layer, transport.Flow) {
	t.Helper()
	return aloneOn(t, siptest.NewNetwork(nil), cfg)
}

func aloneOn(t testing.TB, n *siptest.Network, cfg *Config) (*Layer, transport.Flow) {
	t.Helper()
	host := n.Host(bobAddr)
	l, err := Listen(&transport.Config{Listen: []string{"udp:" + bobAddr + ":5060"}, Network: host}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.frozen = nil // whose memory the next one would see going
	})
	to := resolve.Target{Transport: "UDP", Addr: netip.MustParseAddrPort(aliceAddr + ":5060")}
	flow, _, err := l.Endpoint().Prepare(t.Context(), request(sip.INVITE, bobURI), to, l.newBranch(context.Background(), nil))
	if err != nil {
		t.Fatal(err)
	}
	return l, flow
}

// invites are requests of as many calls, as they arrive.
func invites(calls int) []*sip.Request {
	list := make([]*sip.Request, calls)
	for i := range list {
		list[i] = request(sip.INVITE, bobURI, sip.CallID(fmt.Sprint("call-", i)), sip.Push(sip.Via{
			Transport: "UDP", Host: aliceAddr, Params: sip.Params(fmt.Sprintf(";branch=z9hG4bK%020d;rport", i))}))
	}
	return list
}

// inUse returns the bytes in use, and the goroutines.
func inUse() (bytes, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc), goroutine.Count()
}

// until waits for a condition on the layer.
func until(t testing.TB, l *Layer, is func(n tally) bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		if is(tallyOf(l)) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the layer did not get there")
		}
	}
}

// A live transaction takes 1 KB beyond its message at most, and no goroutine.
func TestMemoryOfTransactions(t *testing.T) {
	const calls, limit = 10000, 1024
	t.Run("server", func(t *testing.T) {
		l, flow := alone(t, &Config{Handler: answer(200)})
		requests := invites(calls)
		before, goroutines := inUse()
		for _, r := range requests {
			l.handle(&transport.Inbound{Message: r, Flow: flow})
			until(t, l, func(n tally) bool { return n.handlers < 100 })
		}
		until(t, l, func(n tally) bool { return n.handlers == 0 && n.servers == calls })
		for goroutine.Count() > goroutines { // handlers on their way out
			runtime.Gosched()
		}
		after, _ := inUse()
		if got := (after - before) / calls; got > limit {
			t.Errorf("a server transaction takes %d bytes beyond its message, want %d at most", got, limit)
		} else {
			t.Logf("a server transaction takes %d bytes beyond its message", got)
		}
		runtime.KeepAlive(requests)
	})
	t.Run("client", func(t *testing.T) {
		l, flow := alone(t, nil)
		requests := invites(calls)
		before, goroutines := inUse()
		for _, r := range requests {
			c := newClient(l, r, r, flow, r.Via().Branch())
			l.add(c)
			c.step(input{event: inStart}, nil)
			c.step(input{event: inResponse, status: 180}, r.Reply(180))
			c.news = nil // read by the one that waits
		}
		after, now := inUse()
		if got := (after - before) / calls; got > limit {
			t.Errorf("a client transaction takes %d bytes beyond its message, want %d at most", got, limit)
		} else {
			t.Logf("a client transaction takes %d bytes beyond its message", got)
		}
		if now > goroutines {
			t.Errorf("%d goroutines with %d client transactions, want %d as without", now, calls, goroutines)
		}
		runtime.KeepAlive(requests)
	})
}

// A request in and its response out allocate the response, the transaction, its
// timer and its place in the tables.
func TestAllocationsOfServer(t *testing.T) {
	const runs, limit = 1000, 12 + race.PoolMisses
	l, flow := alone(t, &Config{Handler: answer(200)})
	requests := invites(runs + 1) // one to warm up
	got := testing.AllocsPerRun(runs, func() {
		l.handle(&transport.Inbound{Message: requests[0], Flow: flow})
		requests = requests[1:]
		until(t, l, func(n tally) bool { return n.handlers == 0 })
	})
	if got > limit {
		t.Errorf("%v allocations, want %d at most", got, limit)
	}
}
