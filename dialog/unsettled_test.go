package dialog_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A callee answers, and a request of its own comes right behind the 200, before anybody
// has looked at that, or overtakes it. The request waits for the dialog, and for the ACK
// unless it is a BYE.
func TestRequestRightBehind200(t *testing.T) {
	for _, overtakes := range []bool{false, true} {
		for _, method := range []sip.Method{sip.INFO, sip.UPDATE, sip.BYE} {
			t.Run(string(method), func(t *testing.T) {
				story(t, func(t *testing.T, n *siptest.Network) {
					bob := newPeer(t, n, bobAddr)
					alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) {
						if got := tx.Dialog().Value(); got != "ready" {
							t.Errorf("Value() = %v, want what was set before the ACK", got)
						}
						tx.Reply(sip.StatusOK)
					}})
					go func() { // ends with the call
						s, _, err := alice.Invite(context.Background(), newInvite(t, "sip:bob@"+bobAddr, "1", body("offer")), nil)
						if err != nil {
							t.Errorf("Invite() = %v", err)
							return
						}
						time.Sleep(100 * time.Millisecond)
						s.SetValue("ready")
						s.Ack(context.Background())
						time.Sleep(time.Minute)
						s.Bye(context.Background())
					}()
					invite := bob.expect("INVITE 1")
					to := tagged(invite.Message, "one")
					req := bob.back(invite.Message, to, method, 1, bob.contact())
					if overtakes {
						bob.send(aliceAddr, req)
						time.Sleep(100 * time.Millisecond)
					}
					bob.reply(invite, sip.StatusOK, bob.contact(), to, body("answer"))
					if !overtakes {
						bob.send(aliceAddr, req)
					}
					if method == sip.BYE {
						bob.expect("200 BYE 1")
						bob.expect("ACK 1")
					} else {
						bob.expect("ACK 1")
						bob.expect("200 " + summaryOf(method, 1))
						bob.reply(bob.expect("BYE 2"), sip.StatusOK)
					}
					time.Sleep(time.Minute)
					wantEmpty(t, alice)
				})
			})
		}
	}
}

// The same behind a response that rings, of each branch of a fork.
func TestRequestRightBehind18x(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { // ends with the refusal
			_, _, err := alice.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "1"), func(*dialog.Session, *sip.Response) {
				time.Sleep(100 * time.Millisecond)
			})
			done <- err
		}()
		invite := bob.expect("INVITE 1")
		for _, branch := range []string{"one", "two", "three"} {
			to := tagged(invite.Message, branch)
			bob.reply(invite, sip.StatusRinging, bob.contact(), to)
			bob.send(aliceAddr, bob.back(invite.Message, to, sip.INFO, 1))
		}
		for range 3 {
			bob.expect("200 INFO 1")
		}
		// One that no response has made waits until none can any more.
		bob.send(aliceAddr, bob.back(invite.Message, tagged(invite.Message, "four"), sip.INFO, 2))
		bob.silent(time.Second)
		cancel()
		bob.reply(bob.expect("CANCEL 1"), sip.StatusOK)
		bob.reply(invite, sip.StatusRequestTerminated)
		bob.expect("ACK 1")
		bob.expect("481 INFO 2")
		<-done
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// A request of a dialog that no response makes is refused when its sender has given up,
// however long the INVITE may ring.
func TestRequestBehindNothing(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		go alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil) // ends with the Layer
		invite := bob.expect("INVITE 1")
		bob.reply(invite, sip.StatusRinging, bob.contact(), tagged(invite.Message, "one"))
		bob.send(aliceAddr, bob.back(invite.Message, tagged(invite.Message, "two"), sip.INFO, 1))
		began := time.Now()
		bob.expect("481 INFO 1", "100 INFO 1")
		if took := time.Since(began).Round(time.Second); took != 32*time.Second {
			t.Errorf("the 481 came after %v, want 32s", took)
		}
		alice.Close()
	})
}

// An ACK that is on its way, but has to dial first, is still waited for.
func TestRequestBehindDialOfACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newPeer(t, n, bobAddr)
		served := make(chan time.Time, 1)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) {
			served <- time.Now()
			tx.Reply(sip.StatusOK)
		}})
		c := place(t.Context(), t, alice)
		invite := bob.expect("INVITE 1")
		tag, contact := tagged(invite.Message, "one"), bob.contact()
		contact.URI.Params = ";transport=tcp"
		bob.reply(invite, sip.StatusOK, tag, contact)
		time.Sleep(time.Millisecond)
		bob.send(aliceAddr, bob.back(invite.Message, tag, sip.INFO, 1))
		c.answered()
		acked := time.Now()
		if at := <-served; at.Before(acked) {
			t.Errorf("the handler was called %v before the ACK was sent", acked.Sub(at))
		}
	})
}

// Who does not acknowledge for long keeps the peer's requests for no more than T1.
func TestRequestBeforeLateACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
		go alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil) // ends with the 200
		invite := bob.expect("INVITE 1")
		to := tagged(invite.Message, "one")
		bob.reply(invite, sip.StatusOK, bob.contact(), to)
		began := time.Now()
		bob.send(aliceAddr, bob.back(invite.Message, to, sip.INFO, 1))
		bob.expect("200 INFO 1")
		if took, want := time.Since(began), 500*time.Millisecond+20*time.Millisecond; took != want {
			t.Errorf("the 200 came after %v, want %v", took, want)
		}
	})
}

// What comes for a branch that is over has its answer at once, while the INVITE goes on:
// nothing makes it a dialog again, and what is behind it is for branches that still ring.
func TestRequestBehindEndOfBranch(t *testing.T) {
	for _, how := range []string{"199", "BYE"} {
		story(t, func(t *testing.T, n *siptest.Network) {
			bob := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
			c := place(t.Context(), t, alice)
			invite := bob.expect("INVITE 1")
			one, two := tagged(invite.Message, "one"), tagged(invite.Message, "two")
			for _, tag := range []sip.Edit{one, two} {
				bob.reply(invite, sip.StatusRinging, tag, bob.contact())
				c.rings(sip.StatusRinging)
			}
			if how == "199" {
				bob.reply(invite, sip.StatusEarlyDialogTerminated, one)
				c.rings(sip.StatusEarlyDialogTerminated)
				time.Sleep(100 * time.Millisecond)
			} else {
				bob.send(aliceAddr, bob.back(invite.Message, one, sip.BYE, 1))
				bob.expect("200 BYE 1")
			}
			began := time.Now()
			bob.send(aliceAddr, bob.back(invite.Message, one, sip.INFO, 5))
			bob.expect("481 INFO 5")
			bob.send(aliceAddr, bob.back(invite.Message, two, sip.UPDATE, 1, bob.contact()))
			bob.expect("200 UPDATE 1")
			if took := time.Since(began); took > time.Second {
				t.Errorf("after %s they are answered in %v", how, took)
			}
			bob.reply(invite, sip.StatusBusyHere, two)
			<-c.result
			time.Sleep(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// A branch rings, the INVITE is challenged, and the same tag answers the next one: a
// request right behind that waits for the dialog that it makes.
func TestRequestRightBehind200AfterChallenge(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{
			Auth:      &password{tries: 1},
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		})
		c := place(t.Context(), t, alice)
		invite := bob.expect("INVITE 1")
		tag := tagged(invite.Message, "one")
		bob.reply(invite, sip.StatusRinging, tag, bob.contact())
		c.rings(sip.StatusRinging)
		bob.reply(invite, sip.StatusProxyAuthRequired, tag, challenge("one"))
		bob.expect("ACK 1")
		invite = bob.expect("INVITE 2")
		bob.send(aliceAddr, bob.back(invite.Message, tag, sip.INFO, 1))
		time.Sleep(100 * time.Millisecond)
		bob.reply(invite, sip.StatusOK, tag, bob.contact())
		c.answered()
		bob.expect("ACK 2")
		bob.expect("200 INFO 1")
	})
}
