package transaction

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Who ends a context says why in its cause. A proxy that passes the context of its
// server transaction on passes the reasons on with it (RFC 3326 section 2).
func TestCancelSaysWhy(t *testing.T) {
	elsewhere := sip.Reason{Protocol: "SIP", Cause: 200, Text: "Call completed elsewhere"}
	normal := sip.Reason{Protocol: "Q.850", Cause: 16}
	for _, test := range []struct {
		cause error
		want  string
	}{
		{errors.New("no time"), "transaction: cancelled by the peer"},
		{elsewhere, "transaction: cancelled by the peer: SIP 200 Call completed elsewhere"},
		{fmt.Errorf("at last: %w", errors.Join(elsewhere, normal)), "transaction: cancelled by the peer: SIP 200 Call completed elsewhere: Q.850 16"},
		{sip.Reason{Protocol: "SIP", Text: "one\r\nVia: two"}, "transaction: cancelled by the peer"}, // cannot be written
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			var cause error
			listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
				tx.Reply(sip.StatusRinging)
				<-tx.Context().Done()
				cause = context.Cause(tx.Context())
			}})
			proxy(t, n, Timers{}, false)
			alice := listen(t, n.Host(aliceAddr), nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(test.cause) })
			expectWith(t, ctx, alice, request(sip.INVITE, proxyURI), "180 487")
			<-time.After(time.Second)
			if !errors.Is(cause, ErrCancelled) || cause.Error() != test.want {
				t.Errorf("the callee's context ended with %q, want %q", cause, test.want)
			}
			var by *RequestError
			if !errors.As(cause, &by) || by.Request.Method() != sip.CANCEL {
				t.Errorf("the cause %v has no CANCEL", cause)
			}
			if got, want := fmt.Sprint(Reasons(cause)), fmt.Sprint(Reasons(test.cause)); got != want && test.want != ErrCancelled.Error() {
				t.Errorf("reasons %s, want %s", got, want)
			}
		})
	}
}

// expectWith is expect with a context that ends.
func expectWith(t *testing.T, ctx context.Context, l *Layer, r *sip.Request, want string) {
	t.Helper()
	if got, err := collect(ctx, l, r); got != want || err != nil {
		t.Errorf("responses %q, %v, want %s", got, err, want)
	}
}

// Reasons of a peer are read as far as they can be, and no further than is sane.
func TestReasonsOfAPeer(t *testing.T) {
	cancel := request(sip.CANCEL, bobURI)
	for i := range 30 {
		cancel = cancel.With(sip.Add(sip.Reason{Protocol: fmt.Sprintf("x%d", i)}))
	}
	if got := len(Reasons(&RequestError{ErrCancelled, cancel})); got != maxReasons {
		t.Errorf("%d reasons, want %d", got, maxReasons)
	}
	if got := Reasons(nil); got != nil {
		t.Errorf("Reasons(nil) = %v", got)
	}
}
