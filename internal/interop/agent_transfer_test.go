package interop_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// tellers are the users that tell us of a transfer, and that we tell of another one.
type tellers struct {
	mu    sync.Mutex
	users []string
}

func (a *tellers) add(t *testing.T, uri string) {
	t.Helper()
	u, err := sip.ParseURI(uri)
	must(t, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users = append(a.users, u.User)
}

// want checks in the capture that each of them has told that by NOTIFY, and has been told
// it, and that both were answered.
func (a *tellers) want(t *testing.T, capture *interop.Capture, line string) {
	t.Helper()
	fragments := interop.Fragments(t, capture.Path)
	for _, user := range a.users {
		told := func(f interop.Fragment) bool {
			return f.From == user && strings.EqualFold(f.Line, line) && f.Answer == "200"
		}
		was := func(f interop.Fragment) bool { return f.To == user && f.Line == line && f.Answer == "200" }
		if !slices.ContainsFunc(fragments, told) || !slices.ContainsFunc(fragments, was) {
			others := slices.DeleteFunc(slices.Clone(fragments), func(f interop.Fragment) bool { return f.From != user && f.To != user })
			t.Errorf("no NOTIFY of %q both from and to %s that was answered, but %v", line, user, others)
		}
	}
}

// We transfer a telephone to another agent, and it transfers us.
func TestTelephonesTransfer(t *testing.T) {
	interop.Need(t)
	var tellers tellers
	capture := interop.StartCapture(t)
	t.Run("calls", func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for name, start := range phones {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					answered := make(chan *ua.Call, 1)
					_, there := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
						must(t, in.Ring(ctx))
						time.Sleep(300 * time.Millisecond) // Twinkle tells of this, and then of that
						audio, _ := newAudio(440)
						call, err := in.Answer(ctx, audio)
						if err != nil {
							t.Error(err)
							return
						}
						answered <- call
					}})
					h := start(t, w, there)
					tellers.add(t, h.uri)
					third := func() *ua.Call {
						select {
						case call := <-answered:
							return call
						case <-time.After(10 * time.Second):
							t.Fatal("nobody has called after 10 s")
							return nil
						}
					}
					referred := make(chan *ua.Call, 1)
					alice, _ := w.agent(t, &ua.Config{OnRefer: func(ctx context.Context, r *ua.Referral) {
						audio, _ := newAudio(440)
						call, err := r.Invite(ctx, &ua.InviteOptions{Streams: []ua.Stream{audio}})
						must(t, err)
						referred <- call
					}})

					call := place(t, alice, h.uri, nil)
					h.up(t)
					must(t, call.Transfer(within(t, 20*time.Second), there, nil))
					wait(t, call.Done())
					other := third()
					if !strings.Contains(h.uri, other.Remote().URI.User) {
						t.Errorf("%v has called, want %s", other.Remote(), h.uri)
					}
					must(t, other.Hangup(t.Context()))
					h.over(t)

					call = place(t, alice, h.uri, nil)
					h.up(t)
					h.Transfer(t, there)
					other = third()
					select {
					case ours := <-referred:
						wait(t, call.Done()) // when it is told
						if ours != nil {
							must(t, ours.Hangup(t.Context()))
						}
					case <-time.After(10 * time.Second):
						t.Error("no REFER after 10 s")
					}
					wait(t, other.Done())
				})
			}
		})
	})
	judge(t, capture, nil)
	tellers.want(t, capture, "SIP/2.0 200 OK")
}

// We transfer a telephone to somebody who is busy, and it transfers us to him: whoever
// asked for that is told, and the call stays.
func TestTelephonesTransferToBusy(t *testing.T) {
	interop.Need(t)
	var tellers tellers
	capture := interop.StartCapture(t)
	t.Run("calls", func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for name, start := range phones {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					_, there := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
						must(t, in.Reject(ctx, sip.StatusBusyHere))
					}})
					h := start(t, w, there)
					tellers.add(t, h.uri)
					referred := make(chan error, 1)
					alice, _ := w.agent(t, &ua.Config{OnRefer: func(ctx context.Context, r *ua.Referral) {
						_, err := r.Invite(ctx, nil)
						referred <- err
					}})
					call := place(t, alice, h.uri, nil)
					h.up(t)
					wantError(t, call.Transfer(within(t, 20*time.Second), there, nil), sip.StatusBusyHere)
					if err := call.Err(); err != nil {
						t.Errorf("the call has ended with %v", err)
					}
					must(t, call.Hangup(t.Context()))
					h.over(t)

					call = place(t, alice, h.uri, nil)
					h.up(t)
					h.Transfer(t, there)
					select {
					case err := <-referred:
						wantError(t, err, sip.StatusBusyHere)
					case <-time.After(10 * time.Second):
						t.Error("no REFER after 10 s")
					}
					time.Sleep(1500 * time.Millisecond) // our NOTIFYs are a second apart
					if call.Err() == nil {              // it may have hung up
						call.Hangup(t.Context())
					}
				})
			}
		})
	})
	judge(t, capture, nil)
	tellers.want(t, capture, "SIP/2.0 486 Busy Here")
}

// consultants are telephones that transfer one call to another, and how; they send digits by
// INFO.
var consultants = map[string]func(t *testing.T, w way, there string) (h handset, consult func(t *testing.T)){
	"linphone": func(t *testing.T, w way, there string) (handset, func(t *testing.T)) {
		l := w.linphone(t, &interop.LinphoneOptions{Peer: there, Tone: 600, Info: true})
		h := handset{
			telephone: l, uri: l.URI,
			up:   func(t *testing.T) { t.Helper(); l.Expect(t, "StreamsRunning") },
			over: func(t *testing.T) { t.Helper(); l.Expect(t, "Released") },
		}
		if w.proxy == nil {
			return h, nil // its Refer-To has no port
		}
		return h, func(t *testing.T) {
			l.Hold(t)
			l.Expect(t, "Paused")
			l.Dial(t, there)
			h.up(t)
			l.TransferTo(t, 3, 4) // after our call, and the one that it placed for us
		}
	},
	"twinkle": func(t *testing.T, w way, there string) (handset, func(t *testing.T)) {
		tw := interop.StartTwinkle(t, &interop.TwinkleOptions{User: w.user(), Proxy: w.registrar(), Info: true})
		h := handset{
			telephone: tw, uri: tw.URI,
			up: func(t *testing.T) { t.Helper(); tw.Expect(t, "call established") },
			over: func(t *testing.T) {
				t.Helper()
				tw.Expect(t, "far end ended call", "call ended")
				time.Sleep(time.Second) // its line is free a moment later, of which it says nothing
			},
		}
		return h, func(t *testing.T) {
			tw.Consult(t, there)
			tw.Expect(t, "far end answered call")
			tw.Consulted(t)
		}
	},
}

// Telephones send digits by INFO, and transfer us to somebody whom they are talking to; we
// transfer them in the same way (RFC 5589 section 7).
func TestTelephonesConsult(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for name, start := range consultants {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					digits := make(chan rune, 1)
					calls := make(chan *ua.Call, 4)
					answer := func(ctx context.Context, in *ua.Invitation) {
						must(t, in.Ring(ctx))
						time.Sleep(300 * time.Millisecond) // Twinkle tells of this, and then of that
						audio, _ := newAudio(440)
						call, err := in.Answer(ctx, audio)
						must(t, err)
						if in.Replaces() != nil {
							calls <- call
						}
					}
					alice, _ := w.agent(t, &ua.Config{
						OnInvite: answer,
						InfoPackages: map[string]func(context.Context, ua.Info) error{"": func(_ context.Context, info ua.Info) error {
							digit, _, _ := info.Digit()
							digits <- digit
							return nil
						}},
						OnRefer: func(ctx context.Context, r *ua.Referral) {
							audio, _ := newAudio(440)
							call, err := r.Invite(ctx, &ua.InviteOptions{Streams: []ua.Stream{audio}})
							must(t, err)
							if call != nil {
								calls <- call
							}
						},
					})
					_, there := w.agent(t, &ua.Config{OnInvite: answer})
					taken := func() *ua.Call {
						t.Helper()
						select {
						case call := <-calls:
							return call
						case <-time.After(10 * time.Second):
							t.Fatal("no call after 10 s")
							return nil
						}
					}
					h, consult := start(t, w, there)

					call := place(t, alice, h.uri, nil)
					h.up(t)
					h.Digits(t, "9")
					select {
					case digit := <-digits:
						if digit != '9' {
							t.Errorf("the digit %c, want 9", digit)
						}
					case <-time.After(10 * time.Second):
						t.Error("no digit after 10 s")
					}

					// We consult somebody, and the telephone takes our place.
					must(t, call.TransferTo(within(t, 20*time.Second), place(t, alice, there, nil), nil))
					wait(t, call.Done())
					must(t, taken().Hangup(t.Context()))
					h.over(t)

					if consult == nil {
						return
					}

					// It consults somebody, and we take its place.
					call = place(t, alice, h.uri, nil)
					h.up(t)
					consult(t)
					ours, theirs := taken(), taken()
					wait(t, call.Done())
					must(t, ours.Hangup(t.Context()))
					wait(t, theirs.Done())
				})
			}
		})
	})
}
