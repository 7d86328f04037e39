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
	"github.com/goparley/parley/ua"
)

// Bob gives up a call that has early media, with the context of OnInvite, which ends by that:
// Hangup still waits until the stream is closed.
func TestCalleeHangsUpEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		s := newStream(t)
		s.onClose = func(context.Context) error {
			time.Sleep(time.Second)
			return nil
		}
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Progress(ctx, s); err != nil {
				t.Errorf("Progress() = %v", err)
				return
			}
			start := time.Now()
			if err := in.Call().Hangup(ctx); err != nil || time.Since(start) != time.Second {
				t.Errorf("Hangup() = %v after %v, want nil after the second that the stream takes", err, time.Since(start))
			}
			if !errors.Is(context.Cause(ctx), dialog.ErrEnded) {
				t.Errorf("the context has ended with %v, want ErrEnded", context.Cause(ctx))
			}
			s.check(t, "early media", "sendrecv 192.0.2.1:4000", true)
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		if _, err := alice.Invite(t.Context(), bobURI, streams(newStream(t))); !errors.Is(err, sip.StatusTemporarilyUnavailable) {
			t.Errorf("Invite() = %v, want 480", err)
		}
		time.Sleep(2 * time.Second)
	})
}
