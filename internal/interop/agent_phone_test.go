package interop_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A telephone is somebody else's telephone, which says 600 Hz.
type telephone interface {
	Dial(t testing.TB, uri string)
	Hold(t testing.TB)
	Resume(t testing.TB)
	Digits(t testing.TB, digits string)
	Transfer(t testing.TB, uri string)
	Hangup(t testing.TB)
}

// What a telephone hears. Twinkle has no sound.
type ears interface {
	Heard() time.Duration
	Recording(t testing.TB) media.Clip
}

// phones are how each of them is started, to call or write to a peer; how it says that its
// call is up and that it is over; and that it was sent a digit.
var phones = map[string]func(t *testing.T, w way, peer string) handset{
	"baresip": func(t *testing.T, w way, peer string) handset {
		b := interop.StartBaresip(t, &interop.BaresipOptions{User: w.user(), Proxy: w.registrar(), Contact: peer, Tone: 600})
		return handset{
			telephone: b, ears: b, uri: b.URI,
			up:   func(t *testing.T) { t.Helper(); b.Expect(t, "CALL_ESTABLISHED") },
			over: func(t *testing.T) { t.Helper(); b.Expect(t, "CALL_CLOSED") },
			held: func(*testing.T) {},
			digit: func(t *testing.T, digit string) {
				t.Helper()
				if e := b.Expect(t, "CALL_DTMF_START"); e.Param != digit {
					t.Errorf("baresip was sent the digit %s, want %s", e.Param, digit)
				}
			},
			write: func(t *testing.T, text string) { t.Helper(); b.Message(t, text) },
			wrote: func(*testing.T, string) {},
		}
	},
	"linphone": func(t *testing.T, w way, peer string) handset {
		l := w.linphone(t, &interop.LinphoneOptions{Peer: peer, Tone: 600})
		return handset{
			telephone: l, ears: l, uri: l.URI,
			up:    func(t *testing.T) { t.Helper(); l.Expect(t, "StreamsRunning") },
			over:  func(t *testing.T) { t.Helper(); l.Expect(t, "Released") },
			held:  func(t *testing.T) { t.Helper(); l.Expect(t, "Paused") },
			digit: func(t *testing.T, digit string) { t.Helper(); l.Wrote(t, "Receiving tone "+digit) },
			write: func(t *testing.T, text string) { t.Helper(); l.Message(t, peer, text) },
			wrote: func(t *testing.T, text string) { t.Helper(); l.Wrote(t, text) },
		}
	},
	"twinkle": func(t *testing.T, w way, peer string) handset {
		tw := interop.StartTwinkle(t, &interop.TwinkleOptions{User: w.user(), Proxy: w.registrar()})
		return handset{
			telephone: tw, uri: tw.URI,
			up: func(t *testing.T) { t.Helper(); tw.Expect(t, "call established", "far end answered call") },
			over: func(t *testing.T) {
				t.Helper()
				tw.Expect(t, "far end ended call", "call ended")
				time.Sleep(time.Second) // its line is free a moment later, of which it says nothing
			},
			held:  func(t *testing.T) { t.Helper(); tw.Expect(t, "re-INVITE successful") },
			digit: func(t *testing.T, digit string) { t.Helper(); tw.Expect(t, "DTMF detected: "+digit) },
			write: func(t *testing.T, text string) { t.Helper(); tw.Message(t, peer, text) },
			wrote: func(t *testing.T, text string) { t.Helper(); tw.Expect(t, text) },
		}
	},
}

type handset struct {
	telephone
	ears  ears // nil: it has no sound
	uri   string
	up    func(t *testing.T)
	over  func(t *testing.T)
	held  func(t *testing.T) // waits until it is ready to resume
	digit func(t *testing.T, digit string)
	write func(t *testing.T, text string) // sends its peer a text
	wrote func(t *testing.T, text string) // waits until it has shown one
}

// talks waits until both sides have heard a second of each other. What the telephone
// has heard is looked at in the beginning: neither of them goes on with its recording
// when we have changed the call.
func (h handset) talks(t *testing.T, audio watched, again bool) {
	t.Helper()
	if h.ears == nil {
		time.Sleep(time.Second) // it passes over what it is told in the middle of a change
		return
	}
	ours := audio.heard.Clip().Duration()
	if !interop.Eventually(10*time.Second, func() bool {
		return audio.heard.Clip().Duration()-ours > time.Second && (again || h.ears.Heard() > time.Second)
	}) {
		t.Errorf("a second of %s, and of us there, is not heard after 10 s", h.uri)
	}
}

// heard checks who has heard whom in a call that is over.
func (h handset) heard(t *testing.T, audio watched) {
	t.Helper()
	if h.ears == nil {
		return
	}
	hears(t, "we, with "+h.uri+",", audio.heard.Clip(), 600, 440)
	hears(t, h.uri, h.ears.Recording(t), 440, 600)
}

// session is what happens in a call: hold and resume from both sides, and digits, by
// RTP from both sides and by INFO.
func (h handset) session(t *testing.T, call *ua.Call, audio watched) {
	t.Helper()
	h.talks(t, audio, false)
	must(t, call.Hold(within(t, 10*time.Second)))
	audio.want(t, sdp.SendOnly)
	must(t, call.Resume(within(t, 10*time.Second)))
	audio.want(t, sdp.SendRecv)
	h.talks(t, audio, true)
	h.Hold(t)
	audio.want(t, sdp.RecvOnly)
	h.held(t)
	h.Resume(t)
	audio.want(t, sdp.SendRecv)
	h.talks(t, audio, true)
	must(t, audio.SendDigits(within(t, 10*time.Second), "5"))
	h.digit(t, "5")
	_, err := call.Do(within(t, 10*time.Second), sip.INFO, sip.Body{Type: "application/dtmf-relay", Content: "Signal=7\r\nDuration=160\r\n"})
	must(t, err)
	h.digit(t, "7")
	h.Digits(t, "9")
	for digit, err := range audio.Audio.Digits(within(t, 10*time.Second)) {
		if digit != '9' || err != nil {
			t.Errorf("we were sent the digit %c, %v, want 9", digit, err)
		}
		break
	}
}

// Telephones call us and are called, directly and through the proxy. Either side puts
// the other on hold and takes it back, sends digits, and hangs up.
func TestTelephones(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for name, start := range phones {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					type answered struct {
						call  *ua.Call
						audio watched
					}
					in := make(chan answered, 1)
					alice, uri := w.agent(t, &ua.Config{OnInvite: func(ctx context.Context, i *ua.Invitation) {
						audio := newWatched()
						must(t, i.Ring(ctx))
						time.Sleep(300 * time.Millisecond) // Twinkle may stop for good if the answer comes at once
						call, err := i.Answer(ctx, audio)
						if err != nil {
							t.Error(err)
							return
						}
						in <- answered{call, audio}
					}})
					h, audio := start(t, w, uri), newWatched()
					call := place(t, alice, h.uri, &ua.InviteOptions{Streams: []ua.Stream{audio}})
					h.up(t)
					h.session(t, call, audio)
					must(t, call.Hangup(t.Context()))
					h.over(t)
					h.heard(t, audio)

					h.Dial(t, uri)
					select {
					case a := <-in:
						h.up(t)
						h.session(t, a.call, a.audio)
						h.Hangup(t)
						wait(t, a.call.Done())
						wantError(t, a.call.Err(), ua.ErrHungUp)
						h.over(t)
						if h.ears != nil { // Linphone records but its first call
							hears(t, "we, who were called,", a.audio.heard.Clip(), 600, 440)
						}
					case <-time.After(10 * time.Second):
						t.Error("it does not call after 10 s")
					}
				})
			}
		})
	})
}

// Texts to telephones and from them, directly and through the proxy.
func TestTelephonesWrite(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			for name, start := range phones {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					texts := make(chan string, 1)
					alice, uri := w.agent(t, &ua.Config{OnMessage: func(_ context.Context, m ua.Message) error {
						texts <- m.Body
						return nil
					}})
					h := start(t, w, uri)
					must(t, alice.Message(within(t, 10*time.Second), h.uri, "text/plain", "from us"))
					h.wrote(t, "from us")
					h.write(t, "from there")
					select {
					case text := <-texts:
						if text != "from there" {
							t.Errorf("%s has sent %q", name, text)
						}
					case <-time.After(10 * time.Second):
						t.Errorf("%s has sent nothing after 10 s", name)
					}
				})
			}
		})
	})
}
