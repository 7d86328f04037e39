package transaction

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A request that is held is answered when its handler has long returned: its
// context goes on until then, it takes no place among the handlers, and what is
// left unanswered gets 500, or 487 if it was cancelled.
func TestHold(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		later := func(tx *Server, answer func()) context.Context {
			ctx, release := tx.Hold()
			time.AfterFunc(10*time.Second, func() {
				answer()
				release()
				release()
			})
			return ctx
		}
		var ctx context.Context
		l := listen(t, n.Host(bobAddr), &Config{MaxHandlers: 1, Handler: func(tx *Server, req *sip.Request) {
			switch req.CallID() {
			case "answered":
				later(tx, func() { tx.Reply(sip.StatusBusyHere) })
			case "left", "cancelled":
				ctx = later(tx, func() {})
			case "panics":
				later(tx, func() { tx.Reply(sip.StatusBusyHere) })
				panic("a bug in the program")
			}
		}})
		alice := alicePeer(t, n)
		for i, id := range []string{"answered", "left", "cancelled", "panics"} {
			invite := alice.with(fmt.Sprint("z9hG4bK", i), request(sip.INVITE, bobURI, sip.CallID(id)))
			alice.send(invite)
			alice.response("100 INVITE")
			if n := tallyOf(l); n.handlers != 1 || n.open != 0 {
				t.Errorf("%s: %d held and %d for handlers, want 1 and 0", id, n.handlers, n.open)
			}
			want := "486 INVITE"
			switch id {
			case "left":
				want = "500 INVITE"
			case "cancelled":
				want = "487 INVITE"
				alice.send(cancelOf(invite))
				alice.response("200 CANCEL")
			}
			alice.send(ackFor(invite, alice.response(want)))
		}
		pass(time.Second)
		if ctx.Err() == nil {
			t.Error("the context has not ended with the last that held the request")
		}
	})
}

// Who holds a request when its handler has returned is too late, and disturbs
// nobody: the context has ended, and what it counts in is counted once.
func TestHoldTooLate(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		kept := make(chan *Server, 1)
		l := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, _ *sip.Request) {
			kept <- tx
			tx.Reply(sip.StatusOK)
		}})
		alice := alicePeer(t, n)
		alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI)))
		alice.response("200 OPTIONS")
		tx := <-kept
		pass(time.Second)
		for range 3 {
			ctx, release := tx.Hold()
			if pass(time.Millisecond); ctx.Err() == nil {
				t.Error("the context of who is too late goes on")
			}
			release()
		}
		if n := tallyOf(l); n.handlers != 0 || n.open != 0 {
			t.Errorf("%d held and %d for handlers, want 0 and 0", n.handlers, n.open)
		}
	})
}

// Start tells of responses by a func: of provisional ones, the final one and each
// further 2xx, and of the error where there is no final one. A panic in it is
// that of one response.
func TestStart(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		var j journal
		alice := listen(t, n.Host(aliceAddr), &Config{Accepted: func(*sip.Request, *sip.Response) { j.note("Accepted") }})
		start := func(ctx context.Context, id string) {
			alice.Start(ctx, request(sip.INVITE, bobURI, sip.CallID(id)), func(resp *sip.Response, err error) {
				if err != nil {
					j.note("%s error", id)
					return
				}
				j.note("%s %d", id, int(resp.Status()))
				if resp.Status() == sip.StatusRinging {
					panic("a bug in the program")
				}
			})
		}
		start(t.Context(), "answered")
		invite := bob.request(sip.INVITE)
		bob.send(reply(invite, 180, "b"), reply(invite, 183, "b"), reply(invite, 200, "b"), reply(invite, 200, "b"), reply(invite, 200, "c"))
		pass(time.Second)

		ctx, cancel := context.WithCancel(t.Context())
		start(ctx, "cancelled")
		invite = bob.request(sip.INVITE)
		bob.send(reply(invite, 183, "b"))
		pass(time.Second)
		cancel()
		bob.send(reply(bob.request(sip.CANCEL), 200, "b"), reply(invite, 487, "b"))
		bob.request(sip.ACK)

		start(t.Context(), "silent")
		start(ctx, "too late")
		pass(time.Minute)
		bob.all(time.Second)
		j.check(t, "answered 180", "answered 183", "answered 200", "answered 200", "answered 200",
			"cancelled 183", "cancelled 487", "too late error", "silent error")
	})
}

// CANCELs that cancel nothing are bounded like any requests, and what rings does
// not keep calls from being hung up.
func TestCancelsAreBounded(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		l := listen(t, n.Host(bobAddr), &Config{MaxBytes: 1 << 20})
		alice := alicePeer(t, n)
		for i := range 1000 {
			invite := alice.with(fmt.Sprint("z9hG4bK", i), request(sip.INVITE, bobURI, sip.CallID(fmt.Sprint(i))))
			alice.send(cancelOf(invite))
			alice.response("481 CANCEL")
		}
		if n := tallyOf(l); n.bytes > 1<<20+65536 || n.servers > 400 {
			t.Errorf("%d CANCELs have %d bytes, want 1 MB at most", n.servers, n.bytes)
		}
	})
}

// Some places are kept for what is within a dialog.
func TestRequestsWithinADialogHavePlaces(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{MaxHandlers: 10, Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.BYE {
				tx.Reply(sip.StatusOK)
				return
			}
			<-tx.Context().Done()
		}})
		alice := alicePeer(t, n)
		var invites []*sip.Request
		for i := range 9 {
			invite := alice.with(fmt.Sprint("z9hG4bK", i), request(sip.INVITE, bobURI, sip.CallID(fmt.Sprint(i))))
			invites = append(invites, invite)
			alice.send(invite)
		}
		alice.response("503 INVITE")
		alice.all(time.Second)
		alice.send(alice.with("z9hG4bKbye", request(sip.BYE, bobURI, sip.CallID("another"), sip.To{URI: sip.URI{Scheme: "sip", Host: "h"}, Params: ";tag=b"})))
		alice.response("200 BYE")
		for _, invite := range invites[:8] {
			alice.send(cancelOf(invite))
			alice.response("200 CANCEL")
			alice.send(ackFor(invite, alice.response("487 INVITE")))
		}
	})
}
