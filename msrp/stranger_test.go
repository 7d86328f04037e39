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

// Who has no session and is refused more than 5 times is done, whatever was refused, and hears of it as far as that is
// answered: what nobody reads does not pile up.
func TestStrangerWhoIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, method string
		fields       []string
		to, from     string // "" as it should be, but for the session
		responses    int
	}{
		{"no session", "SEND", []string{"Message-ID: m"}, "", "", 6},
		{"no answer is wanted", "SEND", []string{"Message-ID: m", "Failure-Report: no"}, "", "", 0},
		{"no answer is given", "REPORT", []string{"Message-ID: m", "Status: 000 200 OK"}, "", "", 0},
		{"another method", "NICKNAME", []string{`Use-Nickname: "x"`}, "", "", 6},
		{"no path", "SEND", nil, "x", "", 6},
		{"from nowhere", "SEND", nil, "", "x", 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x := s.session(alice, nil)
				p := s.calls(x)
				if p.to = strings.Replace(p.to, ";", "x;", 1); c.to != "" {
					p.to = c.to
				}
				if c.from != "" {
					p.from = c.from
				}
				for range 5 {
					p.request(c.method, c.fields...)
				}
				synctest.Wait()
				time.Sleep(time.Second)
				p.request(c.method, c.fields...)
				start, n := time.Now(), 0
				for {
					_, err := p.tryNext(time.Minute)
					if err != nil {
						if !errors.Is(err, io.EOF) || time.Since(start) > 2*time.Second {
							s.Errorf("%v after %v, want the end", err, time.Since(start))
						}
						break
					}
					n++
				}
				if n != c.responses {
					s.Errorf("%d responses, want %d", n, c.responses)
				}
			})
		})
	}
}

// One who has a session, or has come for one before its answer is there, is no stranger. Nor is who had one: what was
// under way when it ended is refused, all of it, and the next session has the connection (RFC 4975 section 5.4).
func TestPeerWhoIsRefused(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, nil)
		p := s.calls(x)
		wrong := strings.Replace(p.to, ";", "x;", 1)
		refused := func() {
			s.Helper()
			right := p.to
			p.to = wrong
			for range 20 {
				p.chunk("m", "1-5/5", "hello", "$")
			}
			for range 20 {
				p.response(481)
			}
			p.to = right
		}
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

// Of the connections half are for those who have a session, and of the others a source has a tenth, 4 at least, so that one
// address does not keep peers out.
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
		for range 5 {
			strangers = append(strangers, s.callsFrom(raw, x))
		}
		if s.callsFrom(raw, x).in() {
			s.Error("6 of 50 places are for one address, want 5")
		}
		join(bob)
		strangers[0].conn.Close()
		time.Sleep(time.Second)
		join(raw)
		for i := range 9 {
			for range 5 {
				strangers = append(strangers, s.callsFrom(fmt.Sprint("198.51.100.", i+1), x))
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
