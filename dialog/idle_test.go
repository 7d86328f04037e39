package dialog_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Calls that were set up, and changed by either side, with messages of 60 kB.
// When they are idle none of the messages is left.
func TestIdleCallPinsNoMessage(t *testing.T) {
	const calls = 20
	large := sip.Field{Name: "X-Large", Value: strings.Repeat("x", 60000)}
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		sessions := make(chan *dialog.Session, calls)
		accept := func(_ context.Context, in *dialog.Invitation) {
			if _, err := in.Accept(large); err != nil {
				t.Errorf("Accept() = %v", err)
			}
			if !in.Re() {
				sessions <- in.Session()
			}
		}
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accept})
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnInvite: accept})
		change := func(s *dialog.Session) {
			if _, err := s.Invite(t.Context(), nil, large); err != nil {
				t.Errorf("re-INVITE: %v", err)
			}
			if err := s.Ack(t.Context(), large); err != nil {
				t.Errorf("ACK: %v", err)
			}
			time.Sleep(time.Second)
		}
		var open []*dialog.Session
		round := func(name string) {
			for i := range calls {
				s := call(t, alice, "sip:bob@"+bobAddr+";transport=tcp", fmt.Sprint(name, i), large,
					sip.Field{Name: "Proxy-Authorization", Value: `Digest realm="b", nonce="one"`})
				open = append(open, s, <-sessions)
				if i%2 == 0 { // the others have their first target
					change(s)
					change(open[len(open)-1])
				}
			}
			time.Sleep(5 * time.Minute)
		}
		heap := func() int64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		round("first-") // the tables grow
		before := heap()
		round("second-")
		each := (heap() - before) / calls
		t.Logf("%d bytes for both sides of an idle call", each)
		if each > 20_000 {
			t.Errorf("an idle call holds %d bytes, want no message of 60 kB among them", each)
		}
		runtime.KeepAlive(open)
	})
}
