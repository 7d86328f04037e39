package dialog_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// Alice gives up a call through a bridge whose callee is gone, and says nothing to the
// CANCEL: she has her 487 at once all the same (RFC 3261 sections 9.2 and 15.1.2).
func TestRelayGivenUpCalleeGone(t *testing.T) {
	for _, c := range []struct {
		name       string
		rings, bye bool
	}{{"ringing", true, false}, {"silent", false, false}, {"BYE", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
				bridge := newBridge(t, n)
				req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
				invite := bob.expect("INVITE 1")
				var said sip.Message
				if c.rings {
					bob.reply(invite, sip.StatusRinging, bob.contact(), tagged(invite.Message, "b"))
					said = alice.expect("180 INVITE 1").Message
				} else {
					said = alice.expect("100 INVITE 1").Message
				}
				start := time.Now()
				if c.bye {
					alice.send(carolAddr, alice.within(said, sip.BYE, 2))
					alice.expect("200 BYE 2")
				} else {
					alice.sendAs(carolAddr, cancelOf(req), req.Via().Branch())
					alice.expect("200 CANCEL 1")
				}
				final := alice.expect("487 INVITE 1")
				if took := time.Since(start); took > 100*time.Millisecond {
					t.Errorf("the 487 came after %v", took)
				}
				alice.refused(carolAddr, req, final.Message)
				time.Sleep(5 * time.Minute)
				wantEmpty(t, bridge)
			})
		})
	}
}

func cancelOf(invite *sip.Request) *sip.Request {
	return sip.NewRequest(sip.CANCEL, invite.URI(), sip.MaxForwards(70), invite.From(), invite.To(),
		sip.CallID(invite.CallID()), sip.CSeq{Seq: invite.CSeq().Seq, Method: sip.CANCEL})
}

// Bob's phone rings for ever, and nobody is there any more to hang up. It may for 200 s
// after its last word, of which 100 is none (RFC 3261 sections 16.7 step 2 and 16.8).
func TestRelayRingsForEver(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
		invite := bob.expect("INVITE 1")
		to := tagged(invite.Message, "b")
		start := time.Now()
		bob.reply(invite, sip.StatusRinging, bob.contact(), to)
		time.Sleep(150 * time.Second)
		bob.reply(invite, sip.StatusRinging, bob.contact(), to)
		time.Sleep(150 * time.Second)
		bob.reply(invite, sip.StatusTrying)
		bob.reply(bob.expect("CANCEL 1"), sip.StatusOK)
		if took := time.Since(start).Round(time.Second); took != 350*time.Second {
			t.Errorf("the CANCEL came after %v, want 350 s", took)
		}
		bob.reply(invite, sip.StatusRequestTerminated, to)
		bob.expect("ACK 1")
		alice.refused(carolAddr, req, alice.expect("408 INVITE 1", "100 INVITE 1", "180 INVITE 1").Message)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}

// A program that has a timer C of its own has none of ours, however long that is.
func TestRelayRingsAsConfigured(t *testing.T) {
	for _, c := range []time.Duration{time.Minute, 10 * time.Minute} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridgeOf(t, n, dialog.Config{Transaction: transaction.Config{Timers: transaction.Timers{C: c}}})
			req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
			invite := bob.expect("INVITE 1")
			start := time.Now()
			bob.reply(invite, sip.StatusRinging, bob.contact(), tagged(invite.Message, "b"))
			alice.refused(carolAddr, req, alice.expect("408 INVITE 1", "100 INVITE 1", "180 INVITE 1").Message)
			if took := time.Since(start); took < c || took > c+c/50+time.Second {
				t.Errorf("Alice was refused after %v, want %v", took, c)
			}
			time.Sleep(time.Minute)
			wantEmpty(t, bridge)
		})
	}
}

// Alice changes her call, and Bob's phone asks its user for ever. The call is there as it
// was, for which the refusal may not be 408 (RFC 5057 section 5.1).
func TestRelayReINVITERingsForEver(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		_, answer := bridged(t, alice, bob)
		hold := alice.send(carolAddr, alice.within(answer, sip.INVITE, 2, alice.contact(), body("A2")))
		again := bob.expect("INVITE 2")
		bob.reply(again, sip.StatusRinging, bob.contact())
		bob.reply(bob.expect("CANCEL 2"), sip.StatusOK)
		bob.reply(again, sip.StatusRequestTerminated)
		bob.expect("ACK 2")
		alice.refused(carolAddr, hold, alice.expect("500 INVITE 2", "180 INVITE 2").Message)
		alice.send(carolAddr, alice.within(answer, sip.BYE, 3))
		alice.expect("200 BYE 3")
		bob.reply(bob.expect("BYE 3"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}

// Who does not want to wait for Bob any more asks somebody else: Alice has not given up.
func TestInviteOnBehalfOneAfterTheOther(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		ready := make(chan *dialog.Layer, 1)
		bridge := newLayer(t, n, carolAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			l := <-ready
			brief, stop := context.WithTimeout(ctx, 20*time.Second)
			defer stop()
			l.Invite(brief, newInvite(t, "sip:bob@"+bobAddr, "one", l.Relayed(in.Request())...), nil)
			callee, resp, err := l.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "two", l.Relayed(in.Request())...), nil)
			in.Relay(callee, resp, err)
		}})
		ready <- bridge
		req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
		one := bob.expect("INVITE 1")
		bob.reply(one, sip.StatusRinging, bob.contact(), tagged(one.Message, "one"))
		bob.reply(bob.expect("CANCEL 1"), sip.StatusOK)
		bob.reply(one, sip.StatusRequestTerminated, tagged(one.Message, "one"))
		bob.expect("ACK 1")
		bob.reply(bob.expect("INVITE 1"), sip.StatusBusyHere)
		bob.expect("ACK 1")
		alice.refused(carolAddr, req, alice.expect("486 INVITE 1", "100 INVITE 1").Message)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}
