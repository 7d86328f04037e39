package interop_test

import (
	"context"
	"errors"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/media"
	"github.com/goparley/parley/ua"
)

// newAgent makes an agent on free ports of 127.0.0.1. cfg may be nil.
func newAgent(t *testing.T, aor string, cfg *ua.Config) *ua.Agent {
	t.Helper()
	if cfg == nil {
		cfg = &ua.Config{}
	}
	if cfg.Listen == nil {
		cfg.Listen = []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"}
	}
	a, err := ua.New(aor, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// newAudio makes a stream that says a tone and records what it hears.
func newAudio(hertz float64) (*media.Audio, *media.Recorder) {
	heard := new(media.Recorder)
	return media.NewAudio(&media.AudioConfig{Play: media.Tone(hertz), Record: heard}), heard
}

// pickUp rings and answers, and stays until the call is over.
func pickUp(ctx context.Context, in *ua.Invitation) error {
	if err := in.Ring(ctx); err != nil {
		return err
	}
	audio, _ := newAudio(440)
	call, err := in.Answer(ctx, audio)
	if err != nil {
		return err
	}
	<-call.Done()
	return nil
}

// capturing runs a test while what it sends is captured, and lets tshark judge
// that: no malformed packet, no expert's error.
func capturing(t *testing.T, test func(t *testing.T)) interop.Verdict {
	t.Helper()
	capture := interop.StartCapture(t)
	t.Run("calls", test)
	return judge(t, capture, nil)
}

// judge ends a capture and has tshark judge it.
func judge(t *testing.T, capture *interop.Capture, opts *interop.JudgeOptions) interop.Verdict {
	t.Helper()
	capture.Stop(t)
	v := interop.Judge(t, capture.Path, opts)
	for _, e := range v.Errors {
		t.Error(e)
	}
	if v.SIP == 0 {
		t.Error("no SIP in the capture")
	}
	t.Logf("tshark: %v", v)
	return v
}

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}

func wantCalls(t *testing.T, script *interop.SIPp, want int) {
	t.Helper()
	if got := script.Wait(t); got.Successful != want || got.Failed != 0 {
		t.Errorf("SIPp: %d calls succeeded and %d failed, want %d and 0", got.Successful, got.Failed, want)
	}
}
