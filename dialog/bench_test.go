package dialog_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// BenchmarkCall is a whole call in memory, both sides of it: INVITE, 200, ACK,
// BYE, 200.
func BenchmarkCall(b *testing.B) {
	b.Run("accept", func(b *testing.B) { benchmarkCall(b, accept) })
	b.Run("start", func(b *testing.B) { benchmarkCall(b, func(in *dialog.Invitation) { in.Start() }) })
}

func accept(in *dialog.Invitation) { in.Accept() }

func benchmarkCall(b *testing.B, answer func(*dialog.Invitation)) {
	call := newCall(b, answer)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// newCall returns what does a whole call.
func newCall(t testing.TB, answer func(*dialog.Invitation)) (call func()) {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Queue: 4096})
	cfg := dialog.Config{
		OnInvite: func(_ context.Context, in *dialog.Invitation) { answer(in) },
		// Short, lest the tables grow with the calls.
		Transaction: transaction.Config{Timers: transaction.Timers{T1: 20 * time.Millisecond}},
	}
	newLayer(t, n, bobAddr, &cfg)
	alice := newLayer(t, n, aliceAddr, &cfg)
	invite := newInvite(t, "sip:bob@"+bobAddr, "1")
	ctx := context.Background()
	i := 0
	return func() {
		i++
		s, resp, err := alice.Invite(ctx, invite.With(invite.From().WithTag(strconv.Itoa(i))), nil)
		if err != nil {
			t.Fatal(err)
		}
		if s == nil { // in real time with 503: other programs have the processor
			t.Fatalf("the INVITE was refused with %v", resp.Status())
		}
		if err := s.Ack(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.Bye(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// A whole call takes so many allocations, of both sides and the network between them, and
// no more. The race detector adds some 40.
func TestCallAllocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got, most := testing.AllocsPerRun(200, newCall(t, accept)), 210.0; got > most {
			t.Errorf("a call took %v allocations, want %v at most", got, most)
		}
	})
}
