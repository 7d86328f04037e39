package ua_test

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
	"github.com/goparley/parley/ua"
)

// Alice holds Bob, Bob holds Alice, and each takes back what is theirs.
func TestHoldBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for _, step := range []struct {
			name         string
			do           func(context.Context) error
			ours, theirs string
		}{
			{"Alice holds", p.a.Hold, "sendonly", "recvonly"},
			{"Alice holds again", p.a.Hold, "", ""},
			{"Bob holds", p.b.Hold, "inactive", "inactive"},
			{"Alice resumes", p.a.Resume, "recvonly", "sendonly"},
			{"Bob resumes", p.b.Resume, "sendrecv", "sendrecv"},
			{"Bob resumes again", p.b.Resume, "", ""},
		} {
			if err := step.do(t.Context()); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			synctest.Wait()
			if step.ours != "" {
				step.ours += " 192.0.2.2:4000"
				step.theirs += " 192.0.2.1:4000"
			}
			p.ours.check(t, step.name+": Alice", step.ours, false)
			p.theirs.check(t, step.name+": Bob", step.theirs, false)
		}
	})
}

// The peer agrees to a Hold, and our own stream fails at it. The call is on hold
// at both sides, and stays so in the next offer.
func TestHoldUpdateFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		broken := errors.New("speaker is broken")
		p.ours.onUpdate = func(context.Context) error { p.ours.onUpdate = nil; return broken }
		err := p.a.Hold(t.Context())
		if !errors.Is(err, broken) || !contains(err.Error(), "agreed") {
			t.Errorf("Hold() = %v, want the stream's error, and that it was agreed", err)
		}
		synctest.Wait()
		p.ours.check(t, "Alice", "sendonly 192.0.2.2:4000", false)
		p.theirs.check(t, "Bob", "recvonly 192.0.2.1:4000", false)
		// Bob holds and resumes: Alice's hold is still there.
		if err := p.b.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		if err := p.b.Resume(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		p.ours.check(t, "Alice", "inactive 192.0.2.2:4000, sendonly 192.0.2.2:4000", false)
		if err := p.a.Resume(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		p.ours.check(t, "Alice", "sendrecv 192.0.2.2:4000", false)
	})
}

// A hold that is refused leaves the call as it was, and what we want with it.
func TestHoldRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := true
		o := newOfferer(t, func(_ context.Context, in *dialog.Invitation) {
			if refuse {
				in.Reject(sip.StatusNotAcceptableHere)
				return
			}
			if contains(in.Request().Body(), "sendonly") {
				t.Error("a later offer still holds")
			}
			in.Accept(describe("192.0.2.1", 3, "audio 5000 RTP/AVP 0"))
		})
		if err := o.call.Hold(t.Context()); !errors.Is(err, sip.StatusNotAcceptableHere) {
			t.Errorf("Hold() = %v, want 488", err)
		}
		o.stream.check(t, "callee", "", false)
		resp := o.offer(t, describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0"))
		if !contains(resp.Body(), "m=audio 4000") || contains(resp.Body(), "sendonly") {
			t.Errorf("the answer is %q", resp.Body())
		}
		refuse = false
		if err := o.call.Resume(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The peer does not answer a re-INVITE: Hold ends with its context, and
// hang-up ends Hold.
func TestHoldUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfferer(t, func(ctx context.Context, in *dialog.Invitation) {
			in.Provisional(sip.StatusSessionProgress)
			<-ctx.Done()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := o.call.Hold(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Hold() = %v, want the error of its context", err)
		}
		result := make(chan error, 1)
		go func() { result <- o.call.Hold(t.Context()) }()
		time.Sleep(time.Second)
		o.call.Hangup(t.Context())
		start := time.Now()
		if err := <-result; err == nil || time.Since(start) > time.Second {
			t.Errorf("Hold() = %v, %v after the hang-up", err, time.Since(start))
		}
	})
}

// The peer does not know the call any more.
func TestHoldOfLostCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfferer(t, func(_ context.Context, in *dialog.Invitation) { in.Reject(sip.StatusCallDoesNotExist) })
		if err := o.call.Hold(t.Context()); !errors.Is(err, sip.StatusCallDoesNotExist) {
			t.Errorf("Hold() = %v, want 481", err)
		}
		<-o.call.Done()
		if err := o.call.Err(); !errors.Is(err, ua.ErrHungUp) {
			t.Errorf("Err() = %v, want ErrHungUp", err)
		}
		o.stream.check(t, "callee", "", true)
	})
}

// A peer that is not done with the change before asks for some time (500 with
// Retry-After, RFC 3261 section 14.2), and gets it.
func TestHoldRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		o := newOfferer(t, func(_ context.Context, in *dialog.Invitation) {
			if tries++; tries <= 2 {
				in.Reject(sip.StatusServerInternalError, sip.RetryAfter{Seconds: 3})
				return
			}
			in.Accept(describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0|a=recvonly"))
		})
		start := time.Now()
		if err := o.call.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 6*time.Second || took > 10*time.Second {
			t.Errorf("Hold took %v, want 6 to 10 s", took)
		}
		o.stream.check(t, "callee", "sendonly 192.0.2.1:5000", false)
	})
}

// A peer that asks for time for ever does not get it for ever.
func TestHoldRetryAfterForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOfferer(t, func(_ context.Context, in *dialog.Invitation) {
			in.Reject(sip.StatusServerInternalError, sip.RetryAfter{})
		})
		start := time.Now()
		if err := o.call.Hold(t.Context()); !errors.Is(err, sip.StatusServerInternalError) {
			t.Errorf("Hold() = %v, want 500", err)
		}
		if took := time.Since(start); took > 45*time.Second {
			t.Errorf("Hold took %v", took)
		}
		o.stream.check(t, "callee", "", false)
	})
}

// The peer never answers a Hold, with or without a provisional response. It
// returns when its context ends, or when the call does.
func TestHoldHeedsContext(t *testing.T) {
	for _, rings := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				switch {
				case req.Method() == sip.BYE:
					tx.Reply(sip.StatusOK)
				case req.Method() == sip.ACK:
				case req.To().Tag() == "":
					tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
				default:
					if rings {
						tx.Reply(sip.StatusRinging, contactAt("192.0.2.2"))
					}
					<-t.Context().Done()
				}
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			stream := newStream(t)
			call, err := alice.Invite(t.Context(), bobURI, streams(stream))
			if err != nil {
				t.Fatal(err)
			}
			stream.told()
			for range 2 { // the second waits for the first
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				if err := call.Hold(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Hold() = %v, want the error of its context", err)
				}
				if took := time.Since(start); took != time.Second {
					t.Errorf("Hold took %v, want 1s", took)
				}
			}
			time.AfterFunc(time.Second, func() { call.Hangup(context.Background()) })
			start := time.Now()
			if err := call.Hold(t.Context()); err == nil {
				t.Error("Hold() of a call that ended worked")
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("Hold took %v, want 1s", took)
			}
			<-call.Done()
			stream.check(t, "Alice", "", true)
		})
	}
}
