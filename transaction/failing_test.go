package transaction

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// An ACK of a peer of RFC 2543 with the To tag of another response is none of
// the transaction that it looks like: RFC 3261 section 17.2.3 tells the ACK of a
// 2xx from that of another response by it, so that a proxy passes it on. It is
// handed on as any ACK without a transaction.
func TestOldACKOfAnotherResponseIsHandedOn(t *testing.T) {
	old(t, answering486, func(t *testing.T, alice *peer, j *journal, via sip.Edit) {
		invite := request(sip.INVITE, bobURI, via)
		alice.send(invite)
		busy := alice.response("486 INVITE")
		alice.send(ackFor(invite, reply(invite, 200, "of-another-fork")))
		pass(100 * time.Millisecond)
		alice.send(ackFor(invite, busy))
		alice.expectAll(time.Minute, "")
		j.check(t, "call-1 INVITE 1", "call-1 ACK 1")
	})
}

// A response that comes when its transaction is over, and one that fails to match
// it, is none that was sent without a transaction: Config.Stateless does not get
// it, or a proxy would pass it on (RFC 4320 section 4.2 forbids it to). Its
// branch is one that the layer has made for a transaction.
func TestLateResponseIsNotStateless(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), &Config{Stateless: func(in *transport.Inbound) bool {
			j.note("%s", label([]byte(in.Message.String())))
			return true
		}})
		go func() { // ends with the story
			r := bob.request(sip.OPTIONS)
			bob.send(reply(r, 200, "b").With(sip.CSeq{Seq: 1, Method: sip.MESSAGE}), reply(r, 200, "b"))
			pass(34 * time.Second)
			bob.send(reply(r, 200, "b"))
		}()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		pass(time.Minute)
		j.check(t, "")
	})
}
