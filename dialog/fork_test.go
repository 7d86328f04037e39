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
	"github.com/goparley/parley/transaction"
)

// tagged is a To for an answer with a tag of the test's choice.
func tagged(invite sip.Message, tag string) sip.To {
	return invite.To().WithTag(tag)
}

// A fork is answered by three. Each gets its ACK; the first is the call, the
// others get BYE, once, however often their 200 comes (RFC 3261 section
// 13.2.2.4).
func TestSurplusAnswersAreEnded(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnEnd: func(s *dialog.Session) {
			if got := s.ID().RemoteTag; got != "one" {
				t.Errorf("OnEnd for %s, which nobody has", got)
			}
		}})
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		s := <-result
		if got, want := s.ID().RemoteTag, "one"; got != want {
			t.Errorf("the call is %s, want %s", got, want)
		}
		p.expect("ACK 1")
		for _, tag := range []string{"two", "three"} {
			p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, tag))
			ack := p.expect("ACK 1").Message
			if got := ack.To().Tag(); got != tag {
				t.Errorf("the ACK is for %s, want %s", got, tag)
			}
			bye := p.expect("BYE 2")
			if got := bye.Message.To().Tag(); got != tag {
				t.Errorf("the BYE is for %s, want %s", got, tag)
			}
			p.reply(bye, sip.StatusOK)
			p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, tag))
			if again := p.expect("ACK 1").Message; again.String() != ack.String() {
				t.Errorf("the ACK is\n%s\nwant\n%s", again, ack)
			}
			p.silent(time.Second)
		}
		if err := s.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
		go s.Bye(t.Context()) // ends with the answer
		p.reply(p.expect("BYE 2"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// Both answers of a fork are there before Invite looks at the first.
func TestAnswersOfForkAtOnce(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		result := make(chan *dialog.Session, 1)
		ringing := make(chan bool)
		go func() { // ends with the answer
			s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"),
				func(*dialog.Session, *sip.Response) { <-ringing })
			if err != nil {
				t.Error(err)
			}
			s.Ack(t.Context())
			result <- s
		}()
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusRinging, tagged(invite.Message, "one"))
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "two"))
		p.silent(100 * time.Millisecond)
		close(ringing)
		s := <-result
		p.reply(p.expect("BYE 2", "ACK 1"), sip.StatusOK)
		p.silent(time.Minute, "ACK 1")
		if err := s.Err(); err != nil || s.ID().RemoteTag != "one" {
			t.Errorf("the call is %+v, %v, want the first", s.ID(), err)
		}
	})
}

// A hostile callee answers one INVITE a thousand times. What it costs is
// bounded, and the call stays up.
func TestThousandAnswers(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		s := <-result
		for i := range 1000 {
			p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, fmt.Sprint(i)))
			if i%50 == 0 {
				p.silent(20*time.Millisecond, "ACK 1", "BYE 2")
			}
		}
		if sessions, _ := alice.Left(); sessions > 40 {
			t.Errorf("%d sessions of one INVITE", sessions)
		}
		p.silent(2*time.Minute, "ACK 1", "BYE 2")
		if sessions, invites := alice.Left(); sessions != 1 || invites != 0 {
			t.Errorf("%d sessions and %d INVITEs are left, want 1 and 0", sessions, invites)
		}
		if err := s.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
	})
}

// More answers come while the program still looks at the ringing, before which of them is
// the call: a surplus one again and again, which takes the room of others. The one for which
// there is none left comes again, as it has no ACK, and is ended like any other then.
func TestAnswersBeforeTheCallIsSettled(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		looks := make(chan bool)
		result := make(chan *dialog.Session, 1)
		go func() { // ends with the answer
			s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), func(*dialog.Session, *sip.Response) { <-looks })
			if err != nil {
				t.Error(err)
			}
			result <- s
		}()
		invite := p.expect("INVITE 1")
		answer := func(tag string) {
			p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, tag))
		}
		p.reply(invite, sip.StatusRinging, p.contact(), tagged(invite.Message, "one"))
		answer("one")
		for range 32 {
			answer("two")
		}
		answer("three")
		time.Sleep(time.Second)
		looks <- true
		if got := (<-result).ID().RemoteTag; got != "one" {
			t.Errorf("the call is with %s, want one", got)
		}
		ended := func(tag string) {
			t.Helper()
			p.expect("ACK 1")
			bye := p.expect("BYE 2", "ACK 1")
			if got := bye.Message.To().Tag(); got != tag {
				t.Errorf("the answer of %s is ended, want that of %s", got, tag)
			}
			p.reply(bye, sip.StatusOK)
		}
		ended("two")
		p.silent(time.Second, "ACK 1")
		answer("three")
		ended("three")
	})
}

// The caller gives up, and the answer crosses its CANCEL: ACK, then BYE (RFC
// 3261 section 15).
func TestAnswerCrossesCancel(t *testing.T) {
	for _, tag := range []string{"bob", ""} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{
				OnEnd: func(*dialog.Session) { t.Error("OnEnd for a call that nobody has") },
			})
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() { // ends with the answer
				s, _, err := alice.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
				if s != nil {
					t.Error("there is a session")
				}
				result <- err
			}()
			invite := p.expect("INVITE 1")
			p.reply(invite, sip.StatusRinging)
			time.Sleep(time.Second)
			cancel()
			p.reply(p.expect("CANCEL 1"), sip.StatusOK)
			to := tagged(invite.Message, tag)
			if tag == "" { // a peer of RFC 2543
				to = invite.Message.To()
			}
			p.reply(invite, sip.StatusOK, p.contact(), to)
			p.expect("ACK 1")
			bye := p.expect("BYE 2")
			if got := bye.Message.To().Tag(); got != tag {
				t.Errorf("the BYE has the tag %q, want %q", got, tag)
			}
			p.reply(bye, sip.StatusOK)
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("Invite() = %v, want the error of the context", err)
			}
			time.Sleep(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// A 2xx whose Contact or Record-Route is useless is acknowledged and ended by
// the way that the INVITE took.
func TestUselessAnswerIsEnded(t *testing.T) {
	for _, bad := range []sip.Edit{
		sip.Field{Name: "Contact", Value: "<tel:+15551234>"},
		sip.Field{Name: "Record-Route", Value: "<tel:+15551234>"},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, nil)
			result := make(chan error, 1)
			go func() { // ends with the answer
				_, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
				result <- err
			}()
			p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact(), bad)
			p.expect("ACK 1")
			p.reply(p.expect("BYE 2"), sip.StatusOK)
			if err := <-result; err == nil {
				t.Error("Invite() succeeded")
			}
		})
	}
}

// A cancelled INVITE ends the context of its handler. Whatever the handler then
// says, it is 487 that goes out (RFC 3261 section 9.2).
func TestCancel(t *testing.T) {
	for _, then := range []string{"return", "reject", "accept"} {
		story(t, func(t *testing.T, n *siptest.Network) {
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				in.Provisional(sip.StatusRinging)
				<-ctx.Done()
				if err := context.Cause(ctx); !errors.Is(err, transaction.ErrCancelled) {
					t.Errorf("the context ended with %v, want ErrCancelled", err)
				}
				switch then {
				case "reject":
					in.Reject(sip.StatusBusyHere)
				case "accept":
					if _, err := in.Accept(); !errors.Is(err, transaction.ErrCancelled) {
						t.Errorf("Accept() = %v, want ErrCancelled", err)
					}
					<-in.Session().Done()
				}
			}})
			alice := newLayer(t, n, aliceAddr, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, resp, err := alice.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
			if !errors.Is(err, context.DeadlineExceeded) || resp.Status() != sip.StatusRequestTerminated {
				t.Errorf("Invite() = %v, %v, want 487 and the error of the context", resp, err)
			}
			time.Sleep(time.Minute)
			wantLadder(t, n, "alice: INVITE 1", "bob: 180 INVITE 1", "alice: CANCEL 1", "bob: 200 CANCEL 1",
				"bob: 487 INVITE 1", "alice: ACK 1")
			wantEmpty(t, alice, bob)
		})
	}
}

// Before a provisional response there is no CANCEL (RFC 3261 section 9.1).
func TestEarlyCancelWaits(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { // ends with the 487
			_, _, err := alice.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
			result <- err
		}()
		invite := p.expect("INVITE 1")
		cancel()
		p.silent(3*time.Second, "INVITE 1")
		p.reply(invite, sip.StatusTrying)
		p.reply(p.expect("CANCEL 1"), sip.StatusOK)
		p.reply(invite, sip.StatusRequestTerminated)
		p.expect("ACK 1")
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Invite() = %v, want the error of the context", err)
		}
	})
}

// Timer C has cancelled an INVITE that rings, and Invite has returned. An answer that
// comes after all is acknowledged and ended (RFC 3261 section 13.2.2.4).
func TestAnswerAfterTimerC(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		cfg := &dialog.Config{}
		cfg.Transaction.Timers.C = 10 * time.Second
		alice := newLayer(t, n, aliceAddr, cfg)
		result := make(chan error, 1)
		go func() { // ends with timer C
			_, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
			result <- err
		}()
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusRinging, p.contact(), tagged(invite.Message, "one"))
		p.reply(p.expect("CANCEL 1"), sip.StatusOK)
		if err := <-result; !errors.Is(err, transaction.ErrTimeout) {
			t.Errorf("Invite() = %v, want ErrTimeout", err)
		}
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		p.expect("ACK 1")
		p.reply(p.expect("BYE 2"), sip.StatusOK)
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		p.expect("ACK 1")
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// A panic of who is told of the ringing gives the call up: its early dialog is over, and
// the answer that comes all the same is ended.
func TestPanicWhileItRings(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		branches := make(chan *dialog.Session, 1)
		go func() { // ends with the panic
			defer func() {
				if recover() == nil {
					t.Error("there was no panic")
				}
			}()
			alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), func(s *dialog.Session, _ *sip.Response) {
				branches <- s
				panic("on purpose")
			})
		}()
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusRinging, p.contact(), tagged(invite.Message, "one"))
		p.expect("CANCEL 1")
		<-(<-branches).Done()
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		p.expect("ACK 1", "CANCEL 1")
		p.reply(p.expect("BYE 2"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// A proxy passes on the refusal of one branch, and behind it the 200 of another one, as it
// has to (RFC 3261 section 16.7 step 5): that call is ended like any surplus one, with a
// number above those of the requests that the branch had when it rang.
func TestAnswerBehindRefusal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice)
		invite := p.expect("INVITE 1")
		one := tagged(invite.Message, "one")
		p.reply(invite, sip.StatusRinging, one, p.contact())
		early, _ := c.rings(sip.StatusRinging)
		done := does(t, early, sip.INFO)
		p.reply(p.expect("INFO 2"), sip.StatusOK)
		<-done
		p.reply(invite, sip.StatusDecline, tagged(invite.Message, "two"))
		p.expect("ACK 1")
		if a := <-c.result; a.s != nil || a.err != nil || a.resp.Status() != sip.StatusDecline {
			t.Errorf("Invite() = %v, %v, %v, want the 603 alone", a.s, a.resp, a.err)
		}
		p.reply(invite, sip.StatusOK, one, p.contact())
		p.expect("ACK 1")
		bye := p.expect("BYE 3")
		p.reply(invite, sip.StatusOK, one, p.contact())
		p.expect("ACK 1")
		p.reply(bye, sip.StatusOK)
		p.silent(time.Second)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}
