package ua_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// panicky is a Forker that panics when it is asked.
type panicky struct{ *fakeStream }

func (panicky) Fork(context.Context) (ua.Stream, error) { panic("bug") }

// A stream panics over early media, or over being forked: it is a panic of Invite, the call is
// cancelled, and every stream is closed.
func TestPanicInEarlyMedia(t *testing.T) {
	for _, where := range []string{"Update", "Fork", "Answer"} {
		for _, reliable := range []bool{false, true} {
			if where == "Answer" && !reliable {
				continue
			}
			t.Run(fmt.Sprint(where, " reliable=", reliable), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := siptest.NewNetwork(nil)
					cancelled := make(chan struct{})
					newBank(t, n, func(b *bank) {
						say := b.say
						if reliable {
							say = b.sayReliably
						}
						say("one", 183, b.audio(5001))
						if where == "Fork" {
							say("two", 183, b.audio(5002))
						}
						<-b.tx.Context().Done()
						close(cancelled)
					})
					alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
					first, second := newStream(t), newStream(t)
					opts := streams(first, second)
					switch where {
					case "Update":
						first.onUpdate = bug
						opts.Streams = opts.Streams[:1]
					case "Answer":
						first.onAnswer = bug
						opts.NoOffer = true
					default:
						opts.Streams = []ua.Stream{panicky{first}}
					}
					if !panics(func() { alice.Invite(t.Context(), bobURI, opts) }) {
						t.Error("Invite has not panicked")
					}
					<-cancelled
					first.told()
					first.check(t, "the one that panics", "", true)
					if where == "Answer" {
						second.check(t, "the other", "", true)
					}
				})
			})
		}
	}
}

// A stream panics in Progress, which so does. The call can be answered with another.
func TestPanicInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		first, second := newStream(t), newStream(t)
		first.onUpdate = bug
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if !panics(func() { in.Progress(ctx, first) }) {
				t.Error("Progress has not panicked")
			}
			answerWith(calls, second)(ctx, in)
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		<-calls
		first.check(t, "first", "sendrecv 192.0.2.1:4000", true)
		second.check(t, "second", "sendrecv 192.0.2.1:4000", false)
		call.Hangup(t.Context())
	})
}

// OnStream and OnRefer panic: who has set it off gets 500, and the call goes on.
func TestPanicInCallbacksOfCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPairOf(t, ua.Config{}, ua.Config{
			OnStream: func(context.Context, *ua.Call, *sdp.Media) ua.Stream { panic("bug") },
			OnRefer:  func(context.Context, *ua.Referral) { panic("bug") },
		})
		added := newStream(t)
		if err := p.a.Add(t.Context(), added); err == nil {
			t.Error("Add() worked")
		}
		added.check(t, "added", "", true)
		if err := p.a.Transfer(t.Context(), carolURI, nil); err == nil {
			t.Error("Transfer() worked")
		}
		time.Sleep(time.Minute)
		if p.a.Err() != nil || p.b.Err() != nil {
			t.Errorf("the call has ended: %v, %v", p.a.Err(), p.b.Err())
		}
		if err := p.a.Hold(t.Context()); err != nil {
			t.Errorf("Hold() = %v", err)
		}
		synctest.Wait()
		p.theirs.check(t, "Bob", "recvonly 192.0.2.1:4000", false)
		p.a.Hangup(t.Context())
	})
}

// A Referral that was accepted, and whose OnRefer panics then: who has sent the REFER is told.
func TestPanicAfterAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPairOf(t, ua.Config{}, ua.Config{
			OnRefer: func(_ context.Context, r *ua.Referral) {
				r.Accept()
				panic("bug")
			},
		})
		err := p.a.Transfer(t.Context(), carolURI, nil)
		if want := sip.StatusServerInternalError; err == nil || !contains(err.Error(), "500") {
			t.Errorf("Transfer() = %v, want %v", err, want)
		}
		p.a.Hangup(t.Context())
	})
}
