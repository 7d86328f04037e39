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
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// changes has a party offer something new, by re-INVITE or UPDATE, until that is
// accepted, and returns how often it was refused.
func changes(t *testing.T, s *dialog.Session, method sip.Method) (refused int) {
	for ; refused < 20; refused++ {
		var resp *sip.Response
		var err error
		if method == sip.INVITE {
			resp, err = s.Invite(t.Context(), nil, session)
		} else {
			resp, err = s.Do(t.Context(), method, session)
		}
		switch {
		case errors.Is(err, dialog.ErrPending): // the other one's is at work
			time.Sleep(50 * time.Millisecond)
		case err != nil:
			t.Errorf("%s: %v", method, err)
			return refused
		case resp.Status() == sip.StatusOK:
			if method == sip.INVITE {
				s.Ack(t.Context())
			}
			return refused
		case resp.Status() == sip.StatusRequestPending:
			time.Sleep(s.RetryDelay())
		default:
			t.Errorf("%s got %v", method, resp.Status())
			time.Sleep(time.Second)
		}
	}
	t.Errorf("%s was refused %d times", method, refused)
	return refused
}

// Both sides change the call at the same time, each by a re-INVITE or an UPDATE. Both
// get 491, wait as long as RFC 3261 section 14.1 and RFC 3311 section 5.3 have it, and
// both come to their change.
func TestOffersCross(t *testing.T) {
	for _, alices := range []sip.Method{sip.INVITE, sip.UPDATE} {
		for _, bobs := range []sip.Method{sip.INVITE, sip.UPDATE} {
			t.Run(fmt.Sprint(alices, " and ", bobs), func(t *testing.T) {
				story(t, func(t *testing.T, n *siptest.Network) {
					sessions := make(chan *dialog.Session, 1)
					cfg := &dialog.Config{
						OnInvite: func(_ context.Context, in *dialog.Invitation) {
							if _, err := in.Accept(session); err == nil && !in.Re() {
								sessions <- in.Session()
							}
						},
						OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK, session) },
					}
					newLayer(t, n, bobAddr, cfg)
					alice := newLayer(t, n, aliceAddr, cfg)
					sa := call(t, alice, "sip:bob@"+bobAddr, "1", session)
					sb := <-sessions
					refused := make(chan int, 1)
					go func() { refused <- changes(t, sb, bobs) }() // ends with the last try
					a := changes(t, sa, alices)
					if b := <-refused; a == 0 || b == 0 {
						t.Errorf("Alice was refused %d times and Bob %d, want both", a, b)
					}
					if sa.Err() != nil || sb.Err() != nil {
						t.Errorf("the call has ended: %v, %v", sa.Err(), sb.Err())
					}
				})
			})
		}
	}
}

// The peer offers again before its offer is answered: 500 with a Retry-After of up to
// 10 s, and so for a second UPDATE without an offer before the first is answered. An
// UPDATE without an offer may come while an INVITE is at work (RFC 3311 section 5.2).
func TestOfferBeforeTheAnswer(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		held := make(chan func(), 1)
		accept := make(chan bool)
		newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				in.Provisional(sip.StatusRinging)
				<-accept
				in.Accept(session)
			},
			OnRequest: func(tx *dialog.Server, req *sip.Request) {
				if req.Body() == "" {
					tx.Reply(sip.StatusOK)
					return
				}
				_, release := tx.Hold()
				held <- func() { tx.Reply(sip.StatusOK, session); release() }
			},
		})
		p := newPeer(t, n, aliceAddr)
		tooEarly := func(what string) {
			t.Helper()
			resp := p.expect(what).Message
			if after, err := sip.Get[sip.RetryAfter](resp); err != nil || after.Seconds > 10 {
				t.Errorf("%s has Retry-After %v, %v, want one of up to 10 s", what, after, err)
			}
		}
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), session))
		ring := p.expect("180 INVITE 1").Message
		p.send(bobAddr, p.within(ring, sip.UPDATE, 2, p.contact(), session))
		tooEarly("500 UPDATE 2")
		p.send(bobAddr, p.within(ring, sip.UPDATE, 3, p.contact()))
		p.expect("200 UPDATE 3")
		accept <- true
		ok := p.expect("200 INVITE 1").Message
		p.send(bobAddr, p.within(ok, sip.ACK, 1))

		p.send(bobAddr, p.within(ok, sip.UPDATE, 4, p.contact(), session))
		answer := <-held
		p.send(bobAddr, p.within(ok, sip.UPDATE, 5, p.contact(), session))
		tooEarly("500 UPDATE 5")
		p.send(bobAddr, p.within(ok, sip.UPDATE, 6, p.contact()))
		tooEarly("500 UPDATE 6")
		re := p.send(bobAddr, p.within(ok, sip.INVITE, 7, p.contact(), session))
		tooEarly("500 INVITE 7")
		p.refused(bobAddr, re, sent(n, bobAddr, "500 INVITE 7")[0])
		answer()
		p.expect("200 UPDATE 4")
		p.send(bobAddr, p.within(ok, sip.UPDATE, 8, p.contact(), session))
		answer = <-held
		answer()
		p.expect("200 UPDATE 8")
	})
}

// Our own offer is open: 491 to the peer's, whatever they are in, and none of ours.
func TestOfferMeetsOurs(t *testing.T) {
	for _, ours := range []sip.Method{sip.INVITE, sip.UPDATE} {
		story(t, func(t *testing.T, n *siptest.Network) {
			sessions := make(chan *dialog.Session, 1)
			newLayer(t, n, bobAddr, &dialog.Config{
				OnInvite:  accepting(t, sessions),
				OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
			})
			p := newPeer(t, n, aliceAddr)
			ok := p.calls(bobAddr, "1", session)
			s := <-sessions
			refused := make(chan int, 1)
			go func() { refused <- changes(t, s, ours) }() // ends with the 200
			in := p.expect(summaryOf(ours, 1))
			p.send(bobAddr, p.within(ok, sip.UPDATE, 2, p.contact(), session))
			p.expect("491 UPDATE 2")
			for i, offer := range []sip.Edit{session, sip.Body{}} {
				re := p.send(bobAddr, p.within(ok, sip.INVITE, uint32(3+i), offer, p.contact()))
				p.refused(bobAddr, re, p.expect("491 "+summaryOf(sip.INVITE, 3+i)).Message)
			}
			p.send(bobAddr, p.within(ok, sip.UPDATE, 5, p.contact()))
			p.expect("200 UPDATE 5") // it offers nothing
			if _, err := s.Do(t.Context(), sip.UPDATE, session); !errors.Is(err, dialog.ErrPending) {
				t.Errorf("another UPDATE of ours: %v, want ErrPending", err)
			}
			if ours == sip.UPDATE {
				if _, err := s.Do(t.Context(), sip.UPDATE); !errors.Is(err, dialog.ErrPending) {
					t.Errorf("another UPDATE of ours, without an offer: %v, want ErrPending", err)
				}
			}
			p.reply(in, sip.StatusOK, p.contact(), session)
			if ours == sip.INVITE {
				p.expect("ACK 1")
			}
			if got := <-refused; got != 0 {
				t.Errorf("ours was refused %d times", got)
			}
		})
	}
}

// Whatever the handler makes of an UPDATE, the next one is served.
func TestUpdatesAfterAHandlerThatFails(t *testing.T) {
	for _, test := range []struct {
		name   string
		handle func(tx *dialog.Server, req *sip.Request)
		want   int
	}{
		{"returns", func(*dialog.Server, *sip.Request) {}, 500},
		{"panics", func(*dialog.Server, *sip.Request) { panic("a bug of the program") }, 500},
		{"refuses", func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusNotAcceptableHere) }, 488},
		{"answers twice", func(tx *dialog.Server, _ *sip.Request) {
			tx.Reply(sip.StatusOK, session)
			if err := tx.Reply(sip.StatusNotAcceptableHere); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("a second answer: %v, want ErrCompleted", err)
			}
		}, 200},
		{"answers what cannot be sent", func(tx *dialog.Server, _ *sip.Request) {
			if tx.Reply(sip.StatusOK, sip.Field{Name: "X", Value: "a\r\nb"}) == nil {
				t.Error("a line break in a header was sent")
			}
		}, 500},
		{"answers after what cannot be sent", func(tx *dialog.Server, _ *sip.Request) {
			tx.Reply(sip.StatusOK, sip.Field{Name: "X", Value: "a\r\nb"})
			tx.Reply(sip.StatusOK, session)
		}, 200},
		{"holds and lets go", func(tx *dialog.Server, _ *sip.Request) {
			_, release := tx.Hold()
			go func() { // ends at once
				time.Sleep(time.Second)
				release()
				release()
			}()
		}, 500},
		{"holds and panics", func(tx *dialog.Server, _ *sip.Request) {
			_, release := tx.Hold()
			time.AfterFunc(time.Second, release)
			panic("a bug of the program")
		}, 500},
		{"holds twice, and the second answers", func(tx *dialog.Server, _ *sip.Request) {
			_, first := tx.Hold()
			_, second := tx.Hold()
			first()
			time.AfterFunc(time.Second, func() {
				tx.Reply(sip.StatusOK, session)
				second()
			})
		}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				first := true
				newLayer(t, n, bobAddr, &dialog.Config{
					OnInvite: accepting(t, nil),
					OnRequest: func(tx *dialog.Server, req *sip.Request) {
						if first {
							first = false
							test.handle(tx, req)
							return
						}
						tx.Reply(sip.StatusOK, session)
					},
					Transaction: transaction.Config{Logger: discard},
				})
				p := newPeer(t, n, aliceAddr)
				ok := p.calls(bobAddr, "1", session)
				for i, status := range []int{test.want, 200} {
					p.send(bobAddr, p.within(ok, sip.UPDATE, uint32(2+i), p.known(fmt.Sprint("moved-", i)), session))
					resp := p.expect(fmt.Sprint(status, " ", summaryOf(sip.UPDATE, 2+i))).Message
					if _, has := resp.(*sip.Response).Value("Contact"); has != (status == 200) {
						t.Errorf("the %d has a Contact: %v", status, has)
					}
				}
			})
		})
	}
}

// An UPDATE of ours that is refused, or not answered, leaves room for the next. The
// latter ends the call (RFC 3311 section 5.3).
func TestUpdatesAfterOneThatFailed(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice, session)
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusOK, p.contact(), session)
		s := c.answered()
		p.expect("ACK 1")
		for i, status := range []sip.Status{488, 491, 500, 405, 200} {
			done := does(t, s, sip.UPDATE, session)
			p.reply(p.expect(summaryOf(sip.UPDATE, 2+i)), status, p.contact())
			if got := <-done; got != status {
				t.Errorf("UPDATE got %d, want %d", got, status)
			}
		}
		if err := s.Err(); err != nil {
			t.Errorf("the call has ended: %v", err)
		}
		var update *transport.Inbound
		failed := make(chan error, 1)
		go func() { // ends 32 s later
			_, err := s.Do(t.Context(), sip.UPDATE, session)
			failed <- err
		}()
		update = p.expect("UPDATE 7")
		if err := <-failed; !errors.Is(err, transaction.ErrTimeout) {
			t.Errorf("UPDATE: %v, want ErrTimeout", err)
		}
		wantEnd(t, s, dialog.ErrLost)
		p.reply(p.expect("BYE 8", summary(update.Message)), sip.StatusOK)
		time.Sleep(time.Second)
		wantEmpty(t, alice)
	})
}

// An UPDATE that is challenged is the same offer under another number: open until it
// is answered, and not after.
func TestUpdateAfterAChallenge(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &answerer{}})
		c := place(t.Context(), t, alice, session)
		p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact(), session)
		s := c.answered()
		p.expect("ACK 1")
		for seq := 2; seq < 8; seq += 3 {
			done := does(t, s, sip.UPDATE, session)
			p.reply(p.expect(summaryOf(sip.UPDATE, seq)), sip.StatusProxyAuthRequired,
				sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="b", nonce="1"`})
			again := p.expect(summaryOf(sip.UPDATE, seq+1))
			if _, err := s.Invite(t.Context(), nil, session); !errors.Is(err, dialog.ErrPending) {
				t.Errorf("re-INVITE: %v, want ErrPending", err)
			}
			p.reply(again, sip.StatusOK, p.contact(), session)
			if got := <-done; got != sip.StatusOK {
				t.Errorf("UPDATE got %d, want 200", got)
			}
		}
	})
}
