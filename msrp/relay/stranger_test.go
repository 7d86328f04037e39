package relay_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// in reports whether a connection is open, rather than closed at once.
func (w *world) in(nc net.Conn) bool {
	w.t.Helper()
	synctest.Wait()
	nc.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := nc.Read(make([]byte, 1))
	return isTimeout(err)
}

// Of the places for strangers one source may have half, over TCP and WebSocket together, for many may come at once from
// behind it. When these are taken a source has a tenth, 4 at least, so that one address does not keep others out. Who has
// passed does not count.
func TestStrangersOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MaxConns: 100, Listen: []string{"tcp::2855", "ws::80"}, PlainAUTH: true})
		knock := func(name, port string) net.Conn {
			nc, err := w.host(name).DialContext(t.Context(), "tcp", example+port)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			synctest.Wait()
			return nc
		}
		var clients []*raw
		for _, name := range []string{"alice", "bob", "carol"} {
			for range 3 {
				p := w.dial("office", example)
				p.auth(name, "msrp://"+example+";tcp")
				clients = append(clients, p)
			}
		}
		web, err := w.browse("office", example+":80", "ws://"+example+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		var strangers []net.Conn
		for range 12 {
			strangers = append(strangers, knock("office", ":2855"), knock("office", ":80"))
		}
		for _, port := range []string{":2855", ":80"} {
			if w.in(knock("office", port)) {
				t.Errorf("26 of 50 places are for one address at port %s, want 25", port)
			}
		}
		for i, nc := range strangers {
			if !w.in(nc) {
				t.Errorf("stranger %d of 25 was refused", i+1)
			}
		}
		p, err := w.browse("home", example+":80", "ws://"+example+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		p.auth("alice", "msrp://"+example+":80;ws")
		w.client("bob", example)
		web.auth("carol", "msrp://"+example+":80;ws") // makes place for one
		free := func(name, port string) (n int) {
			for w.in(knock(name, port)) {
				n++
			}
			return n
		}
		if n := free("office", ":80"); n != 1 {
			t.Errorf("%d places are free when a stranger has passed, want 1", n)
		}
		strangers[0].Close()
		strangers[3].Close()
		synctest.Wait()
		if n := free("office", ":2855"); n != 2 {
			t.Errorf("%d places are free when two strangers have gone, want 2", n)
		}
		for range 50 { // what is refused takes no place
			knock("office", ":80")
		}
		if n := free("home", ":80"); n != 5 {
			t.Errorf("%d places are free for another address, want 5", n)
		}
		for _, p := range clients {
			p.silent()
		}
	})
}

// A measured host knows how much was asked for at once of the connections that came to it.
type measured struct {
	*named
	most atomic.Int64
}

func (m *measured) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := m.named.Listen(ctx, network, address)
	return &measuredListener{l, m}, err
}

type measuredListener struct {
	net.Listener
	m *measured
}

func (l *measuredListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &measuredConn{c, l.m}, err
}

type measuredConn struct {
	net.Conn
	m *measured
}

func (c *measuredConn) Read(p []byte) (int, error) {
	c.m.most.Store(max(c.m.most.Load(), int64(len(p))))
	return c.Conn.Read(p)
}

// What a stranger sends takes little memory, over TCP because it is read in small pieces and over WebSocket because a
// message ends the connection that is longer than most. Who has passed may send what is long.
func TestStrangerWithALongBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		host := &measured{named: w.host(example)}
		r, err := relay.New(&relay.Config{Domain: example, Network: host, Listen: []string{"tcp::2855", "ws::80"}, PlainAUTH: true, Password: relay.Passwords(users)})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		body := strings.Repeat("x", 200_000)
		p := w.dial("alice", example)
		p.write(send("aaaa", "msrp://"+example+":2855/guess;tcp msrp://x.invalid:1/a;tcp", p.ours, "", body))
		p.response("aaaa", frame.StatusNoSession)
		if most := host.most.Load(); most > 2048 {
			t.Errorf("%d bytes of a stranger are read at once", most)
		}
		bob, b := w.client("bob", example)
		a := p.auth("alice", "msrp://"+example+";tcp")
		browse := func() *raw {
			p, err := w.browse("carol", example+":80", "ws://"+example+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		web := browse()
		// A long way here, from a client behind as many relays as there may be, with a body.
		from := strings.Repeat("msrp://"+strings.Repeat("x", 900)+".invalid:1/a;tcp ", 15) + "msrp://x.invalid:1/a;tcp"
		web.write("MSRP aaaa AUTH\nTo-Path: msrp://" + example + ":80;ws\nFrom-Path: " + from + "\nContent-Type: text/plain\n\n" + strings.Repeat("x", 10_000) + "\n-------aaaa$\n")
		web.response("aaaa", frame.StatusUnauthorized)
		c := web.auth("carol", "msrp://"+example+":80;ws")
		for i, from := range []struct {
			*raw
			uri string
		}{{p, a}, {web, c}} {
			id := fmt.Sprint("long", i)
			from.write(send(id, from.uri+" "+b+" "+bob.ours, from.ours, "Byte-Range: 1-*/200000\n", body))
			from.response(id, frame.StatusOK)
			for n := 0; n < len(body); {
				g := bob.read()
				n += len(g.body)
				bob.answer(g, frame.StatusOK)
			}
		}
		if most := host.most.Load(); most < 64<<10 {
			t.Errorf("%d bytes of a client are read at once", most)
		}
		// The first SEND of a peer of Alice's may have 64 KB (RFC 4975 section 5.4), and a long way here.
		web = browse()
		web.write("MSRP first SEND\nTo-Path: " + a + " " + p.ours + "\nFrom-Path: " + from + "\nMessage-ID: m\nContent-Type: text/plain\n\n" + body[:64<<10] + "\n-------first$\n")
		web.response("first", frame.StatusOK)
		web = browse()
		web.write(send("aaaa", "msrp://"+example+":2855/guess;tcp msrp://x.invalid:1/a;tcp", web.ours, "", body[:100_000]))
		if g, err := web.tryRead(time.Minute); err == nil {
			t.Errorf("got %v, want the end", g)
		}
	})
}
