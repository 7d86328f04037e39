package dialog_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// bridged has Alice call Bob, who answers at once, through the bridge. It returns Bob's
// INVITE and Alice's answer.
func bridged(t *testing.T, alice, bob *peer) (invite, answer sip.Message) {
	t.Helper()
	alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body("A1")))
	in := bob.expect("INVITE 1")
	bob.reply(in, sip.StatusOK, bob.contact(), tagged(in.Message, "b"), body("B1"))
	answer = alice.expect("200 INVITE 1").Message
	alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
	bob.expect("ACK 1")
	return in.Message, answer
}

// Alice puts Bob on hold, and gives that up as he agrees: her CANCEL crosses his 200. What
// is agreed on holds, so she gets the 200 all the same (RFC 6141 section 3.8), and the
// call goes on.
func TestRelayAnswerToReINVITECrossesCANCEL(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		_, answer := bridged(t, alice, bob)
		hold := alice.send(carolAddr, alice.within(answer, sip.INVITE, 2, alice.contact(), body("A2")))
		again := bob.expect("INVITE 2")
		bob.reply(again, sip.StatusRinging, bob.contact())
		alice.expect("180 INVITE 2")
		alice.sendAs(carolAddr, alice.within(answer, sip.CANCEL, 2), hold.Via().Branch())
		time.Sleep(15 * time.Millisecond) // the CANCEL is on its way from the bridge to Bob
		bob.reply(again, sip.StatusOK, bob.contact(), body("B2"))
		alice.expect("200 CANCEL 2")
		if got := alice.expect("200 INVITE 2").Message.Body(); got != "B2" {
			t.Errorf("Alice is told %q, want what Bob has agreed on", got)
		}
		alice.send(carolAddr, alice.within(answer, sip.ACK, 2))
		bob.reply(bob.expect("CANCEL 2"), sip.StatusOK)
		bob.expect("ACK 2")
		alice.silent(time.Minute)

		alice.send(carolAddr, alice.within(answer, sip.BYE, 3))
		alice.expect("200 BYE 3")
		bob.reply(bob.expect("BYE 3"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}

// Bob agrees to a change that Alice cannot be told of any more: she never acknowledged his
// reliable ringing, and it was refused. He gets his ACK, and the call is there as it was.
func TestRelayAnswerToReINVITEComesLate(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		_, answer := bridged(t, alice, bob)
		hold := alice.send(carolAddr, alice.within(answer, sip.INVITE, 2, alice.contact(), body("A2"), sip.Supported{sip.Option100rel}))
		again := bob.expect("INVITE 2")
		bob.reply(again, sip.StatusRinging, bob.contact(), sip.RSeq(1), sip.Require{sip.Option100rel})
		refusal := alice.expect("504 INVITE 2", "180 INVITE 2").Message
		alice.refused(carolAddr, hold, refusal)
		bob.reply(bob.expect("CANCEL 2"), sip.StatusOK)
		bob.reply(again, sip.StatusOK, bob.contact(), body("B2"))
		bob.expect("ACK 2")
		alice.silent(time.Minute)

		alice.send(carolAddr, alice.within(answer, sip.BYE, 3))
		alice.expect("200 BYE 3")
		bob.reply(bob.expect("BYE 3"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}
