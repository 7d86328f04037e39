package transport

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// servers returns the targets of a domain that has servers on several hosts.
func servers(transport string, addrs ...string) []resolve.Target {
	var all []resolve.Target
	for _, addr := range addrs {
		all = append(all, domainAt("example.com", transport, addr))
	}
	return all
}

// RFC 8305 section 5: the addresses of a server are tried in their order, each a
// quarter of a second after the one before it, or at once if that has failed. The
// first that answers is taken, by the requests too.
func TestConnectRace(t *testing.T) {
	play(t, nil, func(s *scene) {
		authority := siptest.NewAuthority()
		mute, wrong := s.n.Host("192.0.2.10"), s.n.Host("192.0.2.11")
		mute.Down()
		s.listenTLS(wrong, identified(authority, "example.net"), nil)
		s.listenTLS(s.bob, identified(authority, "example.com"), nil)
		s.listen(&Config{Listen: []string{"tcp:" + bobAddr, "ws:" + bobWS}})
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}, TLS: identified(authority)})
		for _, c := range []struct {
			story   string
			targets []resolve.Target
			want    int
			after   time.Duration
		}{
			{"the first", servers("TCP", bobAddr, "192.0.2.10:5060"), 0, 0},
			{"the second, as the first says nothing", servers("WS", "192.0.2.10:80", bobWS), 1, 250 * time.Millisecond},
			{"the third, as two say nothing", servers("TLS", "192.0.2.10:5061", "192.0.2.10:5062", bobTLS), 2, 500 * time.Millisecond},
			{"the second, as the first refuses", servers("TCP", "192.0.2.2:5099", bobAddr), 1, 0},
			{"the second, as the first is somebody else", servers("TLS", "192.0.2.11:5061", bobTLS), 1, 0},
			{"the second, as there is a connection", servers("TLS", "192.0.2.10:5061", bobTLS), 1, 0},
		} {
			s.began = time.Now()
			got, err := alice.Connect(background, c.targets)
			if err != nil || got != c.want {
				t.Errorf("%s: %d, %v; want %d", c.story, got, err, c.want)
			}
			if took := time.Since(s.began); took != c.after {
				t.Errorf("%s: after %v, want %v", c.story, took, c.after)
			}
			if _, _, err := alice.SendRequest(background, outgoing(t), c.targets[got], "z9hG4bK1"); err != nil {
				t.Errorf("%s: %v", c.story, err)
			}
			if took := time.Since(s.began); took != c.after {
				t.Errorf("%s: the request left after %v, want %v", c.story, took, c.after)
			}
		}
		s.wait(handshakeTimeout) // of those that say nothing
		s.tables(alice, 3, 0)
	})
}

// The error is that of the last one to fail.
func TestConnectToNobody(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		s.alice.Down()
		got, err := e.Connect(background, servers("TCP", aliceAddr, "192.0.2.2:5098", "192.0.2.2:5099"))
		if got != 0 {
			t.Errorf("Connect = %d, want 0", got)
		}
		s.timedOut(err, "dial tcp 192.0.2.1:5060: i/o timeout")
		s.at(handshakeTimeout)
		if _, err := e.Connect(background, servers("TCP", "192.0.2.2:5099")); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Connect = %v, want refusal", err)
		}
		if _, err := e.Connect(background, nil); err == nil {
			t.Error("connected to no target")
		}
		e.Close()
		if _, err := e.Connect(background, servers("TCP", "192.0.2.2:5099")); !errors.Is(err, ErrClosed) {
			t.Errorf("Connect = %v, want ErrClosed", err)
		}
	})
}

// A connection that came too late in a race is closed after 32 seconds, unless a
// request has taken it.
func TestConnectLoser(t *testing.T) {
	play(t, nil, func(s *scene) {
		slow := s.n.Host("192.0.2.10")
		late := s.accept(slow, "192.0.2.10:5060")
		s.n.SetLink(s.alice, slow, siptest.Link{Delay: 150 * time.Millisecond})
		s.n.SetLink(slow, s.alice, siptest.Link{Delay: 150 * time.Millisecond})
		s.listen(nil)
		alice := s.listen(&Config{Network: s.alice, Listen: []string{}})
		got, err := alice.Connect(background, servers("TCP", "192.0.2.10:5060", bobAddr))
		if err != nil || got != 1 {
			t.Fatalf("Connect = %d, %v; want 1", got, err)
		}
		s.sendTo(alice, "example.com", "TCP", bobAddr)
		s.at(250 * time.Millisecond)
		s.wait(messageTimeout)
		s.tables(alice, 2, 0)
		s.wait(time.Second)
		s.tables(alice, 1, 0)
		if got := late.all(); len(got) != 1 || !got[0].isClosed() {
			t.Error("the connection that came too late is open")
		}
	})
}

// Once the context of Connect has ended, no further address is tried.
func TestConnectStopsWithItsContext(t *testing.T) {
	play(t, nil, func(s *scene) {
		s.bob.Down()
		network := &countingNetwork{Network: s.alice}
		e := s.listen(&Config{Network: network, Listen: []string{}})
		ctx, cancel := context.WithTimeout(background, 400*time.Millisecond)
		defer cancel()
		var targets []resolve.Target
		for i := range 8 {
			targets = append(targets, target("TCP", fmt.Sprintf("192.0.2.2:%d", 5060+i)))
		}
		if _, err := e.Connect(ctx, targets); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Connect = %v, want the end of its context", err)
		}
		s.at(400 * time.Millisecond)
		synctest.Wait()
		if got := network.dials.Load(); got != 2 {
			t.Errorf("%d addresses were tried in 400 ms, want 2", got)
		}
	})
}
