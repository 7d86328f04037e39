package transaction

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// The INVITE comes again after its ACK: reordered, or doubled on its way. The
// call is up, and must not ring a second time (RFC 6026 section 7.1; by RFC 3261
// alone the transaction was gone with the 200, and this was a new call).
func TestInviteAgainAfterACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			tx.Reply(sip.StatusOK)
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		alice.send(invite)
		ok := alice.response("200 INVITE")
		alice.send(alice.with("z9hG4bK2", inDialog(sip.ACK, 1, ok)))
		for range 3 {
			pass(10 * time.Second) // within timer L
			alice.send(invite)
		}
		alice.expectAll(time.Minute, "")
		j.check(t, "INVITE", "ACK")
	})
}

// The retransmission of the INVITE and the 200 cross, and the ACK overtakes the
// retransmission: as above, with a network that reorders.
func TestACKOvertakesInvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			if req.Method() == sip.INVITE {
				<-time.After(495 * time.Millisecond)
				tx.Reply(sip.StatusOK)
			}
		}, Timers: Timers{Trying: time.Hour}})
		alice := listen(t, n.Host(aliceAddr), nil)
		invites := 0
		n.SetFilter(func(p siptest.Packet) (v siptest.Verdict) {
			if label(p.Data) == "INVITE" {
				if invites++; invites == 2 {
					v.Delay = 100 * time.Millisecond
				}
			}
			return v
		})
		start := time.Now()
		ok, err := alice.Do(t.Context(), request(sip.INVITE, bobURI))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := alice.Send(t.Context(), inDialog(sip.ACK, 1, ok)); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		j.check(t, "INVITE", "ACK")
		ladder(t, n, start, `
			   0s > INVITE
			500ms > INVITE
			505ms < 200 INVITE
			515ms > ACK`)
	})
}

// The ACK of the 200 is lost. The callee repeats the 200, and the ACK goes out
// again for each (RFC 3261 section 13.2.2.4), the same bytes by the same way;
// the callee hears of one that arrives.
func TestACKOfSuccessLost(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: callee(&j)})
		type sent struct {
			flow transport.Flow
			ack  *sip.Request
		}
		var last atomic.Pointer[sent]
		var alice *Layer
		alice = listen(t, n.Host(aliceAddr), &Config{Accepted: func(_ *sip.Request, resp *sip.Response) {
			if s := last.Load(); s != nil {
				alice.Endpoint().Send(s.flow, s.ack)
			}
		}})
		lose(n, "ACK", "ACK")
		start := time.Now()
		ok, err := alice.Do(t.Context(), request(sip.INVITE, bobURI))
		if err != nil {
			t.Fatal(err)
		}
		flow, ack, err := alice.Send(t.Context(), inDialog(sip.ACK, 1, ok))
		if err != nil {
			t.Fatal(err)
		}
		last.Store(&sent{flow, ack})
		pass(time.Minute)
		j.check(t, "bob INVITE", "bob ACK")
		ladder(t, n, start, `
			   0s > INVITE
			 10ms < 200 INVITE
			 20ms > ACK x
			510ms < 200 INVITE
			520ms > ACK x
			1.51s < 200 INVITE
			1.52s > ACK`)
	})
}

// The ACK of a refusal goes from machine to machine: same branch, same Request-URI,
// hop by hop. The ACK of a 2xx is the user's, with a branch of its own (RFC 3261
// sections 13.2.2.4 and 17.1.1.3).
func TestACKHasTwoLives(t *testing.T) {
	for _, tt := range []struct {
		status sip.Status
		same   string
	}{{200, "1 2"}, {486, "1 1"}} {
		story(t, func(t *testing.T, n *siptest.Network) {
			bob := bobPeer(t, n)
			alice := listen(t, n.Host(aliceAddr), nil)
			done := make(chan string)
			go func() { // ends with the story
				invite := bob.request(sip.INVITE)
				bob.send(reply(invite, tt.status, "b"))
				ack := bob.request(sip.ACK)
				if got, want := ack.CSeq(), (sip.CSeq{Seq: 1, Method: sip.ACK}); got != want {
					t.Errorf("%d: CSeq of the ACK = %v, want %v", tt.status, got, want)
				}
				if got := ack.To().Tag(); got != "b" {
					t.Errorf("%d: To tag of the ACK = %q, want that of the response", tt.status, got)
				}
				done <- branches(invite, ack)
			}()
			resp, err := alice.Do(t.Context(), request(sip.INVITE, bobURI))
			if err != nil {
				t.Fatal(err)
			}
			if resp.Status().Success() {
				if _, _, err := alice.Send(t.Context(), inDialog(sip.ACK, 1, resp)); err != nil {
					t.Fatal(err)
				}
			}
			if got := <-done; got != tt.same {
				t.Errorf("%d: branches of INVITE and ACK are %s, want %s", tt.status, got, tt.same)
			}
		})
	}
}

// An ACK is never answered, and so never refused as merged with its INVITE (RFC
// 3261 section 8.2.2.2), nor as too many.
func TestACKIsNotMerged(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{MaxHandlers: 1, Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			if req.Method() == sip.INVITE {
				<-time.After(time.Second)
				tx.Reply(486)
			}
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		alice.send(invite)
		pass(20 * time.Millisecond)
		for _, branch := range []string{"z9hG4bK2", "z9hG4bK3"} {
			alice.send(alice.with(branch, request(sip.ACK, bobURI)))
		}
		alice.response("100 INVITE")
		alice.send(ackFor(invite, alice.response("486 INVITE")))
		alice.expectAll(time.Minute, "")
		j.check(t, "INVITE")
	})
}

// The CANCEL comes before anything was said to the INVITE, as from a client that
// does not wait for a provisional response: its 200 goes out first, then the
// 487, and no 100 (RFC 3261 section 9.2).
func TestCancelBeforeProvisional(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			select {
			case <-tx.Context().Done():
			case <-time.After(5 * time.Second):
				tx.Reply(486)
			}
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		start := time.Now()
		alice.send(invite)
		pass(50 * time.Millisecond)
		alice.send(cancelOf(invite))
		alice.response("200 CANCEL")
		alice.send(ackFor(invite, alice.response("487 INVITE")))
		alice.expectAll(time.Minute, "")
		ladder(t, n, start, `
			  0s > INVITE
			50ms > CANCEL
			60ms < 200 CANCEL
			60ms < 487 INVITE
			70ms > ACK`)
	})
}

// INVITE and CANCEL arrive in one moment, in a network that takes no time: the
// handler may not have begun. It is cancelled all the same, every time.
func TestCancelOnTheHeelsOfInvite(t *testing.T) {
	storyOn(t, siptest.NetworkConfig{}, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			<-tx.Context().Done()
		}})
		alice := alicePeer(t, n)
		for i := range 200 {
			invite := alice.with(fmt.Sprint("z9hG4bK", i), request(sip.INVITE, bobURI,
				sip.CSeq{Seq: uint32(i + 1), Method: sip.INVITE}))
			alice.send(invite, cancelOf(invite))
			alice.response("200 CANCEL")
			alice.send(ackFor(invite, alice.response("487 INVITE")))
		}
	})
}

// The CANCEL overtakes its INVITE, or that is lost and comes again: nobody is to
// be rung for a call that was given up. The CANCEL gets 481, as one that cancels
// nothing (RFC 3261 section 9.2), and the INVITE is cancelled when it comes.
func TestCancelOvertakesInvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			select {
			case <-tx.Context().Done():
			case <-time.After(5 * time.Second):
				j.note("rung for 5 s")
				tx.Reply(sip.StatusBusyHere)
			}
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		n.SetFilter(func(p siptest.Packet) (v siptest.Verdict) {
			if label(p.Data) == "INVITE" {
				v.Delay = 100 * time.Millisecond
			}
			return v
		})
		alice.send(invite, cancelOf(invite))
		alice.response("481 CANCEL")
		alice.send(ackFor(invite, alice.response("487 INVITE")))
		alice.expectAll(time.Minute, "")
		j.check(t, "")
	})
}

// A CANCEL of a request that is no INVITE has no effect, but it has found its
// transaction: it gets 200 (RFC 3261 section 9.2: "regardless of the method of
// the original request").
func TestCancelOfNonInvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			select {
			case <-tx.Context().Done():
				t.Errorf("the CANCEL has ended the context of %s", req.Method())
			case <-time.After(time.Second):
				tx.Reply(sip.StatusOK)
			}
		}})
		alice := alicePeer(t, n)
		message := alice.with("z9hG4bK1", request(sip.MESSAGE, bobURI))
		alice.send(message, cancelOf(message))
		alice.expectAll(time.Minute, "200 CANCEL, 200 MESSAGE")
	})
}

// The peer answers neither its INVITE any more nor the CANCEL, or refuses the
// CANCEL: 64*T1 after the CANCEL the transaction is over all the same (RFC 3261
// section 9.1), and so is that of the CANCEL.
func TestCancelUnanswered(t *testing.T) {
	for _, answer := range []sip.Status{0, 405, 481, 500} {
		story(t, func(t *testing.T, n *siptest.Network) {
			bob := bobPeer(t, n)
			alice := listen(t, n.Host(aliceAddr), nil)
			go func() { // ends with the story
				bob.send(reply(bob.request(sip.INVITE), 180, "b"))
				cancel := bob.request(sip.CANCEL)
				if answer == 0 {
					// As any request that is no INVITE: eleven times.
					bob.expectAll(time.Minute, "CANCEL, CANCEL, CANCEL, CANCEL, CANCEL, CANCEL, CANCEL, CANCEL, CANCEL, CANCEL")
				} else {
					bob.send(reply(cancel, answer, "b"))
					bob.expectAll(time.Minute, "")
				}
			}()
			start := time.Now()
			got, err := collect(cancelledAfter(t, time.Second), alice, request(sip.INVITE, bobURI))
			if got != "180 error" || !errors.Is(err, ErrTimeout) || !errors.Is(err, context.Canceled) {
				t.Errorf("%d to the CANCEL: responses %q, %v, want 180, %v and %v", answer, got, err, ErrTimeout, context.Canceled)
			}
			if got := time.Since(start); got != 33*time.Second {
				t.Errorf("%d to the CANCEL: given up after %v, want 33s", answer, got)
			}
			pass(time.Minute) // for bob to see that nothing comes
		})
	}
}

// The CANCEL is lost, and sent again by itself; the 487 is lost, and sent again
// by the server until its ACK comes.
func TestCancelAndItsResponseLost(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(180)
			<-tx.Context().Done()
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		lose(n, "CANCEL", "200 CANCEL", "487 INVITE", "ACK")
		start := time.Now()
		got, err := collect(cancelledAfter(t, time.Second), alice, request(sip.INVITE, bobURI))
		if got != "180 487" || err != nil {
			t.Errorf("responses %q, %v, want 180 and 487", got, err)
		}
		pass(time.Minute)
		ladder(t, n, start, `
			   0s > INVITE
			 10ms < 180 INVITE
			   1s > CANCEL x
			 1.5s > CANCEL
			1.51s < 200 CANCEL x
			1.51s < 487 INVITE x
			2.01s < 487 INVITE
			2.02s > ACK x
			 2.5s > CANCEL
			2.51s < 200 CANCEL
			3.01s < 487 INVITE
			3.02s > ACK`)
	})
}

// What comes when its transaction is over gets nowhere: not to the user, not to
// Config.Accepted, and no ACK goes out for it. A proxy without transactions
// would have passed it on (RFC 4320 section 4.2 forbids that).
func TestLateResponses(t *testing.T) {
	for _, tt := range []struct {
		method sip.Method
		early  sip.Status // at once; 0: none
		late   sip.Status // when the transaction is over
		want   string
	}{
		{sip.OPTIONS, 0, 200, "error"},
		{sip.OPTIONS, 200, 200, "200"},
		{sip.INVITE, 0, 200, "error"},
		{sip.INVITE, 0, 486, "error"},
		{sip.INVITE, 200, 200, "200"},
		{sip.INVITE, 486, 486, "486"},
		{sip.INVITE, 486, 200, "486"},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			var j journal
			bob := bobPeer(t, n)
			alice := listen(t, n.Host(aliceAddr), &Config{
				Accepted: func(*sip.Request, *sip.Response) { j.note("accepted") },
				Handler:  func(_ *Server, req *sip.Request) { j.note("handler: %s", req.Method()) },
			})
			gets := make(chan string)
			go func() { // ends with the story
				r := bob.request(tt.method)
				if tt.early != 0 {
					bob.send(reply(r, tt.early, "b"))
				}
				bob.all(34 * time.Second)
				bob.send(reply(r, tt.late, "b"))
				gets <- bob.all(time.Minute)
			}()
			if got, err := collect(t.Context(), alice, request(tt.method, bobURI)); got != tt.want {
				t.Errorf("%s: responses %q, %v, want %q", tt.method, got, err, tt.want)
			}
			if got := <-gets; got != "" {
				t.Errorf("%s: a %d after %d makes alice send %q, want nothing", tt.method, tt.late, tt.early, got)
			}
			j.check(t, "")
		})
	}
}
