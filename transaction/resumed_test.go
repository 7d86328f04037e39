package transaction

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A restored request had been taken on if it was held, or rang: a handler need not
// ask again who it is from. One that only waited is as if it had just come. It stays
// so if the second run ends before its handler has done anything.
func TestResumed(t *testing.T) {
	held := func(tx *Server) {
		ctx, release := tx.Hold()
		context.AfterFunc(ctx, release)
	}
	for _, test := range []struct {
		name    string
		method  sip.Method
		handler func(tx *Server)
		want    bool
	}{
		{"it waits for its handler", sip.INVITE, func(*Server) {}, false},
		{"100 was sent", sip.INVITE, func(tx *Server) { tx.Reply(sip.StatusTrying) }, false},
		{"it rings", sip.INVITE, func(tx *Server) { tx.Reply(sip.StatusRinging) }, true},
		{"it is held", sip.INVITE, held, true},
		{"it was held", sip.INVITE, func(tx *Server) { _, release := tx.Hold(); release() }, true},
		{"a message is held", sip.MESSAGE, held, true},
		{"a message waits", sip.MESSAGE, func(*Server) {}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				first := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, _ *sip.Request) {
					if tx.Resumed() {
						t.Error("a request that has just come is resumed")
					}
					test.handler(tx)
					<-tx.Context().Done()
				}})
				alice := alicePeer(t, n)
				alice.send(alice.with("z9hG4bK1", request(test.method, bobURI)))
				pass(time.Second)
				kept := snapshots(t, first)
				for range 2 {
					got := make(chan bool, 1)
					l := listen(t, n.Host(bobAddr), &Config{Restore: restoring(kept, func(tx *Server, _ *sip.Request) {
						got <- tx.Resumed()
						<-tx.Context().Done()
					})})
					if got := <-got; got != test.want {
						t.Errorf("Resumed() = %v, want %v", got, test.want)
					}
					kept = snapshots(t, l)
				}
			})
		})
	}
}
