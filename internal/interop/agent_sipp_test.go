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
		_, err := alice.Invite(ctx, target, &ua.InviteOptions{OnProvisional: func(*ua.Call, *sip.Response) { cancel() }})
		return err
	}
	stories := map[string]func(t *testing.T, w way){
		"busy": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_refuse", nil)
			alice, _ := w.agent(t, nil)
			_, err := alice.Invite(t.Context(), target, nil)
			wantError(t, err, sip.StatusBusyHere)
			wantCalls(t, script, 1)
		},
		"cancelled": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_cancel", nil)
			alice, _ := w.agent(t, nil)
			wantError(t, giveUp(t, alice, target), context.Canceled)
			wantCalls(t, script, 1)
		},
		// The answer crosses our CANCEL: ACK and BYE (RFC 3261 section
		// 13.2.2.4). The script sees to that.
		"the answer crosses our CANCEL": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_late_200", nil)
			alice, _ := w.agent(t, nil)
			wantError(t, giveUp(t, alice, target), context.Canceled)
			wantCalls(t, script, 1)
		},
		// The answer comes twice, and is acknowledged twice.
		"our ACK is lost": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_lost_ack", &interop.SIPpOptions{Raw: true})
			acks := make(chan struct{}, 8)
			alice, _ := w.agent(t, &ua.Config{Trace: &transport.Trace{Sent: func(m transport.TraceMessage) {
				// And not that of Kamailio's challenge.
				if req, ok := m.Message.(*sip.Request); ok && req.Method() == sip.ACK && req.URI().HostPort() == script.Addr {
					acks <- struct{}{}
				}
			}}})
			call := place(t, alice, target, nil)
			for range 2 {
				select {
				case <-acks:
				case <-time.After(5 * time.Second):
					t.Error("no second ACK after 5 s")
				}
			}
			time.Sleep(200 * time.Millisecond) // each of Kamailio's processes forwards what it has read: a BYE could overtake
			must(t, call.Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
	}
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for name, story := range stories {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					story(t, w)
				})
			}
		})
	})
}

// Calls to us that end in another way than by talking. want is how answering
// ends for us. Beside them there is one that we refresh, as its caller asks us to.
func TestSIPpCallsUs(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			// calls runs a script, and returns how answering it will have ended.
			calls := func(t *testing.T, name string, answer func(context.Context, *ua.Invitation) error, raw bool) (script *interop.SIPp, ended chan error) {
				ended = make(chan error, 1)
				_, uri := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) { ended <- answer(ctx, in) }})
				return w.calls(t, uri, name, &interop.SIPpOptions{Raw: raw, Timeout: time.Minute}), ended
			}
			refreshed, over := calls(t, "uac_refreshed", pickUp, false)
			t.Run("endings", func(t *testing.T) {
				for _, c := range []struct {
					script string
					answer func(ctx context.Context, in *ua.Invitation) error
					want   error
					raw    bool
				}{
					{script: "uac_cancel", want: transaction.ErrCancelled, answer: func(ctx context.Context, in *ua.Invitation) error {
						if err := in.Ring(ctx); err != nil {
							return err
						}
						<-ctx.Done()
						return context.Cause(ctx)
					}},
					{script: "uac_cross_cancel", answer: pickUp},
					{script: "uac_late_ack", answer: pickUp, raw: true},
					{script: "uac_lost_ack", answer: pickUp, want: dialog.ErrNoACK, raw: true},
				} {
					t.Run(c.script, func(t *testing.T) {
						t.Parallel()
						script, ended := calls(t, c.script, c.answer, c.raw)
						wantCalls(t, script, 1)
						if got := <-ended; c.want == nil && got != nil {
							t.Error(got)
						} else if c.want != nil {
							wantError(t, got, c.want)
						}
					})
				}
			})
			wantCalls(t, refreshed, 1)
			must(t, <-over)
		})
	})
}
