package transaction

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// cancelledAfter is a context that ends when fake time has passed.
func cancelledAfter(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(d, cancel)
	return ctx
}

// A CANCEL must not overtake its INVITE: it waits for a provisional response,
// for which a 100 will do (RFC 3261 section 9.1).
func TestCancelWaitsForProvisional(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		go func() {
			invite := bob.request(sip.INVITE)
			pass(400 * time.Millisecond)
			bob.send(reply(invite, 100, ""))
			cancel := bob.request(sip.CANCEL)
			bob.send(reply(cancel, 200, "b"), reply(invite, 487, "b"))
			bob.request(sip.ACK)
		}()
		got, err := collect(cancelledAfter(t, 100*time.Millisecond), alice, request(sip.INVITE, bobURI))
		if got != "487" || err != nil {
			t.Errorf("responses %q, %v, want 487", got, err)
		}
		ladder(t, n, start, `
			   0s > INVITE
			410ms < 100 INVITE
			420ms > CANCEL
			430ms < 200 CANCEL
			430ms < 487 INVITE
			440ms > ACK`)
	})
}

// A CANCEL that waits is dropped when the final response comes first.
func TestCancelDroppedByFinal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() {
			invite := bob.request(sip.INVITE)
			pass(400 * time.Millisecond)
			bob.send(reply(invite, 404, "b"))
			bob.request(sip.ACK)
			bob.expectAll(time.Minute, "")
		}()
		got, err := collect(cancelledAfter(t, 100*time.Millisecond), alice, request(sip.INVITE, bobURI))
		if got != "404" || err != nil {
			t.Errorf("responses %q, %v, want 404", got, err)
		}
	})
}

// The CANCEL crosses the 200: the call stands, and the caller gets the 200 to
// acknowledge it and say BYE.
func TestCancelCrossesSuccess(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(180)
			<-time.After(100 * time.Millisecond)
			tx.Reply(200)
			<-time.After(time.Second)
			j.note("context: %v", tx.Context().Err())
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		got, err := collect(cancelledAfter(t, 105*time.Millisecond), alice, request(sip.INVITE, bobURI))
		if got != "180 200" || err != nil {
			t.Errorf("responses %q, %v, want 180 and 200", got, err)
		}
		pass(time.Minute)
		j.check(t, "context: <nil>") // RFC 3261 section 9.2: no effect after a final response
		ladder(t, n, start, `
			   0s > INVITE
			 10ms < 180 INVITE
			105ms > CANCEL
			110ms < 200 INVITE
			115ms < 200 CANCEL`)
	})
}

// A CANCEL without a transaction gets 481, one for a transaction that has its
// final response 200, and both change nothing (RFC 3261 section 9.2).
func TestCancelWithoutEffect(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(486)
			<-time.After(time.Second)
			j.note("%s: %v", req.Method(), tx.Context().Err())
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		alice.send(cancelOf(invite))
		alice.response("481 CANCEL")
		pass(time.Minute)
		alice.send(invite)
		busy := alice.response("486 INVITE")
		alice.send(cancelOf(invite))
		alice.response("200 CANCEL")
		alice.send(ackFor(invite, busy))
		alice.expectAll(time.Minute, "")
		j.check(t, "INVITE: <nil>")
	})
}

// A CANCEL comes twice, before and after the 487: it gets the same 200 each
// time, with the To tag of the 487 (RFC 3261 section 9.2).
func TestCancelRetransmitted(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(180)
			<-tx.Context().Done()
			j.note("%v", context.Cause(tx.Context()))
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		alice.send(invite)
		alice.response("180 INVITE")
		alice.send(cancelOf(invite))
		first := alice.response("200 CANCEL")
		terminated := alice.response("487 INVITE")
		alice.send(cancelOf(invite))
		again := alice.response("200 CANCEL")
		alice.send(ackFor(invite, terminated))
		alice.expectAll(time.Minute, "")
		if first.String() != again.String() {
			t.Errorf("the second 200 is\n%s, want\n%s", again, first)
		}
		if got, want := first.To().Tag(), terminated.To().Tag(); got != want {
			t.Errorf("To tag of the 200 = %q, want %q as in the 487", got, want)
		}
		j.check(t, ErrCancelled.Error())
	})
}

// A CANCEL of a request that is still waiting for its handler: the handler sees
// a context that has ended.
func TestCancelBeforeHandler(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				j.note("%v", context.Cause(tx.Context()))
				return
			}
			<-time.After(time.Second)
			tx.Reply(200)
		}})
		alice := alicePeer(t, n)
		alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI)))
		invite := alice.with("z9hG4bK2", request(sip.INVITE, bobURI))
		pass(20 * time.Millisecond)
		alice.send(invite, cancelOf(invite))
		alice.response("200 CANCEL")
		alice.response("100 INVITE")
		alice.response("200 OPTIONS")
		alice.send(ackFor(invite, alice.response("487 INVITE")))
		j.check(t, ErrCancelled.Error())
	})
}

// The CANCEL and the ACK have what they need of the INVITE, to the letter, and
// nothing else (RFC 3261 sections 9.1 and 17.1.1.3).
func TestCancelAndACKOfTheInvite(t *testing.T) {
	invite, err := sip.Parse(strings.ReplaceAll(`INVITE sip:bob@b.example;x=%41 SIP/2.0
Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;rport
Via: SIP/2.0/UDP upstream.example;branch=z9hG4bK0
Max-Forwards: 3
f:  "A \"lice\"" <sip:alice@a.example>;tag=1;x
t: Bob <sip:bob@b.example>
i: call-1
CSeq: 314 INVITE
Route: <sip:p1.example;lr>, <sip:p2.example;lr>
Proxy-Require: foo
ROUTE: "x" <sip:p3.example;lr>;y
Contact: <sip:alice@a.example>
Content-Length: 0

`, "\n", "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := invite.(*sip.Request)
	head := func(method, to string) string {
		return strings.ReplaceAll(method+` sip:bob@b.example;x=%41 SIP/2.0
Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;rport
Max-Forwards: 70
From: "A \"lice\"" <sip:alice@a.example>;tag=1;x
To: Bob <sip:bob@b.example>`+to+`
Call-ID: call-1
CSeq: 314 `+method+`
Route: <sip:p1.example;lr>, <sip:p2.example;lr>
ROUTE: "x" <sip:p3.example;lr>;y
Content-Length: 0

`, "\n", "\r\n")
	}
	busy := r.Reply(486)
	lines := func(s string) map[string]bool {
		m := map[string]bool{}
		for line := range strings.Lines(s) {
			m[line] = true
		}
		return m
	}
	for _, tt := range []struct {
		got  *sip.Request
		want string
	}{
		{cancelOf(r), head("CANCEL", "")},
		{ackTo(r, busy), head("ACK", ";tag="+busy.To().Tag())},
	} {
		if tt.got.Err() != nil {
			t.Fatal(tt.got.Err())
		}
		got, want := lines(tt.got.String()), lines(tt.want)
		for line := range want {
			if !got[line] {
				t.Errorf("%s lacks %q", tt.got.Method(), line)
			}
		}
		if len(got) != len(want) {
			t.Errorf("got\n%s, want\n%s", tt.got, tt.want)
		}
	}
}

// A callee of RFC 2543 answers the CANCEL and never the INVITE: 64*T1 later the
// transaction is over (RFC 3261 section 9.1).
func TestCancelWithoutFinal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() {
			bob.send(reply(bob.request(sip.INVITE), 180, "b"))
			bob.send(reply(bob.request(sip.CANCEL), 200, "b"))
		}()
		start := time.Now()
		got, err := collect(cancelledAfter(t, time.Second), alice, request(sip.INVITE, bobURI))
		if got != "180 error" || !errors.Is(err, ErrTimeout) || !errors.Is(err, context.Canceled) {
			t.Errorf("responses %q, %v, want 180, %v and %v", got, err, ErrTimeout, context.Canceled)
		}
		if got := time.Since(start); got != 33*time.Second {
			t.Errorf("given up after %v, want 33s", got)
		}
	})
}

// A context that has ended sends nothing.
func TestContextEndedBefore(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		why := errors.New("the user hung up")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		for _, method := range []sip.Method{sip.INVITE, sip.OPTIONS} {
			got, err := collect(ctx, alice, request(method, bobURI))
			if got != "error" || !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
				t.Errorf("%s: responses %q, error %v, want %v because of %v", method, got, err, context.Canceled, why)
			}
		}
		if got := len(n.Packets()); got != 0 {
			t.Errorf("%d packets sent, want none", got)
		}
	})
}

// A request that is no INVITE is abandoned when its context ends, without a
// CANCEL, and a response that comes later is dropped.
func TestContextEndsNonInvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			<-time.After(time.Second)
			tx.Reply(200)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		got, err := collect(cancelledAfter(t, 100*time.Millisecond), alice, request(sip.OPTIONS, bobURI))
		if got != "error" || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "\n") {
			t.Errorf("responses %q, error %q, want %v", got, err, context.Canceled)
		}
		pass(time.Minute)
		ladder(t, n, start, `
			   0s > OPTIONS
			1.01s < 200 OPTIONS`)
	})
}
