package transaction

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A request that comes again by another path, forked and joined upstream, gets
// 482, unless the layer is a proxy's (RFC 3261 section 8.2.2.2).
func TestMergedRequest(t *testing.T) {
	for _, proxy := range []bool{false, true} {
		t.Run(fmt.Sprintf("Merged=%v", proxy), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var j journal
				listen(t, n.Host(bobAddr), &Config{Merged: proxy, Handler: func(tx *Server, req *sip.Request) {
					j.note("%s", req.Via().Branch())
					tx.Reply(180)
					<-time.After(time.Second)
					tx.Reply(486)
				}})
				alice := alicePeer(t, n)
				r := request(sip.INVITE, bobURI)
				first, second := alice.with("z9hG4bK1", r), alice.with("z9hG4bK2", r)
				for _, r := range []*sip.Request{first, second, first} {
					alice.send(r)
					pass(20 * time.Millisecond)
				}
				got := alice.all(100 * time.Millisecond)
				alice.all(time.Minute)
				if proxy {
					if want := "180 INVITE, 180 INVITE, 180 INVITE"; got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					j.check(t, "z9hG4bK1", "z9hG4bK2")
					return
				}
				if strings.Count(got, "482 INVITE") != 1 || strings.Count(got, "180 INVITE") != 2 {
					t.Errorf("got %q, want a 482 and two 180", got)
				}
				j.check(t, "z9hG4bK1")
			})
		})
	}
}

// Requests within a dialog are not compared, and neither is one that begins
// when the first is over.
func TestNotMerged(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: answer(486)})
		alice := alicePeer(t, n)
		r := request(sip.OPTIONS, bobURI)
		alice.send(alice.with("z9hG4bK1", r))
		alice.response("200 OPTIONS")
		alice.send(alice.with("z9hG4bK2", r))
		alice.response("482 OPTIONS")
		pass(time.Minute)
		alice.send(alice.with("z9hG4bK3", r))
		alice.response("200 OPTIONS")

		in := r.With(sip.To{URI: r.URI(), Params: ";tag=2"}, sip.CallID("in-dialog"))
		alice.send(alice.with("z9hG4bK4", in), alice.with("z9hG4bK5", in))
		alice.expectAll(time.Second, "200 OPTIONS, 200 OPTIONS")
	})
}

// A peer of RFC 2543 has no magic cookie in its branch, or no branch, and one
// that is broken has nothing but the cookie. The transaction is found by what
// else there is (RFC 3261 section 17.2.3).
func TestPeerWithoutCookie(t *testing.T) {
	for _, branch := range []string{"", ";branch=1", ";branch=z9hG4bK"} {
		t.Run(branch, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var j journal
				listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
					j.note("%s", req.Method())
					tx.Reply(486)
				}})
				alice := alicePeer(t, n)
				via := sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: sip.Params(branch)})
				invite := request(sip.INVITE, bobURI, via)
				alice.send(invite)
				busy := alice.response("486 INVITE")
				alice.send(invite)
				alice.response("486 INVITE")
				alice.send(ackFor(invite, busy))
				alice.expectAll(time.Minute, "")
				// Another call with the same Via is another transaction.
				alice.send(invite.With(sip.CallID("call-2")))
				alice.send(ackFor(invite.With(sip.CallID("call-2")), alice.response("486 INVITE")))
				j.check(t, "INVITE", "INVITE")
			})
		})
	}
}

// A branch is a token, and tokens are compared without regard to case (RFC 3261
// section 7.3.1): some gateway on the way changes it.
func TestBranchInOtherCase(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			tx.Reply(486)
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bKabcDEF", request(sip.INVITE, bobURI))
		alice.send(invite)
		alice.response("486 INVITE")
		alice.send(alice.with("Z9HG4BKABCdef", request(sip.INVITE, bobURI)))
		alice.send(ackFor(invite, alice.response("486 INVITE")))
		j.check(t, "INVITE")
	})
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() {
			ok := bob.request(sip.OPTIONS).Reply(sip.StatusOK)
			via := ok.Via()
			via.Params = via.Params.With("branch", strings.ToUpper(via.Branch()))
			bob.send(ok.With(via))
		}()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
	})
}

// The same branch from another host, or with another method, is another
// transaction (RFC 3261 section 17.2.3).
func TestBranchOfAnother(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s %s", req.Method(), req.CallID())
			tx.Reply(sip.StatusOK)
		}})
		alice, carol := alicePeer(t, n), newPeer(t, n.Host("192.0.2.3"), bobAddr)
		alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI, sip.CallID("a"))))
		alice.response("200 OPTIONS")
		alice.send(alice.with("z9hG4bK1", request(sip.MESSAGE, bobURI, sip.CallID("b"))))
		alice.response("200 MESSAGE")
		carol.send(carol.with("z9hG4bK1", request(sip.OPTIONS, bobURI, sip.CallID("c"))))
		carol.response("200 OPTIONS")
		j.check(t, "OPTIONS a", "MESSAGE b", "OPTIONS c")
	})
}

// What does not belong to a client transaction is dropped: another method in
// the CSeq (RFC 3261 section 17.1.3), a branch that we did not give, and a
// response to the ACK.
func TestStrayResponses(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			invite := bob.request(sip.INVITE)
			for _, method := range []sip.Method{sip.OPTIONS, sip.CANCEL, sip.ACK, "invite"} {
				bob.send(reply(invite, 200, "b").With(sip.CSeq{Seq: 1, Method: method}))
			}
			via := invite.Via()
			via.Params = via.Params.With("branch", "z9hG4bKother")
			bob.send(reply(invite, 200, "b").With(via))
			bob.send(reply(invite, 486, "b"))
			ack := bob.request(sip.ACK)
			bob.send(ack.Reply(200), ack.Reply(486))
			bob.expectAll(time.Minute, "")
		}()
		expect(t, alice, request(sip.INVITE, bobURI), "486")
		<-done
	})
}
