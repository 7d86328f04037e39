package interop_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// 200 calls each way, 20 a second, and none fails.
func TestCallsWithSIPp(t *testing.T) {
	interop.Need(t)
	const calls, rate = 200, 20
	v := capturing(t, func(t *testing.T) {
		t.Run("we call", func(t *testing.T) {
			t.Parallel()
			script := interop.StartSIPp(t, "uas", &interop.SIPpOptions{Calls: calls, Echo: true})
			alice := newAgent(t, "sip:alice@127.0.0.1", nil)
			var wg sync.WaitGroup
			tick := time.NewTicker(time.Second / rate)
			defer tick.Stop()
			for range calls {
				<-tick.C
				wg.Go(func() { // ends with the call
					audio, _ := newAudio(440)
					call, err := alice.Invite(t.Context(), "sip:sipp@"+script.Addr, &ua.InviteOptions{Streams: []ua.Stream{audio}})
					if err != nil {
						t.Error(err)
						return
					}
					if err := call.Hangup(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			wantCalls(t, script, calls)
		})
		t.Run("we are called", func(t *testing.T) {
			t.Parallel()
			bob := newAgent(t, "sip:bob@127.0.0.1", &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				if err := pickUp(ctx, in); err != nil {
					t.Error(err)
				}
			}})
			script := interop.StartSIPp(t, "uac", &interop.SIPpOptions{
				Target: bob.Addr("udp").String(), Calls: calls, Rate: rate, Hold: 200 * time.Millisecond,
			})
			wantCalls(t, script, calls)
		})
		t.Run("we are called over TCP", func(t *testing.T) {
			t.Parallel()
			bob := newAgent(t, "sip:bob@127.0.0.1", &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				if err := pickUp(ctx, in); err != nil {
					t.Error(err)
				}
			}})
			script := interop.StartSIPp(t, "uac", &interop.SIPpOptions{
				Target: bob.Addr("tcp").String(), Transport: "tcp", Calls: 20, Rate: rate,
			})
			wantCalls(t, script, 20)
		})
	})
	if v.RTP == 0 {
		t.Error("no RTP in the capture")
	}
}

// Calls of ours that end in another way than by talking.
func TestWeCallSIPp(t *testing.T) {
	interop.Need(t)
	// giveUp calls, and ends the context when it rings.
	giveUp := func(t *testing.T, alice *ua.Agent, target string) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := alice.Invite(ctx, target, &ua.InviteOptions{OnProvisional: func(*sip.Response) { cancel() }})
		return err
	}
	capturing(t, func(t *testing.T) {
		for script, play := range map[string]func(t *testing.T, alice *ua.Agent, target string, acks <-chan struct{}){
			"uas_refuse": func(t *testing.T, alice *ua.Agent, target string, _ <-chan struct{}) {
				_, err := alice.Invite(t.Context(), target, nil)
				wantError(t, err, sip.StatusBusyHere)
			},
			"uas_cancel": func(t *testing.T, alice *ua.Agent, target string, _ <-chan struct{}) {
				wantError(t, giveUp(t, alice, target), context.Canceled)
			},
			// The answer crosses our CANCEL: ACK and BYE (RFC 3261 section
			// 13.2.2.4). The script sees to that.
			"uas_late_200": func(t *testing.T, alice *ua.Agent, target string, _ <-chan struct{}) {
				wantError(t, giveUp(t, alice, target), context.Canceled)
			},
			// The answer comes twice, and is acknowledged twice.
			"uas_lost_ack": func(t *testing.T, alice *ua.Agent, target string, acks <-chan struct{}) {
				audio, _ := newAudio(440)
				call, err := alice.Invite(t.Context(), target, &ua.InviteOptions{Streams: []ua.Stream{audio}})
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					select {
					case <-acks:
					case <-time.After(5 * time.Second):
						t.Error("no second ACK after 5 s")
					}
				}
				if err := call.Hangup(t.Context()); err != nil {
					t.Error(err)
				}
			},
		} {
			t.Run(script, func(t *testing.T) {
				t.Parallel()
				acks := make(chan struct{}, 8)
				alice := newAgent(t, "sip:alice@127.0.0.1", &ua.Config{Trace: &transport.Trace{Sent: func(m transport.TraceMessage) {
					if req, ok := m.Message.(*sip.Request); ok && req.Method() == sip.ACK {
						acks <- struct{}{}
					}
				}}})
				peer := interop.StartSIPp(t, script, &interop.SIPpOptions{Raw: script == "uas_lost_ack"})
				play(t, alice, "sip:sipp@"+peer.Addr, acks)
				wantCalls(t, peer, 1)
			})
		}
	})
}

// Calls to us that end in another way than by talking. want is how answering
// ends for us.
func TestSIPpCallsUs(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		for _, c := range []struct {
			script string
			answer func(ctx context.Context, in *ua.Invitation) error
			want   error
		}{
			{script: "uac_cancel", want: transaction.ErrCancelled, answer: func(ctx context.Context, in *ua.Invitation) error {
				if err := in.Ring(ctx); err != nil {
					return err
				}
				<-ctx.Done()
				return context.Cause(ctx)
			}},
			{script: "uac_cross_cancel", answer: pickUp},
			{script: "uac_late_ack", answer: pickUp},
			{script: "uac_lost_ack", answer: pickUp, want: dialog.ErrNoACK},
		} {
			t.Run(c.script, func(t *testing.T) {
				t.Parallel()
				ended := make(chan error, 1)
				bob := newAgent(t, "sip:bob@127.0.0.1", &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
					ended <- c.answer(ctx, in)
				}})
				raw := c.script == "uac_lost_ack" || c.script == "uac_late_ack"
				peer := interop.StartSIPp(t, c.script, &interop.SIPpOptions{Target: bob.Addr("udp").String(), Raw: raw})
				wantCalls(t, peer, 1)
				if got := <-ended; c.want == nil && got != nil {
					t.Error(got)
				} else if c.want != nil {
					wantError(t, got, c.want)
				}
			})
		}
	})
}
