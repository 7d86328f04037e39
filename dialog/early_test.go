package dialog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Three branches ring, each with a route set, a target and numbers of its own,
// in which either side sends requests (RFC 3261 section 12.1). The one that answers
// has recorded another route by then: that is the route set of the call (section
// 13.2.2.4). The others are over.
func TestEveryBranchIsADialog(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		})
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		branches := map[string]*dialog.Session{}
		tags := []string{"one", "two", "three"}
		for _, tag := range tags {
			p.reply(invite, sip.StatusRinging, tagged(invite.Message, tag), p.known(tag), p.via(tag+"-near"), p.via(tag+"-far"))
			branches[tag], _ = c.rings(sip.StatusRinging)
		}
		for i, tag := range tags {
			for seq := 2; seq <= 2+i; seq++ {
				done := does(t, branches[tag], sip.INFO)
				info := p.expect(summaryOf(sip.INFO, seq))
				wantWay(t, info, tag+"-far", tag+"-near", tag)
				if got := info.Message.To().Tag(); got != tag {
					t.Errorf("the request is for %s, want %s", got, tag)
				}
				p.reply(info, sip.StatusOK)
				<-done
			}
			p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, tag), sip.INFO, uint32(70+i)))
			p.expect("200 " + summaryOf(sip.INFO, 70+i))
		}
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "two"), p.known("two"), p.via("new"))
		s := c.answered()
		if s != branches["two"] {
			t.Errorf("the call is not the branch that rang, but %v", s.ID())
		}
		wantWay(t, p.expect("ACK 1"), "new", "two")
		for _, tag := range []string{"one", "three"} {
			wantEnd(t, branches[tag], dialog.ErrEnded)
			if _, err := branches[tag].Do(t.Context(), sip.INFO); !errors.Is(err, dialog.ErrEnded) {
				t.Errorf("a request to %s: %v, want ErrEnded", tag, err)
			}
			p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, tag), sip.INFO, 80))
			p.expect("481 INFO 80")
		}
		p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "two"), sip.INFO, 72)) // after 71
		p.expect("200 INFO 72")
		go s.Bye(t.Context()) // ends with the answer
		bye := p.expect("BYE 4")
		wantWay(t, bye, "new", "two")
		p.reply(bye, sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// A branch answers that never rang, beside one that did.
func TestAnswerOfABranchThatNeverRang(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusRinging, tagged(invite.Message, "rings"), p.contact())
		early, _ := c.rings(sip.StatusRinging)
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "answers"), p.known("other"))
		s := c.answered()
		if got := s.ID().RemoteTag; got != "answers" {
			t.Errorf("the call is %s, want answers", got)
		}
		wantWay(t, p.expect("ACK 1"), "other")
		wantEnd(t, early, dialog.ErrEnded)
		go s.Bye(t.Context()) // ends with the answer
		p.reply(p.expect("BYE 2"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// A provisional response without a tag makes no dialog, and leaves none.
func TestRingingWithoutATag(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		for range 3 {
			p.reply(invite, sip.StatusRinging, invite.Message.To(), p.contact())
			if s, _ := c.rings(sip.StatusRinging); s != nil {
				t.Errorf("a 180 without a tag is of %v", s.ID())
			}
		}
		if dialogs, _ := alice.Left(); dialogs != 0 {
			t.Errorf("%d dialogs of 180s without a tag", dialogs)
		}
		p.reply(invite, sip.StatusBusyHere)
		p.expect("ACK 1")
		if a := <-c.result; a.resp.Status() != sip.StatusBusyHere {
			t.Errorf("Invite() = %v, %v", a.resp, a.err)
		}
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// A 199 says that a branch has refused: its dialog is over, the others ring on. One of a
// branch that has not rung says nothing (RFC 6228 section 4).
func TestEarlyDialogTerminated(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusRinging, tagged(invite.Message, "one"), p.contact())
		one, _ := c.rings(sip.StatusRinging)
		p.reply(invite, sip.StatusRinging, tagged(invite.Message, "two"), p.contact())
		two, _ := c.rings(sip.StatusRinging)
		p.reply(invite, sip.StatusEarlyDialogTerminated, tagged(invite.Message, "one"))
		if s, _ := c.rings(sip.StatusEarlyDialogTerminated); s != one {
			t.Error("the 199 is of another dialog")
		}
		wantEnd(t, one, dialog.ErrEnded)
		if err := two.Err(); err != nil {
			t.Errorf("the other branch has ended: %v", err)
		}
		if dialogs, _ := alice.Left(); dialogs != 1 {
			t.Errorf("%d dialogs, want 1", dialogs)
		}
		p.reply(invite, sip.StatusEarlyDialogTerminated, tagged(invite.Message, "three"), p.contact())
		c.quiet()
		if dialogs, _ := alice.Left(); dialogs != 1 {
			t.Errorf("%d dialogs after a 199 of none, want 1", dialogs)
		}
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "two"), p.contact())
		if s := c.answered(); s != two {
			t.Error("the call is not the branch that rang")
		}
	})
}

// A refusal ends all early dialogs, whichever branch it is of, and so does CANCEL.
func TestRefusalEndsEveryBranch(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{
				OnEnd: func(*dialog.Session) { t.Error("OnEnd for a call that never was") },
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := place(ctx, t, alice)
			invite := p.expect("INVITE 1")
			var early []*dialog.Session
			for _, tag := range []string{"one", "two"} {
				p.reply(invite, sip.StatusRinging, tagged(invite.Message, tag), p.contact())
				s, _ := c.rings(sip.StatusRinging)
				early = append(early, s)
			}
			refusal := sip.StatusBusyHere
			if cancels {
				cancel()
				p.reply(p.expect("CANCEL 1"), sip.StatusOK)
				refusal = sip.StatusRequestTerminated
			}
			p.reply(invite, refusal, tagged(invite.Message, "three"))
			p.expect("ACK 1")
			a := <-c.result
			if a.s != nil || a.resp.Status() != refusal || errors.Is(a.err, context.Canceled) != cancels {
				t.Errorf("Invite() = %v, %v, %v, want %d", a.s, a.resp, a.err, refusal)
			}
			for _, s := range early {
				wantEnd(t, s, dialog.ErrEnded)
			}
			time.Sleep(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// BYE ends one early branch (RFC 3261 section 15), and the other goes on. Should the
// first answer all the same, its answer is acknowledged and ended, though the first
// BYE has no answer yet, by one with a higher number.
func TestByeOfOneBranch(t *testing.T) {
	for _, then := range []string{"two answers", "one answers", "one answers, and so did its BYE"} {
		t.Run(then, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				p := newPeer(t, n, bobAddr)
				alice := newLayer(t, n, aliceAddr, nil)
				c := place(t.Context(), t, alice)
				invite := p.expect("INVITE 1")
				p.reply(invite, sip.StatusRinging, tagged(invite.Message, "one"), p.contact())
				one, _ := c.rings(sip.StatusRinging)
				p.reply(invite, sip.StatusRinging, tagged(invite.Message, "two"), p.contact())
				two, _ := c.rings(sip.StatusRinging)
				go one.Bye(t.Context()) // ends with the answer
				bye := p.expect("BYE 2")
				if got := bye.Message.To().Tag(); got != "one" {
					t.Errorf("the BYE is for %s, want one", got)
				}
				switch then {
				case "two answers":
					p.reply(bye, sip.StatusOK)
					p.reply(invite, sip.StatusOK, tagged(invite.Message, "two"), p.contact())
					if s := c.answered(); s != two {
						t.Errorf("the call is %v, want two", s.ID())
					}
					p.expect("ACK 1")
					go two.Bye(t.Context()) // ends with the answer
					p.reply(p.expect("BYE 2"), sip.StatusOK)
				case "one answers, and so did its BYE":
					p.reply(bye, sip.StatusOK)
					time.Sleep(100 * time.Millisecond)
					fallthrough
				default:
					p.reply(invite, sip.StatusOK, tagged(invite.Message, "one"), p.contact())
					if a := <-c.result; a.s != nil || !errors.Is(a.err, dialog.ErrEnded) {
						t.Errorf("Invite() = %v, %v, want ErrEnded", a.s, a.err)
					}
					p.expect("ACK 1", "BYE 2")
					p.reply(p.expect("BYE 3", "BYE 2"), sip.StatusOK)
					wantEnd(t, two, dialog.ErrEnded)
				}
				time.Sleep(time.Minute)
				wantEmpty(t, alice)
			})
		})
	}
}

// A branch in which requests were sent answers too late, or at the same time as
// the call: its BYE has the number that follows (RFC 3261 section 12.2.1.1).
func TestSurplusAnswerOfABranchThatRang(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		t.Run(fmt.Sprint("at once: ", atOnce), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				p := newPeer(t, n, bobAddr)
				alice := newLayer(t, n, aliceAddr, nil)
				c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel})
				invite := p.expect("INVITE 1")
				p.reply(invite, sip.StatusSessionProgress, tagged(invite.Message, "one"), p.contact(),
					sip.Require{sip.Option100rel}, sip.RSeq(9))
				one, _ := c.rings(sip.StatusSessionProgress)
				for _, method := range []sip.Method{sip.PRACK, sip.UPDATE} {
					done := does(t, one, method)
					p.reply(p.expect(summaryOf(method, map[sip.Method]int{sip.PRACK: 2, sip.UPDATE: 3}[method])), sip.StatusOK, p.contact())
					<-done
				}
				p.reply(invite, sip.StatusOK, tagged(invite.Message, "two"), p.contact())
				var s *dialog.Session
				if !atOnce {
					s = c.answered()
					p.expect("ACK 1")
				}
				ok := p.reply(invite, sip.StatusOK, tagged(invite.Message, "one"), p.contact())
				ack := p.expect("ACK 1")
				if atOnce {
					s = c.answered()
				}
				if atOnce && ack.Message.To().Tag() == "two" {
					ack = p.expect("ACK 1")
				}
				if got := ack.Message.To().Tag(); got != "one" {
					t.Errorf("the ACK is for %s, want one", got)
				}
				bye := p.expect("BYE 4", "ACK 1")
				if got := bye.Message.To().Tag(); got != "one" {
					t.Errorf("the BYE is for %s, want one", got)
				}
				p.reply(bye, sip.StatusOK)
				p.respond(invite, ok)
				p.expect("ACK 1")
				if err := s.Err(); err != nil {
					t.Errorf("the call has ended: %v", err)
				}
				go s.Bye(t.Context()) // ends with the answer
				p.reply(p.expect("BYE 2", "ACK 1"), sip.StatusOK)
				time.Sleep(time.Minute)
				wantEmpty(t, alice)
			})
		})
	}
}

// The two answers of branches that rang are both there before the program has looked
// at the ringing.
func TestAnswersOfRingingBranchesAtOnce(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		look := make(chan bool)
		result := make(chan *dialog.Session, 1)
		go func() { // ends with the answer
			s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"),
				func(*dialog.Session, *sip.Response) { <-look })
			if err != nil {
				t.Error(err)
			}
			s.Ack(t.Context())
			result <- s
		}()
		invite := p.expect("INVITE 1")
		for _, status := range []sip.Status{sip.StatusRinging, sip.StatusOK} {
			for _, tag := range []string{"one", "two"} {
				p.reply(invite, status, tagged(invite.Message, tag), p.contact())
			}
		}
		p.silent(100 * time.Millisecond)
		close(look)
		s := <-result
		bye := p.expect("BYE 2", "ACK 1")
		if got := bye.Message.To().Tag(); got != "two" {
			t.Errorf("the BYE is for %s, want two", got)
		}
		p.reply(bye, sip.StatusOK)
		p.silent(time.Minute, "ACK 1")
		if got := s.ID().RemoteTag; got != "one" || s.Err() != nil {
			t.Errorf("the call is %s, %v, want one", got, s.Err())
		}
		acked := map[string]bool{}
		for _, ack := range sent(n, aliceAddr, "ACK 1") {
			acked[ack.To().Tag()] = true
		}
		if !acked["one"] || !acked["two"] {
			t.Errorf("the ACKs are for %v, want both", acked)
		}
	})
}

// What is provisional comes too late when the call was answered.
func TestRingingAfterTheAnswer(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel})
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "one"), p.contact())
		s := c.answered()
		p.expect("ACK 1")
		for _, tag := range []string{"one", "two"} {
			p.reply(invite, sip.StatusSessionProgress, tagged(invite.Message, tag), p.known("late"),
				sip.Require{sip.Option100rel}, sip.RSeq(1))
		}
		c.quiet()
		if dialogs, _ := alice.Left(); dialogs != 1 {
			t.Errorf("%d dialogs, want 1", dialogs)
		}
		done := does(t, s, sip.INFO)
		info := p.expect("INFO 2")
		wantWay(t, info, "peer")
		p.reply(info, sip.StatusOK)
		<-done
	})
}

// The callee says BYE while the call rings, which it may not (RFC 3261 section 15),
// and another branch answers.
func TestByeOfTheCalleeBeforeItAnswers(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusRinging, tagged(invite.Message, "one"), p.contact())
		one, _ := c.rings(sip.StatusRinging)
		p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "one"), sip.BYE, 1))
		p.expect("200 BYE 1")
		wantEnd(t, one, dialog.ErrBye)
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "two"), p.contact())
		s := c.answered()
		p.expect("ACK 1")
		go s.Bye(t.Context()) // ends with the answer
		p.reply(p.expect("BYE 2"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// An INVITE of the peer within an early dialog of ours crosses our own: 491 (RFC
// 3261 section 14.2).
func TestInviteWithinAnEarlyDialog(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnInvite: func(context.Context, *dialog.Invitation) {
			t.Error("the program is asked")
		}})
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusRinging, tagged(invite.Message, "one"), p.contact())
		c.rings(sip.StatusRinging)
		re := p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "one"), sip.INVITE, 1, p.contact()))
		p.refused(aliceAddr, re, p.expect("491 INVITE 1").Message)
	})
}
