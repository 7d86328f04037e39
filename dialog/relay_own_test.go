package dialog_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Bob is overloaded, and the bridge is not: a 503 would have Alice ask another bridge at
// once, and this one no more for as long as its Retry-After says (RFC 3261 section 16.7
// step 6).
func TestRelay503(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		overloaded := func(in string) {
			t.Helper()
			bob.reply(bob.expect(in), sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 3600}, sip.ReasonPhrase("Full"))
		}
		want500 := func(what string) sip.Message {
			t.Helper()
			got := alice.expect("500 " + what).Message.(*sip.Response)
			if _, says := got.Value("Retry-After"); says || got.ReasonPhrase() != "Full" {
				t.Errorf("Alice gets\n%s", got)
			}
			return got
		}
		req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "0", alice.contact()))
		overloaded("INVITE 1")
		bob.expect("ACK 1")
		alice.refused(carolAddr, req, want500("INVITE 1"))

		_, answer := bridged(t, alice, bob)
		alice.send(carolAddr, alice.within(answer, sip.INFO, 2))
		overloaded("INFO 2")
		want500("INFO 2")
		alice.send(carolAddr, alice.within(answer, sip.BYE, 3))
		alice.expect("200 BYE 3")
		bob.reply(bob.expect("BYE 3"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}

// A bridge with session timers has one on each leg: that Bob knows them is nothing to
// Alice, who does not. The bridge refreshes her leg by itself, and the call lasts.
func TestRelayWithSessionTimers(t *testing.T) {
	timer := sip.SessionExpires{Seconds: 1800, Params: ";refresher=uac"}
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridgeOf(t, n, dialog.Config{SessionTimer: &dialog.SessionTimer{}})
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), sip.Allow{sip.UPDATE}, sip.Supported{"replaces"}))
		invite := bob.expect("INVITE 1")
		wantValue(t, invite.Message, "Session-Expires", "1800")
		bob.reply(invite, sip.StatusOK, bob.contact(), tagged(invite.Message, "b"), timer, sip.Require{sip.OptionTimer},
			sip.Supported{sip.OptionTimer, "replaces"}, sip.MinSE(120), sip.Allow{sip.UPDATE})
		answer := alice.expect("200 INVITE 1").Message
		wantValue(t, answer, "Session-Expires", "")
		wantValue(t, answer, "Min-SE", "")
		wantValue(t, answer, "Require", "")
		wantValue(t, answer, "Supported", "replaces")
		alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
		bob.expect("ACK 1")
		for i := range 8 {
			refresh := summaryOf(sip.UPDATE, 2+i)
			bob.reply(bob.expect(refresh), sip.StatusOK, bob.contact(), timer, sip.Require{sip.OptionTimer})
		}
		alice.send(carolAddr, alice.within(answer, sip.BYE, 2))
		alice.expect("200 BYE 2")
		bob.reply(bob.expect("BYE 10"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}

// Both have timers, and each its own: what Alice says of hers is not for Bob, and that
// he refuses the interval of the bridge again and again not for her.
func TestRelay422WithSessionTimers(t *testing.T) {
	for _, own := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			cfg, asked, answered := dialog.Config{}, "600", "422 INVITE 1"
			if own {
				cfg.SessionTimer = &dialog.SessionTimer{}
				asked, answered = "1800", "500 INVITE 1"
			}
			bridge := newBridgeOf(t, n, cfg)
			req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(),
				sip.Supported{sip.OptionTimer}, sip.SessionExpires{Seconds: 600}, sip.MinSE(100)))
			invite := bob.expect("INVITE 1")
			wantValue(t, invite.Message, "Session-Expires", asked)
			wantValue(t, invite.Message, "Supported", "timer")
			bob.reply(invite, sip.StatusSessionIntervalTooSmall, sip.MinSE(90))
			bob.expect("ACK 1")
			if own {
				bob.reply(bob.expect("INVITE 2"), sip.StatusSessionIntervalTooSmall, sip.MinSE(90))
				bob.expect("ACK 2")
			}
			refusal := alice.expect(answered).Message
			if own {
				wantValue(t, refusal, "Min-SE", "")
			} else {
				wantValue(t, refusal, "Min-SE", "90")
			}
			alice.refused(carolAddr, req, refusal)
			time.Sleep(time.Minute)
			wantEmpty(t, bridge)
		})
	}
}

func wantValue(t *testing.T, m sip.Message, name, want string) {
	t.Helper()
	if got, _ := m.Value(name); got != want {
		t.Errorf("%s of %s is %q, want %q", name, summary(m), got, want)
	}
}
