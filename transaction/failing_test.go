package transaction

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// The CANCEL overtakes its INVITE, or that is lost and comes again: nobody is to
// be rung for a call that was given up. The CANCEL gets 481, as one that cancels
// nothing (RFC 3261 section 9.2), and the INVITE is cancelled when it comes.
func TestCancelOvertakesInvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			select {
			case <-tx.Context().Done():
				j.note("cancelled")
			case <-time.After(5 * time.Second):
				j.note("rung for 5 s")
				tx.Reply(sip.StatusBusyHere)
			}
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		n.SetFilter(func(p siptest.Packet) (v siptest.Verdict) {
			if label(p.Data) == "INVITE" {
				v.Delay = 100 * time.Millisecond
			}
			return v
		})
		alice.send(invite, cancelOf(invite))
		alice.response("481 CANCEL")
		if got := alice.within(time.Minute); got == nil || label([]byte(got.String())) != "487 INVITE" {
			t.Errorf("the INVITE gets %v, want a 487", got)
		} else {
			alice.send(ackFor(invite, got.(*sip.Response)))
		}
		alice.all(time.Minute)
		j.check(t, "cancelled")
	})
}

// A CANCEL of a request that is no INVITE has no effect, but it has found its
// transaction: it gets 200 (RFC 3261 section 9.2: "regardless of the method of
// the original request").
func TestCancelOfNonInvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			select {
			case <-tx.Context().Done():
				t.Errorf("the CANCEL has ended the context of %s", req.Method())
			case <-time.After(time.Second):
				tx.Reply(sip.StatusOK)
			}
		}})
		alice := alicePeer(t, n)
		message := alice.with("z9hG4bK1", request(sip.MESSAGE, bobURI))
		alice.send(message, cancelOf(message))
		alice.expectAll(time.Minute, "200 CANCEL, 200 MESSAGE")
	})
}

// An ACK of a peer of RFC 2543 belongs to the refusal whose To tag it has (RFC
// 3261 section 17.2.3). With another it is none of this transaction, which goes
// on to repeat its response.
func TestOldACKIsMatchedByTag(t *testing.T) {
	old(t, answering486, func(t *testing.T, alice *peer, j *journal, via sip.Edit) {
		invite := request(sip.INVITE, bobURI, via)
		alice.send(invite)
		busy := alice.response("486 INVITE")
		alice.send(ackFor(invite, reply(invite, 486, "of-another-fork")))
		alice.expectAll(time.Second, "486 INVITE") // after 500 ms
		alice.send(ackFor(invite, busy))
		alice.expectAll(time.Minute, "")
	})
}
