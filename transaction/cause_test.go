package transaction

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// Cause tells what the context would, whether there is one or not: nothing at first,
// then that the request was cancelled, that its handler has returned, or that the
// layer is closed.
func TestCause(t *testing.T) {
	for _, made := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			handled := make(chan *Server, 3)
			l := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
				if made {
					tx.Context()
				}
				if err := tx.Cause(); err != nil {
					t.Errorf("Cause() = %v, want nil", err)
				}
				handled <- tx
				if req.Method() == sip.INVITE {
					time.Sleep(time.Second)
				}
			}})
			alice := alicePeer(t, n)
			want := func(what string, want error) {
				t.Helper()
				tx := <-handled
				time.Sleep(100 * time.Millisecond)
				if err := tx.Cause(); !errors.Is(err, want) {
					t.Errorf("%s: Cause() = %v, want %v", what, err, want)
				}
				if got := context.Cause(tx.Context()); !errors.Is(got, want) {
					t.Errorf("%s: the cause of Context() is %v, want %v", what, got, want)
				}
			}
			invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
			alice.send(invite)
			time.Sleep(50 * time.Millisecond)
			alice.send(cancelOf(invite))
			want("cancelled", ErrCancelled)
			alice.send(alice.with("z9hG4bK2", request(sip.MESSAGE, bobURI, sip.CallID("another@a"))))
			want("returned", context.Canceled)
			alice.send(alice.with("z9hG4bK3", request(sip.INVITE, bobURI, sip.CallID("third@a"))))
			time.Sleep(50 * time.Millisecond)
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			want("closed", transport.ErrClosed)
		})
	}
}
