package dialog_test

import (
	"testing"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Alice says something right behind the ACK that has her answer. Bob gets both in that
// order: what overtook the ACK would meet a call whose offer is open, and get 491.
func TestRelayRightBehindACK(t *testing.T) {
	for _, method := range []sip.Method{sip.INFO, sip.UPDATE, sip.INVITE, sip.BYE} {
		t.Run(string(method), func(t *testing.T) {
			for range 5 { // it is up to the scheduler
				story(t, func(t *testing.T, n *siptest.Network) {
					alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
					newBridge(t, n)
					alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
					invite := bob.expect("INVITE 1")
					bob.reply(invite, sip.StatusOK, bob.contact(), tagged(invite.Message, "one"), body("offer"))
					answer := alice.expect("200 INVITE 1").Message
					alice.send(carolAddr, alice.within(answer, sip.ACK, 1, body("answer")))
					var edits []sip.Edit
					if method == sip.UPDATE || method == sip.INVITE {
						edits = []sip.Edit{alice.contact(), body("offer")}
					}
					alice.send(carolAddr, alice.within(answer, method, 2, edits...))
					if ack := bob.expect("ACK 1").Message; ack.Body() != "answer" {
						t.Errorf("the ACK has %q, want the answer", ack.Body())
					}
					bob.reply(bob.expect(summaryOf(method, 2)), sip.StatusOK, bob.contact())
					alice.expect("200 "+summaryOf(method, 2), "100 INVITE 2")
				})
			}
		})
	}
}
