package dialog_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
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

// pracks is a program that acknowledges each reliable response at once.
func pracks(ctx context.Context) func(*dialog.Session, *sip.Response) {
	return func(s *dialog.Session, _ *sip.Response) {
		go s.Do(ctx, sip.PRACK) // ends with the answer
	}
}

// A callee rings reliably without end, and answers no PRACK: it may not wait for the PRACK
// of each (RFC 3262 section 3), but then there are 16 that it has to answer before it gets
// more, or 64 if it does so by many branches. When it has answered some, what it sends
// again is taken.
func TestReliableRingingWithoutEnd(t *testing.T) {
	for branches, most := range map[int]int{1: 16, 32: 64} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go alice.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "1", sip.Supported{sip.Option100rel}), pracks(ctx)) // ends with the context
			invite := p.expect("INVITE 1")
			flood := func() {
				for i := range 640 / branches {
					for b := range branches {
						p.reply(invite, sip.StatusRinging, append(reliably(1+i), tagged(invite.Message, fmt.Sprint("b", b)), p.contact())...)
					}
					time.Sleep(100 * time.Microsecond)
				}
				time.Sleep(50 * time.Millisecond) // until what is under way is there
			}
			var got []*transport.Inbound
			fresh := func(want int, when string) {
				t.Helper()
				seen := map[string]bool{}
				for _, in := range got {
					seen[in.Message.Via().Branch()] = true
				}
				before := len(got)
				for len(p.in) > 0 {
					if in := <-p.in; in.Message.CSeq().Method == sip.PRACK && !seen[in.Message.Via().Branch()] {
						seen[in.Message.Via().Branch()] = true
						got = append(got, in)
					}
				}
				if n := len(got) - before; n != want {
					t.Errorf("there were %d PRACKs %s, want %d", n, when, want)
				}
			}
			flood()
			fresh(most, "without an answer to any")
			for _, prack := range got[:5] {
				p.reply(prack, sip.StatusOK)
			}
			flood()
			fresh(5, "when five had an answer")
		})
	}
}

// A callee that rings fifty times sends each when it has got the PRACK of the one before,
// and takes its time with the answers. No matter how long: all have their PRACK, if not at
// once.
func TestReliableRingingAheadOfAnswers(t *testing.T) {
	for _, slow := range []time.Duration{100 * time.Millisecond, 5 * time.Second} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, nil)
			result := make(chan *dialog.Session, 1)
			go func() { // ends with the answer
				s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1", sip.Supported{sip.Option100rel}), pracks(t.Context()))
				if err != nil {
					t.Error(err)
				}
				result <- s
			}()
			invite := p.expect("INVITE 1")
			start := time.Now()
			for i := range 50 {
				ringing := p.rings(invite, 1+i)
				again := 500 * time.Millisecond
				timer := time.NewTimer(again)
				for acked := false; !acked; {
					select {
					case in := <-p.in:
						rack, err := sip.Get[sip.RAck](in.Message)
						if acked = err == nil && rack.RSeq == sip.RSeq(1+i); acked {
							time.AfterFunc(slow, func() { p.reply(in, sip.StatusOK) })
						}
					case <-timer.C:
						p.respond(invite, ringing)
						again *= 2
						timer.Reset(again)
					}
				}
				timer.Stop()
			}
			if took := time.Since(start); slow < time.Second && took > 50*20*time.Millisecond {
				t.Errorf("it took %v, want no more than a round trip for each", took)
			}
			p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact())
			if s := <-result; s == nil || s.Err() != nil {
				t.Error("there is no call")
			}
			time.Sleep(slow)
		})
	}
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
