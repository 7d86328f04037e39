package interop_test

import (
	"net"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
)

// baresip calls linphone through our B2BUA, and each hears the other's tone; baresip
// puts it on hold and takes it back, and is heard again.
func TestMiddleWithPhones(t *testing.T) {
	interop.Need(t)
	v := capturing(t, func(t *testing.T) {
		// Her Contact is a GRUU of our registrar, so that all of the call goes by way of it.
		server := interop.StartExample(t, &interop.ExampleOptions{MD5: true}, "carol")
		l := interop.StartLinphone(t, &interop.LinphoneOptions{User: "carol", Proxy: server.At("udp", "127.0.0.1"), Tone: 600})
		_, port, _ := net.SplitHostPort(server.At("udp", "127.0.0.1"))
		hop := "sip:carol@sip.test:" + port + ";maddr=127.0.0.1"
		b := interop.StartBaresip(t, &interop.BaresipOptions{User: "bob", Tone: 440})
		b.Dial(t, "sip:carol@"+startB2BUA(t, hop))
		b.Expect(t, "CALL_ESTABLISHED")
		l.Expect(t, "StreamsRunning")
		if !interop.Eventually(10*time.Second, func() bool { return min(b.Heard(), l.Heard()) > 2*time.Second }) {
			t.Fatalf("after 10 s baresip has heard %v and linphone %v", b.Heard(), l.Heard())
		}
		b.Hold(t)
		l.Expect(t, "PausedByRemote")
		b.Resume(t)
		l.Expect(t, "StreamsRunning")
		// baresip goes on to talk and to listen, but not to record.
		before := l.Heard()
		if !interop.Eventually(10*time.Second, func() bool { return l.Heard()-before > 2*time.Second }) {
			t.Fatalf("10 s after the hold linphone has heard %v more", l.Heard()-before)
		}
		b.Hangup(t)
		b.Expect(t, "CALL_CLOSED")
		l.Expect(t, "Released")
		hears(t, "baresip", b.Recording(t), 600, 440)
		hears(t, "linphone", l.Recording(t), 440, 600)
	})
	if v.RTP == 0 {
		t.Error("no RTP in the capture")
	}
}
