package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// Alice calls Bob. Bob rings, answers, both hear the other's tone, and Alice
// hangs up.
func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 20 * time.Millisecond})
		var bobHeard, aliceHeard media.Recorder
		over := make(chan error, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				time.Sleep(2 * time.Second)
				call, err := in.Answer(ctx, media.NewAudio(&media.AudioConfig{
					Play: media.Tone(600), Record: &bobHeard, Network: n.Host("192.0.2.2"),
				}))
				if err != nil {
					over <- err
					return
				}
				<-call.Done()
				over <- call.Err()
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		var rang []sip.Status
		call, err := alice.Invite(t.Context(), "sip:bob@192.0.2.2", &ua.InviteOptions{
			Streams: []ua.Stream{media.NewAudio(&media.AudioConfig{
				Play: media.Tone(440), Record: &aliceHeard, Network: n.Host("192.0.2.1"),
			})},
			OnProvisional: func(_ *ua.Call, resp *sip.Response) { rang = append(rang, resp.Status()) },
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if err := call.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-over; !errors.Is(err, ua.ErrHungUp) {
			t.Errorf("Bob's call ended with %v, want ErrHungUp", err)
		}
		if len(rang) != 1 || rang[0] != sip.StatusRinging {
			t.Errorf("provisional responses %v, want 180", rang)
		}
		if level := media.ToneLevel(bobHeard.Clip(), 440); level < 0.9 {
			t.Errorf("Bob heard 440 Hz at %.2f", level)
		}
		if level := media.ToneLevel(aliceHeard.Clip(), 600); level < 0.9 {
			t.Errorf("Alice heard 600 Hz at %.2f", level)
		}
	})
}

// Alice gives up while Bob's phone rings.
func TestInviteCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		cause := make(chan error, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				<-ctx.Done()
				cause <- context.Cause(ctx)
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := alice.Invite(ctx, "sip:bob@192.0.2.2", nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Invite() = %v, want the error of the context", err)
		}
		if err := <-cause; !errors.Is(err, transaction.ErrCancelled) {
			t.Errorf("Bob's context ended with %v, want ErrCancelled", err)
		}
	})
}
