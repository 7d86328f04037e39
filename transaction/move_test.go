package transaction

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// ringing is a handler that rings until it is cancelled, and notes when.
func ringing(j *journal) func(tx *Server, req *sip.Request) {
	return func(tx *Server, req *sip.Request) {
		start := time.Now()
		tx.Reply(sip.StatusRinging)
		select {
		case <-tx.Context().Done():
			j.note("cancelled after %v", time.Since(start).Round(time.Second))
		case <-time.After(time.Hour):
			j.note("rang for an hour")
		}
	}
}

// The connection of an INVITE ends while it rings, and then, or just before, the
// caller gives up: the CANCEL goes by another connection, for the callee rings on
// otherwise.
func TestCancelAfterConnectionEnd(t *testing.T) {
	for _, gives := range []time.Duration{time.Second - 5*time.Millisecond, time.Second, 3 * time.Second} {
		story(t, func(t *testing.T, n *siptest.Network) {
			var j journal
			listen(t, n.Host(bobAddr), &Config{Handler: ringing(&j)})
			alice := listen(t, n.Host(aliceAddr), nil)
			time.AfterFunc(time.Second, n.Host(bobAddr).Reset)
			got, err := collect(cancelledAfter(t, gives), alice, request(sip.INVITE, bobURI+";transport=tcp"))
			if got != "180 487" || err != nil {
				t.Errorf("given up after %v: responses %q, error %v, want 180 487", gives, got, err)
			}
			j.check(t, fmt.Sprintf("cancelled after %v", gives.Round(time.Second)))
		})
	}
}

// Nobody listens there any more: the CANCEL comes to nothing, and the wait ends.
func TestCancelWithoutConnection(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		bob := listen(t, n.Host(bobAddr), &Config{Handler: ringing(&j)})
		alice := listen(t, n.Host(aliceAddr), nil)
		time.AfterFunc(time.Second, func() { bob.Close() })
		start := time.Now()
		got, err := collect(cancelledAfter(t, 3*time.Second), alice, request(sip.INVITE, bobURI+";transport=tcp"))
		if got != "180 error" || !errors.Is(err, ErrTimeout) {
			t.Errorf("responses %q, error %v, want 180 and %v", got, err, ErrTimeout)
		}
		if got, want := time.Since(start).Round(time.Second), 35*time.Second; got != want {
			t.Errorf("over after %v, want %v", got, want)
		}
	})
}

// The callee refuses when the connection is gone, by a new one to where the caller
// listens. The ACK takes another one to the callee.
func TestRefusalAfterConnectionEnd(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-time.After(5 * time.Second)
			tx.Reply(sip.StatusBusyHere)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		time.AfterFunc(time.Second, n.Host(bobAddr).Reset)
		expect(t, alice, request(sip.INVITE, bobURI+";transport=tcp"), "180 486")
		pass(time.Second)
		if n := tallyOf(bob).servers; n != 0 {
			t.Errorf("%d server transactions wait for an ACK", n)
		}
	})
}

// A phone that does not listen on TCP loses the connection of its INVITE while it
// rings. No answer can come any more: the loop ends, and the callee stops to ring.
func TestNoAnswerAfterConnectionEnd(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: ringing(&j)})
		alice, err := Listen(&transport.Config{Listen: []string{"udp:" + aliceAddr + ":5060"}, Network: n.Host(aliceAddr)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer alice.Close()
		time.AfterFunc(time.Second, n.Host(bobAddr).Reset)
		start := time.Now()
		got, err := collect(context.Background(), alice, request(sip.INVITE, bobURI+";transport=tcp"))
		if got != "180 error" || !errors.Is(err, ErrTransport) {
			t.Errorf("responses %q, error %v, want 180 and %v", got, err, ErrTransport)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("over after %v, want 1s", got)
		}
		nothingLeft(t, alice)
		j.check(t, "cancelled after 1s")
	})
}

// The answer to a request is lost with its connection. The client sends the request
// again on another, and gets it there: the handler sees the request once.
func TestAnswerLostWithConnection(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			tx.Reply(sip.StatusOK)
			if req.Method() == sip.MESSAGE {
				n.Host(bobAddr).Reset()
			}
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		expect(t, alice, request(sip.OPTIONS, bobURI+";transport=tcp"), "200")
		pass(time.Second)
		expect(t, alice, request(sip.MESSAGE, bobURI+";transport=tcp"), "200")
		j.check(t, "OPTIONS", "MESSAGE")
	})
}

// A call rings for longer than a connection without traffic is kept. The phone
// cannot be connected to, but the connection is there for as long as either end
// waits for the answer, and not for ever.
func TestLongRinging(t *testing.T) {
	for _, idle := range [][2]time.Duration{{0, time.Hour}, {time.Hour, 0}} {
		story(t, func(t *testing.T, n *siptest.Network) {
			bob, err := Listen(&transport.Config{Listen: []string{"tcp:" + bobAddr + ":5060"}, Network: n.Host(bobAddr), Idle: idle[1]},
				&Config{Handler: func(tx *Server, req *sip.Request) {
					if req.Method() != sip.ACK {
						tx.Reply(sip.StatusRinging)
						<-time.After(31 * time.Minute)
						tx.Reply(sip.StatusOK)
					}
				}})
			if err != nil {
				t.Fatal(err)
			}
			defer bob.Close()
			alice, err := Listen(&transport.Config{Network: n.Host(aliceAddr), Idle: idle[0]}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer alice.Close()
			var flow transport.Flow
			ctx := WithSent(t.Context(), func(f transport.Flow, _ *sip.Request) { flow = f })
			if got, err := collect(ctx, alice, request(sip.INVITE, bobURI+";transport=tcp")); got != "180 200" {
				t.Errorf("responses %q, error %v, want 180 200", got, err)
			}
			pass(20 * time.Minute)
			if flow.Err() == nil {
				t.Error("the connection is there when all is over")
			}
		})
	}
}
