package transaction

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// What a non-INVITE transaction does not say (RFC 4320, RFC 4321): the storms of
// late responses and of retransmissions that nobody needs.

// A 408 is not sent to a request that is no INVITE: its client knows that time
// is over, and the answer would come too late (RFC 4320 section 4.2). It is
// given without an error, and the request stays absorbed. To an INVITE it is an
// answer like others.
func TestNo408ToNonInvite(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		story(t, func(t *testing.T, n *siptest.Network) {
			listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
				<-time.After(time.Second)
				if err := tx.Reply(sip.StatusRequestTimeout); err != nil {
					t.Errorf("%s over %s: Reply(408) = %v", req.Method(), transport, err)
				}
				if err := tx.Reply(sip.StatusOK); !errors.Is(err, ErrCompleted) {
					t.Errorf("%s over %s: Reply after a 408 = %v, want %v", req.Method(), transport, err, ErrCompleted)
				}
			}})
			alice := listen(t, n.Host(aliceAddr), nil)
			got, err := collect(t.Context(), alice, request(sip.OPTIONS, bobURI+";transport="+transport))
			if got != "error" || !errors.Is(err, ErrTimeout) {
				t.Errorf("OPTIONS over %s: responses %q, error %v, want %v", transport, got, err, ErrTimeout)
			}
			for _, p := range n.Packets() {
				if p.From.Addr().String() == bobAddr && len(p.Data) > 0 {
					t.Errorf("OPTIONS over %s: bob sent %s, want nothing", transport, label(p.Data))
				}
			}
			expect(t, alice, request(sip.INVITE, bobURI+";transport="+transport, sip.CallID("2")), "408")
		})
	}
}

// A handler takes its time. The 100 comes when timer E of the client has come to
// T2, after 3.5 s, and not before (RFC 4320 section 4.1); from then on requests
// are 4 s apart, and each gets the 100 again.
func TestTryingAfterT2(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(sip.StatusTrying) // too early: not sent
			<-time.After(14 * time.Second)
			tx.Reply(sip.StatusOK)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		n.SetFilter(func(p siptest.Packet) (v siptest.Verdict) {
			if time.Since(start) == 3500*time.Millisecond {
				v.Delay = time.Second // it would arrive with the 100 on its way out
			}
			return v
		})
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		pass(time.Minute)
		ladderTo(t, n, start, 100*time.Millisecond, `
			   0s > OPTIONS
			500ms > OPTIONS
			 1.5s > OPTIONS
			 3.5s > OPTIONS
			 3.5s < 100 OPTIONS
			 4.5s < 100 OPTIONS
			 7.5s > OPTIONS
			 7.5s < 100 OPTIONS
			11.5s > OPTIONS
			11.5s < 100 OPTIONS
			  14s < 200 OPTIONS`)
	})
}

// Over TCP there is one request, and the 100 is due all the same, once (RFC 4320
// section 4.1).
func TestTryingAfterT2OverTCP(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			<-time.After(14 * time.Second)
			tx.Reply(sip.StatusOK)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		expect(t, alice, request(sip.OPTIONS, bobURI+";transport=tcp"), "200")
		pass(time.Minute)
		ladderTo(t, n, start, 100*time.Millisecond, `
			  0s > OPTIONS
			3.5s < 100 OPTIONS
			 14s < 200 OPTIONS`)
	})
}

// A server sends its 100 at once, as those of RFC 3261 may. The timer E that
// runs is not restarted, and the next one is T2 (RFC 3261 section 17.1.2.2, RFC
// 4321 section 1.2); timer F goes on.
func TestTimerEInProceeding(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() { // ends with the story
			r := bob.request(sip.OPTIONS)
			pass(590 * time.Millisecond)
			bob.send(reply(r, 100, ""))
		}()
		start := time.Now()
		got, err := collect(t.Context(), alice, request(sip.OPTIONS, bobURI))
		if got != "error" || !errors.Is(err, ErrTimeout) || time.Since(start) != 32*time.Second {
			t.Errorf("responses %q, error %v after %v, want %v after 32s", got, err, time.Since(start), ErrTimeout)
		}
		ladder(t, n, start, `
			   0s > OPTIONS
			500ms > OPTIONS
			600ms < 100 OPTIONS
			 1.5s > OPTIONS
			 5.5s > OPTIONS
			 9.5s > OPTIONS
			13.5s > OPTIONS
			17.5s > OPTIONS
			21.5s > OPTIONS
			25.5s > OPTIONS
			29.5s > OPTIONS`)
	})
}

// Timer J lasts 64*T1 over UDP (RFC 3261 section 17.2.2), and T4 over TCP: what
// comes with the branch of a transaction that is over is new.
func TestTimerJ(t *testing.T) {
	for _, tt := range []struct {
		transport string
		after     time.Duration
		served    []string
	}{
		{"TCP", 4900 * time.Millisecond, []string{"OPTIONS"}},
		{"TCP", 5100 * time.Millisecond, []string{"OPTIONS", "OPTIONS"}},
		{"UDP", 31500 * time.Millisecond, []string{"OPTIONS"}},
		{"UDP", 33 * time.Second, []string{"OPTIONS", "OPTIONS"}},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			var j journal
			listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
				j.note("%s", req.Method())
				tx.Reply(sip.StatusOK)
			}})
			conn, err := n.Host(aliceAddr).DialContext(t.Context(), map[string]string{"TCP": "tcp", "UDP": "udp"}[tt.transport], bobAddr+":5060")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			r := request(sip.OPTIONS, bobURI, sip.Push(sip.Via{Transport: tt.transport, Host: aliceAddr, Params: ";branch=z9hG4bK1;rport"}))
			for range 2 {
				if _, err := conn.Write([]byte(r.String())); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 4096)
				got, err := conn.Read(buf)
				if err != nil || label(buf[:got]) != "200 OPTIONS" {
					t.Fatalf("over %s: %s, %v, want 200", tt.transport, label(buf[:got]), err)
				}
				pass(tt.after)
			}
			pass(time.Second)
			j.check(t, tt.served...)
		})
	}
}

// Timer D is 32 s over UDP even where T1 is short, because the T1 of the server
// is not known: until then its refusal gets an ACK each time it comes (RFC 3261
// section 17.1.1.2).
func TestTimerD(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), &Config{Timers: Timers{T1: 100 * time.Millisecond}})
		go func() { // ends with the story
			busy := reply(bob.request(sip.INVITE), 486, "b")
			bob.send(busy)
			bob.expectAll(31500*time.Millisecond, "ACK")
			bob.send(busy)
			bob.expectAll(2*time.Second, "ACK")
			bob.send(busy)
			bob.expectAll(time.Minute, "")
		}()
		expect(t, alice, request(sip.INVITE, bobURI), "486")
		pass(2 * time.Minute)
	})
}

// Two servers answer 503, the third one serves. Each try has a branch of its own,
// or it would look like a retransmission of the one before (RFC 3263 section
// 4.3); the rest of the request is the same. That a connection fails has the
// same effect, see TestTransportError: what RFC 3261 section 8.1.3.1 has a user
// see as 503 is ErrTransport here.
func TestFailoverHasBranchesOfItsOwn(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: answer(486)})
		alice := listenAsking(t, n.Host(aliceAddr), names{"b.example": addrs("192.0.2.8", "192.0.2.9", bobAddr)}, nil)
		first, second := newPeer(t, n.Host("192.0.2.8"), aliceAddr), newPeer(t, n.Host("192.0.2.9"), aliceAddr)
		go func() { // ends with the story
			first.send(reply(first.request(sip.MESSAGE), 503, "1"))
			second.send(reply(second.request(sip.MESSAGE), 503, "2"))
		}()
		expect(t, alice, request(sip.MESSAGE, "sip:bob@b.example"), "200")
		var tries []*sip.Request
		for _, p := range n.Packets() {
			m, err := sip.Parse(string(p.Data))
			if err != nil {
				t.Fatal(err)
			}
			if r, ok := m.(*sip.Request); ok {
				tries = append(tries, r)
				if r.CallID() != "call-1" || r.CSeq().Seq != 1 || r.From().Tag() != "1" {
					t.Errorf("the try at %s is another request:\n%s", p.To, r)
				}
			}
		}
		if got := branches(tries...); got != "1 2 3" {
			t.Errorf("branches %s, want three", got)
		}
	})
}
