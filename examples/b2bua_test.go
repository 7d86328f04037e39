package examples_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/ua"
)

// Alice calls Bob through the example in the middle, and hears his tone. It is stopped
// within the call, as a service manager does that, and hangs up on both.
func TestCallThroughB2BUA(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	agent := func(aor string, onInvite func(context.Context, *ua.Invitation)) *ua.Agent {
		a, err := ua.New(aor, &ua.Config{Listen: []string{"udp:127.0.0.1:0"}, OnInvite: onInvite})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		return a
	}
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		answered := make(chan *ua.Call, 1)
		bob := agent("sip:bob@example.com", func(ctx context.Context, in *ua.Invitation) {
			call, err := in.Answer(ctx, media.NewAudio(&media.AudioConfig{Play: media.Tone(600)}))
			if err != nil {
				t.Error(err)
				return
			}
			answered <- call
		})
		address := freePort(t)
		b2bua := start(t, build(t, "b2bua"), "-listen", "udp:"+address, "sip:"+bob.Addr("udp").String())
		b2bua.says("serving")
		heard := new(media.Recorder)
		theirs, err := agent("sip:alice@example.com", nil).Invite(ctx, "sip:bob@"+address,
			&ua.InviteOptions{Streams: []ua.Stream{media.NewAudio(&media.AudioConfig{Record: heard})}})
		if err != nil {
			t.Fatal(err)
		}
		for heard.Clip().Duration() < time.Second && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		if level := media.ToneLevel(heard.Clip(), 600); level < 0.9 {
			t.Errorf("Alice heard the tone at %.2f", level)
		}
		b2bua.cmd.Process.Signal(sig)
		b2bua.ends()
		for who, call := range map[string]*ua.Call{"Alice": theirs, "Bob": <-answered} {
			select {
			case <-call.Done():
			case <-ctx.Done():
				t.Fatalf("%s still has the call", who)
			}
			if !errors.Is(call.Err(), ua.ErrHungUp) {
				t.Errorf("%s: the call ended with %v, want ErrHungUp", who, call.Err())
			}
		}
	}
	wrong := start(t, build(t, "b2bua"), "nowhere")
	wrong.says("usage")
	wrong.fails()
}
