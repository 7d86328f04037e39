package ua_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// The refresh is refused. What ends the subscription has another one made, and what
// does not is tried again (RFC 6665 section 4.1.2.2).
func TestRefreshRefused(t *testing.T) {
	for status, anew := range map[sip.Status]bool{
		sip.StatusCallDoesNotExist: true, sip.StatusNotFound: true, sip.StatusBadEvent: true, sip.StatusNotImplemented: true,
		sip.StatusBadGateway:          true, // which ends the dialog (RFC 5057 section 5.1)
		sip.StatusServerInternalError: false, sip.StatusServiceUnavailable: false, sip.StatusForbidden: false,
	} {
		events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
			failed := make(chan error, 9)
			_, d := bob.subscribed(alice, &ua.SubscribeOptions{OnError: func(err error) { failed <- err }})
			bob.next().Reply(status)
			refused := time.Now()
			tx := bob.next()
			if err := <-failed; !errors.Is(err, status) {
				t.Errorf("OnError(%v), want %v", err, status)
			}
			if in := time.Since(refused); (in < time.Second) != anew {
				t.Errorf("after %v: SUBSCRIBE again in %v, want at once: %v", status, in, anew)
			}
			if got := tx.Dialog() == nil; got != anew {
				t.Errorf("after %v: a subscription anew: %v, want %v", status, got, anew)
			}
			if !anew && tx.Dialog() != d {
				t.Errorf("after %v: another dialog", status)
			}
		})
	}
}

// The refresh is accepted, and no NOTIFY comes: the subscription is not there any more
// (RFC 6665 section 4.1.2.2).
func TestRefreshNotNotified(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		failed := make(chan error, 9)
		_, d := bob.subscribed(alice, &ua.SubscribeOptions{OnError: func(err error) { failed <- err }})
		bob.accept(bob.next())
		before := time.Now()
		tx := bob.next()
		if in := time.Since(before).Round(time.Second); in != 32*time.Second || tx.Dialog() != nil {
			t.Errorf("subscribed again after %v", in)
		}
		if err := <-failed; !errors.Is(err, ua.ErrNoNotify) {
			t.Errorf("OnError(%v)", err)
		}
		if got := bob.notify(d, "presence", "active;expires=100", ""); got != sip.StatusCallDoesNotExist {
			t.Errorf("the NOTIFY of what there was got %v, want 481", got)
		}
	})
}

// Nobody answers the refresh, nor later ones, until the network is there again.
func TestRefreshLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		bob := newNotifierPeer(t, n, "192.0.2.2")
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s, _ := bob.subscribed(alice, nil)
		n.SetFilter(func(siptest.Packet) siptest.Verdict { return siptest.Verdict{Drop: true} })
		time.Sleep(2 * time.Hour)
		n.SetFilter(nil)
		d := bob.accept(bob.next())
		bob.notify(d, "presence", "active;expires=3600", "again")
		if n := next(t, s); n.Body.Content != "again" || !n.First {
			t.Errorf("told %+v", n)
		}
	})
}

// Refresh has all the state sent again.
func TestRefresh(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		s, d := bob.subscribed(alice, nil)
		before := time.Now()
		s.Refresh()
		s.Refresh()
		tx := bob.next()
		if in := time.Since(before); in > time.Second || tx.Dialog() != d {
			t.Errorf("refreshed after %v", in)
		}
		bob.accept(tx)
		bob.notify(d, "presence", "active;expires=3600", "all")
		if n := next(t, s); n.Body.Content != "all" || n.First {
			t.Errorf("told %+v", n)
		}
		before = time.Now()
		bob.next()
		if in := time.Since(before); in < 45*time.Minute {
			t.Errorf("refreshed once more after %v", in)
		}
	})
}

// The notifier shortens the subscription with a NOTIFY, and Alice refreshes in time
// for that.
func TestNotifyShortens(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		_, d := bob.subscribed(alice, nil)
		bob.notify(d, "presence", "active;expires=100", "")
		before := time.Now()
		tx := bob.next()
		if in := time.Since(before); in > 95*time.Second || tx.Dialog() != d {
			t.Errorf("refreshed after %v", in)
		}
	})
}

// The notifier says in a NOTIFY that the subscription lasts for longer than Alice has asked for,
// and she refreshes it in time for that (RFC 6665 section 4.2.2).
func TestNotifyLengthens(t *testing.T) {
	events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
		_, d := bob.subscribed(alice, &ua.SubscribeOptions{Expires: 10 * time.Minute})
		before := time.Now()
		bob.notify(d, "presence", "active;expires=86400", "")
		tx := bob.next()
		if in := time.Since(before); in > 10*time.Minute || tx.Dialog() != d {
			t.Errorf("refreshed after %v", in)
		}
	})
}

// The NOTIFYs of a notifier do not say when the subscription expires, and come before
// the answer to their SUBSCRIBE (RFC 6665 section 4.1.2.4), which says it, or is a
// refusal that is soon over. However it is, nobody is asked again and again.
func TestNotifyWithoutExpiresFirst(t *testing.T) {
	for _, c := range []struct {
		name    string
		refused int // of the refreshes, the first ones
		want    int // SUBSCRIBEs in four hours
	}{{"accepted", 0, 5}, {"refused at first", 2, 7}} {
		t.Run(c.name, func(t *testing.T) {
			events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
				result := subscribing(t.Context(), alice, "mood", &ua.SubscribeOptions{OnError: func(error) {}})
				d := bob.accept(bob.next())
				bob.notify(d, "mood", "active", "hello")
				s := (<-result).s
				got := 1
				for end := time.After(4 * time.Hour); ; got++ {
					var tx *dialog.Server
					select {
					case tx = <-bob.asks:
					case <-end:
					}
					if tx == nil {
						break
					}
					bob.notify(d, "mood", "active", "hello")
					if got <= c.refused {
						tx.Reply(sip.StatusServerInternalError)
					} else {
						tx.Reply(sip.StatusOK, sip.Expires(3600))
					}
				}
				if got < c.want-1 || got > c.want {
					t.Errorf("%d SUBSCRIBEs in four hours, want %d", got, c.want)
				}
				go s.Close()
				bob.next().Reply(sip.StatusOK, sip.Expires(0))
				bob.notify(d, "mood", "terminated;reason=timeout", "")
			})
		})
	}
}

// A notifier grants no time at all, or next to none, and says that the subscription is
// active nevertheless. It is asked again as one whose subscriptions do not last.
func TestSubscriptionOfNoTime(t *testing.T) {
	for _, c := range []struct {
		granted sip.Expires
		state   string
	}{{0, "active"}, {3600, "active;expires=0"}, {3600, "active;expires=1"}, {1, "active;expires=1"}} {
		events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
			result := subscribing(t.Context(), alice, "mood", &ua.SubscribeOptions{OnError: func(error) {}})
			got := 0
			for end := time.After(time.Hour); ; got++ {
				var tx *dialog.Server
				select {
				case tx = <-bob.asks:
				case <-end:
				}
				if tx == nil {
					break
				}
				d, err := tx.Accept(sip.StatusOK, c.granted)
				if err != nil {
					t.Fatal(err)
				}
				bob.notify(d, "mood", c.state, "")
			}
			if got < 2 || got > 15 {
				t.Errorf("Expires: %d, then %s: %d SUBSCRIBEs in an hour, want a few", c.granted, c.state, got)
			}
			(<-result).s.Close()
		})
	}
}

// Alice asks for a subscription of a few seconds, and keeps it for a minute.
func TestShortSubscriptionIsKept(t *testing.T) {
	for _, short := range []time.Duration{2 * time.Second, 4 * time.Second, 6 * time.Second} {
		events(t, ua.Config{}, func(t *testing.T, alice *ua.Agent, bob *notifierPeer) {
			subscribing(t.Context(), alice, "mood", &ua.SubscribeOptions{Expires: short, OnError: func(err error) { t.Error(err) }})
			state := fmt.Sprintf("active;expires=%d", short/time.Second)
			tx := bob.next()
			d, err := tx.Accept(sip.StatusOK, sip.Expires(short/time.Second))
			if err != nil {
				t.Fatal(err)
			}
			bob.notify(d, "mood", state, "")
			for end := time.Now().Add(time.Minute); time.Now().Before(end); {
				before := time.Now()
				tx := bob.next()
				if in := time.Since(before); tx.Dialog() != d || in < short/2 {
					t.Fatalf("of %v: after %v comes\n%v", short, in, tx.Request())
				}
				tx.Reply(sip.StatusOK, sip.Expires(short/time.Second))
				bob.notify(d, "mood", state, "")
			}
		})
	}
}
