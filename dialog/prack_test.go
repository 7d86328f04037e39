package dialog_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// session is a session description, as far as this layer looks.
var session = sip.Body{Type: "application/sdp", Content: "v=0\r\n"}

// reliably are the edits of a reliable provisional response.
func reliably(rseq int) []sip.Edit {
	return []sip.Edit{sip.Require{sip.Option100rel}, sip.RSeq(rseq)}
}

// rings has the peer ring reliably.
func (p *peer) rings(invite *transport.Inbound, rseq int, edits ...sip.Edit) *sip.Response {
	p.t.Helper()
	return p.reply(invite, sip.StatusSessionProgress,
		append(append(reliably(rseq), tagged(invite.Message, "b"), p.contact()), edits...)...)
}

func wantRAck(t *testing.T, prack *transport.Inbound, rseq sip.RSeq, invite uint32) {
	t.Helper()
	got, err := sip.Get[sip.RAck](prack.Message)
	want := sip.RAck{RSeq: rseq, CSeq: sip.CSeq{Seq: invite, Method: sip.INVITE}}
	if err != nil || got != want {
		t.Errorf("the PRACK is for %v, %v, want %v", got, err, want)
	}
}

// Reliable provisional responses start at any number and are shown in order. What
// comes again, or before its time, is not shown, for the peer sends it again (RFC 3262
// section 4). Each is acknowledged once.
func TestReliableRingingInOrder(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel})
		invite := p.expect("INVITE 1")
		acknowledged := func(s *dialog.Session, prack string, rseq int) {
			t.Helper()
			done := does(t, s, sip.PRACK)
			in := p.expect(prack)
			wantRAck(t, in, sip.RSeq(rseq), 1)
			p.reply(in, sip.StatusOK)
			<-done
		}
		first := p.rings(invite, 4711)
		s, _ := c.rings(sip.StatusSessionProgress)
		p.respond(invite, first)
		p.rings(invite, 4713) // before its time
		c.quiet()
		acknowledged(s, "PRACK 2", 4711)
		p.rings(invite, 4712)
		c.rings(sip.StatusSessionProgress)
		third := p.rings(invite, 4713)
		c.rings(sip.StatusSessionProgress)
		acknowledged(s, "PRACK 3", 4712)
		acknowledged(s, "PRACK 4", 4713)
		p.respond(invite, first)
		p.respond(invite, third)
		c.quiet()
		if _, err := s.Do(t.Context(), sip.PRACK); !errors.Is(err, dialog.ErrNothing) {
			t.Errorf("another PRACK: %v, want ErrNothing", err)
		}
	})
}

// What says that it is reliable, to a caller that did not offer that or without
// requiring it, is a response like any other.
func TestRingingThatIsNotReliable(t *testing.T) {
	for _, test := range []struct {
		invite []sip.Edit
		ring   []sip.Edit
	}{
		{nil, reliably(1)},
		{[]sip.Edit{sip.Supported{sip.Option100rel}}, []sip.Edit{sip.RSeq(1)}},
		{[]sip.Edit{sip.Supported{sip.Option100rel}}, []sip.Edit{sip.Require{sip.Option100rel}}},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, nil)
			c := place(t.Context(), t, alice, test.invite...)
			invite := p.expect("INVITE 1")
			for range 2 {
				p.reply(invite, sip.StatusRinging, append(test.ring, p.contact(), tagged(invite.Message, "b"))...)
				s, _ := c.rings(sip.StatusRinging)
				if _, err := s.Do(t.Context(), sip.PRACK); !errors.Is(err, dialog.ErrNothing) {
					t.Errorf("PRACK: %v, want ErrNothing", err)
				}
			}
		})
	}
}

// An edit that cannot be sent spends no acknowledgement.
func TestPRACKThatCannotBeSent(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel})
		invite := p.expect("INVITE 1")
		p.rings(invite, 5)
		s, _ := c.rings(sip.StatusSessionProgress)
		if _, err := s.Do(t.Context(), sip.PRACK, sip.Field{Name: "X-Bad", Value: "a\r\nb"}); err == nil {
			t.Error("a PRACK with a line break in a header was sent")
		}
		done := does(t, s, sip.PRACK)
		prack := p.expect("PRACK 2")
		wantRAck(t, prack, 5, 1)
		p.reply(prack, sip.StatusOK)
		<-done
	})
}

// Each INVITE has numbers of its own: after a challenge, and within the call (RFC
// 3262 section 3).
func TestReliableRingingOfAnotherINVITE(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &answerer{}})
		c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel})
		prack := func(s *dialog.Session, what string, rseq sip.RSeq, seq uint32) {
			t.Helper()
			done := does(t, s, sip.PRACK)
			in := p.expect(what)
			wantRAck(t, in, rseq, seq)
			p.reply(in, sip.StatusOK)
			<-done
		}
		invite := p.expect("INVITE 1")
		p.rings(invite, 100) // by a branch, before another one asks for a password
		s, _ := c.rings(sip.StatusSessionProgress)
		prack(s, "PRACK 2", 100, 1)
		p.reply(invite, sip.StatusUnauthorized, sip.Field{Name: "WWW-Authenticate", Value: `Digest realm="b", nonce="1"`})
		p.expect("ACK 1")
		invite = p.expect("INVITE 2")
		p.rings(invite, 7)
		s, _ = c.rings(sip.StatusSessionProgress)
		prack(s, "PRACK 3", 7, 2)
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact())
		s = c.answered()
		p.expect("ACK 2")

		rang := make(chan sip.Status, 1)
		done := make(chan error, 1)
		go func() { // ends with the answer
			_, err := s.Invite(t.Context(), func(resp *sip.Response) { rang <- resp.Status() }, sip.Supported{sip.Option100rel})
			done <- err
		}()
		invite = p.expect("INVITE 4")
		p.reply(invite, sip.StatusSessionProgress, reliably(1)...)
		<-rang
		prack(s, "PRACK 5", 1, 4)
		p.reply(invite, sip.StatusOK, p.contact())
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.Ack(t.Context())
		p.expect("ACK 4")
	})
}

// answerer answers every challenge.
type answerer struct{}

func (*answerer) Prepare(req *sip.Request) *sip.Request { return req }
func (*answerer) Authorize(req *sip.Request, _ *sip.Response) (*sip.Request, error) {
	return req.With(sip.Field{Name: "Authorization", Value: `Digest username="alice"`}), nil
}

// The program takes its time with the PRACK. The peer answers before: PRACK may follow
// the ACK. Or it never sends one: that harms nobody (RFC 3262 section 4).
func TestAnswerOvertakesPRACK(t *testing.T) {
	for _, sends := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, nil)
			c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel}, session)
			invite := p.expect("INVITE 1")
			p.rings(invite, 1)
			c.rings(sip.StatusSessionProgress)
			p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact(), session)
			s := c.answered()
			p.expect("ACK 1")
			bye := "BYE 2"
			if sends {
				done := does(t, s, sip.PRACK)
				p.reply(p.expect("PRACK 2"), sip.StatusOK)
				<-done
				bye = "BYE 3"
			}
			go s.Bye(t.Context()) // ends with the answer
			p.reply(p.expect(bye), sip.StatusOK)
			time.Sleep(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// The 200 of the INVITE comes while a PRACK and an UPDATE with an offer are on their
// way. Both are answered after it, and another offer waits for that.
func TestAnswerOvertakesPRACKAndUPDATE(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice, sip.Supported{sip.Option100rel}, session)
		invite := p.expect("INVITE 1")
		p.rings(invite, 1, session)
		s, _ := c.rings(sip.StatusSessionProgress)
		pracked := does(t, s, sip.PRACK)
		prack := p.expect("PRACK 2")
		updated := does(t, s, sip.UPDATE, session)
		update := p.expect("UPDATE 3")
		p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact())
		c.answered()
		p.expect("ACK 1")
		if _, err := s.Invite(t.Context(), nil, session); !errors.Is(err, dialog.ErrPending) {
			t.Errorf("re-INVITE: %v, want ErrPending", err)
		}
		p.reply(update, sip.StatusOK, p.contact(), session)
		p.reply(prack, sip.StatusOK)
		if got, got2 := <-pracked, <-updated; got != 200 || got2 != 200 {
			t.Errorf("PRACK got %d and UPDATE %d, want 200", got, got2)
		}
		done := make(chan error, 1)
		go func() { // ends with the answer
			_, err := s.Invite(t.Context(), nil, session)
			done <- err
		}()
		re := p.expect("INVITE 5") // 4 was refused before it was sent
		p.reply(re, sip.StatusOK, p.contact(), session)
		if err := <-done; err != nil {
			t.Errorf("re-INVITE: %v", err)
		}
	})
}

// Offers and answers of the caller while the call rings: RFC 3262 section 5, RFC 3311
// section 5.1. A PRACK with an offer, and an UPDATE, wait while another offer is open.
func TestOffersWhileTheCallRings(t *testing.T) {
	for _, offerless := range []bool{false, true} {
		t.Run(fmt.Sprint("INVITE without offer: ", offerless), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				p := newPeer(t, n, bobAddr)
				alice := newLayer(t, n, aliceAddr, nil)
				edits := []sip.Edit{sip.Supported{sip.Option100rel}}
				if !offerless {
					edits = append(edits, session)
				}
				c := place(t.Context(), t, alice, edits...)
				invite := p.expect("INVITE 1")
				p.rings(invite, 1)
				s, _ := c.rings(sip.StatusSessionProgress)
				pending := func(method sip.Method, when string) {
					t.Helper()
					if _, err := s.Do(t.Context(), method, session); !errors.Is(err, dialog.ErrPending) {
						t.Errorf("%s with an offer %s: %v, want ErrPending", method, when, err)
					}
				}
				if !offerless {
					pending(sip.UPDATE, "while that of the INVITE is open") // CSeq 2
					pending(sip.PRACK, "while that of the INVITE is open")  // CSeq 3
				}
				done := does(t, s, sip.PRACK)
				p.reply(p.expect(summaryOf(sip.PRACK, map[bool]int{false: 4, true: 2}[offerless])), sip.StatusOK)
				<-done
				p.rings(invite, 2, session) // the answer, or the offer
				c.rings(sip.StatusSessionProgress)
				seq := 5
				if offerless {
					seq = 3
					pending(sip.UPDATE, "while that of the 183 is open")
					seq++
				}
				// The answer, or the next offer.
				done = does(t, s, sip.PRACK, session)
				prack := p.expect(summaryOf(sip.PRACK, seq))
				wantRAck(t, prack, 2, 1)
				seq++
				if !offerless {
					pending(sip.UPDATE, "while that of the PRACK is open")
					seq++
					p.send(aliceAddr, p.back(invite.Message, tagged(invite.Message, "b"), sip.UPDATE, 1, p.contact(), session))
					p.expect("491 UPDATE 1")
				}
				p.reply(prack, sip.StatusOK, session)
				<-done
				done = does(t, s, sip.UPDATE, session)
				update := p.expect(summaryOf(sip.UPDATE, seq))
				p.reply(update, sip.StatusOK, p.contact(), session)
				<-done
				p.reply(invite, sip.StatusOK, tagged(invite.Message, "b"), p.contact())
				c.answered()
				p.expect("ACK 1")
			})
		})
	}
}
