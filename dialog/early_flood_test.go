package dialog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A thousand branches ring, or one rings and rings: what that costs is bounded, and
// the call comes about.
func TestFloodOfRinging(t *testing.T) {
	for _, branches := range []int{1000, 1} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, nil)
			c := place(t.Context(), t, alice)
			invite := p.expect("INVITE 1")
			for i := range 1000 {
				p.reply(invite, sip.StatusRinging, tagged(invite.Message, fmt.Sprint("tag-", i%branches)), p.contact())
				if i%20 == 0 {
					time.Sleep(20 * time.Millisecond)
				}
			}
			time.Sleep(time.Second)
			dialogs, _ := alice.Left()
			if branches == 1 && dialogs != 1 || dialogs > 32 {
				t.Errorf("%d dialogs of %d branches", dialogs, branches)
			}
			p.reply(invite, sip.StatusOK, tagged(invite.Message, "tag-999"), p.contact())
			s := c.answered()
			p.expect("ACK 1")
			if dialogs, _ = alice.Left(); dialogs != 1 {
				t.Errorf("%d dialogs, want that of the call", dialogs)
			}
			go s.Bye(t.Context()) // ends with the answer
			p.reply(p.expect("BYE 2"), sip.StatusOK)
			time.Sleep(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// Fifty reliable 18x in a row: each is shown once, in order, though the program is
// slow, and acknowledged.
func TestFloodOfReliableRinging(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		const flood = 50
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		var shown []sip.RSeq
		result := make(chan *dialog.Session, 1)
		invite := newInvite(t, "sip:bob@"+bobAddr, "1", sip.Supported{sip.Option100rel})
		go func() { // ends with the answer
			s, _, err := alice.Invite(t.Context(), invite, func(s *dialog.Session, resp *sip.Response) {
				rseq, _ := sip.Get[sip.RSeq](resp)
				shown = append(shown, rseq)
				if _, err := s.Do(t.Context(), sip.PRACK); err != nil {
					t.Errorf("PRACK: %v", err)
				}
			})
			if err != nil {
				t.Error(err)
			}
			result <- s
		}()
		in := p.expect("INVITE 1")
		for round := range 4 { // each comes four times
			for i := range flood {
				p.reply(in, sip.StatusRinging, tagged(in.Message, "b"), p.contact(),
					sip.Require{sip.Option100rel}, sip.RSeq(1000+i))
			}
			for i := 0; round == 0 && i < flood; i++ {
				p.reply(p.expect(summaryOf(sip.PRACK, i+2)), sip.StatusOK)
			}
		}
		p.reply(in, sip.StatusOK, tagged(in.Message, "b"), p.contact())
		<-result
		if len(shown) != flood || !slices.IsSorted(shown) {
			t.Errorf("the program has seen %v, want %d in order", shown, flood)
		}
	})
}

// A program gets the Session of each branch that rings. One that has none, because there
// are too many, does not ring for it, but may answer.
func TestBranchesBeyondTheLimitDoNotRing(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		c := place(t.Context(), t, newLayer(t, n, aliceAddr, nil))
		invite := p.expect("INVITE 1")
		for i := range 33 {
			p.reply(invite, sip.StatusRinging, p.contact(), tagged(invite.Message, fmt.Sprint("b", i)))
		}
		for i := range 32 {
			if s, resp := c.rings(sip.StatusRinging); s == nil {
				t.Errorf("branch %d, %s, has no Session", i, resp.To().Tag())
			}
		}
		c.quiet()
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "b32"))
		if got := c.answered().ID().RemoteTag; got != "b32" {
			t.Errorf("the call is with %s, want b32", got)
		}
	})
}
