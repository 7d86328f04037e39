package interop_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/media"
	"github.com/goparley/parley/ua"
)

// We call a telephone through the proxy, over each transport, and both sides
// hear each other.
func TestCallBaresip(t *testing.T) {
	interop.Need(t)
	v := capturing(t, func(t *testing.T) {
		proxy := interop.StartKamailio(t, nil)
		for user, transport := range map[string]string{"bob": "udp", "carol": "tcp"} {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				peer := interop.StartBaresip(t, &interop.BaresipOptions{User: user, Proxy: proxy.Addr, Transport: transport, Tone: 600})
				alice := newAgent(t, "sip:alice@sip.test", &ua.Config{
					Password: "alicepw", Proxy: "sip:" + proxy.Addr + ";transport=" + transport,
				})
				audio, heard := newAudio(440)
				call, err := alice.Invite(t.Context(), peer.URI, &ua.InviteOptions{Streams: []ua.Stream{audio}})
				if err != nil {
					t.Fatal(err)
				}
				talk(t, heard, peer)
				if err := call.Hangup(t.Context()); err != nil {
					t.Error(err)
				}
				peer.Expect(t, "CALL_CLOSED")
				hears(t, "alice", heard.Clip(), 600, 440)
				hears(t, user, peer.Recording(t), 440, 600)
			})
		}
	})
	if v.RTP == 0 || v.RTCP == 0 {
		t.Errorf("%d packets of RTP and %d of RTCP in the capture, want some of each", v.RTP, v.RTCP)
	}
}

// A telephone calls us through the proxy at which we are registered, over each
// transport, and both sides hear each other. The telephone hangs up.
func TestBaresipCalls(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		proxy := interop.StartKamailio(t, nil)
		for user, transport := range map[string]string{"bob": "udp", "carol": "tcp"} {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				audio, heard := newAudio(440)
				ended := make(chan error, 1)
				callee := newAgent(t, "sip:"+user+"@sip.test", &ua.Config{
					Password: user + "pw",
					Proxy:    "sip:" + proxy.Addr + ";transport=" + transport,
					OnInvite: func(ctx context.Context, in *ua.Invitation) {
						in.Ring(ctx)
						call, err := in.Answer(ctx, audio)
						if err == nil {
							<-call.Done()
							err = call.Err()
						}
						ended <- err
					},
				})
				if _, err := callee.Register(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				caller := map[string]string{"udp": "alice", "tcp": "dave"}[transport]
				peer := interop.StartBaresip(t, &interop.BaresipOptions{User: caller, Proxy: proxy.Addr, Transport: transport, Tone: 600})
				peer.Dial(t, "sip:"+user+"@sip.test")
				peer.Expect(t, "CALL_ESTABLISHED")
				talk(t, heard, peer)
				peer.Hangup(t)
				peer.Expect(t, "CALL_CLOSED")
				wantError(t, <-ended, ua.ErrHungUp)
				hears(t, user, heard.Clip(), 600, 440)
				hears(t, caller, peer.Recording(t), 440, 600)
			})
		}
	})
}

// talk waits until both sides have heard a second of each other.
func talk(t *testing.T, heard *media.Recorder, peer *interop.Baresip) {
	t.Helper()
	enough := func() bool { return min(heard.Clip().Duration(), peer.Heard()) > time.Second }
	if !interop.Eventually(10*time.Second, enough) {
		t.Fatalf("after 10 s we have heard %v and %s %v", heard.Clip().Duration(), peer.URI, peer.Heard())
	}
}
