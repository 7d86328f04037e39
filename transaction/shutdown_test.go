package transaction

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// Shutdown refuses new requests with 503, serves those within a dialog, and
// waits for the handlers that are at work.
func TestShutdownDrains(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(200)
				<-time.After(10 * time.Second)
				return
			}
			tx.Reply(200)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		ok, err := alice.Do(t.Context(), request(sip.INVITE, bobURI))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		done := make(chan error)
		go func() { done <- bob.Shutdown(t.Context()) }()
		pass(time.Second)
		busy, err := alice.Do(t.Context(), request(sip.INVITE, bobURI, sip.CallID("2")))
		if err != nil || busy.Status() != 503 {
			t.Fatalf("a new INVITE: %v, %v, want 503", busy, err)
		}
		if after, err := sip.Get[sip.RetryAfter](busy); err != nil || after.Seconds == 0 {
			t.Errorf("Retry-After = %v, %v", after, err)
		}
		expect(t, alice, inDialog(sip.BYE, 2, ok), "200")
		if err := <-done; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if got, want := time.Since(start), 10*time.Second; got < want-time.Second || got > want {
			t.Errorf("Shutdown took %v, want %v", got, want)
		}
	})
}

// Shutdown waits for the responses that someone waits for, and for an INVITE
// given up, whose CANCEL may have to be sent again.
func TestShutdownWaitsForClients(t *testing.T) {
	for _, left := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			var j journal
			listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
				tx.Reply(180)
				select {
				case <-tx.Context().Done():
					j.note("cancelled")
				case <-time.After(5 * time.Second):
					tx.Reply(486)
				}
			}})
			alice := listen(t, n.Host(aliceAddr), nil)
			lose(n, "CANCEL")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if left {
				for range alice.Responses(t.Context(), request(sip.INVITE, bobURI)) {
					break
				}
				if err := alice.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown = %v", err)
				}
				j.check(t, "cancelled")
				return
			}
			go expect(t, alice, request(sip.INVITE, bobURI), "180 486")
			pass(time.Second)
			if err := alice.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown = %v", err)
			}
		})
	}
}

// Nobody waits any more for an INVITE that timer C has cancelled, but Shutdown: the
// refusal comes and gets its ACK.
func TestShutdownWaitsForTimerC(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), &Config{Timers: Timers{C: 3 * time.Minute}})
		go func() {
			invite := bob.request(sip.INVITE)
			bob.send(reply(invite, 180, "b"))
			pass(3 * time.Minute)
			bob.send(reply(bob.request(sip.CANCEL), 200, "b"))
			pass(2 * time.Second)
			bob.send(reply(invite, 487, "b"))
		}()
		if _, err := alice.Do(t.Context(), request(sip.INVITE, bobURI)); !errors.Is(err, ErrTimeout) {
			t.Fatalf("the INVITE: %v, want %v", err, ErrTimeout)
		}
		pass(time.Second)
		start := time.Now()
		if err := alice.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if took := time.Since(start).Round(time.Second); took != time.Second {
			t.Errorf("Shutdown took %v, want 1s", took)
		}
		bob.request(sip.ACK)
	})
}

// When the context of Shutdown ends the rest is cut off.
func TestShutdownGivesUp(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		bob := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(180)
			<-tx.Context().Done()
			j.note("%v", context.Cause(tx.Context()))
		}})
		alice := alicePeer(t, n)
		alice.send(alice.with("z9hG4bK1", request(sip.INVITE, bobURI)))
		pass(time.Second)
		if err := bob.Shutdown(cancelledAfter(t, time.Second)); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown = %v, want %v", err, context.Canceled)
		}
		synctest.Wait()
		j.check(t, transport.ErrClosed.Error())
		if err := bob.Shutdown(t.Context()); err != nil {
			t.Errorf("a second Shutdown = %v", err)
		}
	})
}

// Close ends everything: whoever waits gets ErrClosed, the context of a handler
// ends, and requests that wait for a handler are dropped.
func TestClose(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		bob := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			ctx := tx.Context()
			<-ctx.Done()
			j.note("%s: %v, reply: %v", req.Method(), context.Cause(ctx), errors.Is(tx.Reply(200), transport.ErrClosed))
		}})
		carol := listen(t, n.Host("192.0.2.3"), nil)
		for _, method := range []sip.Method{sip.INVITE, sip.OPTIONS} {
			go func() {
				got, err := collect(t.Context(), carol, request(method, "sip:192.0.2.99"))
				if got != "error" || !errors.Is(err, transport.ErrClosed) {
					t.Errorf("%s: responses %q, error %v, want %v", method, got, err, transport.ErrClosed)
				}
			}()
		}
		alice := alicePeer(t, n)
		alice.send(alice.with("z9hG4bK1", request(sip.MESSAGE, bobURI)))
		pass(time.Second)
		alice.send(alice.with("z9hG4bK2", request(sip.INFO, bobURI)))
		pass(time.Second)
		for _, l := range []*Layer{bob, carol} {
			if err := l.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
			if err := l.Close(); err != nil {
				t.Errorf("a second Close = %v", err)
			}
		}
		synctest.Wait()
		j.check(t, "MESSAGE: "+transport.ErrClosed.Error()+", reply: true")
	})
}

// A handler may close the layer.
func TestCloseFromHandler(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		done := make(chan error, 1)
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(200)
			done <- tx.Layer().Close()
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		if err := <-done; err != nil {
			t.Errorf("Close = %v", err)
		}
	})
}

// Shutdown does not close between two requests that belong together.
func TestShutdownWaitsForBusy(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) { tx.Reply(200) }})
		alice := listen(t, n.Host(aliceAddr), nil)
		done := alice.Busy()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		closed := make(chan error, 1)
		go func() { closed <- alice.Shutdown(t.Context()) }()
		pass(time.Second)
		expect(t, alice, request(sip.OPTIONS, bobURI, sip.CallID("2")), "200")
		pass(time.Second)
		select {
		case err := <-closed:
			t.Fatalf("Shutdown = %v before the end of what is busy", err)
		default:
		}
		done()
		done()
		if err := <-closed; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		alice.Busy()() // of a closed layer, to no effect
	})
}
