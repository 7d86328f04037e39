package msrp_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A phone is a user agent with an endpoint of MSRP on the same host.
type phone struct {
	*ua.Agent
	sessions *msrp.Endpoint
	moved    *atomic.Bool // the agent is at 192.0.2.50 then
}

// wandering is a network on which the ways lead from 192.0.2.50 once it has moved.
type wandering struct {
	*siptest.Host
	moved atomic.Bool
}

func (w *wandering) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := w.Host.DialContext(ctx, network, address)
	if err != nil || !w.moved.Load() {
		return c, err
	}
	return elsewhere{c}, nil
}

type elsewhere struct{ net.Conn }

func (elsewhere) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 50)} }

func (s *scene) phone(host string, cfg ua.Config) *phone {
	s.Helper()
	way := &wandering{Host: s.n.Host(host)}
	cfg.Network, cfg.Listen, cfg.Logger, cfg.SessionTimer = way, []string{"udp:0.0.0.0:5060"}, quiet, -1
	a, err := ua.New("sip:user@"+host, &cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { a.Close() })
	return &phone{a, s.endpoint(host, &msrp.Config{Listen: []string{"tcp::2855"}}), &way.moved}
}

// A callee answers calls with a session each.
type callee struct {
	*phone
	calls    chan *ua.Call
	sessions chan *msrp.Session
}

func (s *scene) callee(host string) *callee {
	s.Helper()
	c := &callee{calls: make(chan *ua.Call, 10), sessions: make(chan *msrp.Session, 10)}
	session := func() *msrp.Session {
		x := msrp.NewSession(c.phone.sessions, nil)
		c.sessions <- x
		return x
	}
	c.phone = s.phone(host, ua.Config{
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if call, err := in.Answer(ctx, session()); err == nil {
				c.calls <- call
			}
		},
		OnStream: func(context.Context, *ua.Call, *sdp.Media) ua.Stream { return session() },
	})
	return c
}

// talk has two sessions send a text both ways.
func (s *scene) talk(x, y *msrp.Session, toX, toY <-chan got) {
	s.Helper()
	there := s.sends(x, text("there"))
	s.sent(there, nil)
	s.expect(toY, "there", nil)
	back := s.sends(y, &msrp.Message{Body: strings.NewReader("and back"), SuccessReport: true})
	s.sent(back, nil)
	s.expect(toX, "and back", nil)
}

// A call with a chat: text both ways, lost and found, on hold, resumed, moved to another network, without
// the chat and with one again, and over.
func TestCall(t *testing.T) {
	play(t, func(s *scene) {
		b, a := s.callee(bob), s.phone(alice, ua.Config{})
		x := msrp.NewSession(a.sessions, nil)
		call, err := a.Invite(s.Context(), "sip:user@"+bob, &ua.InviteOptions{Streams: []ua.Stream{x}})
		if err != nil {
			s.Fatal(err)
		}
		y, other := <-b.sessions, <-b.calls
		toX, toY := s.inbox(x), s.inbox(y)
		s.talk(x, y, toX, toY)
		// The connection is lost, and an offer of either side makes another one.
		s.n.Host(alice).Reset()
		s.expect(toX, "", msrp.ErrLost)
		s.expect(toY, "", msrp.ErrLost)
		if err := other.Renegotiate(s.Context()); err != nil {
			s.Error(err)
		}
		toX, toY = s.inbox(x), s.inbox(y)
		s.talk(x, y, toX, toY)

		for _, step := range []struct {
			name string
			do   func(context.Context) error
		}{
			{"hold", call.Hold},
			{"hold by the other", other.Hold},
			{"resume", call.Resume},
			{"resume by the other", other.Resume},
			{"renegotiate", call.Renegotiate},
			{"another network", func(ctx context.Context) error {
				a.moved.Store(true)
				time.Sleep(time.Minute)
				return a.NetworkChanged(ctx)
			}},
		} {
			if err := step.do(s.Context()); err != nil {
				s.Errorf("%s: %v", step.name, err)
			}
			s.talk(x, y, toX, toY)
		}
		if at := s.path(x)[0].Host; at != "192.0.2.50" {
			s.Errorf("after the move the path is at %s", at)
		}

		// Another chat in the place of this one: Bob's session, whose section was not in use any more, answers
		// again.
		if err := call.Remove(s.Context(), x); err != nil {
			s.Fatal(err)
		}
		s.sent(s.sends(x, text("gone")), msrp.ErrClosed)
		x2 := msrp.NewSession(a.sessions, nil)
		if err := call.Add(s.Context(), x2); err != nil {
			s.Fatal(err)
		}
		s.talk(x2, y, s.inbox(x2), toY)

		if err := call.Hangup(s.Context()); err != nil {
			s.Error(err)
		}
		<-other.Done()
		s.sent(s.sends(x2, text("over")), msrp.ErrClosed)
		time.Sleep(time.Second)
		s.sent(s.sends(y, text("over")), msrp.ErrClosed)
	})
}

// Two chats in one call, one of them by TLS.
func TestCallWithTwoChats(t *testing.T) {
	play(t, func(s *scene) {
		b, a := s.callee(bob), s.phone(alice, ua.Config{})
		x := msrp.NewSession(a.sessions, nil)
		call, err := a.Invite(s.Context(), "sip:user@"+bob, &ua.InviteOptions{Streams: []ua.Stream{x}})
		if err != nil {
			s.Fatal(err)
		}
		y := <-b.sessions
		x2 := msrp.NewSession(a.sessions, &msrp.SessionConfig{TLS: true})
		if err := call.Add(s.Context(), x2); err != nil {
			s.Fatal(err)
		}
		y2 := <-b.sessions
		s.talk(x, y, s.inbox(x), s.inbox(y))
		s.talk(x2, y2, s.inbox(x2), s.inbox(y2))
		if u := s.path(x2)[0]; !u.Secure {
			s.Errorf("the other chat is at %s, want msrps", u)
		}
	})
}

// A call whose chat cannot be is refused, and so is one whose peer is not where it says.
func TestCallThatCannotBe(t *testing.T) {
	play(t, func(s *scene) {
		s.callee(bob)
		a := s.phone(alice, ua.Config{})
		x := msrp.NewSession(a.sessions, &msrp.SessionConfig{AcceptTypes: []string{"message/cpim"}})
		s.phone("192.0.2.3", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if _, err := in.Answer(ctx, msrp.NewSession(s.endpoints["192.0.2.3"], nil)); err == nil {
				s.Error("a call without a type in common is answered")
			}
		}})
		if _, err := a.Invite(s.Context(), "sip:user@192.0.2.3", &ua.InviteOptions{Streams: []ua.Stream{x}}); err == nil {
			s.Error("Invite() without a type in common = nil")
		}
		s.endpoints[bob].Close()
		y := msrp.NewSession(a.sessions, nil)
		if _, err := a.Invite(s.Context(), "sip:user@"+bob, &ua.InviteOptions{Streams: []ua.Stream{y}}); err == nil {
			s.Error("Invite() of somebody whose endpoint is closed = nil")
		}
	})
}
