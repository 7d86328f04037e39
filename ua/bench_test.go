package ua_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// voice is audio that is negotiated and has no sockets.
type voice struct{}

func (voice) media() (*sdp.Media, error) {
	m := &sdp.Media{Type: "audio", Port: 4000, Proto: "RTP/AVP"}
	m.SetRTP([]sdp.Format{{PayloadType: 0, Name: "PCMU", ClockRate: 8000}})
	return m, nil
}

func (v voice) Offer(context.Context) (*sdp.Media, error)              { return v.media() }
func (v voice) Answer(context.Context, *sdp.Media) (*sdp.Media, error) { return v.media() }
func (voice) Update(context.Context, *sdp.Media, *sdp.Media) error     { return nil }
func (voice) Close() error                                             { return nil }

// BenchmarkCall is a whole call in memory, both sides of it: INVITE with an offer, 180,
// 200 with the answer, ACK, BYE, 200.
func BenchmarkCall(b *testing.B) {
	call := wholeCall(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// wholeCall returns what does one.
func wholeCall(t testing.TB) (call func()) {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Queue: 4096})
	agent := func(addr string, cfg ua.Config) *ua.Agent {
		host := n.Host(addr)
		cfg.Listen, cfg.Network, cfg.Logger = listen(host), host, slog.New(slog.DiscardHandler)
		// Short, lest the tables grow with the calls.
		cfg.Timers = transaction.Timers{T1: 20 * time.Millisecond}
		a, err := ua.New("sip:user@"+addr, &cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		return a
	}
	agent("192.0.2.2", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
		in.Ring(ctx)
		in.Answer(ctx, voice{})
	}})
	alice := agent("192.0.2.1", ua.Config{})
	ctx := context.Background()
	return func() {
		call, err := alice.Invite(ctx, "sip:bob@192.0.2.2", &ua.InviteOptions{Streams: []ua.Stream{voice{}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Hangup(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// A whole call takes so many allocations, of both sides and the network between them, and
// no more. The race detector adds some 80.
func TestCallAllocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got, most := testing.AllocsPerRun(200, wholeCall(t)), 550.0; got > most {
			t.Errorf("a call took %v allocations, want %v at most", got, most)
		}
	})
}
