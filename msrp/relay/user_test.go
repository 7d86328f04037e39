package relay_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// peers listens at n ports of a host.
func (w *world) peers(name string, n int) []net.Listener {
	w.t.Helper()
	var ls []net.Listener
	for i := range n {
		l, err := w.host(name).Listen(context.Background(), "tcp", ":"+strconv.Itoa(1000+i))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { l.Close() })
		ls = append(ls, l)
	}
	return ls
}

// sendTo has a client send a message to the i-th of the peers of a host.
func (p *raw) sendTo(uri, host string, i int, want frame.Status) {
	p.t.Helper()
	p.write("MSRP aaaa SEND\nTo-Path: " + uri + " msrp://" + host + ":" + strconv.Itoa(1000+i) + "/b;tcp\nFrom-Path: " + p.ours + "\nMessage-ID: m\n-------aaaa$\n")
	p.response("aaaa", frame.StatusOK) // without a body it is answered before anything else
	if want != frame.StatusOK {
		if g := p.read(); g.Report != want {
			p.t.Errorf("%s: got %v (%v), want a REPORT of %d", p.name, g, g.Report, want)
		}
	}
}

// What a user has of the connections is a tenth: the client's own, and those to whom it sends, of which
// the least recently used makes room when it rests (RFC 4976 section 6.5).
func TestEachUserHasATenthOfTheConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MaxConns: 50})
		alice, a := w.client("alice", example)
		ls := w.peers("peer", 6)
		var made []*raw
		for i := range 4 {
			alice.sendTo(a, "peer", i, frame.StatusOK)
			made = append(made, w.accept("peer", ls[i]))
			made[i].answer(made[i].read(), frame.StatusOK)
			time.Sleep(time.Second)
		}
		alice.write(send("bbbb", a+" msrp://peer:1004/b;tcp", alice.ours, "", "hi"))
		alice.response("bbbb", frame.StatusTimeout)
		other := w.dial("alice", example)
		if g := other.tryAuth("alice", "wonder", "msrp://"+example+";tcp"); g.Status != frame.StatusForbidden {
			t.Errorf("AUTH on another connection: %v, want 403", g)
		}
		carol, c := w.client("carol", example)
		carol.sendTo(c, "peer", 5, frame.StatusOK)
		five := w.accept("peer", ls[5])
		five.answer(five.read(), frame.StatusOK)

		time.Sleep(27 * time.Second)
		alice.write(send("cccc", a+" msrp://peer:1000/b;tcp", alice.ours, "", "hi"))
		alice.response("cccc", frame.StatusOK)
		made[0].answer(made[0].read(), frame.StatusOK) // which is not the least recently used any more
		alice.sendTo(a, "peer", 4, frame.StatusOK)
		four := w.accept("peer", ls[4])
		four.answer(four.read(), frame.StatusOK)
		made[1].ended()
		for _, p := range []*raw{made[0], made[2], made[3], four, five} {
			p.silent()
		}
		made[3].nc.Close()
		synctest.Wait()
		w.client("alice", example) // in whose place
	})
}

// A client gets in where connections rest that are no client's.
func TestConnectionsThatRestMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		anybody := func(context.Context, string) (string, error) { return "sings", nil }
		w.relay(example, relay.Config{MaxConns: 21, Password: anybody})
		ls := w.peers("peer", 15)
		carol, _ := w.client("carol", example) // who says nothing any more
		made, clients := []*raw(nil), []*raw{carol}
		time.Sleep(time.Second)
		for i := range 5 {
			p := w.dial("client", example)
			path, _ := p.tryAuth("user"+strconv.Itoa(i), "sings", "msrp://"+example+";tcp").Get("Use-Path")
			clients = append(clients, p)
			for k := range 3 {
				p.sendTo(path, "peer", 3*i+k, frame.StatusOK)
				peer := w.accept("peer", ls[3*i+k])
				peer.answer(peer.read(), frame.StatusOK)
				made = append(made, peer)
			}
		}
		w.dial("early", example).ended()
		time.Sleep(29 * time.Second)
		made[0].write("MSRP aaaa SEND\nTo-Path: " + example + "\nFrom-Path: x\n-------aaaa$\n") // whatever it is
		time.Sleep(time.Second)
		late := w.dial("late", example)
		late.auth("carol", "msrp://"+example+";tcp")
		ended := 0
		for i, p := range made {
			p.nc.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := p.in.Next(); err != nil && !isTimeout(err) {
				if ended++; i == 0 {
					t.Error("one that is used has made room, want another")
				}
			}
		}
		if ended != 1 {
			t.Errorf("%d connections have made room, want one", ended)
		}
		for _, p := range clients {
			p.silent()
		}
	})
}
