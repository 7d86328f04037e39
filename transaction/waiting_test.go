package transaction

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Handlers that say that they wait, and end without a word that they do not any
// more: that is over with the request, and nobody is refused for it.
func TestWaitingEndsWithTheHandler(t *testing.T) {
	for name, end := range map[string]func(tx *Server){
		"returns":  func(*Server) {},
		"answers":  func(tx *Server) { tx.Reply(sip.StatusTemporarilyUnavailable) },
		"panics":   func(*Server) { panic("the queue is gone") },
		"waits on": func(tx *Server) { tx.Waiting() },
		"after": func(tx *Server) {
			_, release := tx.Hold()
			go func() { // ends a second later
				<-time.After(time.Second)
				release()
				tx.Waiting()
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				bad := true
				bob := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
					if bad {
						tx.Waiting()
						end(tx)
						return
					}
					tx.Reply(sip.StatusOK)
				}})
				alice := listen(t, n.Host(aliceAddr), nil)
				var c endings
				load(t.Context(), alice, 10, 15, &c, "alice")
				pass(time.Minute)
				c.take()
				bad = false
				if got := bob.overload.waiting.Load(); got != 0 {
					t.Errorf("%d requests wait, want none", got)
				}
				load(t.Context(), alice, 10, 5, &c, "alice")
				pass(time.Minute)
				if got := c.take(); got["alice 200"] != 50 {
					t.Errorf("later: %v, want all 50 done", got)
				}
			})
		})
	}
}

// Who holds the request goes on to wait when the handler has returned, until
// release.
func TestWaitingOfWhoHolds(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Waiting()
			_, release := tx.Hold()
			time.AfterFunc(time.Second, release)
		}})
		alice := alicePeer(t, n)
		alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI)))
		pass(500 * time.Millisecond)
		if got := bob.overload.waiting.Load(); got != 1 {
			t.Errorf("while it is held %d requests wait, want 1", got)
		}
		pass(time.Second)
		if got := bob.overload.waiting.Load(); got != 0 {
			t.Errorf("when it is released %d requests wait, want none", got)
		}
	})
}
