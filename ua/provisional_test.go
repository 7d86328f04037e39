package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// ringer rings until it is cancelled, and says when that was.
func ringer(t *testing.T, n *siptest.Network) <-chan time.Time {
	cancelled := make(chan time.Time, 1)
	newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
		if req.Method() != sip.INVITE {
			return
		}
		for range 100 {
			tx.Reply(sip.StatusRinging, contactAt("192.0.2.2"))
		}
		<-tx.Context().Done()
		cancelled <- time.Now()
	})
	return cancelled
}

// The context of Invite ends while OnProvisional takes its time, over one of a
// hundred responses: the CANCEL goes out at once and Invite returns, and the
// callback is not called again.
func TestSlowOnProvisional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		cancelled := ringer(t, n)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		stream := newStream(t)
		opts := streams(stream)
		calls := make(chan struct{}, 100)
		opts.OnProvisional = func(*ua.Call, *sip.Response) {
			calls <- struct{}{}
			time.Sleep(time.Minute)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := alice.Invite(ctx, bobURI, opts)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Invite() = %v after %v, want the error of the context after 1s", err, time.Since(start))
		}
		if took := (<-cancelled).Sub(start); took != time.Second {
			t.Errorf("the CANCEL came after %v, want 1s", took)
		}
		stream.check(t, "caller", "", true)
		time.Sleep(10 * time.Minute)
		if got := len(calls); got != 1 {
			t.Errorf("OnProvisional was called %d times, want once", got)
		}
	})
}

// OnProvisional closes the agent: that takes no time, and the call is cancelled.
func TestOnProvisionalCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		cancelled := ringer(t, n)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		opts := streams(newStream(t))
		opts.OnProvisional = func(*ua.Call, *sip.Response) { alice.Close() }
		start := time.Now()
		if _, err := alice.Invite(t.Context(), bobURI, opts); !errors.Is(err, ua.ErrClosed) {
			t.Errorf("Invite() = %v, want ErrClosed", err)
		}
		<-cancelled
		if took := time.Since(start); took != 0 {
			t.Errorf("the CANCEL came after %v, want none", took)
		}
	})
}

// What is said before a quick answer is told before Invite returns, and a slow
// callback does not keep the ACK back.
func TestOnProvisionalBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		stream := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			answerWith(calls, stream)(ctx, in)
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		opts := streams(newStream(t))
		told, start := 0, time.Now()
		opts.OnProvisional = func(*ua.Call, *sip.Response) {
			if call := <-calls; call == nil || time.Since(start) > time.Second {
				t.Errorf("the callee got its ACK after %v", time.Since(start))
			}
			time.Sleep(time.Minute)
			told++
		}
		if _, err := alice.Invite(t.Context(), bobURI, opts); err != nil {
			t.Fatal(err)
		}
		if told != 1 {
			t.Errorf("OnProvisional was called %d times before Invite returned, want once", told)
		}
	})
}
