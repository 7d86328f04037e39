package ua_test

import (
	"context"
	"crypto/rand"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Calls whose INVITE, 200 and ACK have 30 KB each. When they are idle, neither the side that
// placed them nor the one that took them has any of these left.
func TestIdleCallPinsNoMessage(t *testing.T) {
	const calls, limit = 20, 15_000 // bytes of both ends together
	large := sip.Field{Name: "X-Large", Value: strings.Repeat("x", 30000)}
	for _, test := range []struct {
		name  string
		setUp func(t *testing.T, n *siptest.Network) (place func() any)
	}{
		{"placed", func(t *testing.T, n *siptest.Network) func() any {
			newCaller(t, n, "192.0.2.2", &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
				in.Provisional(sip.StatusRinging, large)
				in.Accept(large, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			}})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			return func() any {
				opts := streams(newStream(t))
				opts.Header = []sip.Edit{large}
				call, err := alice.Invite(t.Context(), bobURI+";transport=tcp", opts)
				if err != nil {
					t.Fatal(err)
				}
				return call
			}
		}},
		{"taken", func(t *testing.T, n *siptest.Network) func() any {
			taken := make(chan *ua.Call, 1)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Add(large)
				in.Ring(ctx)
				answerWith(taken, newStream(t))(ctx, in)
			}})
			alice := newCaller(t, n, "192.0.2.1", nil)
			return func() any {
				invite := request(sip.INVITE, bobURI+";transport=tcp", sip.CallID(rand.Text()), large, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"))
				s, _, err := alice.Invite(t.Context(), invite, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Ack(t.Context(), large); err != nil {
					t.Error(err)
				}
				return []any{s, <-taken}
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				place := test.setUp(t, siptest.NewNetwork(nil))
				var open []any
				heap := func() int64 { // with so many calls more
					for range calls {
						open = append(open, place())
					}
					time.Sleep(5 * time.Minute) // in which the transactions end
					runtime.GC()
					runtime.GC()
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					return int64(m.HeapAlloc)
				}
				before := heap() // the tables grow
				each := (heap() - before) / calls
				t.Logf("%d bytes for both sides of an idle call", each)
				if each > limit {
					t.Errorf("an idle call holds %d bytes, want no message of 30 KB among them", each)
				}
				runtime.KeepAlive(open)
			})
		})
	}
}
