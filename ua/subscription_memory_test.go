package ua_test

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// An idle subscription and its watcher keep none of their messages, which have 30 KB
// here, and little else.
func TestSubscriptionMemory(t *testing.T) {
	const limit = 10 << 10 // bytes of both ends together
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		large := strings.Repeat("x", 30000)
		m := &mood{state: func(*ua.Watcher) (sip.Body, error) { return sip.Body{Type: "text/plain", Content: large}, nil }}
		notifier := ua.NewNotifier(m, nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Notifiers: []*ua.Notifier{notifier}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		opts := &ua.SubscribeOptions{Header: []sip.Edit{sip.Subject(large)}}
		var subs []*ua.Subscription
		heap := func(subscriptions int) uint64 {
			for len(subs) < subscriptions {
				s, err := alice.Subscribe(t.Context(), bobURI, "mood", opts)
				if err != nil {
					t.Fatal(err)
				}
				next(t, s)
				subs = append(subs, s)
			}
			time.Sleep(2 * time.Minute) // in which the transactions end
			runtime.GC()
			runtime.GC()
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			return stats.HeapAlloc
		}
		const few, many = 20, 220
		before := heap(few)
		if after := heap(many); after > before+(many-few)*limit {
			t.Errorf("%d bytes for a subscription and its watcher, want no more than %d", (after-before)/(many-few), limit)
		} else {
			t.Logf("%d bytes for a subscription and its watcher", (int64(after)-int64(before))/(many-few))
		}
		runtime.KeepAlive(subs)
	})
}
