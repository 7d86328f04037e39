package interop_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

// place calls a script, with audio.
func place(t *testing.T, alice *ua.Agent, target string, opts *ua.InviteOptions) *ua.Call {
	t.Helper()
	if opts == nil {
		opts = &ua.InviteOptions{}
	}
	if opts.Streams == nil {
		audio, _ := newAudio(440)
		opts.Streams = []ua.Stream{audio}
	}
	call, err := alice.Invite(within(t, 20*time.Second), target, opts)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// must reports what went wrong in a call.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// wait waits for what is over soon, or should be.
func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("after 10 s that is not over")
	}
}

// We call SIPp, and more happens than ringing, answering and hanging up.
func TestWeCallScripts(t *testing.T) {
	interop.Need(t)
	stories := map[string]func(t *testing.T, w way){
		// A reliable 183 with its PRACK, and UPDATE from either side, before the answer.
		"early session": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_prack", nil)
			alice, _ := w.agent(t, nil)
			audio := newWatched()
			call := place(t, alice, target, &ua.InviteOptions{Streams: []ua.Stream{audio}, OnProvisional: func(call *ua.Call, resp *sip.Response) {
				if resp.Status() == sip.StatusRinging { // it has changed the session, so we may
					audio.want(t, sdp.RecvOnly)
					must(t, call.Renegotiate(t.Context()))
				}
			}})
			must(t, call.Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
		"50 times 180": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_flood", nil)
			answered := make(chan struct{})
			alice, _ := w.agent(t, &ua.Config{Trace: &transport.Trace{Received: func(m transport.TraceMessage) {
				if resp, ok := m.Message.(*sip.Response); ok && resp.CSeq().Method == sip.INVITE && resp.Status() == sip.StatusOK {
					close(answered)
				}
			}}})
			// Whoever is told takes his time over the first: 16 wait for him, and he is not
			// told of the others.
			var told []string
			call := place(t, alice, target, &ua.InviteOptions{OnProvisional: func(_ *ua.Call, resp *sip.Response) {
				n, _ := resp.Value("X-Ring")
				told = append(told, strings.Clone(n))
				<-answered
			}})
			if len(told) < 16 || len(told) > 17 {
				t.Errorf("we were told of %d of the 50, want the first and 16 that waited", len(told))
			}
			for i, n := range told {
				if len(told) == 17 && n != fmt.Sprint(i+1) {
					t.Errorf("we were told of %v, want them in their order", told)
					break
				}
			}
			must(t, call.Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
		"50 times 183, reliably": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_flood_reliable", nil)
			alice, _ := w.agent(t, nil)
			said := 0
			call := place(t, alice, target, &ua.InviteOptions{OnProvisional: func(*ua.Call, *sip.Response) { said++ }})
			if said != 50 {
				t.Errorf("we were told of %d provisional responses, want 50", said)
			}
			must(t, call.Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
		"422": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_timer", nil)
			alice, _ := w.agent(t, &ua.Config{SessionTimer: 90 * time.Second})
			must(t, place(t, alice, target, nil).Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
		"glare": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_glare", nil)
			alice, _ := w.agent(t, nil)
			call := place(t, alice, target, nil)
			must(t, call.Hold(within(t, 20*time.Second)))
			must(t, call.Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
		"302": func(t *testing.T, w way) {
			there, contact := w.called(t, "uas", nil)
			script, target := w.called(t, "uas_refuse", &interop.SIPpOptions{Answer: "302 Moved Temporarily\n    Contact: <" + contact + ">"})
			alice, _ := w.agent(t, nil)
			must(t, place(t, alice, target, nil).Hangup(t.Context()))
			wantCalls(t, script, 1)
			wantCalls(t, there, 1)
		},
		"two answers": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_fork", nil)
			ended, acked := make(chan struct{}, 8), make(chan string, 8)
			alice, _ := w.agent(t, &ua.Config{Trace: &transport.Trace{
				Sent: func(m transport.TraceMessage) {
					if req, ok := m.Message.(*sip.Request); ok && req.Method() == sip.ACK {
						acked <- strings.Clone(req.To().Tag())
					}
				},
				Received: func(m transport.TraceMessage) {
					if resp, ok := m.Message.(*sip.Response); ok && resp.CSeq().Method == sip.BYE {
						ended <- struct{}{}
					}
				},
			}})
			branches := make(chan *ua.Call, 8)
			call := place(t, alice, target, &ua.InviteOptions{OnProvisional: func(call *ua.Call, _ *sip.Response) { branches <- call }})
			if a, b := <-branches, <-branches; a == b || a != call {
				t.Error("the telephones that ring are not two calls, of which the first is answered")
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("after 10 s the second answer is not ended")
			}
			var tags []string // with that of the challenge, if there was one
			for len(acked) > 0 {
				tags = append(tags, <-acked)
			}
			for _, telephone := range []string{"a1", "b1"} {
				if !slices.ContainsFunc(tags, func(tag string) bool { return strings.HasSuffix(tag, telephone) }) {
					t.Errorf("ACK of %v, want one of ...%s", tags, telephone)
				}
			}
			must(t, call.Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
		"hold, resume and INFO": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_change", nil)
			alice, _ := w.agent(t, nil)
			call := place(t, alice, target, nil)
			must(t, call.Hold(t.Context()))
			must(t, call.Resume(t.Context()))
			_, err := call.Do(t.Context(), sip.INFO, sip.Body{Type: "application/dtmf-relay", Content: "Signal=5\r\nDuration=160\r\n"})
			must(t, err)
			must(t, call.Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
		"transfer": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_transfer", &interop.SIPpOptions{Answer: "200 OK", Text: "sip:carol@there.example"})
			alice, _ := w.agent(t, nil)
			var told []sip.Status
			call := place(t, alice, target, nil)
			must(t, call.Transfer(within(t, 20*time.Second), "sip:carol@there.example", &ua.TransferOptions{OnProgress: func(s sip.Status) { told = append(told, s) }}))
			wait(t, call.Done()) // we have hung up
			if want := []sip.Status{100, 180, 200}; !slices.Equal(told, want) {
				t.Errorf("told of %v, want %v", told, want)
			}
			wantCalls(t, script, 1)
		},
		"transfer to who is busy": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_transfer", &interop.SIPpOptions{Answer: "486 Busy Here", Text: "sip:carol@there.example"})
			alice, _ := w.agent(t, nil)
			call := place(t, alice, target, nil)
			wantError(t, call.Transfer(within(t, 20*time.Second), "sip:carol@there.example", nil), sip.StatusBusyHere)
			must(t, call.Hangup(t.Context()))
			wantCalls(t, script, 1)
		},
		"attended transfer": func(t *testing.T, w way) {
			carol, there := w.called(t, "uas_hangup", &interop.SIPpOptions{Hold: 2 * time.Second})
			script, target := w.called(t, "uas_transfer", &interop.SIPpOptions{Answer: "200 OK", Text: "Replaces=.*to-tag"})
			alice, _ := w.agent(t, nil)
			call, other := place(t, alice, target, nil), place(t, alice, there, nil)
			must(t, call.TransferTo(within(t, 20*time.Second), other, nil))
			wait(t, call.Done())
			wait(t, other.Done())
			wantError(t, other.Err(), ua.ErrHungUp)
			wantCalls(t, script, 1)
			wantCalls(t, carol, 1)
		},
		"message": func(t *testing.T, w way) {
			script, target := w.called(t, "uas_message", &interop.SIPpOptions{Text: "hello"})
			alice, _ := w.agent(t, nil)
			must(t, alice.Message(t.Context(), target, "text/plain", "hello"))
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

// SIPp calls us, and more happens than ringing, answering and hanging up.
func TestScriptsCallUs(t *testing.T) {
	interop.Need(t)
	// answering takes a call as pickUp does.
	answering := func(t *testing.T) func(context.Context, *ua.Invitation) {
		return func(ctx context.Context, in *ua.Invitation) { must(t, pickUp(ctx, in)) }
	}
	stories := map[string]func(t *testing.T, w way){
		// It requires 100rel, has an offer in a PRACK, and one in an UPDATE before the answer.
		"early session": func(t *testing.T, w way) {
			_, target := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				audio := newWatched()
				must(t, in.Ring(ctx))
				must(t, in.Progress(ctx, audio))
				audio.want(t, sdp.RecvOnly)
				audio.want(t, sdp.SendRecv)
				time.Sleep(200 * time.Millisecond) // SIPp wants the 200 of its UPDATE first
				_, err := in.Answer(ctx)
				must(t, err)
			}})
			wantCalls(t, w.calls(t, target, "uac_prack", nil), 1)
		},
		"no offer": func(t *testing.T, w way) {
			_, target := w.agent(t, &ua.Config{OnInvite: answering(t)})
			wantCalls(t, w.calls(t, target, "uac_no_offer", nil), 1)
		},
		"no offer, reliably": func(t *testing.T, w way) {
			_, target := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				audio, _ := newAudio(440)
				must(t, in.Progress(ctx, audio))
				_, err := in.Answer(ctx)
				must(t, err)
			}})
			wantCalls(t, w.calls(t, target, "uac_no_offer_prack", nil), 1)
		},
		// Hold and resume by INVITE and by UPDATE, OPTIONS, INFO.
		"changes": func(t *testing.T, w way) {
			audio := newWatched()
			digits := make(chan rune, 1)
			_, target := w.agent(t, &ua.Config{InfoPackages: map[string]func(context.Context, ua.Info) error{"": func(_ context.Context, info ua.Info) error {
				digit, _, _ := info.Digit()
				digits <- digit
				return nil
			}}, OnInvite: func(ctx context.Context, in *ua.Invitation) {
				call, err := in.Answer(ctx, audio)
				if err != nil {
					t.Error(err)
					return
				}
				for _, want := range []sdp.Direction{sdp.RecvOnly, sdp.SendRecv, sdp.Inactive, sdp.SendRecv} {
					audio.want(t, want)
				}
				<-call.Done()
			}})
			wantCalls(t, w.calls(t, target, "uac_change", nil), 1)
			if digit := <-digits; digit != '5' {
				t.Errorf("the digit %c, want 5", digit)
			}
		},
		"422, and a refresh": func(t *testing.T, w way) {
			_, target := w.agent(t, &ua.Config{OnInvite: answering(t)})
			wantCalls(t, w.calls(t, target, "uac_timer", nil), 1)
		},
		"glare": func(t *testing.T, w way) {
			_, target := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				audio, _ := newAudio(440)
				call, err := in.Answer(ctx, audio)
				if err != nil {
					t.Error(err)
					return
				}
				must(t, call.Hold(ctx))
				<-call.Done()
			}})
			wantCalls(t, w.calls(t, target, "uac_glare", nil), 1)
		},
		"302": func(t *testing.T, w way) {
			_, target := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				must(t, in.Reject(ctx, sip.StatusMovedTemporarily, sip.Contact{URI: sip.URI{Scheme: "sip", User: "carol", Host: "there.example"}}))
			}})
			wantCalls(t, w.calls(t, target, "uac_refused", &interop.SIPpOptions{Want: "302", Text: "Contact: .sip:carol@there.example"}), 1)
		},
		"transfer": func(t *testing.T, w way) {
			carol, there := w.called(t, "uas", nil)
			_, target := w.agent(t, &ua.Config{OnInvite: answering(t), OnRefer: func(ctx context.Context, r *ua.Referral) {
				audio, _ := newAudio(440)
				call, err := r.Invite(ctx, &ua.InviteOptions{Streams: []ua.Stream{audio}})
				if err != nil {
					t.Error(err)
					return
				}
				<-r.Call().Done()
				must(t, call.Hangup(ctx))
			}})
			wantCalls(t, w.calls(t, target, "uac_refer", &interop.SIPpOptions{Answer: there}), 1)
			wantCalls(t, carol, 1)
		},
		"transfer to who is busy": func(t *testing.T, w way) {
			carol, there := w.called(t, "uas_refuse", nil)
			_, target := w.agent(t, &ua.Config{OnInvite: answering(t), OnRefer: func(ctx context.Context, r *ua.Referral) {
				_, err := r.Invite(ctx, nil)
				wantError(t, err, sip.StatusBusyHere)
			}})
			wantCalls(t, w.calls(t, target, "uac_refer", &interop.SIPpOptions{Answer: there}), 1)
			wantCalls(t, carol, 1)
		},
		// It calls in place of a call that we have with another script.
		"Replaces": func(t *testing.T, w way) {
			carol, there := w.called(t, "uas", nil)
			bob, target := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				if in.Replaces() == nil {
					t.Error("it replaces no call")
				}
				must(t, pickUp(ctx, in))
			}})
			call := place(t, bob, there, nil)
			r := call.Replaces() // for the other side, which counts the tags from there
			r.FromTag, r.ToTag = r.ToTag, r.FromTag
			replaces := string(r.AppendValue(nil))
			wantCalls(t, w.calls(t, target, "uac_replaces", &interop.SIPpOptions{Args: []string{"-key", "replaces", replaces}}), 1)
			wait(t, call.Done())
			wantError(t, call.Err(), ua.ErrReplaced)
			wantCalls(t, carol, 1)
		},
		"message": func(t *testing.T, w way) {
			_, target := w.agent(t, &ua.Config{OnMessage: func(_ context.Context, m ua.Message) error {
				if m.Body != "hello" {
					t.Errorf("message %q, want hello", m.Body)
				}
				return nil
			}})
			wantCalls(t, w.calls(t, target, "uac_message", nil), 1)
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
