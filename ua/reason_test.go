package ua_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

var elsewhere = sip.Reason{Protocol: "SIP", Cause: 200, Text: "Call completed elsewhere"}

// Why a call is given up goes into the CANCEL, if it is the cause of the context, and
// comes out at the callee as the cause of theirs.
func TestCancelReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		ended, answered := make(chan error, 1), make(chan error, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				<-ctx.Done()
				ended <- context.Cause(ctx)
				_, err := in.Answer(ctx, newStream(t))
				answered <- err
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(elsewhere) })
		_, err := alice.Invite(ctx, bobURI, nil)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, elsewhere) {
			t.Errorf("Invite() = %v, want the cause of its context", err)
		}
		for what, err := range map[string]error{"context": <-ended, "Answer": <-answered} {
			var why sip.Reason
			if !errors.Is(err, transaction.ErrCancelled) || !errors.As(err, &why) || why != elsewhere {
				t.Errorf("the callee's %s ended with %v, want ErrCancelled and %v", what, err, elsewhere)
			}
		}
	})
}

// A call that is answered when it was given up already is ended with BYE, for the same
// reason.
func TestReasonOfCrossingBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 50 * time.Millisecond})
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				time.Sleep(time.Second)
				call, err := in.Answer(ctx, newStream(t))
				if err != nil {
					t.Errorf("Answer() = %v", err)
				}
				calls <- call
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		ctx, cancel := context.WithCancelCause(t.Context())
		// The INVITE takes 50 ms, and the answer is on its way from 1.05 s to 1.1 s.
		time.AfterFunc(1075*time.Millisecond, func() { cancel(elsewhere) })
		if _, err := alice.Invite(ctx, bobURI, streams(newStream(t))); !errors.Is(err, context.Canceled) {
			t.Errorf("Invite() = %v, want the error of its context", err)
		}
		call := <-calls
		<-call.Done()
		if err := call.Err(); !errors.Is(err, ua.ErrHungUp) || !errors.Is(err, elsewhere) {
			t.Errorf("the callee's call ended with %v, want ErrHungUp and %v", err, elsewhere)
		}
	})
}

// What goes into a BYE is there for the one who gets it: its reasons, and anything
// else that it has, such as the data of an application (RFC 7433).
func TestByeReason(t *testing.T) {
	for _, hangup := range []string{"caller", "callee"} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			calls := make(chan *ua.Call, 1)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			first, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
			if err != nil {
				t.Fatal(err)
			}
			second := <-calls
			if hangup == "callee" {
				first, second = second, first
			}
			normal := sip.Reason{Protocol: "Q.850", Cause: 16, Text: "Terminated"}
			data := sip.UserToUser{Data: "56a390f3d2b7310023a2", Params: ";encoding=hex"}
			first.Hangup(t.Context(), sip.List(normal, sip.Reason{Protocol: "SIP", Cause: 487}), data)
			<-second.Done()
			var bye *transaction.RequestError
			if err := second.Err(); !errors.Is(err, ua.ErrHungUp) || !errors.As(err, &bye) {
				t.Fatalf("the call ended with %v, want ErrHungUp and the BYE", err)
			}
			if got, want := fmt.Sprint(second.Err()), "ua: the peer hung up: Q.850 16 Terminated: SIP 487"; got != want {
				t.Errorf("Err() = %s, want %s", got, want)
			}
			if got, err := sip.Get[sip.UserToUser](bye.Request); got != data {
				t.Errorf("User-to-User is %v, %v, want %v", got, err, data)
			}
		})
	}
}
