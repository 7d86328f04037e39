package interop_test

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// We refresh calls with SIPp by UPDATE, and by INVITE where it knows no UPDATE (RFC 4028
// section 10): in package dialog, whose session timers may be as short as a test wants
// them.
func TestRefreshesWithSIPp(t *testing.T) {
	interop.Need(t)
	const description = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=inactive\r\n"
	body := sip.Body{Type: "application/sdp", Content: description}
	listen := func(t *testing.T, trace *transport.Trace, invited func(context.Context, *dialog.Invitation)) *dialog.Layer {
		layer, err := dialog.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0"}, Trace: trace}, &dialog.Config{
			OnInvite: invited,
			SessionTimer: &dialog.SessionTimer{Interval: 4 * time.Second, Min: time.Second, Refresh: func(s *dialog.Session) {
				_, err := s.Invite(t.Context(), nil, body)
				must(t, err)
				must(t, s.Ack(t.Context()))
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { layer.Close() })
		return layer
	}
	capturing(t, func(t *testing.T) {
		bothWays(t, func(t *testing.T, w way) {
			t.Run("we call", func(t *testing.T) {
				t.Parallel()
				var updated atomic.Int32 // responses to UPDATE
				layer := listen(t, &transport.Trace{Received: func(m transport.TraceMessage) {
					if resp, ok := m.Message.(*sip.Response); ok && resp.CSeq().Method == sip.UPDATE {
						updated.Add(1)
					}
				}}, nil)
				script, target := w.called(t, "uas_refresh", nil)
				to, err := sip.ParseURI(target)
				if err != nil {
					t.Fatal(err)
				}
				edits := []sip.Edit{
					sip.MaxForwards(70),
					sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "127.0.0.1"}, Params: ";tag=1"},
					sip.To{URI: to},
					sip.CallID(rand.Text()),
					sip.CSeq{Seq: 1, Method: sip.INVITE},
					body,
				}
				if w.proxy != nil {
					hop, err := sip.ParseURI("sip:" + w.proxy.Addr + ";lr")
					if err != nil {
						t.Fatal(err)
					}
					edits = append(edits, sip.Route{URI: hop})
				}
				call, resp, err := layer.Invite(t.Context(), sip.NewRequest(sip.INVITE, to, edits...), nil)
				if err != nil || call == nil {
					t.Fatal(resp, err)
				}
				must(t, call.Ack(t.Context()))
				if !interop.Eventually(10*time.Second, func() bool { return updated.Load() == 2 }) {
					t.Errorf("%d refreshes after 10 s, want 2", updated.Load())
				}
				must(t, call.Bye(t.Context()))
				wantCalls(t, script, 1)
			})
			t.Run("we are called", func(t *testing.T) {
				t.Parallel()
				over := make(chan error, 1)
				layer := listen(t, nil, func(_ context.Context, in *dialog.Invitation) {
					_, err := in.Accept(body)
					must(t, err)
					<-in.Session().Done()
					over <- in.Session().Err()
				})
				uri := "sip:bob@" + layer.Transactions().Endpoint().Addr("udp").String()
				if w.proxy != nil {
					user := w.user()
					interop.Register(t, "127.0.0.1:0", w.proxy.Addr, user, "<"+uri+">")
					uri = "sip:" + user + "@sip.test"
				}
				wantCalls(t, w.calls(t, uri, "uac_refresh", nil), 1)
				wantError(t, <-over, dialog.ErrBye)
			})
		})
	})
}
