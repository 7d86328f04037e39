package dialog_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// OnEnd panics each time, wherever it is called from: the ends of the calls are those
// that they are without it.
func TestOnEndPanics(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var ends atomic.Int32
		bob := newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite:    func(_ context.Context, in *dialog.Invitation) { in.Start() },
			OnEnd:       func(*dialog.Session) { ends.Add(1); panic("a bug of the program's") },
			Transaction: transaction.Config{Logger: discard},
		})
		p := newPeer(t, n, aliceAddr)

		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		p.expect("200 INVITE 1")
		p.reply(p.expect("BYE 1", "200 INVITE 1"), sip.StatusOK) // for no ACK came

		ok := p.calls(bobAddr, "2")
		p.send(bobAddr, p.within(ok, sip.BYE, 2))
		p.expect("200 BYE 2")
		time.Sleep(time.Minute)
		wantEmpty(t, bob)

		p.calls(bobAddr, "3")
		p.calls(bobAddr, "4")
		bob.Close()
		if ends := ends.Load(); ends != 4 {
			t.Errorf("OnEnd was called %d times, want 4", ends)
		}
	})
}

// Refresh panics: the call was not refreshed, and ends in time.
func TestRefreshPanics(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		var tries atomic.Int32
		alice := newLayer(t, n, aliceAddr, &dialog.Config{
			SessionTimer: &dialog.SessionTimer{Refresh: func(*dialog.Session) { tries.Add(1); panic("a bug of the program's") }},
			Transaction:  transaction.Config{Logger: discard},
		})
		c := place(t.Context(), t, alice)
		p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact(), expires("90;refresher=uac"))
		s := c.answered()
		p.expect("ACK 1")
		p.reply(p.expect("BYE 2"), sip.StatusOK)
		if err := s.Err(); !errors.Is(err, dialog.ErrNotRefreshed) || tries.Load() == 0 {
			t.Errorf("the call has ended with %v after %d tries, want ErrNotRefreshed after some", err, tries.Load())
		}
	})
}

// stubborn is an Authorizer with a bug.
type stubborn struct {
	prepares *atomic.Bool // until then it has nothing to do
}

func (a stubborn) Prepare(req *sip.Request) *sip.Request {
	if a.prepares.Load() {
		panic("a bug of the program's")
	}
	return req
}

func (stubborn) Authorize(*sip.Request, *sip.Response) (*sip.Request, error) {
	panic("a bug of the program's")
}

// The Authorizer panics at the BYE, before it goes out or when it is challenged. It goes
// without credentials then, and Bye says whether that has ended the call.
func TestAuthorizerPanicsAtBye(t *testing.T) {
	for _, prepares := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			auth := stubborn{prepares: new(atomic.Bool)}
			alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: auth, Transaction: transaction.Config{Logger: discard}})
			c := place(t.Context(), t, alice)
			p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact())
			s := c.answered()
			p.expect("ACK 1")
			auth.prepares.Store(prepares)
			result := make(chan error, 1)
			reason := sip.Reason{Protocol: "SIP", Cause: 480}
			go func() { result <- s.Bye(t.Context(), reason) }() // ends with the BYE
			want := sip.StatusOK
			if !prepares {
				p.reply(p.expect("BYE 2"), sip.StatusUnauthorized)
				want = sip.StatusUnauthorized
			}
			bye := p.expect("BYE 3")
			if got, err := sip.Get[sip.Reason](bye.Message); err != nil || got.Cause != 480 {
				t.Errorf("the BYE has the Reason %v, %v, want 480", got, err)
			}
			p.reply(bye, want)
			if err := <-result; (err == nil) != prepares {
				t.Errorf("Bye() = %v after %v", err, want)
			}
			p.silent(time.Minute)
			wantEmpty(t, alice)
		})
	}
}
