package dialog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A back-to-back user agent is started anew in a call, twice, and each leg may be the
// first to be there again: they have each other, and what the peers say goes on.
func TestRestorePair(t *testing.T) {
	for _, turn := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n)
			alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
			invite := bob.expect("INVITE 1")
			bob.reply(invite, sip.StatusOK, bob.contact(), tagged(invite.Message, "one"))
			answer := alice.expect("200 INVITE 1").Message
			alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
			bob.expect("ACK 1")

			kept := keep(t, bridge)
			slices.SortFunc(kept, func(a, b []byte) int { return slices.Compare(a, b) })
			if turn {
				slices.Reverse(kept)
			}
			bridge = newBridge(t, n)
			restorePair(t, bridge, kept[:1])
			kept[0] = keep(t, bridge)[0] // while the other one is not there
			bridge = newBridge(t, n)
			for _, leg := range restorePair(t, bridge, kept) {
				if other := leg.Other(); other == nil || other.Other() != leg {
					t.Errorf("a leg has %v as the other", other)
				}
			}
			alice.send(carolAddr, alice.within(answer, sip.INFO, 2))
			bob.reply(bob.expect("INFO 2"), sip.StatusOK)
			alice.expect("200 INFO 2")
			alice.send(carolAddr, alice.within(answer, sip.BYE, 3))
			alice.expect("200 BYE 3")
			bob.reply(bob.expect("BYE 3"), sip.StatusOK)
		})
	}
}

func restorePair(t *testing.T, l *dialog.Layer, kept [][]byte) (legs []*dialog.Dialog) {
	t.Helper()
	for _, data := range kept {
		leg, err := l.Restore(data)
		if err != nil {
			t.Fatal(err)
		}
		legs = append(legs, leg)
	}
	return legs
}

// Alice's call is over, and her transfer is not, when the bridge is started anew: its legs
// have calls, which are over.
func TestRestorePairWithoutCalls(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		invite := referred(t, alice, bob, "active;expires=600")
		for range 2 {
			kept := keep(t, bridge)
			bridge = newBridge(t, n)
			for _, leg := range restorePair(t, bridge, kept) {
				s := leg.Session()
				if s == nil {
					t.Fatalf("the leg to %s has no call", leg.Target())
				}
				if err := s.Bye(t.Context()); err != nil || !errors.Is(s.Err(), dialog.ErrEnded) {
					t.Errorf("Bye() = %v, Err() = %v", err, s.Err())
				}
				<-s.Done()
				if _, err := s.Invite(t.Context(), nil); !errors.Is(err, dialog.ErrEnded) {
					t.Errorf("Invite() = %v", err)
				}
			}
		}
		bob.send(carolAddr, bob.back(invite, tagged(invite, "b"), sip.INFO, 2))
		bob.expect("481 INFO 2")
		bob.send(carolAddr, bob.back(invite, tagged(invite, "b"), sip.NOTIFY, 3, event("refer"), state("terminated"), bob.contact()))
		alice.reply(alice.expect("NOTIFY 2"), sip.StatusOK)
		bob.expect("200 NOTIFY 3")
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}

// The bridge is started anew when Alice has its 200, and her ACK is still to come: Bob gets
// that, and is not called once more. If it never comes, both calls are ended.
func TestRestorePairBeforeTheACK(t *testing.T) {
	for _, c := range []struct {
		re, acked, turn bool
	}{{false, true, false}, {false, true, true}, {true, true, false}, {true, true, true}, {false, false, false}, {true, false, true}} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n)
			alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
			invite := bob.expect("INVITE 1")
			bob.reply(invite, sip.StatusOK, bob.contact(), tagged(invite.Message, "b"), body("B1"))
			answer := alice.expect("200 INVITE 1").Message
			seq := uint32(1)
			if c.re {
				alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
				bob.expect("ACK 1")
				alice.send(carolAddr, alice.within(answer, sip.INVITE, 2, alice.contact()))
				bob.reply(bob.expect("INVITE 2"), sip.StatusOK, bob.contact(), body("B2"))
				answer = alice.expect("200 INVITE 2").Message
				seq = 2
			}
			kept := keep(t, bridge)
			slices.SortFunc(kept, func(a, b []byte) int { return slices.Compare(a, b) })
			if c.turn {
				slices.Reverse(kept)
			}
			bridge = newBridge(t, n)
			restorePair(t, bridge, kept)
			again := summary(answer)
			if c.acked {
				alice.expect(again)
				alice.send(carolAddr, alice.within(answer, sip.ACK, seq, body("A")))
				if got := bob.expect(summaryOf(sip.ACK, int(seq))).Message.Body(); got != "A" {
					t.Errorf("Bob's ACK has %q", got)
				}
				bob.silent(time.Minute)
				alice.send(carolAddr, alice.within(answer, sip.BYE, seq+1))
				alice.expect(fmt.Sprintf("200 BYE %d", seq+1))
			} else {
				alice.reply(alice.expect("BYE 1", again), sip.StatusOK)
				bob.expect(summaryOf(sip.ACK, int(seq))) // before the BYE
			}
			bob.reply(bob.expect(summaryOf(sip.BYE, int(seq)+1)), sip.StatusOK)
			time.Sleep(time.Minute)
			wantEmpty(t, bridge)
		})
	}
}

// Alice's change of the call is under way when the bridge is started anew. Whichever leg is
// the first to be there again, the program hears of the INVITE when both are.
func TestRestorePairInReinvite(t *testing.T) {
	for _, turn := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n)
			alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
			invite := bob.expect("INVITE 1")
			bob.reply(invite, sip.StatusOK, bob.contact(), tagged(invite.Message, "b"), body("B1"))
			answer := alice.expect("200 INVITE 1").Message
			alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
			bob.expect("ACK 1")
			alice.send(carolAddr, alice.within(answer, sip.INVITE, 2, alice.contact(), body("hold")))
			bob.expect("INVITE 2")

			kept := keep(t, bridge)
			slices.SortFunc(kept, func(a, b []byte) int { return slices.Compare(a, b) })
			if turn {
				slices.Reverse(kept)
			}
			newLayer(t, n, carolAddr, &dialog.Config{
				OnInvite: func(_ context.Context, in *dialog.Invitation) {
					if in.Session().Other() == nil {
						t.Error("the call has no other leg")
					}
					in.Reject(sip.StatusRequestPending)
				},
				Restore: func(l *dialog.Layer) error {
					for _, data := range kept {
						restorePair(t, l, [][]byte{data})
						time.Sleep(time.Millisecond) // the next one is read
					}
					return nil
				},
			})
			alice.expect("491 INVITE 2")
			alice.send(carolAddr, alice.within(answer, sip.ACK, 2))
		})
	}
}
