package ua_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// newLaptop makes an agent that may move.
func newLaptop(t *testing.T, on *movable, aor string, cfg ua.Config) *ua.Agent {
	t.Helper()
	cfg.Network, cfg.Listen, cfg.Logger = on, []string{"udp:0.0.0.0:5060"}, quiet
	a, err := ua.New(aor, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// A laptop that is subscribed moves. Its notifier is told at once, and when a refresh is
// under way, right after that.
func TestSubscriptionMoves(t *testing.T) {
	for _, refreshing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
			bob := newNotifierPeer(t, n, "192.0.2.2")
			laptop := &movable{Network: n.Host("192.0.2.1")}
			alice := newLaptop(t, laptop, "sip:alice@a.example", ua.Config{})
			s, _ := bob.subscribed(alice, nil)
			if refreshing {
				s.Refresh()
				bob.subscribe(t, "192.0.2.1", func() {
					laptop.moved.Store(true)
					alice.NetworkChanged(t.Context())
				})
			} else {
				laptop.moved.Store(true)
				time.Sleep(time.Minute)
				if err := alice.NetworkChanged(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			moved := time.Now()
			bob.subscribe(t, "192.0.2.50", nil)
			if late := time.Since(moved); late > time.Second {
				t.Errorf("the notifier was told %v later, want at once", late)
			}
			moved = time.Now()
			bob.subscribe(t, "192.0.2.50", nil)
			if soon := time.Since(moved); soon < 40*time.Minute {
				t.Errorf("the next refresh came after %v, want one as ever", soon)
			}
			go func() { bob.next().Reply(sip.StatusCallDoesNotExist) }()
			s.Close()
		})
	}
}

// A laptop moves before the first NOTIFY of what it has subscribed to has come, and that is
// on its way to where the laptop was: it subscribes anew, rather than wait for timer N.
func TestSubscriptionMovesBeforeNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		bob := newNotifierPeer(t, n, "192.0.2.2")
		laptop := &movable{Network: n.Host("192.0.2.1")}
		alice := newLaptop(t, laptop, "sip:alice@a.example", ua.Config{})
		begun := subscribing(t.Context(), alice, "presence", nil)
		tx := bob.next()
		bob.accept(tx)
		s := <-begun
		if s.err != nil {
			t.Fatal(s.err)
		}
		laptop.moved.Store(true)
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		moved := time.Now()
		again := bob.next().Request()
		if late := time.Since(moved); late > time.Second {
			t.Errorf("the notifier was told %v later, want at once", late)
		}
		if again.CallID() == tx.Request().CallID() || contactOf(t, again).Host != "192.0.2.50" {
			t.Errorf("the next SUBSCRIBE is\n%s\nwant one of another call from 192.0.2.50", again)
		}
		s.s.Close()
	})
}

// subscribe answers the next SUBSCRIBE, which has to name a host, after what is to happen first.
func (p *notifierPeer) subscribe(t *testing.T, host string, first func()) {
	t.Helper()
	tx := p.next()
	if got := contactOf(t, tx.Request()).Host; got != host {
		t.Errorf("a SUBSCRIBE from %s, want %s", got, host)
	}
	if first != nil {
		first()
	}
	tx.Reply(sip.StatusNoNotification, sip.Expires(3600)) // a NOTIFY would not get to a laptop that only says that it has moved
}

// A laptop that is watched moves: its watchers get a NOTIFY with the new address.
func TestWatchedMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		laptop := &movable{Network: n.Host("192.0.2.2")}
		m := &mood{says: "good"}
		bob := newLaptop(t, laptop, "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{ua.NewNotifier(m, nil)}})
		alice := newWatcherPeer(t, n, "192.0.2.1")
		alice.subscribe(sip.Expires(600))
		alice.want(0, "active;expires=600", "good 0 true")
		laptop.moved.Store(true)
		time.Sleep(time.Minute)
		if err := bob.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		tx := alice.want(0, "active;expires=540", "good 1 true")
		if host := contactOf(t, tx.Request()).Host; host != "192.0.2.50" {
			t.Errorf("the NOTIFY says %s, want 192.0.2.50", host)
		}
		go func() { (<-alice.notifies).Reply(sip.StatusOK) }()
		bob.Close()
	})
}

// A laptop moves that was asked with a REFER to do something, and is still at it: who has asked
// gets a NOTIFY with the new address.
func TestReferredMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		laptop := &movable{Network: n.Host("192.0.2.2")}
		bob := newLaptop(t, laptop, "sip:bob@b.example", ua.Config{OnRefer: func(_ context.Context, r *ua.Referral) { r.Accept() }})
		notifies := make(chan *sip.Request, 9)
		stranger := newCaller(t, n, "192.0.2.9", &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
			tx.Reply(sip.StatusOK)
			notifies <- req
		}})
		_, err := stranger.Subscribe(t.Context(), request(sip.REFER, bobURI, contactAt("192.0.2.9"), sip.ReferTo{URI: mustURI(carolURI)}), nil)
		if err != nil {
			t.Fatal(err)
		}
		<-notifies
		laptop.moved.Store(true)
		time.Sleep(time.Minute)
		if err := bob.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		if host := contactOf(t, <-notifies).Host; host != "192.0.2.50" {
			t.Errorf("the NOTIFY says %s, want 192.0.2.50", host)
		}
		bob.Close()
	})
}

// It is asked within a call that is up: the INVITE that says where it is now does for both, and what
// is told later comes from there.
func TestReferredMovesInCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		laptop := &movable{Network: n.Host("192.0.2.2")}
		referrals := make(chan *ua.Referral, 1)
		bob := newLaptop(t, laptop, "sip:bob@b.example", ua.Config{
			OnInvite: answerWith(make(chan *ua.Call, 1), newStream(t)),
			OnRefer: func(_ context.Context, r *ua.Referral) {
				r.Accept()
				referrals <- r
			},
		})
		var got []string
		alice := newCaller(t, n, "192.0.2.9", &dialog.Config{
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				got = append(got, "INVITE from "+contactOf(t, in.Request()).Host)
				in.Accept(describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0"))
			},
			OnRequest: func(tx *dialog.Server, req *sip.Request) {
				got = append(got, string(req.Method())+" from "+contactOf(t, req).Host)
				tx.Reply(sip.StatusOK)
			},
		})
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, contactAt("192.0.2.9"), describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Ack(t.Context())
		if resp, err := s.Do(t.Context(), sip.REFER, sip.ReferTo{URI: mustURI(carolURI)}); err != nil || !resp.Status().Success() {
			t.Fatal(resp, err)
		}
		r := <-referrals
		time.Sleep(time.Minute)
		laptop.moved.Store(true)
		if err := bob.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.Report(sip.StatusOK)
		synctest.Wait()
		if want := []string{"NOTIFY from 192.0.2.2", "INVITE from 192.0.2.50", "NOTIFY from 192.0.2.50"}; !slices.Equal(got, want) {
			t.Errorf("Alice has got %q, want %q", got, want)
		}
		s.Bye(t.Context())
	})
}
