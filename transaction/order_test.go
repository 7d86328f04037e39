package transaction

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// The requests of one call reach the handler in order, each when the one before
// is done with; those of another call do not wait for them.
func TestOrderWithinOneCall(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s %d begins", req.CallID(), req.CSeq().Seq)
			<-time.After(time.Second)
			j.note("%s %d ends", req.CallID(), req.CSeq().Seq)
			tx.Reply(sip.StatusOK)
		}})
		alice := alicePeer(t, n)
		for i, call := range []sip.CallID{"a", "a", "b", "a"} {
			alice.send(alice.with(fmt.Sprint("z9hG4bK", i), request(sip.INFO, bobURI, call,
				sip.CSeq{Seq: uint32(i + 1), Method: sip.INFO})))
			pass(10 * time.Millisecond)
		}
		pass(time.Minute)
		j.check(t, "a 1 begins", "b 3 begins", "a 1 ends", "a 2 begins", "b 3 ends",
			"a 2 ends", "a 4 begins", "a 4 ends")
	})
}

// A refusal by the layer and a CANCEL have no place in the order: they let
// nobody pass the request that is being served.
func TestRefusalsDoNotDisturbTheOrder(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s begins", req.Via().Branch())
			<-time.After(time.Second)
			j.note("%s ends", req.Via().Branch())
			tx.Reply(486)
		}})
		alice := alicePeer(t, n)
		first := request(sip.MESSAGE, bobURI)
		alice.send(alice.with("z9hG4bK-first", first))
		alice.send(alice.with("z9hG4bK-merged", first))
		alice.send(alice.with("z9hG4bK-none", request(sip.CANCEL, bobURI)))
		alice.send(alice.with("z9hG4bK-second", request(sip.MESSAGE, bobURI, sip.CSeq{Seq: 2, Method: sip.MESSAGE})))
		pass(time.Minute)
		j.check(t, "z9hG4bK-first begins", "z9hG4bK-first ends", "z9hG4bK-second begins", "z9hG4bK-second ends")
		alice.expectAll(time.Second, "482 MESSAGE, 481 CANCEL, 486 MESSAGE, 486 MESSAGE")
	})
}

// The ACK of a 2xx comes once, and before the BYE that follows it on the heels.
func TestACKBeforeBYE(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			tx.Reply(sip.StatusOK)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		for i := range 100 {
			id := sip.CallID(fmt.Sprint(i))
			ok, err := alice.Do(t.Context(), request(sip.INVITE, bobURI, id))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := alice.Send(t.Context(), inDialog(sip.ACK, 1, ok)); err != nil {
				t.Fatal(err)
			}
			expect(t, alice, inDialog(sip.BYE, 2, ok), "200")
			j.check(t, "INVITE", "ACK", "BYE")
			j.lines = nil
		}
	})
}

// A handler that sends a request of its own lets the next one of the call
// start: the answer to what it sent may depend on it.
func TestSendingReleasesTheOrder(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		var bob *Layer
		bob = listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s begins", req.Method())
			if req.Method() == sip.INVITE {
				expect(t, bob, request(sip.MESSAGE, "sip:192.0.2.1", sip.CallID("back"), sip.Push(
					sip.Route{URI: sip.URI{Scheme: "sip", Host: aliceAddr, Params: ";lr"}})), "200")
				for resp, err := range bob.Responses(tx.Context(), request(sip.INFO, "sip:192.0.2.1", sip.CallID("back"))) {
					j.note("back %v %v", int(resp.Status()), err)
				}
			}
			tx.Reply(486)
			j.note("%s ends", req.Method())
		}})
		alice := listen(t, n.Host(aliceAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INFO {
				<-time.After(time.Second)
			}
			tx.Reply(sip.StatusOK)
		}})
		go expect(t, alice, request(sip.INVITE, bobURI), "486")
		pass(500 * time.Millisecond)
		expect(t, alice, request(sip.UPDATE, bobURI, sip.CSeq{Seq: 2, Method: sip.UPDATE}), "486")
		pass(time.Minute)
		j.check(t, "INVITE begins", "UPDATE begins", "UPDATE ends", "back 200 <nil>", "INVITE ends")
	})
}

// A handler that has answered and goes on, for as long as a call lasts say,
// does not count.
func TestMaxHandlersLetsCallsLast(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{MaxHandlers: 2, Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(480)
			<-time.After(time.Minute)
		}})
		alice := alicePeer(t, n)
		for i := range 10 {
			alice.send(alice.with(fmt.Sprint("z9hG4bK", i), request(sip.OPTIONS, bobURI, sip.CallID(fmt.Sprint(i)))))
			alice.response("480 OPTIONS")
		}
	})
}

// More requests than MaxHandlers get 503 with Retry-After. That leaves no
// transaction behind, and its ACK goes to nobody.
func TestMaxHandlers(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		l := listen(t, n.Host(bobAddr), &Config{MaxHandlers: 2, Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.CallID())
			<-time.After(time.Second)
			tx.Reply(480)
		}})
		alice := alicePeer(t, n)
		invite := func(id string) *sip.Request {
			return alice.with("z9hG4bK"+id, request(sip.INVITE, bobURI, sip.CallID(id)))
		}
		alice.send(invite("1"))
		pass(time.Millisecond)
		alice.send(invite("2"), invite("3"))
		busy := alice.response("503 INVITE")
		if after, err := sip.Get[sip.RetryAfter](busy); err != nil || after.Seconds == 0 {
			t.Errorf("Retry-After = %v, %v", after, err)
		}
		if got := tallyOf(l).servers; got != 2 {
			t.Errorf("%d transactions, want 2", got)
		}
		alice.expectAll(500*time.Millisecond, "100 INVITE, 100 INVITE")
		pass(time.Second)
		for range 2 {
			resp := alice.response("480 INVITE")
			alice.send(ackFor(invite(resp.CallID()), resp))
		}
		alice.send(ackFor(invite("3"), busy))
		pass(time.Second)
		j.check(t, "1", "2")
		// There is room again.
		alice.all(time.Second)
		alice.send(invite("3"))
		alice.response("100 INVITE")
		alice.send(ackFor(invite("3"), alice.response("480 INVITE")))
		// An ACK of a 2xx is not mistaken for that of a refusal.
		ack := request(sip.ACK, bobURI, sip.CallID("4"), sip.To{URI: request(sip.ACK, bobURI).URI(), Params: ";tag=4"})
		alice.send(alice.with("z9hG4bKack", ack))
		pass(time.Minute)
		j.check(t, "1", "2", "3", "4")
	})
}

// A flood of requests, each answered at once, fills the tables to MaxBytes and
// no further; a CANCEL still does its work, and when time has passed there is
// room again.
func TestMaxBytes(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		l := listen(t, n.Host(bobAddr), &Config{MaxBytes: 1 << 20, Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				<-tx.Context().Done()
				j.note("cancelled")
				return
			}
			tx.Reply(sip.StatusOK)
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK-invite", request(sip.INVITE, bobURI))
		alice.send(invite)
		served, refused := 0, 0
		for i := range 1500 {
			id := fmt.Sprint(i)
			alice.send(alice.with("z9hG4bK"+id, request(sip.MESSAGE, bobURI, sip.CallID(id))))
			for m := alice.within(30 * time.Millisecond); m != nil; m = alice.within(0) {
				switch label([]byte(m.String())) {
				case "200 MESSAGE":
					served++
				case "503 MESSAGE":
					refused++
				}
			}
		}
		if n := tallyOf(l); n.bytes > l.cfg.MaxBytes+65536 || n.servers > 1000 {
			t.Errorf("%d transactions with %d bytes, want %d bytes at most", n.servers, n.bytes, l.cfg.MaxBytes)
		}
		if served == 0 || refused == 0 {
			t.Errorf("%d served and %d refused, want some of both", served, refused)
		}
		for full := false; !full; { // the first have timed out by now
			alice.send(alice.with(l.newBranch(context.Background(), nil), request(sip.MESSAGE, bobURI, sip.CallID(l.newBranch(context.Background(), &way{})))))
			full = alice.all(30*time.Millisecond) == "503 MESSAGE"
		}
		alice.send(cancelOf(invite))
		alice.response("200 CANCEL")
		alice.send(ackFor(invite, alice.response("487 INVITE")))
		j.check(t, "cancelled")
		pass(time.Minute)
		alice.send(alice.with("z9hG4bK-last", request(sip.MESSAGE, bobURI, sip.CallID("last"))))
		alice.response("200 MESSAGE")
	})
}

// A request that waits for the one before it may get its turn, and its handler
// return, while the goroutine that has read it is not done with it yet. For the
// race detector.
func TestOrderBesideTheReader(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var running, served atomic.Int32
		listen(t, n.Host(bobAddr), &Config{Handler: func(*Server, *sip.Request) {
			if running.Add(1) > 1 {
				t.Error("two handlers of one call run at once")
			}
			served.Add(1)
			running.Add(-1)
		}})
		alice := alicePeer(t, n)
		const requests = 2000
		for i := range requests {
			alice.send(alice.with(fmt.Sprint("z9hG4bK", i), request(sip.INFO, bobURI, sip.CSeq{Seq: uint32(i + 1), Method: sip.INFO})))
			if i%4 == 3 {
				pass(20 * time.Millisecond)
			}
		}
		pass(time.Second)
		if got := served.Load(); got != requests {
			t.Errorf("%d of %d requests were served", got, requests)
		}
	})
}

// The 100 that goes out for a handler which says nothing lets the next request of
// its call start: whoever decides about a re-INVITE for half a minute can be hung
// up on.
func TestTryingReleasesTheOrder(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				<-time.After(30 * time.Second)
			}
			tx.Reply(sip.StatusOK)
		}})
		alice := alicePeer(t, n)
		alice.send(alice.with("z9hG4bK1", request(sip.INVITE, bobURI)))
		alice.send(alice.with("z9hG4bK2", request(sip.BYE, bobURI, sip.CSeq{Seq: 2, Method: sip.BYE})))
		alice.response("100 INVITE")
		alice.response("200 BYE")
		alice.expectAll(time.Minute, "200 INVITE")
	})
}

// One call cannot take the places of others: so many of its requests wait, those that
// end it have some of their own, and the rest gets 500 and leaves nothing behind. A
// 503 would say that the server is overloaded, which it is not.
func TestOrderHasAnEnd(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var served atomic.Int32
		l := listen(t, n.Host(bobAddr), &Config{MaxHandlers: 200, Handler: func(tx *Server, req *sip.Request) {
			if req.Method() != sip.ACK {
				<-time.After(100 * time.Millisecond)
				tx.Reply(sip.StatusOK)
			}
			served.Add(1)
		}})
		alice := alicePeer(t, n)
		of := func(i int, method sip.Method) *sip.Request {
			return alice.with(fmt.Sprint("z9hG4bK", i, method), request(method, bobURI, sip.CSeq{Seq: uint32(i), Method: method},
				sip.CallID("long"), sip.To{URI: request(method, bobURI).URI(), Params: ";tag=b"}))
		}
		for i := range 1 + maxWaiting {
			alice.send(of(i+1, sip.INFO), of(i+1, sip.INFO)) // a retransmission is none more
		}
		pass(20 * time.Millisecond)
		alice.send(of(100, sip.INFO))
		busy := alice.response("500 INFO")
		if after, err := sip.Get[sip.RetryAfter](busy); err != nil || after.Seconds == 0 {
			t.Errorf("Retry-After = %v, %v", after, err)
		}
		invite := of(101, sip.INVITE)
		alice.send(invite)
		alice.send(ackFor(invite, alice.response("500 INVITE"))) // goes to nobody
		alice.send(of(102, sip.BYE), of(103, sip.ACK))
		pass(20 * time.Millisecond)
		if n := tallyOf(l); n.servers != maxWaiting+2 || n.waiting != maxWaiting+2 {
			t.Errorf("%d transactions, and %d requests wait, want %d", n.servers, n.waiting, maxWaiting+2)
		}
		alice.send(alice.with("z9hG4bK-other", request(sip.INFO, bobURI, sip.CallID("other"))))
		got := map[string]int{}
		for m := alice.within(time.Minute); m != nil; m = alice.within(time.Minute) {
			got[label([]byte(m.String()))+" "+m.CallID()]++
		}
		if got["200 INFO long"] != 1+maxWaiting || got["200 BYE long"] != 1 || got["200 INFO other"] != 1 {
			t.Errorf("came: %v", got)
		}
		if got := served.Load(); got != 4+maxWaiting { // with the BYE, the ACK, and that of the other call
			t.Errorf("%d requests were served, want %d", got, 4+maxWaiting)
		}
	})
}

// A request that has waited for as long as its client does is for nobody any more.
// An INVITE is: its client goes on to wait.
func TestOrderForgetsWhatIsLate(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s %d", req.Method(), req.CSeq().Seq)
			switch req.CSeq().Seq {
			case 1:
				<-time.After(time.Second)
			case 2: // its 100 has gone out while it waited
				<-time.After(40 * time.Second)
			}
			tx.Reply(sip.StatusOK)
		}})
		alice := alicePeer(t, n)
		send := func(seq uint32, method sip.Method) {
			alice.send(alice.with(fmt.Sprint("z9hG4bK", seq), request(method, bobURI, sip.CSeq{Seq: seq, Method: method})))
		}
		send(1, sip.MESSAGE)
		send(2, sip.INVITE)
		send(3, sip.INFO)
		send(4, sip.INVITE)
		pass(30 * time.Second)
		send(5, sip.OPTIONS)
		alice.expectAll(time.Minute, "100 INVITE, 100 INVITE, 200 MESSAGE, 100 INFO, 100 OPTIONS, 200 INVITE, 200 INVITE, 200 OPTIONS")
		j.check(t, "MESSAGE 1", "INVITE 2", "INVITE 4", "OPTIONS 5")
	})
}

// A BYE waits for its turn, but not for longer than until its own 100: then it passes
// all that nobody has the time for.
func TestBYEPassesASlowCall(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		start := time.Now()
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%v %s %d", time.Since(start).Truncate(time.Second), req.Method(), req.CSeq().Seq)
			switch req.CSeq().Seq {
			case 1:
				<-time.After(time.Second)
			case 2: // its 100 has gone out while it waited
				<-time.After(20 * time.Second)
			}
			tx.Reply(sip.StatusOK)
		}})
		alice := alicePeer(t, n)
		send := func(seq uint32, method sip.Method) {
			alice.send(alice.with(fmt.Sprint("z9hG4bK", seq), request(method, bobURI, sip.CSeq{Seq: seq, Method: method})))
		}
		send(1, sip.MESSAGE)
		send(2, sip.INVITE)
		send(3, sip.INFO)
		pass(5 * time.Second)
		send(4, sip.BYE)
		pass(time.Minute)
		j.check(t, "0s MESSAGE 1", "1s INVITE 2", "8s BYE 4", "21s INFO 3")
	})
}
