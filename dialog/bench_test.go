package dialog_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// BenchmarkCall is a whole call in memory, both sides of it: INVITE, 200, ACK,
// BYE, 200.
func BenchmarkCall(b *testing.B) {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Queue: 4096})
	cfg := dialog.Config{
		OnInvite: func(_ context.Context, in *dialog.Invitation) { in.Accept() },
		// Short, lest the tables grow with b.N.
		Transaction: transaction.Config{Timers: transaction.Timers{T1: 20 * time.Millisecond}},
	}
	newLayer(b, n, bobAddr, &cfg)
	alice := newLayer(b, n, aliceAddr, &cfg)
	invite := newInvite(b, "sip:bob@"+bobAddr, "1")
	ctx := context.Background()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s, _, err := alice.Invite(ctx, invite.With(invite.From().WithTag(strconv.Itoa(i))), nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Ack(ctx); err != nil {
			b.Fatal(err)
		}
		if err := s.Bye(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
