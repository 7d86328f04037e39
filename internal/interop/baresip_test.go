package interop_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
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
	bob.Expect(t, "CALL_CLOSED")

	for _, side := range []struct {
		who         *interop.Baresip
		hears, says float64
	}{{alice, 600, 440}, {bob, 440, 600}} {
		sound := side.who.Recording(t).Middle()
		if got := sound.Tone(side.hears); got < 0.9 {
			t.Errorf("%s: share at %v Hz = %.3f, want 0.9 or more", side.who.URI, side.hears, got)
		}
		if got := sound.Tone(side.says); got > 0.02 {
			t.Errorf("%s: share at its own %v Hz = %.3f, want 0.02 or less", side.who.URI, side.says, got)
		}
	}
}
