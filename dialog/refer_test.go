package dialog_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A REFER within a call, whose subscription outlives it: NOTIFYs come after BYE, and
// the last one ends the dialog. Other requests do not come through (RFC 5057 section
// 5.5). It is the same at the side that was asked and at the one that asks.
func TestReferOutlivesTheCall(t *testing.T) {
	for _, first := range []string{"the 202", "the NOTIFY"} {
		t.Run("we refer, "+first+" is first", func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				p := newPeer(t, n, bobAddr)
				alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
				c := place(t.Context(), t, alice)
				invite := p.expect("INVITE 1")
				p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact())
				s := c.answered()
				p.expect("ACK 1")
				notify := func(seq int, what, want string) {
					t.Helper()
					p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "b"), sip.NOTIFY, uint32(seq),
						event("refer;id=2"), state(what), p.contact()))
					p.expect(want + " " + summaryOf(sip.NOTIFY, seq))
				}
				done := does(t, s, sip.REFER, referTo("sip:carol@c.example"))
				refer := p.expect("REFER 2")
				if first == "the NOTIFY" {
					notify(1, "active;expires=60", "200")
				}
				p.reply(refer, sip.StatusAccepted, p.contact())
				<-done
				notify(2, "active;expires=60", "200")
				p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "b"), sip.BYE, 3))
				p.expect("200 BYE 3")
				wantEnd(t, s, dialog.ErrBye)
				notify(4, "active;expires=60", "200")
				p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "b"), sip.INFO, 5))
				p.expect("481 INFO 5")
				if _, err := s.Do(t.Context(), sip.INFO); !errors.Is(err, dialog.ErrBye) {
					t.Errorf("INFO after BYE: %v, want ErrBye", err)
				}
				notify(6, "terminated;reason=noresource", "200")
				notify(7, "terminated;reason=noresource", "481")
				time.Sleep(time.Minute)
				wantEmpty(t, alice)
			})
		})
	}
	t.Run("we are referred", func(t *testing.T) {
		story(t, func(t *testing.T, n *siptest.Network) {
			sessions := make(chan *dialog.Session, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions),
				OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusAccepted) }})
			p := newPeer(t, n, aliceAddr)
			ok := p.calls(bobAddr, "1")
			s := <-sessions
			p.send(bobAddr, p.within(ok, sip.REFER, 2, referTo("sip:carol@c.example"), p.known("moved")))
			p.expect("202 REFER 2")
			hung := make(chan error, 1)
			go func() { hung <- s.Bye(t.Context()) }() // ends with the answer
			p.reply(p.expect("BYE 1"), sip.StatusOK)
			if err := <-hung; err != nil {
				t.Error(err)
			}
			for i, what := range []string{"active;expires=60", "terminated"} {
				done := does(t, s, sip.NOTIFY, event("refer;id=2"), state(what))
				notify := p.expect(summaryOf(sip.NOTIFY, i+2))
				wantWay(t, notify, "moved")
				p.reply(notify, sip.StatusOK)
				<-done
			}
			wantEmpty(t, bob)
		})
	})
}

// The REFER is accepted when the call is over: its dialog is there nevertheless.
func TestReferIsAcceptedAfterBye(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		accept := make(chan bool)
		asked := make(chan bool, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil),
			OnRequest: func(tx *dialog.Server, req *sip.Request) {
				if req.Method() != sip.REFER {
					tx.Reply(sip.StatusOK)
					return
				}
				_, release := tx.Hold()
				go func() { // ends when it is answered
					asked <- true
					<-accept
					tx.Reply(sip.StatusAccepted)
					release()
				}()
			}})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		p.send(bobAddr, p.within(ok, sip.REFER, 2, referTo("sip:carol@c.example"), p.contact()))
		<-asked
		p.send(bobAddr, p.within(ok, sip.BYE, 3))
		p.expect("200 BYE 3")
		accept <- true
		p.expect("202 REFER 2")
		if dialogs, _ := bob.Left(); dialogs != 1 {
			t.Fatalf("%d dialogs, want that of the REFER", dialogs)
		}
		p.send(bobAddr, p.within(ok, sip.SUBSCRIBE, 4, event("refer;id=2"), sip.Expires(0), p.contact()))
		p.expect("200 SUBSCRIBE 4")
	})
}

// Several REFERs at once are told apart by id; the NOTIFYs of the first may have none
// (RFC 3515 section 2.4.6).
func TestSeveralRefers(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact())
		s := c.answered()
		p.expect("ACK 1")
		for seq := 2; seq <= 4; seq++ {
			done := does(t, s, sip.REFER, referTo("sip:carol@c.example"))
			p.reply(p.expect(summaryOf(sip.REFER, seq)), sip.StatusAccepted, p.contact())
			<-done
		}
		for i, step := range []struct{ event, state, want string }{
			{"refer", "active", "200"},
			{"refer;id=2", "active", "200"},
			{"refer;id=3", "terminated", "200"},
			{"refer;id=3", "active", "481"},
			{"refer", "terminated", "200"},
			{"refer", "active", "481"},
			{"refer;id=2", "active", "481"},
			{"refer;id=5", "active", "481"},
			{"refer;id=4", "terminated", "200"},
			{"refer;id=4", "terminated", "481"},
		} {
			p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "b"), sip.NOTIFY, uint32(i+1),
				event(step.event), state(step.state), p.contact()))
			p.expect(step.want + " " + summaryOf(sip.NOTIFY, i+1))
		}
		go s.Bye(t.Context()) // ends with the answer
		p.reply(p.expect("BYE 5"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// One REFER after the other: NOTIFYs of the second have its number, also when the first is over,
// and also after a restart (RFC 3515 section 2.4.6).
func TestReferAfterRefer(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			config := func() *dialog.Config {
				return &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }}
			}
			alice := newLayer(t, n, aliceAddr, config())
			c := place(t.Context(), t, alice)
			invite := p.expect("INVITE 1")
			p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact())
			s := c.answered()
			p.expect("ACK 1")
			told := uint32(0)
			notify := func(what, is, want string) {
				told++
				p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "b"), sip.NOTIFY, told, event(what), state(is), p.contact()))
				p.expect(want + " " + summaryOf(sip.NOTIFY, int(told)))
			}
			refer := func(seq int) {
				done := does(t, s, sip.REFER, referTo("sip:carol@c.example"))
				p.reply(p.expect(summaryOf(sip.REFER, seq)), sip.StatusAccepted, p.contact())
				<-done
			}
			refer(2)
			notify("refer", "terminated", "200")
			if restarts {
				var restored []*dialog.Session
				alice, restored = again(t, n, aliceAddr, keep(t, alice), config())
				s = restored[0]
			}
			refer(3)
			notify("refer", "terminated", "481")
			notify("refer;id=3", "terminated", "200")
			go s.Bye(t.Context()) // ends with the answer
			p.reply(p.expect("BYE 4"), sip.StatusOK)
			time.Sleep(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// Refer-Sub: false in the answer says that there is no subscription, a refusal that
// there is nothing (RFC 4488 section 4).
func TestReferWithoutSubscription(t *testing.T) {
	for _, refused := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(*dialog.Server, *sip.Request) { t.Error("the program is asked") }})
			c := place(t.Context(), t, alice)
			invite := p.expect("INVITE 1")
			p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact())
			s := c.answered()
			p.expect("ACK 1")
			done := does(t, s, sip.REFER, referTo("sip:carol@c.example"), sip.ReferSub{})
			refer := p.expect("REFER 2")
			if refused {
				p.reply(refer, sip.StatusDecline)
			} else {
				p.reply(refer, sip.StatusAccepted, p.contact(), sip.ReferSub{})
			}
			<-done
			p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "b"), sip.NOTIFY, 1, event("refer"), state("active"), p.contact()))
			p.expect("481 NOTIFY 1")
			go s.Bye(t.Context()) // ends with the answer
			p.reply(p.expect("BYE 3"), sip.StatusOK)
			time.Sleep(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// A NOTIFY that fails ends its subscription, and not the call; one that says that the
// peer is not there at all ends both (RFC 5057 section 5.1).
func TestNotifyFailsWithinACall(t *testing.T) {
	for _, status := range []sip.Status{481, 489, 500, 404} {
		story(t, func(t *testing.T, n *siptest.Network) {
			sessions := make(chan *dialog.Session, 1)
			newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions),
				OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusAccepted) }})
			p := newPeer(t, n, aliceAddr)
			ok := p.calls(bobAddr, "1")
			s := <-sessions
			p.send(bobAddr, p.within(ok, sip.REFER, 2, referTo("sip:carol@c.example"), p.contact()))
			p.expect("202 REFER 2")
			done := does(t, s, sip.NOTIFY, event("refer"), state("active"))
			p.reply(p.expect("NOTIFY 1"), status)
			<-done
			if status == 404 {
				p.reply(p.expect("BYE 2"), sip.StatusOK)
				wantEnd(t, s, dialog.ErrLost)
				return
			}
			if err := s.Err(); err != nil {
				t.Errorf("%d to a NOTIFY ended the call: %v", status, err)
			}
			go s.Bye(t.Context()) // ends with the answer
			p.reply(p.expect("BYE 2"), sip.StatusOK)
			wantEnd(t, s, dialog.ErrEnded)
			time.Sleep(time.Second)
			_, err := s.Do(t.Context(), sip.OPTIONS)
			if kept := err == nil; status != 500 && kept {
				t.Errorf("%d to a NOTIFY left the subscription", status)
			}
		})
	}
}

// A peer sends REFER after REFER, and none of them ever ends. What is kept of them is
// bounded, the call stays, and after an hour without a word nothing is left.
func TestFloodOfRefers(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		served := 0
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { served++; tx.Reply(sip.StatusAccepted) }})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		for i := range 200 {
			p.send(bobAddr, p.within(ok, sip.REFER, uint32(2+i), referTo("sip:carol@c.example"), p.contact()))
			want := "202 "
			if i >= 32 {
				want = "603 "
			}
			p.expect(want + summaryOf(sip.REFER, 2+i))
		}
		if served != 32 {
			t.Errorf("the program was asked %d times, want 32", served)
		}
		p.send(bobAddr, p.within(ok, sip.BYE, 300))
		p.expect("200 BYE 300")
		time.Sleep(30 * time.Minute)
		if dialogs, _ := bob.Left(); dialogs != 1 {
			t.Errorf("%d dialogs, want 1", dialogs)
		}
		time.Sleep(31 * time.Minute)
		wantEmpty(t, bob)
	})
}

// A dialog has 32 subscriptions of ours. One more is an error, and nothing goes out, until
// one of them has ended; those that there are can be refreshed.
func TestTooManyRefersOfOurs(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		to := tagged(invite.Message, "b")
		p.reply(invite, sip.StatusOK, to, p.contact())
		s := c.answered()
		p.expect("ACK 1")
		asks := func(method sip.Method, what string, edits ...sip.Edit) {
			t.Helper()
			done := does(t, s, method, edits...)
			p.reply(p.expect(what), sip.StatusAccepted, p.contact(), sip.Expires(60))
			<-done
		}
		for seq := 2; seq < 2+32; seq++ {
			asks(sip.REFER, summaryOf(sip.REFER, seq), referTo("sip:carol@c.example"))
		}
		for method, edit := range map[sip.Method]sip.Edit{sip.REFER: referTo("sip:carol@c.example"), sip.SUBSCRIBE: event("presence")} {
			if _, err := s.Do(t.Context(), method, edit); err == nil || !strings.Contains(err.Error(), "too many subscriptions") {
				t.Errorf("%s is one too many: %v, want an error that says so", method, err)
			}
		}
		p.silent(time.Second)
		asks(sip.SUBSCRIBE, "SUBSCRIBE 36", event("refer;id=20"), sip.Expires(60)) // 34 and 35 were not sent
		p.send(aliceAddr, p.back(invite.Message, to, sip.NOTIFY, 1, event("refer;id=20"), state("terminated"), p.contact()))
		p.expect("200 NOTIFY 1")
		asks(sip.REFER, "REFER 37", referTo("sip:carol@c.example"))
	})
}
