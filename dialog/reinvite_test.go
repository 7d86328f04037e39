package dialog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// Both sides change the call: the numbers go on, the Contact stays, each 200
// gets the ACK of its INVITE.
func TestReinvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		at := <-sessions
		for _, s := range []*dialog.Session{s, at, s} {
			resp, err := s.Invite(t.Context(), nil)
			if err != nil || resp.Status() != sip.StatusOK {
				t.Fatalf("Invite() = %v, %v, want 200", resp, err)
			}
			if err := s.Ack(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		wantLadder(t, n, "alice: INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1",
			"alice: INVITE 2", "bob: 200 INVITE 2", "alice: ACK 2",
			"bob: INVITE 1", "alice: 200 INVITE 1", "bob: ACK 1",
			"alice: INVITE 3", "bob: 200 INVITE 3", "alice: ACK 3")
		first, _ := sip.Get[sip.Contact](sent(n, bobAddr, "200 INVITE 1")[0])
		for _, what := range []string{"200 INVITE 2", "INVITE 1"} {
			if got, err := sip.Get[sip.Contact](sent(n, bobAddr, what)[0]); err != nil || got != first {
				t.Errorf("the Contact of %s is %v, want %v", what, got, first)
			}
		}
	})
}

// A re-INVITE that is refused changes nothing; 481, 408 and silence end the
// call (RFC 3261 section 14.1).
func TestReinviteRefused(t *testing.T) {
	for _, status := range []sip.Status{sip.StatusNotAcceptableHere, sip.StatusServerInternalError,
		sip.StatusCallDoesNotExist, sip.StatusRequestTimeout, 0} {
		story(t, func(t *testing.T, n *siptest.Network) {
			sessions := make(chan *dialog.Session, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
			p := newPeer(t, n, aliceAddr)
			p.calls(bobAddr, "1")
			s := <-sessions
			result := make(chan error, 1)
			go func() { // ends with the answer, or 32 s later
				resp, err := s.Invite(t.Context(), nil)
				if err == nil && resp.Status() != status {
					t.Errorf("Invite() = %v, want %v", resp.Status(), status)
				}
				result <- err
			}()
			in := p.expect("INVITE 1")
			switch status {
			case 0:
				p.reply(p.expect("BYE 2", "INVITE 1"), sip.StatusOK)
				if err := <-result; !errors.Is(err, transaction.ErrTimeout) {
					t.Errorf("Invite() = %v, want ErrTimeout", err)
				}
			case sip.StatusCallDoesNotExist, sip.StatusRequestTimeout:
				p.reply(in, status)
				p.reply(p.expect("BYE 2", "ACK 1"), sip.StatusOK)
			default:
				p.reply(in, status)
				p.expect("ACK 1")
				if err := s.Err(); err != nil {
					t.Errorf("Err() = %v, want nil", err)
				}
				p.silent(time.Minute)
				return
			}
			if err := s.Err(); !errors.Is(err, dialog.ErrLost) {
				t.Errorf("Err() = %v, want ErrLost", err)
			}
			time.Sleep(time.Second)
			wantEmpty(t, bob)
		})
	}
}

// A second INVITE while the first has no answer gets 500 with Retry-After (RFC
// 3261 section 14.2).
func TestSecondInviteWhileFirstIsPending(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		ready := make(chan bool)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if in.Re() {
				in.Provisional(sip.StatusRinging)
				if _, err := in.Session().Invite(ctx, nil); !errors.Is(err, dialog.ErrPending) {
					t.Errorf("an INVITE of ours meanwhile: %v, want ErrPending", err)
				}
				<-ready
			}
			accepting(t, nil)(ctx, in)
		}})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		p.send(bobAddr, p.within(ok, sip.INVITE, 2, p.contact()))
		p.expect("180 INVITE 2")
		second := p.send(bobAddr, p.within(ok, sip.INVITE, 3, p.contact()))
		refusal := p.expect("500 INVITE 3").Message
		if after, err := sip.Get[sip.RetryAfter](refusal); err != nil || after.Seconds > 10 {
			t.Errorf("Retry-After %v, %v, want 0 to 10 s", after, err)
		}
		p.refused(bobAddr, second, refusal)
		close(ready)
		p.expect("200 INVITE 2")
		p.send(bobAddr, p.within(ok, sip.ACK, 2))
		p.silent(time.Minute)
	})
}

// INVITEs of both sides cross: each gets 491 (RFC 3261 section 14.2, RFC 5407
// section 3.3.1). The side that began the call waits 2.1 to 4 s, the other up
// to 2 s, and then both get through.
func TestGlare(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		at := <-sessions
		change := func(s *dialog.Session) chan error {
			done := make(chan error, 1)
			go func() { // ends when the change is through
				for {
					resp, err := s.Invite(t.Context(), nil)
					switch {
					case err != nil:
						done <- err
						return
					case resp.Status() == sip.StatusRequestPending:
						time.Sleep(s.RetryDelay())
						continue
					}
					done <- s.Ack(t.Context())
					return
				}
			}()
			return done
		}
		one, two := change(s), change(at)
		if err := <-one; err != nil {
			t.Error(err)
		}
		if err := <-two; err != nil {
			t.Error(err)
		}
		if got := count(t, n, "alice: 491 INVITE 1") + count(t, n, "bob: 491 INVITE 2"); got != 2 {
			t.Errorf("%d 491s, want one from each side", got)
		}
		time.Sleep(time.Minute)
		if err := s.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
	})
}

// The waits are in the bounds of section 14.1, in units of 10 ms, and vary.
func TestRetryDelay(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		alice := newLayer(t, n, aliceAddr, nil)
		for _, side := range []struct {
			s        *dialog.Session
			min, max time.Duration
		}{{call(t, alice, "sip:bob@"+bobAddr, "1"), 2100 * time.Millisecond, 4 * time.Second}, {<-sessions, 0, 2 * time.Second}} {
			seen := map[time.Duration]bool{}
			for range 1000 {
				d := side.s.RetryDelay()
				if d < side.min || d > side.max || d%(10*time.Millisecond) != 0 {
					t.Errorf("RetryDelay() = %v, want %v to %v in units of 10 ms", d, side.min, side.max)
				}
				seen[d] = true
			}
			if len(seen) < 50 {
				t.Errorf("RetryDelay() gives %d values", len(seen))
			}
		}
	})
}

// Until the ACK, ours or the peer's, no INVITE of ours may go out (RFC 3261
// section 14.1).
func TestReinviteWaitsForACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		early := make(chan error, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			time.AfterFunc(100*time.Millisecond, func() {
				_, err := in.Session().Invite(t.Context(), nil)
				early <- err
			})
			accepting(t, nil)(ctx, in)
		}})
		alice := newLayer(t, n, aliceAddr, nil)
		s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Invite(t.Context(), nil); !errors.Is(err, dialog.ErrPending) {
			t.Errorf("Invite() before Ack = %v, want ErrPending", err)
		}
		if err := <-early; !errors.Is(err, dialog.ErrPending) {
			t.Errorf("Invite() before the ACK came = %v, want ErrPending", err)
		}
		s.Ack(t.Context())
		time.Sleep(time.Second)
	})
}

// A re-INVITE whose context ends is cancelled, and the call stays.
func TestReinviteCancelled(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if in.Re() {
				in.Provisional(sip.StatusRinging)
				<-ctx.Done()
				return
			}
			accepting(t, nil)(ctx, in)
		}})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Invite(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Invite() = %v, want the error of the context", err)
		}
		time.Sleep(time.Minute)
		if err := s.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
	})
}

// The peer is of RFC 2543, and never answers a re-INVITE that is cancelled: it counts as
// cancelled, and the call stays (RFC 3261 section 9.1). One that has not heard of it at all
// has lost the call (section 14.1).
func TestReinviteCancelledWithoutAnswer(t *testing.T) {
	for _, rings := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, nil)
			c := place(t.Context(), t, alice)
			p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact())
			s := c.answered()
			p.expect("ACK 1")
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			failed := make(chan error, 1)
			go func() { // ends with the wait for an answer
				_, err := s.Invite(ctx, nil)
				failed <- err
			}()
			change := p.expect("INVITE 2")
			if rings {
				p.reply(change, sip.StatusRinging)
				p.reply(p.expect("CANCEL 2"), sip.StatusOK)
			}
			if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Invite() = %v, want the error of the context", err)
			}
			if !rings {
				p.reply(p.expect("BYE 3", "INVITE 2"), sip.StatusOK)
				if err := s.Err(); !errors.Is(err, dialog.ErrLost) {
					t.Errorf("Err() = %v, want ErrLost", err)
				}
				return
			}
			if err := s.Err(); err != nil {
				t.Errorf("Err() = %v, want nil", err)
			}
			p.silent(time.Minute)
		})
	}
}

// BYE comes while a re-INVITE waits for the user: its context ends, and it gets
// 487 (RFC 3261 section 15.1.2).
func TestByeEndsPendingReinvite(t *testing.T) {
	for _, then := range []string{"return", "accept"} {
		story(t, func(t *testing.T, n *siptest.Network) {
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				if !in.Re() {
					accepting(t, nil)(ctx, in)
					return
				}
				in.Provisional(sip.StatusRinging)
				<-ctx.Done()
				if err := context.Cause(ctx); !errors.Is(err, dialog.ErrBye) {
					t.Errorf("the context ended with %v, want ErrBye", err)
				}
				if then == "accept" {
					if _, err := in.Accept(); !errors.Is(err, dialog.ErrBye) {
						t.Errorf("Accept() = %v, want ErrBye", err)
					}
				}
			}})
			p := newPeer(t, n, aliceAddr)
			ok := p.calls(bobAddr, "1")
			change := p.send(bobAddr, p.within(ok, sip.INVITE, 2, p.contact()))
			p.expect("180 INVITE 2")
			p.send(bobAddr, p.within(ok, sip.BYE, 3))
			p.expect("200 BYE 3")
			p.refused(bobAddr, change, p.expect("487 INVITE 2").Message)
			wantEmpty(t, bob)
		})
	}
}

// No ACK comes for the 200 to a re-INVITE: BYE (RFC 3261 section 14.2).
func TestReinviteWithoutACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		failed := make(chan error, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			if _, err := in.Accept(); in.Re() {
				failed <- err
			}
		}})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		p.send(bobAddr, p.within(ok, sip.INVITE, 2, p.contact()))
		p.reply(p.expect("BYE 1", "200 INVITE 2"), sip.StatusOK)
		if err := <-failed; !errors.Is(err, dialog.ErrNoACK) {
			t.Errorf("Accept() = %v, want ErrNoACK", err)
		}
	})
}

// A panic of who is told that a re-INVITE rings gives that up, and no more: it is
// cancelled, and the call can be changed again.
func TestPanicWhileAReinviteRings(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		c := place(t.Context(), t, alice)
		p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact())
		s := c.answered()
		p.expect("ACK 1")
		panicked := make(chan any, 1)
		go func() { // ends with the panic
			defer func() { panicked <- recover() }()
			s.Invite(t.Context(), func(*sip.Response) { panic("on purpose") }, session)
		}()
		invite := p.expect("INVITE 2")
		p.reply(invite, sip.StatusRinging, p.contact())
		p.reply(p.expect("CANCEL 2"), sip.StatusOK)
		p.reply(invite, sip.StatusRequestTerminated)
		p.expect("ACK 2")
		if got := <-panicked; got != "on purpose" {
			t.Errorf("the panic is %v", got)
		}
		result := make(chan error, 1)
		go func() { // ends with the answer
			_, err := s.Invite(t.Context(), nil, session)
			result <- err
		}()
		p.reply(p.expect("INVITE 3"), sip.StatusNotAcceptableHere)
		p.expect("ACK 3")
		if err := <-result; err != nil || s.Err() != nil {
			t.Errorf("Invite() = %v, and the call has ended with %v", err, s.Err())
		}
	})
}
