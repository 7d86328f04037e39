package dialog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Alice's PRACK has an offer, for a branch that loses: another one answers while the
// PRACK is under way, or before it comes. The offer is refused, for 200 would have to
// answer it (RFC 3262 section 5), and both describe their sessions anew.
func TestRelayPRACKToBranchThatLoses(t *testing.T) {
	for _, late := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n)
			alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body("A1"), sip.Supported{sip.Option100rel}))
			invite := bob.expect("INVITE 1")
			one, two := tagged(invite.Message, "one"), tagged(invite.Message, "two")
			bob.reply(invite, sip.StatusSessionProgress, bob.contact(), one, body("one"), sip.RSeq(1), sip.Require{sip.Option100rel})
			early := alice.expect("183 INVITE 1").Message
			rseq, _ := sip.Get[sip.RSeq](early)
			prack := alice.within(early, sip.PRACK, 2, sip.RAck{RSeq: rseq, CSeq: early.CSeq()}, body("A2"))
			if late {
				bob.reply(invite, sip.StatusOK, bob.contact(), two, body("two"))
				time.Sleep(100 * time.Millisecond)
				alice.send(carolAddr, prack)
			} else {
				alice.send(carolAddr, prack)
				bob.expect("PRACK 2")
				bob.reply(invite, sip.StatusOK, bob.contact(), two, body("two"))
			}
			alice.expect("488 PRACK 2", "183 INVITE 1")
			answer := alice.expect("200 INVITE 1").Message
			alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
			bob.expect("ACK 1", "PRACK 2")
			again := bob.expect("INVITE 2")
			bob.reply(again, sip.StatusOK, bob.contact(), body("two anew"))
			offer := alice.expect("INVITE 1")
			alice.reply(offer, sip.StatusOK, alice.contact(), body("A3"))
			alice.expect("ACK 1")
			if got := bob.expect("ACK 2").Message.Body(); got != "A3" {
				t.Errorf("Bob's answer is %q", got)
			}
			bridge.Close()
		})
	}
}

// Another branch answers than the one that Alice has heard, and either peer is about to
// change its call when it is to describe its session anew: 491. They are asked again when
// the delay of RFC 3261 section 14.1 is over, a few times.
func TestRelayForkMeetsGlare(t *testing.T) {
	for _, refusals := range []int{1, 4} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n)
			alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body("A1")))
			invite := bob.expect("INVITE 1")
			bob.reply(invite, sip.StatusSessionProgress, bob.contact(), tagged(invite.Message, "one"), body("one"))
			alice.expect("183 INVITE 1")
			bob.reply(invite, sip.StatusOK, bob.contact(), tagged(invite.Message, "two"), body("two"))
			alice.send(carolAddr, alice.within(alice.expect("200 INVITE 1").Message, sip.ACK, 1))
			bob.expect("ACK 1")

			bob.reply(bob.expect("INVITE 2"), sip.StatusRequestPending)
			bob.expect("ACK 2")
			start := time.Now()
			bob.reply(bob.expect("INVITE 3"), sip.StatusOK, bob.contact(), body("two anew"))
			if waited := time.Since(start); waited < 2*time.Second || waited > 5*time.Second {
				t.Errorf("Bob is invited again after %v, want 2.1 to 4 s", waited)
			}
			for i := range refusals {
				alice.reply(alice.expect(fmt.Sprint("INVITE ", i+1)), sip.StatusRequestPending)
				alice.expect(fmt.Sprint("ACK ", i+1))
			}
			if refusals == 4 {
				alice.reply(alice.expect("BYE 5"), sip.StatusOK)
				bob.expect("ACK 3")
				bob.reply(bob.expect("BYE 4"), sip.StatusOK)
			} else {
				again := alice.expect("INVITE 2")
				if got := again.Message.Body(); got != "two anew" {
					t.Errorf("Alice is offered %q", got)
				}
				alice.reply(again, sip.StatusOK, alice.contact(), body("A2"))
				alice.expect("ACK 2")
				if got := bob.expect("ACK 3").Message.Body(); got != "A2" {
					t.Errorf("Bob's answer is %q", got)
				}
			}
			bridge.Close()
		})
	}
}

// The branch that Alice has heard ends while another one rings: her requests meet nobody
// then, but are no reason for her to give up the call (RFC 5057 section 5.1). When the
// other branch says something it is the one that they go to, and it can answer.
func TestRelayBranchHeardEnds(t *testing.T) {
	for _, how := range []string{"199", "199 crosses INFO", "BYE", "481"} {
		t.Run(how, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
				newBridge(t, n)
				alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body("A1")))
				invite := bob.expect("INVITE 1")
				one, two := tagged(invite.Message, "one"), tagged(invite.Message, "two")
				bob.reply(invite, sip.StatusSessionProgress, one, bob.contact(), body("one"))
				early := alice.expect("183 INVITE 1").Message
				bob.reply(invite, sip.StatusRinging, two, bob.known("two"))
				alice.expect("180 INVITE 1")
				switch how {
				case "199":
					bob.reply(invite, sip.StatusEarlyDialogTerminated, one)
				case "199 crosses INFO":
					alice.send(carolAddr, alice.within(early, sip.INFO, 2))
					bob.expect("INFO 2")
					bob.reply(invite, sip.StatusEarlyDialogTerminated, one)
					alice.expect("500 INFO 2")
				case "BYE":
					bob.send(carolAddr, bob.back(invite.Message, one, sip.BYE, 1))
					bob.expect("200 BYE 1")
				case "481":
					alice.send(carolAddr, alice.within(early, sip.INFO, 2))
					bob.reply(bob.expect("INFO 2"), sip.StatusCallDoesNotExist)
					bob.reply(bob.expect("BYE 3"), sip.StatusOK)
					alice.expect("500 INFO 2")
				}
				time.Sleep(100 * time.Millisecond)
				alice.send(carolAddr, alice.within(early, sip.INFO, 3))
				refused := alice.expect("500 INFO 3").Message
				if _, ok := refused.Value("Retry-After"); !ok {
					t.Error("the 500 has no Retry-After")
				}
				bob.reply(invite, sip.StatusRinging, two, bob.known("two"))
				alice.expect("180 INVITE 1")
				alice.send(carolAddr, alice.within(early, sip.INFO, 4))
				info := bob.expect("INFO 2")
				wantWay(t, info, "two")
				bob.reply(info, sip.StatusOK)
				alice.expect("200 INFO 4")
				bob.reply(invite, sip.StatusOK, two, bob.known("two"), body("two"))
				alice.expect("200 INVITE 1")
			})
		})
	}
}

// The branch that a PRACK is for ends before it can have it.
func TestRelayPRACKToBranchThatEnds(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		newBridge(t, n)
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body("A1"), sip.Supported{sip.Option100rel}))
		invite := bob.expect("INVITE 1")
		one := tagged(invite.Message, "one")
		bob.reply(invite, sip.StatusSessionProgress, bob.contact(), one, body("one"), sip.RSeq(1), sip.Require{sip.Option100rel})
		early := alice.expect("183 INVITE 1").Message
		bob.send(carolAddr, bob.back(invite.Message, one, sip.BYE, 1))
		bob.expect("200 BYE 1")
		rseq, _ := sip.Get[sip.RSeq](early)
		alice.send(carolAddr, alice.within(early, sip.PRACK, 2, sip.RAck{RSeq: rseq, CSeq: early.CSeq()}))
		alice.expect("200 PRACK 2")
	})
}

// Alice's INFO is under way to a branch when another one answers: the one that it is for is
// over, and her call is not.
func TestRelayRequestToBranchThatLoses(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		newBridge(t, n)
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body("A1")))
		invite := bob.expect("INVITE 1")
		bob.reply(invite, sip.StatusRinging, tagged(invite.Message, "one"), bob.contact())
		early := alice.expect("180 INVITE 1").Message
		alice.send(carolAddr, alice.within(early, sip.INFO, 2))
		bob.expect("INFO 2")
		bob.reply(invite, sip.StatusOK, tagged(invite.Message, "two"), bob.contact(), body("two"))
		alice.expect("500 INFO 2", "200 INVITE 1")
	})
}
