package dialog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// ringingReliably serves one call with what the test says, and hands over what comes
// of that.
func ringingReliably(result chan error, then func(in *dialog.Invitation) error) func(context.Context, *dialog.Invitation) {
	return func(_ context.Context, in *dialog.Invitation) { result <- then(in) }
}

// A reliable 183 goes out after T1, twice that and so on, without a limit but that of
// 64*T1. Then the call is refused with 504 (RFC 3262 section 3).
func TestNoPRACKComes(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		result := make(chan error, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringingReliably(result, func(in *dialog.Invitation) error {
			return in.Reliable(sip.StatusSessionProgress)
		})})
		p := newPeer(t, n, aliceAddr)
		start := time.Now()
		invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), sip.Supported{sip.Option100rel}))
		var first string
		for _, at := range []time.Duration{0, 500, 1500, 3500, 7500, 15500, 31500} {
			in := p.expect("183 INVITE 1")
			if got, want := in.Time.Sub(start), at*time.Millisecond+20*time.Millisecond; got != want {
				t.Errorf("a 183 after %v, want %v", got, want)
			}
			if first == "" {
				first = in.Message.String()
			}
			if got := in.Message.String(); got != first {
				t.Errorf("the 183 changed:\n%s\nwant\n%s", got, first)
			}
		}
		refusal := p.expect("504 INVITE 1")
		if got, want := refusal.Time.Sub(start), 32020*time.Millisecond; got != want {
			t.Errorf("the 504 came after %v, want %v", got, want)
		}
		p.refused(bobAddr, invite, refusal.Message)
		if err := <-result; !errors.Is(err, dialog.ErrNoPRACK) {
			t.Errorf("Reliable() = %v, want ErrNoPRACK", err)
		}
		time.Sleep(33 * time.Second) // one that has crossed the 504
		wantEmpty(t, bob)
	})
}

// The second reliable response waits for the PRACK of the first, and has the number
// that follows. A PRACK for anything else is refused, and so is one that comes again
// with another number (RFC 3262 section 3).
func TestReliableRingingOneAfterTheOther(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		result := make(chan error, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringingReliably(result, func(in *dialog.Invitation) error {
			second := make(chan error)
			go func() { // ends with the PRACK
				time.Sleep(time.Millisecond)
				second <- in.Reliable(sip.StatusRinging)
			}()
			if err := in.Reliable(sip.StatusSessionProgress); err != nil {
				return err
			}
			if err := <-second; err != nil {
				return err
			}
			_, err := in.Accept()
			return err
		})})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), sip.Supported{sip.Option100rel}))
		ring := p.expect("183 INVITE 1").Message
		first, err := sip.Get[sip.RSeq](ring)
		if err != nil || first == 0 || first >= 1<<31 {
			t.Errorf("the first RSeq is %d, %v", first, err)
		}
		seq := uint32(1)
		prack := func(rseq sip.RSeq, invite uint32, want string) {
			t.Helper()
			seq++
			p.send(bobAddr, p.within(ring, sip.PRACK, seq, sip.RAck{RSeq: rseq, CSeq: sip.CSeq{Seq: invite, Method: sip.INVITE}}))
			p.expect(want + " " + summaryOf(sip.PRACK, int(seq)))
		}
		prack(first+1, 1, "481")
		prack(first, 2, "481")
		prack(first-1, 1, "481")
		prack(first, 1, "200")
		ring = p.expect("180 INVITE 1").Message
		if second, err := sip.Get[sip.RSeq](ring); err != nil || second != first+1 {
			t.Errorf("the second RSeq is %d, %v, want %d", second, err, first+1)
		}
		prack(first, 1, "481")
		prack(first+1, 1, "200")
		ok := p.expect("200 INVITE 1").Message
		prack(first+1, 1, "481")
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// The 200 waits for the PRACK of a response with a description, and not for that of
// another. A PRACK that comes after the 200 gets 200 (RFC 3262 section 3).
func TestAnswerWaitsForPRACK(t *testing.T) {
	for _, described := range []bool{true, false} {
		t.Run(fmt.Sprint("described: ", described), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				result := make(chan error, 1)
				bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringingReliably(result, func(in *dialog.Invitation) error {
					rang := make(chan error)
					go func() { // ends with the PRACK or the 200
						var edits []sip.Edit
						if described {
							edits = append(edits, session)
						}
						rang <- in.Reliable(sip.StatusSessionProgress, edits...)
					}()
					time.Sleep(time.Millisecond)
					_, err := in.Accept()
					if err := <-rang; errors.Is(err, transaction.ErrCompleted) == described {
						t.Errorf("Reliable() = %v", err)
					}
					return err
				})})
				p := newPeer(t, n, aliceAddr)
				p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), session, sip.Supported{sip.Option100rel}))
				ring := p.expect("183 INVITE 1").Message
				rseq, err := sip.Get[sip.RSeq](ring)
				if err != nil {
					t.Fatal(err)
				}
				prack := func() {
					p.send(bobAddr, p.within(ring, sip.PRACK, 2, sip.RAck{RSeq: rseq, CSeq: sip.CSeq{Seq: 1, Method: sip.INVITE}}))
				}
				if described {
					p.expect("183 INVITE 1")
					p.expect("183 INVITE 1")
					prack()
					p.expect("200 PRACK 2")
				}
				ok := p.expect("200 INVITE 1").Message
				if !described {
					prack()
					p.expect("200 PRACK 2")
				}
				p.send(bobAddr, p.within(ok, sip.ACK, 1))
				if err := <-result; err != nil {
					t.Error(err)
				}
				p.send(bobAddr, p.within(ok, sip.BYE, 3))
				p.expect("200 BYE 3")
				wantEmpty(t, bob)
			})
		})
	}
}

// The caller gives up while a PRACK is waited for.
func TestCancelBeforePRACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		result := make(chan error, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringingReliably(result, func(in *dialog.Invitation) error {
			return in.Reliable(sip.StatusSessionProgress, session)
		})})
		alice := newLayer(t, n, aliceAddr, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		c := place(ctx, t, alice, sip.Supported{sip.Option100rel}, session)
		early, _ := c.rings(sip.StatusSessionProgress)
		if a := <-c.result; !errors.Is(a.err, context.DeadlineExceeded) || a.resp.Status() != sip.StatusRequestTerminated {
			t.Errorf("Invite() = %v, %v", a.resp, a.err)
		}
		if err := <-result; !errors.Is(err, transaction.ErrCancelled) {
			t.Errorf("Reliable() = %v, want ErrCancelled", err)
		}
		wantEnd(t, early, dialog.ErrEnded)
		time.Sleep(time.Minute)
		wantLadder(t, n, "alice: INVITE 1", "bob: 183 INVITE 1", "bob: 183 INVITE 1", "bob: 183 INVITE 1",
			"alice: CANCEL 1", "bob: 200 CANCEL 1", "bob: 487 INVITE 1", "alice: ACK 1")
		wantEmpty(t, alice, bob)
	})
}

// A caller that requires 100rel has all that rings be reliable, one that does not
// know it none.
func TestWhoGetsReliableRinging(t *testing.T) {
	for _, knows := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			result := make(chan error, 1)
			newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringingReliably(result, func(in *dialog.Invitation) error {
				if err := in.Provisional(sip.StatusRinging); err != nil {
					t.Error(err)
				}
				return in.Reliable(sip.StatusSessionProgress)
			})})
			p := newPeer(t, n, aliceAddr)
			edits := []sip.Edit{p.contact()}
			if knows {
				edits = append(edits, sip.Require{"100REL"})
			}
			p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", edits...))
			for i, what := range []string{"180 INVITE 1", "183 INVITE 1"} {
				if !knows && i == 1 {
					break
				}
				ring := p.expect(what).Message
				rseq, err := sip.Get[sip.RSeq](ring)
				if got := err == nil; got != knows {
					t.Errorf("%s has an RSeq: %v, want %v", what, got, knows)
				}
				if knows {
					p.send(bobAddr, p.within(ring, sip.PRACK, uint32(2+i), sip.RAck{RSeq: rseq, CSeq: sip.CSeq{Seq: 1, Method: sip.INVITE}}))
					p.expect("200 " + summaryOf(sip.PRACK, 2+i))
				}
			}
			if err := <-result; errors.Is(err, dialog.Err100rel) == knows {
				t.Errorf("Reliable() = %v", err)
			}
		})
	}
}

// A call that rings reliably for long says so every two and a half minutes (RFC 3262
// section 3), with a PRACK each time. What the program has said with it is said again, but
// for the answer: there is one (RFC 3261 section 13.2.1).
func TestLongReliableRinging(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if err := in.Reliable(sip.StatusRinging, sip.Allow{sip.INVITE, sip.UPDATE}, sip.RecvInfo{Name: "foo"}, sip.ReasonPhrase("Well"),
				session, sip.ContentDisposition{Type: "session"}); err != nil {
				t.Error(err)
			}
			in.Session().SetContact(sip.Contact{URI: sip.URI{Scheme: "sip", User: "bob", Host: "elsewhere.example"}})
			<-ctx.Done()
		}})
		p := newPeer(t, n, aliceAddr)
		start := time.Now()
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), session, sip.Supported{sip.Option100rel}, sip.Expires(400)))
		var first sip.RSeq
		for i := range 3 {
			ring := p.expect("180 INVITE 1")
			rseq, err := sip.Get[sip.RSeq](ring.Message)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = rseq
			}
			if rseq != first+sip.RSeq(i) {
				t.Errorf("the RSeq of ringing %d is %d, want %d", i, rseq, first+sip.RSeq(i))
			}
			want := "INVITE, UPDATE|foo||||<sip:bob@elsewhere.example>"
			if i == 0 {
				want = "INVITE, UPDATE|foo|application/sdp|session|" + session.Content + "|<sip:bob@" + bobAddr + ":5060>"
			}
			if got := saysOf(ring.Message); got != want {
				t.Errorf("ringing %d says %q, want %q", i, got, want)
			}
			if got := ring.Message.(*sip.Response).ReasonPhrase(); got != "Well" {
				t.Errorf("the reason phrase of ringing %d is %q", i, got)
			}
			if got, want := ring.Time.Sub(start), time.Duration(i)*150*time.Second; got.Round(time.Second) != want {
				t.Errorf("ringing %d comes after %v, want %v", i, got, want)
			}
			p.send(bobAddr, p.within(ring.Message, sip.PRACK, uint32(2+i), sip.RAck{RSeq: rseq, CSeq: sip.CSeq{Seq: 1, Method: sip.INVITE}}))
			p.expect("200 " + summaryOf(sip.PRACK, 2+i))
			time.Sleep(120 * time.Second)
		}
		p.expect("487 INVITE 1")
	})
}

// saysOf returns what a response says of its sender, and of the session.
func saysOf(m sip.Message) string {
	var said []string
	for _, name := range []string{"Allow", "Recv-Info", "Content-Type", "Content-Disposition"} {
		value, _ := m.Value(name)
		said = append(said, value)
	}
	contact, _ := m.Value("Contact")
	return strings.Join(append(said, m.Body(), contact), "|")
}

// Both sides lose half of what they send: each reliable response arrives all the
// same, once and in order, and the call comes about.
func TestReliableRingingOnALossyNetwork(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		lost := map[string]int{}
		n.SetFilter(func(p siptest.Packet) siptest.Verdict {
			m, err := sip.Parse(string(p.Data))
			if err != nil {
				return siptest.Verdict{}
			}
			lost[summary(m)]++
			return siptest.Verdict{Drop: lost[summary(m)]%2 == 1}
		})
		result := make(chan error, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringingReliably(result, func(in *dialog.Invitation) error {
			for _, status := range []sip.Status{181, 182, 183, 180} {
				if err := in.Reliable(status); err != nil {
					return err
				}
			}
			_, err := in.Accept()
			return err
		})})
		var heard []sip.Status
		alice := newLayer(t, n, aliceAddr, nil)
		s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1", sip.Supported{sip.Option100rel}),
			func(s *dialog.Session, resp *sip.Response) {
				heard = append(heard, resp.Status())
				if _, err := s.Do(t.Context(), sip.PRACK); err != nil {
					t.Errorf("PRACK: %v", err)
				}
			})
		if err != nil {
			t.Fatal(err)
		}
		s.Ack(t.Context())
		if err := <-result; err != nil {
			t.Error(err)
		}
		if want := []sip.Status{181, 182, 183, 180}; !slices.Equal(heard, want) {
			t.Errorf("the program hears of %v, want %v", heard, want)
		}
		if err := s.Bye(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		wantEmpty(t, alice, bob)
	})
}

// The callee changes the session while the call rings: not before its answer is
// acknowledged (RFC 3311 section 5.1), and then as often as it likes.
func TestUpdateOfTheCalleeWhileItRings(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		result := make(chan error, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: ringingReliably(result, func(in *dialog.Invitation) error {
			s := in.Session()
			if _, err := s.Do(t.Context(), sip.UPDATE, session); !errors.Is(err, dialog.ErrPending) {
				t.Errorf("UPDATE before the answer: %v, want ErrPending", err)
			}
			time.AfterFunc(time.Second, func() {
				if _, err := s.Do(t.Context(), sip.UPDATE, session); !errors.Is(err, dialog.ErrPending) {
					t.Errorf("UPDATE before the PRACK: %v, want ErrPending", err)
				}
			})
			if err := in.Reliable(sip.StatusSessionProgress, session); err != nil {
				return err
			}
			for range 2 {
				if resp, err := s.Do(t.Context(), sip.UPDATE, session); err != nil || resp.Status() != sip.StatusOK {
					t.Errorf("UPDATE: %v, %v", resp, err)
				}
			}
			_, err := in.Accept()
			return err
		})})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), session, sip.Supported{sip.Option100rel}))
		ring := p.expect("183 INVITE 1").Message
		rseq, err := sip.Get[sip.RSeq](ring)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		p.send(bobAddr, p.within(ring, sip.PRACK, 2, sip.RAck{RSeq: rseq, CSeq: sip.CSeq{Seq: 1, Method: sip.INVITE}}))
		p.expect("200 PRACK 2", "183 INVITE 1")
		for seq := 3; seq <= 4; seq++ { // 1 and 2 were refused before they were sent
			p.reply(p.expect(summaryOf(sip.UPDATE, seq), "183 INVITE 1"), sip.StatusOK, p.contact(), session)
		}
		ok := p.expect("200 INVITE 1").Message
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}
