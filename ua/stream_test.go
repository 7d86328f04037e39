package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A stream is in a call once: it is refused a second time, whoever gives it, and goes on.
func TestSameStreamTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var theirs *fakeStream
		p := newPairOf(t, ua.Config{}, ua.Config{
			OnStream: func(context.Context, *ua.Call, *sdp.Media) ua.Stream { return theirs },
		})
		theirs = p.theirs
		if err := p.a.Add(t.Context(), p.ours); err == nil || errors.Is(err, ua.ErrNoStream) {
			t.Errorf("Add() of a stream that the call has = %v", err)
		}
		added := newStream(t)
		if err := p.a.Add(t.Context(), added); !errors.Is(err, ua.ErrNoStream) {
			t.Errorf("Add() = %v where the peer gives the stream that it has, want ErrNoStream", err)
		}
		added.check(t, "added", "", true)
		p.ours.check(t, "Alice's", "", false)
		p.theirs.check(t, "Bob's", "", false)
		if err := p.a.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		p.a.Hangup(t.Context())
	})
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		answer := make(chan error, 1)
		theirs := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			_, err := in.Answer(ctx, theirs, theirs)
			answer <- err
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		ours := newStream(t)
		if _, err := alice.Invite(t.Context(), bobURI, streams(ours, ours)); err == nil {
			t.Error("Invite with the same stream twice worked")
		}
		ours.check(t, "Alice's", "", true)
		if _, err := alice.Invite(t.Context(), bobURI, streams(newStream(t))); err == nil {
			t.Error("Bob has answered")
		}
		if err := <-answer; err == nil {
			t.Error("Answer with the same stream twice worked")
		}
		theirs.check(t, "Bob's", "", true)
	})
}
