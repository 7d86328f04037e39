package interop_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// We watch Linphone, which has us among its friends.
func TestWeWatchLinphone(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			alice, uri := w.agent(t, nil)
			watcher, err := sip.ParseURI(uri)
			if err != nil {
				t.Fatal(err)
			}
			watcher.Port = 0 // as in From
			l := w.linphone(t, &interop.LinphoneOptions{Watcher: watcher.String()})
			sub, err := alice.Subscribe(within(t, 10*time.Second), l.URI, "presence", nil)
			if err != nil {
				t.Fatal(err)
			}
			if n := told(t, sub, "<basic>open<"); n.State != "active" || !n.First {
				t.Errorf("told %+v", n)
			}
			// It sends no NOTIFY for that; and if its first one came before the 2xx, we
			// may not know the way yet.
			if err := sub.Close(); err != nil {
				wantError(t, err, transaction.ErrTimeout)
			}
		})
	})
}

// Linphone knows 100rel, UPDATE and session timers where its settings say so. It rings
// reliably when we call it, and we refresh the call of 90 s by UPDATE (RFC 4028 section
// 10). When it calls us we begin the session before the answer, and hold it by UPDATE; it
// refreshes the call.
func TestLinphoneUpdates(t *testing.T) {
	interop.Need(t)
	settings := []string{
		"100rel_support_level=2", "session_expires_enabled=1", "session_expires_value=90",
		"session_expires_min_value=90", "session_expires_refresher_value=2", // the caller
	}
	// answers tells of the 2xx to a method that go by.
	answers := func(method sip.Method) (told chan struct{}, tell func(transport.TraceMessage)) {
		told = make(chan struct{}, 16)
		return told, func(m transport.TraceMessage) {
			if resp, ok := m.Message.(*sip.Response); ok && resp.CSeq().Method == method && resp.Status().Success() {
				told <- struct{}{}
			}
		}
	}
	refreshed := func(t *testing.T, who string, told chan struct{}) {
		t.Helper()
		select {
		case <-told:
		case <-time.After(60 * time.Second):
			t.Errorf("%s has not refreshed the call after 60 s", who)
		}
	}
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			acknowledged, prack := answers(sip.PRACK)
			ours, update := answers(sip.UPDATE)
			alice, _ := w.agent(t, &ua.Config{SessionTimer: 90 * time.Second, Trace: &transport.Trace{Received: func(m transport.TraceMessage) {
				prack(m)
				update(m)
			}}})
			l := w.linphone(t, &interop.LinphoneOptions{SIP: settings, Manual: true})
			call := place(t, alice, l.URI, &ua.InviteOptions{OnProvisional: func(_ *ua.Call, resp *sip.Response) {
				if resp.Status() != sip.StatusRinging {
					return
				}
				select {
				case <-acknowledged: // it answers no PRACK that comes after its own answer
				case <-time.After(5 * time.Second):
					t.Error("its 180 is not acknowledged after 5 s")
				}
				l.Answer(t)
			}})
			l.Expect(t, "StreamsRunning")

			theirs, updated := answers(sip.UPDATE)
			answered := make(chan *ua.Call, 1)
			_, uri := w.agent(t, &ua.Config{Trace: &transport.Trace{Sent: updated}, OnInvite: func(ctx context.Context, in *ua.Invitation) {
				audio := newWatched()
				must(t, in.Progress(ctx, audio))
				must(t, in.Call().Hold(ctx))
				audio.want(t, sdp.SendOnly)
				must(t, in.Call().Resume(ctx))
				audio.want(t, sdp.SendRecv)
				call, err := in.Answer(ctx)
				must(t, err)
				answered <- call
			}})
			caller := w.linphone(t, &interop.LinphoneOptions{Peer: uri, SIP: settings})
			caller.Dial(t, uri)
			caller.Expect(t, "StreamsRunning")
			answer := <-answered
			refreshed(t, "Linphone", theirs)
			must(t, answer.Hangup(t.Context()))
			caller.Expect(t, "Released")

			refreshed(t, "our agent", ours)
			must(t, call.Hangup(t.Context()))
			l.Expect(t, "Released")
		})
	})
}
