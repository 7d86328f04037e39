package transaction

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// Who waits for a name when the layer is closed hears that it is, at once, whatever
// the resolver does.
func TestCloseWhileNameIsLookedUp(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			end := make(chan struct{})
			silent := resolverFunc(func(ctx context.Context, _ string, _ resolve.Type) (*resolve.Answer, error) {
				over := ctx.Done()
				if deaf {
					over = end
				}
				<-over
				return nil, context.Canceled
			})
			alice := listenAsking(t, n.Host(aliceAddr), silent, nil)
			start := time.Now()
			errs := make(chan error, 3)
			go func() { // ends with Close
				_, err := alice.Do(t.Context(), request(sip.OPTIONS, "sip:bob@b.example"))
				errs <- err
			}()
			go func() { // ends with Close
				_, _, err := alice.Send(t.Context(), request(sip.ACK, "sip:bob@b.example"))
				errs <- err
			}()
			go func() { // ends with Close
				_, err := alice.Contact(t.Context(), request(sip.INVITE, "sip:bob@b.example"))
				errs <- err
			}()
			synctest.Wait()
			if err := alice.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
			for range cap(errs) {
				if err := <-errs; !errors.Is(err, transport.ErrClosed) {
					t.Errorf("deaf %v: %v, want %v", deaf, err, transport.ErrClosed)
				}
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("deaf %v: told after %v, want at once", deaf, took)
			}
			close(end)
		})
	}
}
