package dialog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Close, then write: Bob's program is started anew thirty times, at any moment,
// while calls ring, are answered, are changed and end. Each goes its way to the
// end, and Alice never learns.
func TestHandoverUnderTraffic(t *testing.T) {
	for run := range 5 {
		t.Run(fmt.Sprint(run), func(t *testing.T) { story(t, handover) })
	}
}

func handover(t *testing.T, n *siptest.Network) {
	moment := func(most time.Duration) { <-time.After(rand.N(most)) }
	bobs := func() *dialog.Config {
		return &dialog.Config{
			OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				if in.Answer() == nil {
					in.Provisional(sip.StatusRinging)
					moment(time.Second)
				}
				// Whoever hears that it is closed may do what it likes.
				if _, err := in.Accept(); errors.Is(err, transport.ErrClosed) {
					in.Session().Bye(ctx)
				} else if err != nil && !errors.Is(err, dialog.ErrBye) { // the ACK may have been lost
					t.Errorf("Accept() = %v", err)
				}
			},
			OnRequest: func(tx *dialog.Server, req *sip.Request) {
				if tx.Dialog() == nil {
					t.Errorf("%s is of no call", req)
				}
				moment(200 * time.Millisecond)
				tx.Reply(sip.StatusOK)
			},
		}
	}
	var bob *dialog.Layer
	over := make(chan bool)
	go func() { // ends after the last run
		defer close(over)
		bob = newLayer(t, n, bobAddr, bobs())
		for range 30 {
			moment(time.Second)
			bob.Close()
			moment(100 * time.Millisecond) // to write takes its time
			calls, others := keep(t, bob), [][]byte(nil)
			for tx := range bob.Transactions().Servers() {
				data, err := tx.Snapshot()
				if err != nil {
					t.Errorf("Snapshot() = %v", err)
				}
				others = append(others, data)
			}
			cfg := bobs()
			cfg.Transaction.Restore = func(l *transaction.Layer) error {
				for _, data := range others {
					if _, err := l.Restore(data, nil); err != nil && !errors.Is(err, transaction.ErrExists) {
						return err
					}
				}
				return nil
			}
			bob, _ = again(t, n, bobAddr, calls, cfg)
		}
	}()

	alice := newLayer(t, n, aliceAddr, nil)
	var calls sync.WaitGroup
	for i := range 100 {
		moment(200 * time.Millisecond)
		calls.Go(func() {
			invite := newInvite(t, "sip:bob@"+bobAddr, fmt.Sprint("call-", i))
			s, _, err := alice.Invite(t.Context(), invite, nil)
			if err != nil {
				t.Errorf("call %d: %v", i, err)
				return
			}
			s.Ack(t.Context())
			moment(2 * time.Second)
			if resp, err := s.Do(t.Context(), sip.INFO); err != nil || resp.Status() != sip.StatusOK {
				t.Errorf("call %d: INFO: %v", i, err)
			}
			moment(2 * time.Second)
			if resp, err := s.Invite(t.Context(), nil); err != nil || resp.Status() != sip.StatusOK {
				t.Errorf("call %d: re-INVITE: %v, %v", i, resp.Status(), err)
			}
			s.Ack(t.Context())
			moment(2 * time.Second)
			if err := s.Bye(t.Context()); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	calls.Wait()
	<-over
	<-time.After(time.Minute)
	wantEmpty(t, alice, bob)
}
