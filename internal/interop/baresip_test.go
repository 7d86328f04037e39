package interop_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/media"
)

// Two telephones register at Kamailio, one calls the other, and each hears the
// other's tone.
func TestBaresipCallsBaresip(t *testing.T) {
	interop.Need(t)
	proxy := interop.StartKamailio(t, nil)
	alice := interop.StartBaresip(t, &interop.BaresipOptions{User: "alice", Proxy: proxy.Addr, Tone: 440})
	bob := interop.StartBaresip(t, &interop.BaresipOptions{User: "bob", Proxy: proxy.Addr, Tone: 600, Transport: "tcp"})
	if got := proxy.Contacts(t, "bob"); len(got) != 1 {
		t.Errorf("Contacts(bob) = %v, want one", got)
	}

	alice.Dial(t, bob.URI)
	bob.Expect(t, "CALL_ESTABLISHED")
	alice.Expect(t, "CALL_ESTABLISHED")
	if !interop.Eventually(10*time.Second, func() bool { return min(alice.Heard(), bob.Heard()) > time.Second }) {
		t.Fatalf("after 10 s alice heard %v and bob %v", alice.Heard(), bob.Heard())
	}
	alice.Hangup(t)
	alice.Expect(t, "CALL_CLOSED")
	bob.Expect(t, "CALL_CLOSED")

	hears(t, "alice", alice.Recording(t), 600, 440)
	hears(t, "bob", bob.Recording(t), 440, 600)
}

// hears checks that a recording holds one tone and not another. The first and
// the last quarter are left out: there the call is being set up and ended.
func hears(t *testing.T, who string, recording media.Clip, tone, not float64) {
	t.Helper()
	n := len(recording)
	middle := recording[n/4 : n-n/4]
	if got := media.ToneLevel(middle, tone); got < 0.9 {
		t.Errorf("%s recorded %v: level at %v Hz = %.3f, want 0.9 or more", who, recording.Duration(), tone, got)
	}
	if got := media.ToneLevel(middle, not); got > 0.02 {
		t.Errorf("%s recorded %v: level at %v Hz = %.3f, want 0.02 or less", who, recording.Duration(), not, got)
	}
}
