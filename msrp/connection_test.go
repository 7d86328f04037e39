package msrp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sip/siptest"
)

// counted is a host that counts the connections that it has made and not closed.
type counted struct {
	*siptest.Host
	made, up atomic.Int32
}

func (c *counted) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.Host.DialContext(ctx, network, address)
	if err == nil {
		c.made.Add(1)
		c.up.Add(1)
		conn = &countedConn{Conn: conn, up: &c.up}
	}
	return conn, err
}

type countedConn struct {
	net.Conn
	up     *atomic.Int32
	closed atomic.Bool
}

func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.up.Add(-1)
	}
	return c.Conn.Close()
}

// countedEndpoint is an endpoint of Alice whose connections are counted.
func (s *scene) countedEndpoint() (*msrp.Endpoint, *counted) {
	s.Helper()
	host := &counted{Host: s.n.Host(alice)}
	e, err := msrp.New(&msrp.Config{Network: host, Listen: []string{"tcp:" + alice + ":2855"}, Logger: quiet})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { e.Close() })
	s.endpoints[alice] = e
	return e, host
}

// A hundred sessions with one host share a connection, in both directions, and the last one closes it (RFC 4975
// section 5.4).
func TestSharedConnection(t *testing.T) {
	play(t, func(s *scene) {
		_, host := s.countedEndpoint()
		type chat struct {
			a, b           *msrp.Session
			toAlice, toBob <-chan got
		}
		var chats []chat
		for range 100 {
			a, b := s.pair(nil, nil)
			chats = append(chats, chat{a, b, s.inbox(a), s.inbox(b)})
		}
		var sent []<-chan error
		for i, c := range chats {
			sent = append(sent, s.sends(c.a, text(fmt.Sprint("to Bob ", i))), s.sends(c.b, text(fmt.Sprint("to Alice ", i))))
		}
		for i, c := range chats {
			s.expect(c.toBob, fmt.Sprint("to Bob ", i), nil)
			s.expect(c.toAlice, fmt.Sprint("to Alice ", i), nil)
		}
		for _, done := range sent {
			s.sent(done, nil)
		}
		if n := host.made.Load(); n != 1 {
			s.Errorf("%d connections, want 1", n)
		}
		for _, c := range chats[1:] {
			c.a.Close()
		}
		time.Sleep(time.Minute)
		if n := host.up.Load(); n != 1 {
			s.Errorf("%d connections while a session is left, want 1", n)
		}
		s.sent(s.sends(chats[0].a, text("still here")), nil)
		chats[0].a.Close()
		time.Sleep(time.Second)
		if n := host.up.Load(); n != 0 {
			s.Errorf("%d connections when all sessions are closed", n)
		}
		a, b := s.pair(nil, nil) // and another one is made when it is needed
		s.inbox(b)
		s.sent(s.sends(a, text("again")), nil)
	})
}

// Sessions that begin at the same moment share one connection, too.
func TestConnectAtOnce(t *testing.T) {
	play(t, func(s *scene) {
		_, host := s.countedEndpoint()
		done := make(chan error, 50)
		for range 50 {
			a, b := s.session(alice, nil), s.session(bob, nil)
			if err := b.Connect(s.Context(), s.path(a), false); err != nil {
				s.Fatal(err)
			}
			to := s.path(b)
			go func() { done <- a.Connect(s.Context(), to, true) }()
		}
		for range 50 {
			if err := <-done; err != nil {
				s.Error(err)
			}
		}
		if n := host.made.Load(); n != 1 {
			s.Errorf("%d connections, want 1", n)
		}
	})
}

// Who gives up waiting for a connection does not take it from those who wait as well.
func TestConnectOneGivesUp(t *testing.T) {
	play(t, func(s *scene) {
		a1, a2, b1, b2 := s.session(alice, nil), s.session(alice, nil), s.session(bob, nil), s.session(bob, nil)
		s.n.Host(bob).Down()
		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		first, second := make(chan error, 1), make(chan error, 1)
		to1, to2 := s.path(b1), s.path(b2)
		go func() { first <- a1.Connect(ctx, to1, true) }()
		synctest.Wait()
		go func() { second <- a2.Connect(s.Context(), to2, true) }()
		synctest.Wait()
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("Connect() = %v", err)
		}
		s.n.Host(bob).Up()
		if err := <-second; err != nil {
			s.Errorf("Connect() of the other = %v", err)
		}
	})
}

// A host that does not answer is given up after 30 seconds, and one that refuses at once. The session can
// be connected when it is there.
func TestConnectToNobody(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, nil)
		start := time.Now()
		err := x.Connect(s.Context(), rawPath(s), true)
		if d := time.Since(start); err == nil || d != 30*time.Second {
			s.Errorf("Connect() = %v after %v", err, d)
		}
		s.n.Host(raw)
		start = time.Now()
		var op *net.OpError
		if err := x.Connect(s.Context(), rawPath(s), true); !errors.As(err, &op) || time.Since(start) > time.Second {
			s.Errorf("Connect() = %v after %v", err, time.Since(start))
		}
		if err := x.SendText(s.Context(), "x"); !errors.Is(err, msrp.ErrLost) {
			s.Errorf("SendText() = %v, want ErrLost", err)
		}
		l, err := s.n.Host(raw).Listen(s.Context(), "tcp", ":2855")
		if err != nil {
			s.Fatal(err)
		}
		defer l.Close()
		if err := x.Connect(s.Context(), rawPath(s), true); err != nil {
			s.Errorf("Connect() = %v", err)
		}
	})
}

// Who connects says at once for which session, in a SEND without a body, whose refusal ends the session (RFC
// 4975 section 5.4). Other answers do not.
func TestFirstSend(t *testing.T) {
	for _, c := range []struct {
		status frame.Status
		want   error
	}{{200, nil}, {481, frame.StatusNoSession}, {506, frame.StatusSessionBoundElsewhere}, {0, frame.StatusTimeout}, {400, nil}, {415, nil}} {
		t.Run(fmt.Sprint(int(c.status)), func(t *testing.T) {
			play(t, func(s *scene) {
				x := s.session(alice, nil)
				l, err := s.n.Host(raw).Listen(s.Context(), "tcp", ":2855")
				if err != nil {
					s.Fatal(err)
				}
				defer l.Close()
				go x.Connect(s.Context(), rawPath(s), true)
				conn, err := l.Accept()
				if err != nil {
					s.Fatal(err)
				}
				p := s.newPeer(conn, x)
				f := p.next()
				if f.Method != frame.SEND || f.HasBody || f.ContentType != "" || f.MessageID == "" || f.To != rawURI || f.From != p.to {
					s.Errorf("the first request is %v of %q to %q from %q", f.Head, f.body, f.To, f.From)
				}
				if c.status != 0 {
					p.answer(f, c.status)
				}
				time.Sleep(31 * time.Second)
				if c.want == nil {
					done := s.sends(x, text("hello"))
					p.answer(p.next(), 200)
					s.sent(done, nil)
					return
				}
				s.sent(s.sends(x, text("hello")), c.want)
				s.sent(s.sends(x, text("hello")), msrp.ErrLost)
				p.closed()
			})
		})
	}
}

// A connection that names no session is closed after 30 seconds, and one whose last session has gone, too.
func TestUnboundConnection(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, nil)
		p := s.calls(x)
		start := time.Now()
		p.closed()
		if d := time.Since(start); d < 30*time.Second || d > 31*time.Second {
			s.Errorf("closed after %v", d)
		}
		p = s.calls(x)
		for range 5 { // what is refused keeps nothing open
			p.to = strings.Replace(p.to, ";", "x;", 1)
			p.request("SEND", "Message-ID: m")
			p.response(481)
			time.Sleep(5 * time.Second)
		}
		start = time.Now()
		p.closed()
		if d := time.Since(start); d > 6*time.Second {
			s.Errorf("closed after %v", d)
		}

		y, q := s.bound(nil)
		time.Sleep(time.Hour)
		q.request("SEND", "Message-ID: m")
		q.response(200)
		y.Close()
		start = time.Now()
		q.closed()
		if d := time.Since(start); d < 30*time.Second || d > 31*time.Second {
			s.Errorf("closed after %v", d)
		}
	})
}

// A connection with what is no MSRP is closed, and the sessions on it are lost. Others go on.
func TestNotMSRP(t *testing.T) {
	for _, text := range []string{"GET / HTTP/1.1\n\n", "\n\n", "MSRP x\n", "MSRP 1234 SEND\nX: " + strings.Repeat("x", 20000)} {
		play(t, func(s *scene) {
			x, p := s.bound(nil)
			box := s.inbox(x)
			y, q := s.bound(nil)
			other := s.inbox(y)
			p.write(text)
			p.closed()
			s.expect(box, "", msrp.ErrLost)
			q.chunk("m", "1-*/*", "hello", "$")
			q.response(200)
			s.expect(other, "hello", nil)
		})
	}
}

// Messages under way end with the connection, both ways, and with the session.
func TestConnectionLost(t *testing.T) {
	for _, c := range []struct {
		name string
		ends func(s *scene, x *msrp.Session, p *peer)
		want error
	}{
		{"by the peer", func(_ *scene, _ *msrp.Session, p *peer) { p.conn.Close() }, msrp.ErrLost},
		{"by the network", func(s *scene, _ *msrp.Session, _ *peer) { s.n.Host(alice).Reset() }, msrp.ErrLost},
		{"by Close", func(_ *scene, x *msrp.Session, _ *peer) { x.Close() }, msrp.ErrClosed},
		{"by Close of the endpoint", func(s *scene, _ *msrp.Session, _ *peer) { s.endpoints[alice].Close() }, msrp.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.called(nil)
				r, w := io.Pipe()
				writing, waiting := s.sends(x, &msrp.Message{Body: r}), s.sends(x, text("hello"))
				io.WriteString(w, "hello")
				coming := make(chan error, 1)
				next := make(chan error, 1)
				go func() {
					for m, err := range x.Messages(context.Background()) {
						if err != nil {
							next <- err
							return
						}
						go func() {
							_, err := io.ReadAll(m)
							coming <- err
						}()
					}
					next <- msrp.ErrClosed
				}()
				p.chunk("m", "1-*/*", "half", "+")
				time.Sleep(time.Second)
				c.ends(s, x, p)
				time.Sleep(time.Second)
				w.Close()
				s.sent(writing, c.want)
				s.sent(waiting, c.want)
				if err := <-coming; !errors.Is(err, c.want) {
					s.Errorf("Read() = %v", err)
				}
				if err := <-next; !errors.Is(err, c.want) {
					s.Errorf("Messages() ends with %v", err)
				}
				s.sent(s.sends(x, text("hello")), c.want)
			})
		})
	}
}

// With KeepAlive an empty SEND goes out when nothing else has for a time. One that is not answered
// ends the session.
func TestKeepAlive(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, &msrp.Config{Listen: []string{"tcp:" + alice + ":2855"}, KeepAlive: time.Minute})
		x, p := s.bound(nil)
		at := time.Now()
		next := func(want time.Duration) read {
			s.Helper()
			f := p.next()
			if f.Method != frame.SEND || f.HasBody || time.Since(at).Round(time.Second) != want {
				s.Errorf("%v with %q after %v, want an empty SEND after %v", f.Head, f.body, time.Since(at), want)
			}
			at = time.Now()
			return f
		}
		p.answer(next(time.Minute), 200)
		p.answer(next(time.Minute), 200)
		time.Sleep(30 * time.Second)
		done := s.sends(x, text("hello"))
		p.answer(p.next(), 200)
		s.sent(done, nil)
		p.answer(next(90*time.Second), 200)
		next(time.Minute)
		time.Sleep(30 * time.Second)
		s.sent(s.sends(x, text("hello")), frame.StatusTimeout)
	})
}

// Keepalives go on in a session that is connected again.
func TestKeepAliveGoesOn(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, &msrp.Config{Listen: []string{"tcp:" + alice + ":2855"}, KeepAlive: time.Minute})
		x, p := s.bound(nil)
		offer, err := x.Offer(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		gone := *offer
		gone.Port = 0
		if err := x.Update(s.Context(), &gone, &gone); err != nil {
			s.Fatal(err)
		}
		p.closed()
		time.Sleep(10 * time.Minute)
		_, p = s.rebound(x)
		if f := p.next(); f.Method != frame.SEND || f.HasBody {
			s.Errorf("got %v, want an empty SEND", f.Head)
		}
	})
}

// An endpoint has so many sessions, and so many connections of peers, half of which are for those with a session.
func TestEndpointLimits(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, &msrp.Config{Listen: []string{"tcp:" + alice + ":2855"}, MaxSessions: 2, MaxConns: 3})
		x, y, z := s.session(alice, nil), s.session(alice, nil), s.session(alice, nil)
		s.path(x)
		s.path(y)
		if _, err := z.Path(s.Context()); err == nil {
			s.Error("a third session of two")
		}
		y.Close()
		s.path(z)
		p, _ := s.calls(x), s.calls(x)
		synctest.Wait()
		q := s.calls(x)
		if _, err := q.tryNext(time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			s.Errorf("a third stranger with three connections: %v", err)
		}
		p.conn.Close()
		time.Sleep(time.Second)
		q = s.calls(x)
		q.silent(time.Second)
	})
}

// Peers have no more connections with sessions than MaxConns, and another one when one of these has gone.
func TestConnectionsWithSessionsAreBounded(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, &msrp.Config{Listen: []string{"tcp:" + alice + ":2855"}, MaxConns: 3})
		var peers []*peer
		for range 3 {
			_, p := s.bound(nil)
			peers = append(peers, p)
		}
		comes := func() bool {
			x := s.session(alice, nil)
			p := s.calls(x)
			if err := x.Connect(s.Context(), rawPath(s), false); err != nil {
				s.Fatal(err)
			}
			fmt.Fprintf(p.conn, "MSRP more0001 SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: m\r\n-------more0001$\r\n", p.to, p.from)
			f, err := p.tryNext(time.Second)
			return err == nil && f.Status == frame.StatusOK
		}
		if comes() {
			s.Error("a fourth of three")
		}
		for _, p := range peers {
			p.request("SEND", "Message-ID: m")
			p.response(200)
		}
		peers[1].conn.Close()
		time.Sleep(time.Second)
		if !comes() {
			s.Error("another one does not come when one has gone")
		}
	})
}

func TestListenErrors(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, nil)
		var op *net.OpError
		if _, err := msrp.New(&msrp.Config{Network: s.n.Host(alice), Listen: []string{"tcp:" + alice + ":2855"}}); !errors.As(err, &op) {
			s.Errorf("New() with a port that is taken = %v", err)
		}
		for _, where := range []string{"", "udp:192.0.2.1:2855", "192.0.2.1:2855", "tcp"} {
			if _, err := msrp.New(&msrp.Config{Network: s.n.Host(alice), Listen: []string{where}}); err == nil {
				s.Errorf("New() with Listen %q = nil", where)
			}
		}
	})
}
