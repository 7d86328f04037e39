package transaction

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
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
				first := alice.response("486 INVITE")
				alice.send(invite)
				alice.response("486 INVITE")
				// Another call with the same Via is another transaction.
				other := invite.With(sip.CallID("call-2"))
				alice.send(other)
				second := alice.response("486 INVITE")
				if second.CallID() != "call-2" {
					t.Errorf("the second call got the response of %s", second.CallID())
				}
				alice.send(ackFor(invite, first), ackFor(other, second))
				alice.expectAll(time.Minute, "")
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

// Requests and responses of the kind that took other stacks down: each gets an
// answer or none, nothing panics, nothing is left, and the next one is served.
func TestHostileMessages(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var log bytes.Buffer
		l := listen(t, n.Host(bobAddr), &Config{
			Logger:  slog.New(slog.NewTextHandler(&log, nil)),
			Handler: answer(486),
		})
		alice := alicePeer(t, n)
		text := func(start, via, to, cseq string) string {
			return start + "\r\nVia: " + via + "\r\nFrom: <sip:a@a.example>;tag=1\r\nTo: " + to +
				"\r\nCall-ID: 1\r\nCSeq: " + cseq + "\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
		}
		const (
			uri = " sip:bob@192.0.2.2 SIP/2.0"
			via = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"
			bob = "<sip:bob@192.0.2.2>"
		)
		for i, m := range []string{
			text("INVITE"+uri, "SIP/2.0/UDP 192.0.2.1", bob, "1 INVITE"),
			text("INVITE"+uri, via, bob, "2 INVITE"),
			text("INVITE"+uri, "SIP/2.0/UDP 192.0.2.1;branch=", bob, "3 INVITE"),
			text("INVITE"+uri, via+"x;received=192.0.2.77;rport=1", bob, "4 INVITE"),
			text("INVITE"+uri, via+"y, "+via+"y, "+via+"y", bob, "2147483647 INVITE"),
			text("INVITE"+uri, via+"z", bob, "2147483648 INVITE"),
			text("INVITE"+uri, via+"m", bob, "5 ACK"),
			text("ACK"+uri, via+"y", bob, "2147483647 ACK"),
			text("ACK"+uri, via+"nobody's", bob+";tag=1", "6 ACK"),
			text("CANCEL"+uri, via+"nobody's", bob, "6 CANCEL"),
			text("CANCEL"+uri, via+"y", bob, "7 CANCEL"),
			text("MESSAGE tel:+1 SIP/2.0", via+"tel", bob, "8 MESSAGE"),
			text("MESSAGE x:y SIP/2.0", via+"scheme", bob, "9 MESSAGE"),
			text("SIP/2.0 200 OK", via+"r", bob, "1 INVITE"),
			text("SIP/2.0 200 OK", via+"r", bob, "1 ACK"),
			text("SIP/2.0 699 ", via+"r", bob, "1 CANCEL"),
			text("SIP/2.0 99 OK", via+"r", bob, "1 INVITE"),
			text("INVITE"+uri, via+strings.Repeat("a", 60000), bob, "10 INVITE"),
			"INVITE", "\r\n\r\n", "\x00\x01\x00\x00",
		} {
			alice.sendText(m)
			alice.all(time.Minute)
			alice.send(alice.with(fmt.Sprint("z9hG4bK-next", i), request(sip.OPTIONS, bobURI, sip.CallID(fmt.Sprint(i)))))
			alice.response("200 OPTIONS")
		}
		nothingLeft(t, l)
		if log.Len() > 0 {
			t.Errorf("the log says\n%s", log.String())
		}
	})
}

// A transaction has one name at both ends: that of its request as it went out,
// which WithSent tells of.
func TestIDOfAClient(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var sent, came []string
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			came = append(came, tx.ID())
			tx.Reply(sip.StatusOK)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		ctx := WithSent(t.Context(), func(_ transport.Flow, r *sip.Request) { sent = append(sent, ID(r)) })
		for _, call := range []sip.CallID{"1", "2"} {
			if _, err := alice.Do(ctx, request(sip.OPTIONS, bobURI, call)); err != nil {
				t.Fatal(err)
			}
		}
		if len(sent) != 2 || sent[0] == sent[1] || !slices.Equal(sent, came) {
			t.Errorf("the client has %q, the server %q, want two names at both ends", sent, came)
		}
	})
}

// No two transactions have one name, and none is longer than 100 bytes, whatever
// its client writes into the Via.
func TestIDsDiffer(t *testing.T) {
	names := map[string]string{}
	long := strings.Repeat("x", 65000)
	for _, c := range []struct {
		sentBy, branch string
		method         sip.Method
	}{
		{"a.example", "z9hG4bK1", sip.INVITE},
		{"a.example", "z9hG4bK1", sip.ACK},
		{"a.example", "z9hG4bK1", sip.CANCEL},
		{"a.example", "z9hG4bK2", sip.ACK},
		{"b.example", "z9hG4bK1", sip.ACK},
		{"a.example:5060", "z9hG4bK1", sip.INVITE},
		{"[2001:db8::1]:5060", "z9hG4bK1", sip.INVITE},
		{"[2001:db8::1:5060]", "z9hG4bK1", sip.INVITE},
		{"a.example", "z9hG4bK" + long, sip.INVITE},
		{"a.example", "z9hG4bK" + long + "y", sip.INVITE},
		{"a.example", "z9hG4bK" + long, sip.ACK},
		{"a.example", "1", sip.INVITE}, // of RFC 2543
		{"a.example", "1", sip.ACK},
		{"a.example", long, sip.INVITE},
	} {
		text := fmt.Sprintf("%[1]s sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=%[3]s\r\n"+
			"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 %[1]s\r\n\r\n", c.method, c.sentBy, c.branch)
		m, err := sip.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%s of %s, %.20s", c.method, c.sentBy, c.branch)
		id := ID(m.(*sip.Request))
		if was, ok := names[id]; ok {
			t.Errorf("%q is the name of %s and of %s", id, was, what)
		}
		if names[id] = what; len(id) > 100 || strings.ContainsAny(id, "\r\n") {
			t.Errorf("the name of %s has %d bytes: %.200q", what, len(id), id)
		}
	}
}

// The ACKs of 2xx are part of no transaction, and each has a name of its own.
func TestIDsOfACKs(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var names []string
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) { names = append(names, tx.ID()) }})
		alice := alicePeer(t, n)
		for _, branch := range []string{"z9hG4bK1", "z9hG4bK2"} {
			alice.send(alice.with(branch, request(sip.ACK, bobURI)))
			pass(time.Second)
		}
		if len(names) != 2 || names[0] == names[1] || !strings.HasSuffix(names[0], "ACK") {
			t.Errorf("two ACKs are named %q", names)
		}
	})
}
