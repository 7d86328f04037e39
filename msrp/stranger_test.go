package msrp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sip/siptest"
)

// callsFrom connects a host to that of a session.
func (s *scene) callsFrom(host string, x *msrp.Session) *peer {
	s.Helper()
	u := s.path(x)[0]
	conn, err := s.n.Host(host).DialContext(s.Context(), "tcp", fmt.Sprintf("%s:%d", u.Host, u.Port))
	if err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
	return s.newPeer(conn, x)
}

// in says whether a connection is open, rather than closed at once.
func (p *peer) in() bool {
	_, err := p.tryNext(50 * time.Millisecond)
	return !errors.Is(err, io.EOF)
}

// However much is refused before, who comes for a session is let in: the connection may be a relay's, whose other clients
// have written to sessions that are none. What was under way when a session ended is refused, all of it, and the next
// session has the connection (RFC 4975 section 5.4).
func TestWhoIsRefused(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, nil)
		p := s.calls(x)
		wrong := strings.Replace(p.to, ";", "x;", 1)
		refused := func() {
			s.Helper()
			right := p.to
			p.to = wrong
			for range 100 {
				p.chunk("m", "1-5/5", "hello", "$")
				p.request("REPORT", "Message-ID: m", "Byte-Range: 1-5/5", "Status: 000 200 OK")
				p.request("NICKNAME", `Use-Nickname: "x"`)
			}
			for range 200 {
				p.response(481)
			}
			p.to = right
		}
		refused()
		p.request("SEND", "Message-ID: hello")
		p.response(200)
		refused() // nobody knows yet who it is
		if err := x.Connect(s.Context(), rawPath(s), false); err != nil {
			s.Fatal(err)
		}
		refused()
		x.Close()
		refused()

		y := s.session(alice, nil)
		p.to = s.path(y).String()
		if err := y.Connect(s.Context(), rawPath(s), false); err != nil {
			s.Fatal(err)
		}
		box := s.inbox(y)
		p.chunk("n", "1-5/5", "again", "$")
		p.response(200)
		s.expect(box, "again", nil)
	})
}

// A stranger who takes few responses, or none, is soon read no more, and ends after 30 seconds and what Close waits, even
// while one that is for it waits to be written.
func TestDeafStranger(t *testing.T) {
	for name, every := range map[string]time.Duration{"deaf": time.Minute, "slow": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				p := s.calls(s.session(alice, nil))
				p.to = strings.Replace(p.to, ";", "x;", 1)
				request := strings.ReplaceAll("MSRP abcd SEND\nTo-Path: "+p.to+"\nFrom-Path: "+p.from+"\nMessage-ID: m\n-------abcd$\n", "\n", "\r\n")
				start := time.Now()
				done := make(chan struct{})
				go func() { // ends with the connection
					defer close(done)
					for {
						time.Sleep(every)
						if _, err := io.ReadFull(p.conn, make([]byte, 1000)); err != nil {
							return
						}
					}
				}()
				sent := 0
				for {
					n, err := io.WriteString(p.conn, request)
					if sent += n; err != nil {
						break
					}
				}
				if took := time.Since(start); took < 30*time.Second || took > 33*time.Second {
					s.Errorf("it ended after %v, want 30 s, and 2 more in which nothing could be written", took)
				}
				// The network holds 64 KB each way.
				if sent > 512<<10 {
					s.Errorf("%d bytes were taken from who takes no responses", sent)
				}
				<-done
			})
		})
	}
}

// A measured host knows how much was asked for at once of the connections that came to it.
type measured struct {
	*siptest.Host
	most atomic.Int64
}

func (m *measured) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := m.Host.Listen(ctx, network, address)
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

// What a stranger sends is read in small pieces, which take little memory, and what a peer sends in large ones.
func TestStrangerWithALongBody(t *testing.T) {
	play(t, func(s *scene) {
		host := &measured{Host: s.n.Host(alice)}
		e, err := msrp.New(&msrp.Config{Network: host, Listen: []string{"tcp:" + alice + ":2855"}, Logger: quiet})
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { e.Close() })
		s.endpoints[alice] = e
		x := s.session(alice, nil)
		if err := x.Connect(s.Context(), rawPath(s), false); err != nil {
			s.Fatal(err)
		}
		box := s.inbox(x)
		p := s.calls(x)
		right, body := p.to, strings.Repeat("x", 200_000)
		p.to = strings.Replace(p.to, ";", "x;", 1)
		p.chunk("m", "1-*/200000", body, "$")
		p.response(481)
		if most := host.most.Load(); most > 2048 {
			s.Errorf("%d bytes of a stranger are read at once", most)
		}
		p.to = right
		p.chunk("m", "1-*/200000", body, "$")
		p.response(200)
		s.expect(box, body, nil)
		if most := host.most.Load(); most < 64<<10 {
			s.Errorf("%d bytes of a peer are read at once", most)
		}
	})
}

// Of the connections half are for those who have a session. One source may have half of the others at once, for many may be
// behind it; when strangers have so many, each source has a tenth, 4 at least, so that none keeps peers out.
func TestStrangersOfOneAddress(t *testing.T) {
	play(t, func(s *scene) {
		s.endpoint(alice, &msrp.Config{Listen: []string{"tcp:" + alice + ":2855"}, MaxConns: 100})
		x := s.session(alice, nil)
		s.path(x)
		peers := 0
		join := func(host string) { // with a session
			s.Helper()
			y := s.session(alice, nil)
			p := s.callsFrom(host, y)
			p.request("SEND", "Message-ID: m") // which is a claim
			p.response(200)
			peers++
		}
		for range 10 {
			join(raw)
		}
		var strangers []*peer
		for range 25 {
			strangers = append(strangers, s.callsFrom(raw, x))
		}
		if s.callsFrom(raw, x).in() {
			s.Error("26 of 50 places are for one address, want 25")
		}
		join(bob)
		strangers[0].conn.Close()
		time.Sleep(time.Second)
		join(raw)
		for i := range 5 {
			for range 5 {
				strangers = append(strangers, s.callsFrom(fmt.Sprint("198.51.100.", i+1), x))
			}
			if i < 4 && s.callsFrom(fmt.Sprint("198.51.100.", i+1), x).in() {
				s.Error("6 of 50 places are for another address, want 5")
			}
		}
		last := s.callsFrom("198.51.100.100", x)
		if s.callsFrom("198.51.100.101", x).in() {
			s.Error("51 strangers, want 50")
		}
		for _, p := range append(strangers[1:], last) {
			if !p.in() {
				s.Error("a stranger was put out for others")
			}
		}
		time.Sleep(31 * time.Second)
		for peers < 100 {
			join(fmt.Sprint("203.0.113.", peers))
		}
		if s.callsFrom(bob, x).in() {
			s.Error("101 connections of 100")
		}
	})
}
