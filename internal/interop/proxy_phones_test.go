package interop_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/media"
)

// A phone is a telephone of somebody else's.
type phone interface {
	Dial(t testing.TB, uri string)
	Hangup(t testing.TB)
	Heard() time.Duration
	Recording(t testing.TB) media.Clip
}

// baresip and linphone register with our example server and call each other
// through it, each of them is the one to hang up, and each hears the other's tone.
func TestPhones(t *testing.T) {
	interop.Need(t)
	v := capturing(t, func(t *testing.T) {
		server := interop.StartExample(t, &interop.ExampleOptions{MD5: true}, "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
		// The first of the users is baresip, the other linphone.
		for _, c := range []struct {
			name, baresip, linphone, transport string
			linphoneCalls, calleeEnds          bool
		}{
			{name: "baresip calls and ends", baresip: "alice", linphone: "bob", transport: "udp"},
			{name: "baresip calls, linphone ends", baresip: "carol", linphone: "dave", transport: "tcp", calleeEnds: true},
			{name: "linphone calls and ends", baresip: "erin", linphone: "frank", transport: "tcp", linphoneCalls: true},
			{name: "linphone calls, baresip ends", baresip: "grace", linphone: "heidi", transport: "udp", linphoneCalls: true, calleeEnds: true},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				b := interop.StartBaresip(t, &interop.BaresipOptions{
					User: c.baresip, Proxy: server.At("udp", "127.0.0.1"), Tone: 440,
				})
				l := interop.StartLinphone(t, &interop.LinphoneOptions{
					User: c.linphone, Proxy: server.At(c.transport, "127.0.0.1"), Transport: c.transport, Tone: 600,
				})
				var caller, callee phone = b, l
				to := l.URI
				if c.linphoneCalls {
					caller, callee, to = l, b, b.URI
				}
				caller.Dial(t, to)
				b.Expect(t, "CALL_ESTABLISHED")
				l.Expect(t, "StreamsRunning")
				if !interop.Eventually(10*time.Second, func() bool { return min(b.Heard(), l.Heard()) > 2*time.Second }) {
					t.Fatalf("after 10 s %s has heard %v and %s %v", b.URI, b.Heard(), l.URI, l.Heard())
				}
				if c.calleeEnds {
					callee.Hangup(t)
				} else {
					caller.Hangup(t)
				}
				b.Expect(t, "CALL_CLOSED")
				l.Expect(t, "Released")
				hears(t, "baresip", b.Recording(t), 600, 440)
				hears(t, "linphone", l.Recording(t), 440, 600)
			})
		}
	})
	if v.RTP == 0 || v.RTCP == 0 {
		t.Errorf("%d packets of RTP and %d of RTCP in the capture, want some of each", v.RTP, v.RTCP)
	}
}
