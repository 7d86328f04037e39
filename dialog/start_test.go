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

// starting answers without waiting for the ACK, and tells what came of it.
func starting(started chan error) func(context.Context, *dialog.Invitation) {
	return func(_ context.Context, in *dialog.Invitation) { started <- in.Start() }
}

// A call is answered and nobody waits for the ACK. The 200 is sent again as it is for
// who waits, until the ACK comes.
func TestStart(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		started := make(chan error, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: starting(started)})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		ok := p.expect("200 INVITE 1").Message
		if err := <-started; err != nil {
			t.Errorf("Start() = %v", err)
		}
		p.expect("200 INVITE 1")
		p.expect("200 INVITE 1")
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		p.silent(time.Minute)
		p.send(bobAddr, p.within(ok, sip.BYE, 2))
		p.expect("200 BYE 2")
		wantEmpty(t, bob)
	})
}

// No ACK comes for a 200 that nobody waits for: the call is ended, and OnEnd says why.
func TestStartWithoutACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		ended := make(chan error, 2)
		bob := newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: starting(make(chan error, 1)),
			OnEnd:    func(s *dialog.Session) { ended <- s.Err() },
		})
		p := newPeer(t, n, aliceAddr)
		start := time.Now()
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		bye := p.expect("BYE 1", "200 INVITE 1")
		if got, want := bye.Time.Sub(start), 32020*time.Millisecond; got != want {
			t.Errorf("the BYE came after %v, want %v", got, want)
		}
		p.reply(bye, sip.StatusOK)
		if err := <-ended; !errors.Is(err, dialog.ErrNoACK) {
			t.Errorf("the call ended with %v, want ErrNoACK", err)
		}
		p.silent(time.Minute)
		wantEmpty(t, bob)
	})
}

// Shutdown waits for the ACK of a 200 that nobody waits for, and sends it again
// meanwhile.
func TestShutdownAwaitsACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: starting(make(chan error, 1))})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		ok := p.expect("200 INVITE 1").Message
		closed := make(chan time.Time, 1)
		go func() { // ends with the ACK
			if err := bob.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown() = %v", err)
			}
			closed <- time.Now()
		}()
		p.expect("200 INVITE 1")
		p.expect("200 INVITE 1")
		acked := time.Now()
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		if got, want := (<-closed).Sub(acked), 10*time.Millisecond; got != want {
			t.Errorf("Shutdown has returned %v after the ACK was sent, want %v", got, want)
		}
	})
}

// One answer decides, and none does when the caller has given up.
func TestStartDecides(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		second := make(chan error, 1)
		late := make(chan error, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			if in.Request().CallID() == "2" {
				time.Sleep(time.Second)
				late <- in.Start()
				return
			}
			in.Start()
			second <- in.Start()
		}})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		p.send(bobAddr, p.within(p.expect("200 INVITE 1").Message, sip.ACK, 1))
		if err := <-second; !errors.Is(err, transaction.ErrCompleted) {
			t.Errorf("Start() = %v, want ErrCompleted", err)
		}
		invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "2", p.contact()))
		time.Sleep(100 * time.Millisecond)
		p.sendAs(bobAddr, sip.NewRequest(sip.CANCEL, invite.URI(), invite.From(), invite.To(), sip.CallID("2"),
			sip.CSeq{Seq: 1, Method: sip.CANCEL}, sip.MaxForwards(70)), invite.Via().Branch())
		p.expect("200 CANCEL 1", "100 INVITE 1")
		p.expect("487 INVITE 1", "100 INVITE 1")
		if err := <-late; !errors.Is(err, transaction.ErrCancelled) {
			t.Errorf("Start() = %v, want ErrCancelled", err)
		}
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := bob.Transactions().Shutdown(ctx); err != nil {
			t.Errorf("something is still under way: %v", err)
		}
	})
}
