package transaction

import (
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Peers of RFC 2543, as far as RFC 3261 asks to bear with them: branches without
// the magic cookie or none (section 17.2.3), a From without a tag (sections
// 8.1.1.3 and 12.1.1), responses without a To tag (section 12.1.2), and INVITEs
// that nothing ends (section 9.1, in cancel_test.go and race_test.go).

// oldVias are Vias of such peers.
var oldVias = map[string]sip.Params{
	"no branch":               "",
	"a branch of its own":     ";branch=1",
	"the cookie only":         ";branch=z9hG4bK",
	"a cookie misspelt":       ";branch=z9hG4b_77",
	"a branch of another sip": ";branch=0:192.0.2.1:5060",
}

// old runs a story for each of them, with a layer on bob's host and a way to put
// the Via on alice's requests.
func old(t *testing.T, handler func(j *journal) func(*Server, *sip.Request), f func(t *testing.T, alice *peer, j *journal, via sip.Edit)) {
	t.Helper()
	for name, params := range oldVias {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var j journal
				listen(t, n.Host(bobAddr), &Config{Handler: handler(&j)})
				f(t, alicePeer(t, n), &j, sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: params}))
			})
		})
	}
}

// answering486 notes each request, and answers 486.
func answering486(j *journal) func(*Server, *sip.Request) {
	return func(tx *Server, req *sip.Request) {
		j.note("%s %s %d", req.CallID(), req.Method(), req.CSeq().Seq)
		tx.Reply(sip.StatusBusyHere)
	}
}

// What makes a request the same is its Request-URI, the tag of its From, its
// Call-ID, its CSeq and its Via. Any other difference makes it another.
func TestOldRequestAgain(t *testing.T) {
	old(t, answering486, func(t *testing.T, alice *peer, j *journal, via sip.Edit) {
		r := request(sip.MESSAGE, bobURI, via)
		for range 2 {
			alice.send(r)
			alice.response("486 MESSAGE")
		}
		for i, other := range []*sip.Request{
			r.With(sip.CallID("another-call")),
			r.With(sip.CSeq{Seq: 2, Method: sip.MESSAGE}),
			r.With(sip.From{URI: r.From().URI, Params: ";tag=another"}),
			request(sip.MESSAGE, "sip:carol@192.0.2.2", via, sip.CSeq{Seq: 3, Method: sip.MESSAGE}),
			request(sip.INFO, bobURI, via),
		} {
			alice.send(other)
			alice.response("486 " + string(other.Method()))
			if got, want := len(j.lines), i+2; got != want {
				t.Errorf("%d requests served after the %d. that is another, want %d", got, i+1, want)
			}
		}
	})
}

// Its CANCEL is found by the same (RFC 3261 section 9.2), and its INVITE gets
// 487, whose ACK has the To tag that we gave.
func TestOldCancel(t *testing.T) {
	rings := func(j *journal) func(*Server, *sip.Request) {
		return func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			tx.Reply(sip.StatusRinging)
			<-tx.Context().Done()
		}
	}
	old(t, rings, func(t *testing.T, alice *peer, j *journal, via sip.Edit) {
		invite := request(sip.INVITE, bobURI, via)
		alice.send(invite)
		alice.response("180 INVITE")
		alice.send(cancelOf(invite.With(sip.CallID("another-call"))))
		alice.response("481 CANCEL")
		alice.send(cancelOf(invite))
		alice.response("200 CANCEL")
		alice.send(ackFor(invite, alice.response("487 INVITE")))
		alice.expectAll(time.Minute, "")
		j.check(t, "INVITE")
	})
}

// The ACK of a 2xx has the Via of the INVITE where there is no branch, and is
// the handler's nevertheless; the INVITE again is absorbed.
func TestOldCall(t *testing.T) {
	answers := func(j *journal) func(*Server, *sip.Request) {
		return func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			if req.Method() != sip.ACK {
				tx.Reply(sip.StatusOK)
			}
		}
	}
	old(t, answers, func(t *testing.T, alice *peer, j *journal, via sip.Edit) {
		invite := request(sip.INVITE, bobURI, via)
		alice.send(invite)
		ok := alice.response("200 INVITE")
		alice.send(inDialog(sip.ACK, 1, ok).With(via))
		pass(time.Second)
		alice.send(invite)
		alice.expectAll(time.Second, "")
		alice.send(inDialog(sip.BYE, 2, ok).With(via))
		alice.response("200 BYE")
		j.check(t, "INVITE", "ACK", "BYE")
	})
}

// An ACK of a peer of RFC 2543 belongs to the refusal whose To tag it has (RFC
// 3261 section 17.2.3). With another it is none of this transaction, which goes
// on to repeat its response.
func TestOldACKIsMatchedByTag(t *testing.T) {
	rings := func(*journal) func(*Server, *sip.Request) { return answer(180, 486) }
	old(t, rings, func(t *testing.T, alice *peer, j *journal, via sip.Edit) {
		invite := request(sip.INVITE, bobURI, via)
		alice.send(invite)
		alice.response("180 INVITE")
		busy := alice.response("486 INVITE")
		alice.send(ackFor(invite, reply(invite, 486, "of-another-fork")))
		alice.expectAll(time.Second, "486 INVITE") // after 500 ms
		alice.send(ackFor(invite, busy))
		alice.expectAll(time.Minute, "")
	})
}

// A From without a tag, which RFC 2543 allows: a null one (RFC 3261 section
// 12.1.1). Calls are told apart by the rest, and one that comes by another path
// is merged as others are.
func TestFromWithoutTag(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: answering486(&j)})
		alice := alicePeer(t, n)
		for i, call := range []sip.CallID{"a", "b"} {
			invite := alice.with(fmt.Sprint("z9hG4bK", i), request(sip.INVITE, bobURI, call, sip.Field{Name: "From", Value: "sip:alice@a.example"}))
			alice.send(invite)
			busy := alice.response("486 INVITE")
			if got := busy.From().Tag(); got != "" {
				t.Errorf("From tag of the response = %q, want none, as it came", got)
			}
			merged := alice.with(fmt.Sprint("z9hG4bK-merged", i), invite.With(sip.Pop("Via")))
			alice.send(merged)
			alice.send(ackFor(merged, alice.response("482 INVITE")))
			alice.send(ackFor(invite, busy))
		}
		alice.expectAll(time.Minute, "")
		j.check(t, "a INVITE 1", "b INVITE 1")
	})
}

// A server of RFC 2543 gives no tag to its To. The client takes its responses,
// acknowledges a refusal with the To as it came, and cancels.
func TestToWithoutTag(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		done := make(chan struct{})
		go func() { // ends with the story
			defer close(done)
			plain := func(r *sip.Request, status sip.Status) *sip.Response { return r.Reply(status, r.To()) }
			bob.send(plain(bob.request(sip.OPTIONS), 200))
			invite := bob.request(sip.INVITE)
			bob.send(plain(invite, 180), plain(invite, 183))
			cancel := bob.request(sip.CANCEL)
			bob.send(plain(cancel, 200), plain(invite, 487), plain(invite, 487))
			for range 2 {
				if got := bob.request(sip.ACK).To().Tag(); got != "" {
					t.Errorf("To tag of the ACK = %q, want none", got)
				}
			}
		}()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		got, err := collect(cancelledAfter(t, time.Second), alice, request(sip.INVITE, bobURI))
		if got != "180 183 487" || err != nil {
			t.Errorf("responses %q, %v, want 180, 183 and 487", got, err)
		}
		<-done
	})
}

// A server that gives its Via back with a branch and nothing else of ours, or in
// other letters, as some of RFC 2543 do: branch and method are what counts.
func TestOldServerWritesTheViaAnew(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() { // ends with the story
			for range 2 {
				r := bob.request(sip.OPTIONS)
				via := r.Via()
				via.Params = sip.Params(";branch=" + via.Branch())
				if r.CallID() == "2" {
					via.Params += ";hidden;ttl=1"
				}
				bob.send(r.Reply(200, via))
			}
		}()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		expect(t, alice, request(sip.OPTIONS, bobURI, sip.CallID("2")), "200")
	})
}

// An ACK of a peer of RFC 2543 with the To tag of another response is none of
// the transaction that it looks like: RFC 3261 section 17.2.3 tells the ACK of a
// 2xx from that of another response by it, so that a proxy passes it on. It is
// handed on as any ACK without a transaction.
func TestOldACKOfAnotherResponseIsHandedOn(t *testing.T) {
	old(t, answering486, func(t *testing.T, alice *peer, j *journal, via sip.Edit) {
		invite := request(sip.INVITE, bobURI, via)
		alice.send(invite)
		busy := alice.response("486 INVITE")
		alice.send(ackFor(invite, reply(invite, 200, "of-another-fork")))
		pass(100 * time.Millisecond)
		alice.send(ackFor(invite, busy))
		alice.expectAll(time.Minute, "")
		j.check(t, "call-1 INVITE 1", "call-1 ACK 1")
	})
}
