package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/nat/stun"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// Discover finds the public address for Via and Contact, behind each kind of
// NAT. Responses that are sent to it are ours.
func TestDiscover(t *testing.T) {
	for name, config := range nats {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				server := s.stunServer(s.n.Host("192.0.2.3"), "192.0.2.3:3478")
				_, e := s.behind(config, Config{})
				public, err := e.Discover(background, "192.0.2.3")
				if err != nil {
					t.Fatal(err)
				}
				if public != server.from[0] || public.Addr().String() != "203.0.113.1" || public.Port() == 5060 {
					t.Errorf("Discover = %v, want what the server has seen: %v", public, server.from[0])
				}
				s.at(0)
				alice := s.peerSocket(s.alice, aliceAddr)
				_, out, err := e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
				if err != nil {
					t.Fatal(err)
				}
				if got := out.Via().SentBy(); got != public.String() {
					t.Errorf("sent-by = %s, want %v", got, public)
				}
				uri, err := e.Contact(background, target("UDP", aliceAddr))
				if err != nil || uri.HostPort() != public.String() {
					t.Errorf("Contact = %v, %v, want %v", uri, err, public)
				}

				// Answers come back by rport, or to the sent-by if the NAT lets
				// them in. Both are ours.
				text, from := alice.receive()
				ok := parse[*sip.Request](t, text).Reply(sip.StatusOK).String()
				alice.send(ok, from)
				alice.send(ok, public.String())
				want := 2
				if name == "symmetric" {
					want = 1
				}
				if got := len(e.take()); got != want {
					t.Errorf("%d responses arrived, want %d", got, want)
				}
				// With another sent-by they are not (RFC 3261 section 18.1.2).
				alice.send(strings.Replace(ok, public.String(), "203.0.113.9:5060", 1), from)
				s.none(e)
				if got := e.Stats().StrayResponses; got != 1 {
					t.Errorf("%d stray responses, want 1", got)
				}
				s.quiet(e)
			})
		})
	}
}

// What Discover says if there is nothing to be found.
func TestDiscoverFails(t *testing.T) {
	for _, c := range []struct {
		name, server string
		answer       func([]byte, netip.AddrPort) []byte
		is           func(error) bool
		took         time.Duration
	}{
		{"silence", "192.0.2.1:3478", silence, func(err error) bool { return errors.Is(err, stun.ErrTimeout) }, 39500 * time.Millisecond},
		{"an error", "192.0.2.1:3478", stunError, func(err error) bool { return errors.As(err, new(*stun.Error)) }, 0},
		{"nobody there", "192.0.2.99", silence, func(err error) bool { return errors.Is(err, stun.ErrTimeout) }, 39500 * time.Millisecond},
		{"another family", "[2001:db8::1]:3478", silence, func(err error) bool { return errors.Is(err, ErrNoFlow) }, 0},
		{"no such thing", "stun:192.0.2.1", silence, func(err error) bool { return true }, 0},
		{"no host", "", silence, func(err error) bool { return true }, 0},
		{"too much", "bob@192.0.2.1", silence, func(err error) bool { return errors.As(err, new(*net.AddrError)) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				s.stunServer(s.alice, "192.0.2.1:3478").answers(c.answer)
				e := s.listen(nil)
				public, err := e.Discover(background, c.server)
				if err == nil || !c.is(err) || public.IsValid() {
					t.Errorf("Discover = %v, %v", public, err)
				} else if c.server != "" && !strings.Contains(err.Error(), c.server) {
					t.Errorf("Discover = %v, want the server in it", err)
				}
				s.at(c.took)
				s.quiet(e)
			})
		})
	}
	play(t, nil, func(s *scene) {
		s.stunServer(s.alice, "192.0.2.1:3478").answers(silence)
		e := s.listen(nil)
		ctx, cancel := context.WithTimeout(background, 3*time.Second)
		defer cancel()
		if _, err := e.Discover(ctx, "192.0.2.1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Discover = %v, want DeadlineExceeded", err)
		}
		s.at(3 * time.Second)
		s.quiet(e)
		done := make(chan error)
		go func() { // ends with Close
			_, err := e.Discover(background, "192.0.2.1")
			done <- err
		}()
		s.wait(3 * time.Second)
		e.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Discover = %v, want ErrClosed", err)
		}
		s.at(6 * time.Second)
		s.quiet(e)
	})
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"tcp:" + bobAddr}})
		if _, err := e.Discover(background, "192.0.2.1"); !errors.Is(err, ErrNoFlow) {
			t.Errorf("Discover without a UDP socket = %v, want ErrNoFlow", err)
		}
	})
}

// Of several sockets, all that reach the server learn their address, and one
// that does not is in nobody's way.
func TestDiscoverBySeveralSockets(t *testing.T) {
	play(t, nil, func(s *scene) {
		s.stunServer(s.alice, "192.0.2.1:3478")
		box := s.n.NAT("203.0.113.1", &siptest.NATConfig{NewPorts: true})
		host := box.Host("10.0.0.2")
		six := s.n.Host("2001:db8::2")
		e := s.listen(&Config{
			Listen:  []string{"udp:[2001:db8::2]:5060", "udp:10.0.0.2:5060", "udp:10.0.0.2:5070"},
			Network: twoAddresses{host, six},
		})
		public, err := e.Discover(background, "192.0.2.1")
		if err != nil || public.Addr().String() != "203.0.113.1" {
			t.Fatalf("Discover = %v, %v, want the address of the NAT", public, err)
		}
		first, second := e.udp[1].public.Load(), e.udp[2].public.Load()
		if e.udp[0].public.Load() != nil || first == nil || second == nil || *first == *second || *first != public {
			t.Errorf("the sockets are known as %v and %v, want two ports of the NAT, the first of them %v", first, second, public)
		}
		// That one does not reach the server is not why it fails.
		if _, err := e.Discover(background, "192.0.2.99"); !errors.Is(err, stun.ErrTimeout) {
			t.Errorf("Discover = %v, want ErrTimeout", err)
		}
	})
}

// Of the addresses of a server, one that does not answer is followed by the
// next.
func TestDiscoverTriesEachAddress(t *testing.T) {
	play(t, nil, func(s *scene) {
		s.stunServer(s.alice, "192.0.2.1:3478")
		e := s.listen(nil)
		targets := []resolve.Target{target("UDP", "[2001:db8::1]:3478"), target("UDP", "192.0.2.99:3478"), target("UDP", "192.0.2.1:3478")}
		public, err := e.udp[0].discover(background, targets)
		if err != nil || public.String() != bobAddr {
			t.Errorf("discover = %v, %v, want %s", public, err, bobAddr)
		}
		s.at(39500 * time.Millisecond)
	})
}
