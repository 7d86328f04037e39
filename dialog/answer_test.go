package dialog_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// A 200 goes out again after T1, twice that, up to T2, over TCP as well, until
// 64*T1; then the call is ended with BYE (RFC 3261 section 13.3.1.4).
func TestNoACKComes(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		failed := make(chan error, 1)
		ended := make(chan error, 2)
		bob := newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				_, err := in.Accept()
				failed <- err
			},
			OnEnd: func(s *dialog.Session) { ended <- s.Err() },
		})
		p := newPeer(t, n, aliceAddr)
		start := time.Now()
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		var first string
		for _, at := range []time.Duration{0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500} {
			in := p.expect("200 INVITE 1")
			if got, want := in.Time.Sub(start), at*time.Millisecond+20*time.Millisecond; got != want {
				t.Errorf("a 200 after %v, want %v", got, want)
			}
			if first == "" {
				first = in.Message.String()
			}
			if got := in.Message.String(); got != first {
				t.Errorf("the 200 changed:\n%s\nwant\n%s", got, first)
			}
		}
		bye := p.expect("BYE 1")
		if got, want := bye.Time.Sub(start), 32020*time.Millisecond; got != want {
			t.Errorf("the BYE came after %v, want %v", got, want)
		}
		p.reply(bye, sip.StatusOK)
		if err := <-failed; !errors.Is(err, dialog.ErrNoACK) {
			t.Errorf("Accept() = %v, want ErrNoACK", err)
		}
		time.Sleep(time.Minute)
		if len(ended) != 1 {
			t.Errorf("OnEnd was called %d times, want 1", len(ended))
		}
		if err := <-ended; !errors.Is(err, dialog.ErrNoACK) {
			t.Errorf("the call ended with %v, want ErrNoACK", err)
		}
		wantEmpty(t, bob)
	})
}

// Every 200 that comes again gets the same ACK again, byte for byte, and with
// the number of the INVITE (RFC 3261 section 13.2.2.4).
func TestACKIsRepeated(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		lose(n, aliceAddr, "ACK 1", 2)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		call(t, alice, "sip:bob@"+bobAddr, "1")
		time.Sleep(time.Minute)
		wantLadder(t, n, "alice: INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1 lost",
			"bob: 200 INVITE 1", "alice: ACK 1 lost", "bob: 200 INVITE 1", "alice: ACK 1")
		acks := sent(n, aliceAddr, "ACK 1")
		for _, ack := range acks {
			if got, want := ack.String(), acks[0].String(); got != want {
				t.Errorf("an ACK is\n%s\nwant\n%s", got, want)
			}
		}
	})
}

// The ACK is repeated on a new connection if the one it went by is gone.
func TestACKIsRepeatedOnAnotherConnection(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		result := make(chan *dialog.Session, 1)
		go func() { // ends with the answer
			s, _, _ := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr+";transport=tcp", "1"), nil)
			result <- s
		}()
		invite := p.expect("INVITE 1")
		contact := p.contact()
		contact.URI.Params = ";transport=tcp"
		ok := p.reply(invite, sip.StatusOK, contact)
		s := <-result
		s.Ack(t.Context())
		p.expect("ACK 1")
		n.Host(bobAddr).Reset()
		time.Sleep(time.Second)
		p.respond(invite, ok)
		p.expect("ACK 1")
		p.respond(invite, ok)
		p.expect("ACK 1")
	})
}

// A 200 that comes again with another Contact changes nothing.
func TestRetransmissionWithAnotherContact(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		invite := p.expect("INVITE 1")
		ok := p.reply(invite, sip.StatusOK, p.contact())
		s := <-result
		ack := p.expect("ACK 1").Message.String()
		p.respond(invite, ok.With(sip.Contact{URI: sip.URI{Scheme: "sip", Host: carolAddr}}))
		if got := p.expect("ACK 1").Message.String(); got != ack {
			t.Errorf("the ACK is\n%s\nwant\n%s", got, ack)
		}
		go s.Bye(t.Context()) // ends with the answer
		bye := p.expect("BYE 2")
		if got := bye.Message.(*sip.Request).URI().Host; got != bobAddr {
			t.Errorf("the BYE goes to %s, want %s", got, bobAddr)
		}
		p.reply(bye, sip.StatusOK)
	})
}

// A 200 that the network doubles arrives before Invite has returned. It is no
// second answer.
func TestDoubledAnswer(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		n.SetFilter(func(siptest.Packet) siptest.Verdict { return siptest.Verdict{Duplicate: 2} })
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.Ack(t.Context())
		time.Sleep(time.Minute)
		if err := s.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
		if got := count(t, n, "alice: BYE 2"); got != 0 {
			t.Errorf("%d BYEs, want none", got)
		}
		if err := s.Bye(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A 200 that comes again while its ACK is being made or sent gets an ACK of its
// own (RFC 3261 section 13.2.2.4): it may be the last one.
func TestAnswerAgainBeforeACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		go func() {
			in := p.expect("INVITE 1")
			p.respond(in, p.reply(in, sip.StatusOK, p.contact()))
		}()
		s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.Ack(t.Context())
		p.expect("ACK 1")
		p.expect("ACK 1")
		go s.Bye(t.Context())
		p.reply(p.expect("BYE 2"), sip.StatusOK)
	})
}

// The callee hangs up before the ACK has come: the call is over for it at once,
// but its BYE waits for the ACK, and its 200 goes on (RFC 3261 section 15).
func TestCalleeByeWaitsForACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		failed := make(chan error, 1)
		var s *dialog.Session
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			s = in.Session()
			_, err := in.Accept()
			failed <- err
		}})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		ok := p.expect("200 INVITE 1").Message
		hung := make(chan error, 1)
		go func() { hung <- s.Bye(t.Context()) }() // ends with the answer to the BYE
		<-s.Done()
		p.expect("200 INVITE 1")
		p.expect("200 INVITE 1")
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		p.reply(p.expect("BYE 1"), sip.StatusOK)
		if err := <-hung; err != nil {
			t.Errorf("Bye() = %v", err)
		}
		if err := <-failed; !errors.Is(err, dialog.ErrEnded) {
			t.Errorf("Accept() = %v, want ErrEnded", err)
		}
		p.silent(time.Minute)
	})
}

// The same with a context that ends before the ACK comes: the BYE is sent
// nevertheless.
func TestCalleeByeOutlivesItsContext(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var s *dialog.Session
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			s = in.Session()
			in.Accept()
		}})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		p.expect("200 INVITE 1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Bye(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Bye() = %v, want the error of the context", err)
		}
		p.reply(p.expect("BYE 1", "200 INVITE 1"), sip.StatusOK)
		time.Sleep(time.Second)
		wantEmpty(t, bob)
	})
}

// The caller hangs up without having acknowledged: the ACK goes first (RFC 3261
// section 13.2.2.4).
func TestCallerByeSendsACKFirst(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Bye(t.Context()); err != nil {
			t.Error(err)
		}
		wantLadder(t, n, "alice: INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1", "alice: BYE 2", "bob: 200 BYE 2")
	})
}

// Bye on a call that is still ringing refuses it: a callee has no BYE for an
// early dialog (RFC 3261 section 15).
func TestByeOfEarlyCallRefusesIt(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			in.Provisional(sip.StatusRinging)
			if err := in.Session().Bye(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := in.Accept(); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("Accept() = %v, want ErrCompleted", err)
			}
		}})
		alice := newLayer(t, n, aliceAddr, nil)
		_, resp, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil || resp.Status() != sip.StatusTemporarilyUnavailable {
			t.Errorf("Invite() = %v, %v, want 480", resp, err)
		}
		time.Sleep(time.Minute)
		wantEmpty(t, alice, bob)
	})
}

// A caller may end an early dialog with BYE: it gets 200, and the INVITE 487
// (RFC 3261 section 15.1.2).
func TestCallerByeInEarlyDialog(t *testing.T) {
	for _, accept := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			cause := make(chan error, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{
				OnInvite: func(ctx context.Context, in *dialog.Invitation) {
					in.Provisional(sip.StatusRinging)
					<-ctx.Done()
					cause <- context.Cause(ctx)
					if !accept {
						return
					}
					if _, err := in.Accept(); !errors.Is(err, dialog.ErrBye) {
						t.Errorf("Accept() = %v, want ErrBye", err)
					}
				},
				OnEnd: func(*dialog.Session) { t.Error("OnEnd for a call that never was") },
			})
			p := newPeer(t, n, aliceAddr)
			invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
			ringing := p.expect("180 INVITE 1").Message
			p.send(bobAddr, p.within(ringing, sip.BYE, 2))
			p.expect("200 BYE 2")
			p.refused(bobAddr, invite, p.expect("487 INVITE 1").Message)
			if err := <-cause; !errors.Is(err, dialog.ErrBye) {
				t.Errorf("the context ended with %v, want ErrBye", err)
			}
			wantEmpty(t, bob)
		})
	}
}

// A call that rings for long sends its 180 again every minute (RFC 3261 section
// 13.3.1.1), and one with Expires ends when that is over (section 13.3.1).
func TestLongRinging(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			in.Provisional(sip.StatusTrying + 83)
			in.Provisional(sip.StatusRinging)
			<-ctx.Done()
			if err := context.Cause(ctx); !errors.Is(err, dialog.ErrExpired) {
				t.Errorf("the context ended with %v, want ErrExpired", err)
			}
			in.Reject(sip.StatusBusyHere)
		}})
		alice := newLayer(t, n, aliceAddr, nil)
		_, resp, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1", sip.Expires(200)), nil)
		if err != nil || resp.Status() != sip.StatusRequestTerminated {
			t.Errorf("Invite() = %v, %v, want 487", resp, err)
		}
		time.Sleep(10 * time.Minute)
		wantLadder(t, n, "alice: INVITE 1", "bob: 183 INVITE 1", "bob: 180 INVITE 1", "bob: 180 INVITE 1",
			"bob: 180 INVITE 1", "bob: 180 INVITE 1", "bob: 487 INVITE 1", "alice: ACK 1")
	})
}

// The time that Expires gives counts from when the INVITE came, and not from when it
// was its turn.
func TestExpiresWhileItWaits(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{
			OnRequest: func(tx *dialog.Server, req *sip.Request) {
				time.Sleep(3 * time.Second)
				tx.Reply(sip.StatusOK)
			},
			OnInvite: func(ctx context.Context, in *dialog.Invitation) { <-ctx.Done() },
		})
		alice := newLayer(t, n, aliceAddr, nil)
		invite := newInvite(t, "sip:bob@"+bobAddr, "1", sip.Expires(4))
		options := sip.NewRequest(sip.OPTIONS, invite.URI(), sip.MaxForwards(70), invite.From(), invite.To(),
			sip.CallID("1"), sip.CSeq{Seq: 1, Method: sip.OPTIONS})
		go alice.Do(t.Context(), options) // ends with the answer
		time.Sleep(time.Millisecond)
		start := time.Now()
		_, resp, err := alice.Invite(t.Context(), invite, nil)
		if waited := time.Since(start); err != nil || resp.Status() != sip.StatusRequestTerminated || waited >= 5*time.Second {
			t.Errorf("Invite() = %v, %v after %v, want 487 after 4s", resp, err, waited)
		}
	})
}

// Bye with a context that has ended sends the BYE all the same, and again until
// it is answered.
func TestByeOutlivesItsContext(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		lose(n, aliceAddr, "BYE 2", 2)
		sessions := make(chan *dialog.Session, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Bye(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Bye() = %v, want the error of the context", err)
		}
		<-(<-sessions).Done()
		time.Sleep(time.Minute)
		wantEmpty(t, alice, bob)
	})
}

// The BYE does not wait for what OnEnd does.
func TestByeGoesOutBeforeOnEnd(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		release := make(chan bool)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnEnd: func(*dialog.Session) { <-release }})
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		go s.Bye(t.Context()) // ends with OnEnd
		<-(<-sessions).Done()
		close(release)
	})
}
