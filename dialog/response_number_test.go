package dialog_test

import (
	"fmt"
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// The responses of a peer have another number than our requests, which a UAS may not give
// them (RFC 3261 section 8.2.6.2). Theirs counts all the same, for that is what the peer
// got: in the PRACK (RFC 3262 section 7.2), the ACK, and the numbers of what follows in the
// call, up to the BYE (RFC 3261 section 12.1.2). What the program is shown has it, too.
func TestResponsesWithAnotherNumber(t *testing.T) {
	for _, seq := range []uint32{0, 5000, 1<<31 - 1} {
		t.Run(fmt.Sprint(seq), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				p := newPeer(t, n, bobAddr)
				alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &answerer{}})
				number := func(method sip.Method) sip.Edit { return sip.CSeq{Seq: seq, Method: method} }
				c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel})
				p.reply(p.expect("INVITE 1"), sip.StatusUnauthorized, number(sip.INVITE))
				p.expect("ACK 1")
				invite := p.expect("INVITE 2")
				p.rings(invite, 7, number(sip.INVITE))
				s, ringing := c.rings(sip.StatusSessionProgress)
				if got := summary(ringing); got != "183 INVITE 2" {
					t.Errorf("the program is shown a %s, want 183 INVITE 2", got)
				}
				done := does(t, s, sip.PRACK)
				prack := p.expect("PRACK 3")
				wantRAck(t, prack, 7, 2)
				p.reply(prack, sip.StatusOK, number(sip.PRACK))
				<-done

				ok := p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "b"), number(sip.INVITE))
				s = c.answered()
				p.expect("ACK 2")
				p.respond(invite, ok)
				p.expect("ACK 2")
				p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "surplus"), number(sip.INVITE))
				p.expect("ACK 2")
				p.reply(p.expect("BYE 3"), sip.StatusOK, number(sip.BYE))

				done = does(t, s, sip.INFO)
				p.reply(p.expect("INFO 4"), sip.StatusUnauthorized, number(sip.INFO))
				p.reply(p.expect("INFO 5"), sip.StatusOK, number(sip.INFO))
				<-done
				go func() { // ends with the answer to the BYE
					s.Invite(t.Context(), nil)
					s.Ack(t.Context())
					s.Bye(t.Context())
				}()
				p.reply(p.expect("INVITE 6"), sip.StatusOK, p.contact(), number(sip.INVITE))
				p.expect("ACK 6")
				p.reply(p.expect("BYE 7"), sip.StatusOK, number(sip.BYE))
				<-s.Done()
			})
		})
	}
}

// Outside of a call the response has the number of the request that it is to, be it sent
// again with credentials.
func TestResponseWithAnotherNumberOutsideOfACall(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &answerer{}})
		result := make(chan *sip.Response, 1)
		go func() { // ends with the answer
			resp, err := alice.Do(t.Context(), newRequest(t, sip.OPTIONS, "1"))
			if err != nil {
				t.Error(err)
			}
			result <- resp
		}()
		p.reply(p.expect("OPTIONS 1"), sip.StatusUnauthorized, sip.CSeq{Seq: 99, Method: sip.OPTIONS})
		p.reply(p.expect("OPTIONS 2"), sip.StatusOK, sip.CSeq{Seq: 1<<31 - 1, Method: sip.OPTIONS})
		if got := summary(<-result); got != "200 OPTIONS 2" {
			t.Errorf("the response is %s, want 200 OPTIONS 2", got)
		}
	})
}
