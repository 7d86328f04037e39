package ua_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A Hold meets a change of the peer and waits to be tried again (RFC 3261 section 14.1). What
// happens meanwhile decides whether it still is: a Resume waits for its turn, a context that
// ends and a call that is over take it back.
func TestGlareRetryIsStillWanted(t *testing.T) {
	for _, test := range []struct {
		name      string
		meanwhile func(t *testing.T, o *offerer, cancel func()) // a moment after the 491
		hold      error
		offers    string // directions of what is offered
	}{
		{"nothing happens", func(*testing.T, *offerer, func()) {}, nil, "sendonly sendonly"},
		{"Resume waits behind", func(t *testing.T, o *offerer, _ func()) {
			if err := o.call.Resume(t.Context()); err != nil {
				t.Errorf("Resume() = %v", err)
			}
		}, nil, "sendonly sendonly sendrecv"},
		{"the context ends", func(_ *testing.T, _ *offerer, cancel func()) { cancel() }, context.Canceled, "sendonly"},
		{"the context ends and Resume follows", func(t *testing.T, o *offerer, cancel func()) {
			cancel()
			if err := o.call.Resume(t.Context()); err != nil {
				t.Errorf("Resume() = %v", err)
			}
		}, context.Canceled, "sendonly sendrecv"},
		{"the peer hangs up", func(t *testing.T, o *offerer, _ func()) { o.s.Bye(t.Context()) }, ua.ErrHungUp, "sendonly"},
		{"we hang up", func(t *testing.T, o *offerer, _ func()) { o.call.Hangup(t.Context()) }, dialog.ErrEnded, "sendonly"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var offers []string
				o := newOfferer(t, func(_ context.Context, in *dialog.Invitation) {
					mu.Lock()
					defer mu.Unlock()
					direction := "sendrecv"
					if contains(in.Request().Body(), "a=sendonly") {
						direction = "sendonly"
					}
					if offers = append(offers, direction); len(offers) == 1 {
						in.Reject(sip.StatusRequestPending)
						return
					}
					answer := "audio 5000 RTP/AVP 0"
					if direction == "sendonly" {
						answer += "|a=recvonly"
					}
					in.Accept(describe("192.0.2.1", len(offers), answer))
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				held := make(chan error, 1)
				go func() { held <- o.call.Hold(ctx) }() // ends when the change does
				synctest.Wait()                          // the 491 is there
				start := time.Now()
				test.meanwhile(t, o, cancel)
				err := <-held
				if !errors.Is(err, test.hold) {
					t.Errorf("Hold() = %v, want %v", err, test.hold)
				}
				if waited := time.Since(start); test.hold != nil && test.offers == "sendonly" && waited != 0 {
					t.Errorf("Hold returned %v after it was of no use any more", waited)
				}
				time.Sleep(time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if got := strings.Join(offers, " "); got != test.offers {
					t.Errorf("offered %s, want %s", got, test.offers)
				}
				if told := o.stream.told(); test.hold == nil && !strings.HasPrefix(told, "sendonly") {
					t.Errorf("the stream was told %q", told)
				}
			})
		})
	}
}
