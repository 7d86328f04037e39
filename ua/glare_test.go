package ua_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Both sides of a call change it at the same moment, three times over, on fifty networks that
// lose, double and shuffle: every change comes about, and both sides agree on what holds.
func TestGlareUnderLoss(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{
					Seed: seed, Loss: 0.1, Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Duplicate: 0.05, Reorder: 0.1,
				})
				x := &addTakers{t: t}
				theirs, ours := newStream(t), newStream(t)
				calls := make(chan *ua.Call, 1)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, theirs), OnStream: x.take})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				a, err := alice.Invite(t.Context(), bobURI, streams(ours))
				if err != nil {
					t.Fatal(err)
				}
				b := <-calls
				added := newStream(t)
				for _, round := range []struct {
					name       string
					alice, bob func(context.Context) error
					ours, bobs string // the direction in the end
				}{
					{"hold", a.Hold, b.Hold, "inactive", "inactive"},
					{"resume", a.Resume, b.Renegotiate, "recvonly", "sendonly"},
					{"add", func(ctx context.Context) error { return a.Add(ctx, added) }, b.Resume, "sendrecv", "sendrecv"},
				} {
					errs := make(chan error, 2)
					go func() { errs <- round.alice(t.Context()) }() // ends with the change
					go func() { errs <- round.bob(t.Context()) }()   // likewise
					for range 2 {
						if err := <-errs; err != nil {
							t.Errorf("%s: %v", round.name, err)
						}
					}
					time.Sleep(5 * time.Second) // the last ACK
					if got := last(ours); got != round.ours+" 192.0.2.2:4000" {
						t.Errorf("%s: Alice's stream was told %q in the end, want %s", round.name, got, round.ours)
					}
					if got := last(theirs); got != round.bobs+" 192.0.2.1:4000" {
						t.Errorf("%s: Bob's stream was told %q in the end, want %s", round.name, got, round.bobs)
					}
				}
				if len(x.ss) == 0 || last(x.ss[len(x.ss)-1]) != "sendrecv 192.0.2.1:4000" || last(added) != "sendrecv 192.0.2.2:4000" {
					t.Errorf("the stream that was added has %d addTakers", len(x.ss))
				}
				a.Hangup(t.Context())
				<-b.Done()
				for _, s := range append(x.ss, ours, theirs, added) {
					s.told()
					s.check(t, "in the end", "", true)
				}
			})
		})
	}
}

// last returns what Update was told last.
func last(s *fakeStream) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.updates) == 0 {
		return ""
	}
	return s.updates[len(s.updates)-1]
}
