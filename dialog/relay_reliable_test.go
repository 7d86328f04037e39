package dialog_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// The bridge supports reliable ringing by itself, and Alice does not. She hears of it as
// she can, and Bob gets his PRACK from the bridge, unless that is to answer an offer,
// which only Alice could.
func TestRelayReliableRingingToWhoCannot(t *testing.T) {
	for _, offer := range []string{"A1", ""} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n, sip.Supported{sip.Option100rel})
			alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body(offer)))
			invite := bob.expect("INVITE 1")
			to := tagged(invite.Message, "b")
			bob.reply(invite, sip.StatusRinging, bob.contact(), to, sip.RSeq(1), sip.Require{sip.Option100rel})
			bob.reply(bob.expect("PRACK 2"), sip.StatusOK)
			alice.expect("180 INVITE 1")
			bob.reply(invite, sip.StatusSessionProgress, bob.contact(), to, body("B1"), sip.RSeq(2), sip.Require{sip.Option100rel})
			if got := alice.expect("183 INVITE 1").Message; got.Body() != "B1" {
				t.Errorf("Alice is told %q", got.Body())
			} else if _, reliable := got.Value("RSeq"); reliable {
				t.Error("Alice is to acknowledge what she cannot")
			}
			if offer != "" {
				bob.reply(bob.expect("PRACK 3"), sip.StatusOK)
			}
			bob.silent(time.Second)
			bridge.Close()
		})
	}
}

// Bob rings reliably without end, at two places, and answers no PRACK of the bridge, which
// stops at sixteen for each place.
func TestRelayReliableRingingWithoutEnd(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n, sip.Supported{sip.Option100rel})
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
		invite := bob.expect("INVITE 1")
		for i := range 100 {
			for _, tag := range []string{"b1", "b2"} {
				bob.reply(invite, sip.StatusRinging, append(reliably(1+i), bob.contact(), tagged(invite.Message, tag))...)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		if got := len(bob.in); got != 32 {
			t.Errorf("Bob got %d PRACKs, want 32", got)
		}
		bridge.Close()
	})
}

// The bridge says to Alice again that it rings, as she has heard nothing for 150 s, and
// her PRACK for that crosses an offer of Bob's. It is no PRACK for the offer.
func TestRelayPRACKOfRepeat(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), sip.Supported{sip.Option100rel}))
		invite := bob.expect("INVITE 1")
		to := tagged(invite.Message, "b")
		prack := func(seq uint32, edits ...sip.Edit) {
			t.Helper()
			ringing := alice.expect("183 INVITE 1", "100 INVITE 1").Message
			rseq, err := sip.Get[sip.RSeq](ringing)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
			alice.send(carolAddr, alice.within(ringing, sip.PRACK, seq, append(edits, sip.RAck{RSeq: rseq, CSeq: ringing.CSeq()})...))
		}
		bob.reply(invite, sip.StatusSessionProgress, to, bob.contact(), sip.RSeq(1), sip.Require{sip.Option100rel})
		prack(2)
		bob.reply(bob.expect("PRACK 2"), sip.StatusOK)
		alice.expect("200 PRACK 2")

		time.Sleep(150 * time.Second)
		bob.reply(invite, sip.StatusSessionProgress, to, bob.contact(), sip.RSeq(2), sip.Require{sip.Option100rel}, body("B1"))
		prack(3)
		alice.expect("200 PRACK 3")
		prack(4, body("A1"))
		answer := bob.expect("PRACK 3")
		if got := answer.Message.Body(); got != "A1" {
			t.Errorf("the PRACK for Bob's offer has %q", got)
		}
		bob.reply(answer, sip.StatusOK)
		alice.expect("200 PRACK 4")
		bridge.Close()
	})
}
