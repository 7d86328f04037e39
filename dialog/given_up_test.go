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

// The context of an invitation tells that the caller has given up to who has not
// waited for it before, and also to who asks when the handler has returned.
func TestContextAskedLate(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		returned := make(chan context.Context, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			defer func() { returned <- ctx }()
			if err := ctx.Err(); err != nil {
				t.Errorf("Err() = %v before the CANCEL", err)
			}
			if in.Request().CallID() == "2" {
				in.Reject(sip.StatusBusyHere)
				return
			}
			time.Sleep(time.Second)
			if err := ctx.Err(); err != context.Canceled {
				t.Errorf("Err() = %v, want that it was cancelled", err)
			}
			select {
			case <-ctx.Done():
			default:
				t.Error("Done is open")
			}
			if err := context.Cause(ctx); !errors.Is(err, transaction.ErrCancelled) {
				t.Errorf("the cause is %v, want ErrCancelled", err)
			}
		}})
		p := newPeer(t, n, aliceAddr)
		invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		time.Sleep(100 * time.Millisecond)
		p.sendAs(bobAddr, sip.NewRequest(sip.CANCEL, invite.URI(), invite.From(), invite.To(), sip.CallID("1"),
			sip.CSeq{Seq: 1, Method: sip.CANCEL}, sip.MaxForwards(70)), invite.Via().Branch())
		<-(<-returned).Done()
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "2", p.contact()))
		ctx := <-returned
		<-ctx.Done()
		if err := context.Cause(ctx); err != context.Canceled {
			t.Errorf("the cause is %v, want no more than that it was cancelled", err)
		}
	})
}

// The time of an INVITE runs out after the CANCEL, before its handler has asked: the
// caller has given up, which is what came first.
func TestCancelledBeforeItExpires(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		causes := make(chan error, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			time.Sleep(3 * time.Second)
			causes <- context.Cause(ctx)
			in.Reject(sip.StatusBusyHere)
		}})
		alice := newLayer(t, n, aliceAddr, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go alice.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "1", sip.Expires(2)), nil) // ends with the 487
		if err := <-causes; !errors.Is(err, transaction.ErrCancelled) {
			t.Errorf("the cause is %v, want ErrCancelled", err)
		}
	})
}
