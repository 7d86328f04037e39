package transaction

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

const (
	proxyAddr = "192.0.2.3"
	proxyURI  = "sip:bob@192.0.2.3"
)

// proxy makes a layer that forwards every request to bob, and every response
// back (RFC 3261 section 16). Further 2xx go by the server transaction that
// their INVITE came in, or if byVia is set by what their Via says.
func proxy(t *testing.T, n *siptest.Network, timers Timers, byVia bool) {
	t.Helper()
	uri, err := sip.ParseURI(bobURI)
	if err != nil {
		t.Fatal(err)
	}
	var l *Layer
	var upstream sync.Map // from the INVITE as it is forwarded to its *Server
	l = listen(t, n.Host(proxyAddr), &Config{
		Merged: true,
		Timers: timers,
		Handler: func(tx *Server, req *sip.Request) {
			req = req.WithURI(uri)
			if req.Method() == sip.ACK {
				l.Send(tx.Context(), req)
				return
			}
			upstream.Store(req, tx)
			for resp, err := range l.Responses(tx.Context(), req) {
				switch {
				case errors.Is(err, ErrTimeout):
					tx.Reply(sip.StatusRequestTimeout)
				case err == nil:
					tx.Respond(resp.With(sip.Pop("Via")))
				}
			}
			// As long as further 2xx may come.
			time.AfterFunc(l.Timers().M, func() { upstream.Delete(req) })
		},
		Accepted: func(invite *sip.Request, resp *sip.Response) {
			resp = resp.With(sip.Pop("Via"))
			if !byVia {
				if tx, ok := upstream.Load(invite); ok {
					tx.(*Server).Respond(resp)
				}
				return
			}
			go l.Endpoint().Forward(context.Background(), resp) // ends when it is sent
		},
	})
}

// A callee rings and nobody picks up: timer C of the proxy cancels the INVITE
// three minutes after the last ringing, and the caller gets 408 (RFC 3261 section
// 16.8).
func TestTimerC(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var cause error
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-time.After(2 * time.Minute)
			tx.Reply(sip.StatusSessionProgress)
			<-tx.Context().Done()
			cause = context.Cause(tx.Context())
		}})
		proxy(t, n, Timers{C: 3 * time.Minute}, false)
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		expect(t, alice, request(sip.INVITE, proxyURI), "180 183 408")
		if took := time.Since(start); !isAbout(took, 5*time.Minute) {
			t.Errorf("the call ended after %v, want 5m", took)
		}
		<-time.After(time.Second)
		if !errors.Is(cause, ErrCancelled) {
			t.Errorf("the callee's context ended with %v, want %v", cause, ErrCancelled)
		}
	})
}

// isAbout reports whether something took as long as wanted, or as much longer as
// a timer may be late.
func isAbout(took, want time.Duration) bool { return took >= want && took <= want+want/100 }

// The callee has gone away while it rang: nothing answers the CANCEL, and the
// caller has its 408 by then. A proxy keeps nothing of it.
func TestTimerCOfSilentCallee(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		proxy(t, n, Timers{C: 3 * time.Minute}, false)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() { // ends with the INVITE
			invite := bob.request(sip.INVITE)
			bob.to = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(proxyAddr + ":5060"))
			bob.send(reply(invite, sip.StatusRinging, "b"))
		}()
		start := time.Now()
		expect(t, alice, request(sip.INVITE, proxyURI), "180 408")
		if took := time.Since(start); !isAbout(took, 3*time.Minute) {
			t.Errorf("the call ended after %v, want 3m", took)
		}
	})
}

// Without timer C a user agent lets the callee ring.
func TestNoTimerC(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(sip.StatusRinging)
			<-time.After(24 * time.Hour)
			tx.Reply(sip.StatusBusyHere)
		}})
		expect(t, listen(t, n.Host(aliceAddr), nil), request(sip.INVITE, bobURI), "180 486")
	})
}

// callee answers an INVITE with 200, again after 500 ms and then every second
// until an ACK comes, or half a minute is over (RFC 3261 section 13.3.1.4).
func callee(j *journal) func(*Server, *sip.Request) {
	acked := make(chan struct{})
	return func(tx *Server, req *sip.Request) {
		j.note("bob %s", req.Method())
		if req.Method() == sip.ACK {
			close(acked)
			return
		}
		wait := 500 * time.Millisecond
		ok := req.Reply(sip.StatusOK)
		for range 30 {
			tx.Respond(ok)
			select {
			case <-acked:
				return
			case <-time.After(wait):
				wait = time.Second
			}
		}
	}
}

// ways runs a story with a proxy of either kind.
func ways(t *testing.T, f func(t *testing.T, n *siptest.Network, byVia bool)) {
	t.Run("by transaction", func(t *testing.T) {
		story(t, func(t *testing.T, n *siptest.Network) { f(t, n, false) })
	})
	t.Run("by Via", func(t *testing.T) {
		story(t, func(t *testing.T, n *siptest.Network) { f(t, n, true) })
	})
}

// The 200 is lost between proxy and caller. The callee sends it again; to the
// proxy it is one more 2xx, which goes to Accepted and from there to the caller
// (RFC 3261 section 16.7 step 5).
func TestProxyForwardsSuccessAgain(t *testing.T) {
	ways(t, func(t *testing.T, n *siptest.Network, byVia bool) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: callee(&j)})
		proxy(t, n, Timers{}, byVia)
		alice := listen(t, n.Host(aliceAddr), nil)
		lost := false
		n.SetFilter(func(p siptest.Packet) (v siptest.Verdict) {
			toAlice := p.To.Addr().String() == aliceAddr && label(p.Data) == "200 INVITE"
			v.Drop = toAlice && !lost
			lost = lost || toAlice
			return v
		})
		start := time.Now()
		for resp, err := range alice.Responses(t.Context(), request(sip.INVITE, proxyURI)) {
			if err != nil {
				t.Fatal(err)
			}
			j.note("alice %d after %v", int(resp.Status()), time.Since(start))
			if _, _, err := alice.Send(t.Context(), inDialog(sip.ACK, 1, resp)); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Minute)
		j.check(t, "bob INVITE", "alice 200 after 540ms", "bob ACK")
	})
}

// The same over TCP, where nothing is lost: the caller is slow to acknowledge,
// and gets the further 200 on the connection that its INVITE went by.
func TestProxyForwardsSuccessAgainTCP(t *testing.T) {
	ways(t, func(t *testing.T, n *siptest.Network, byVia bool) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: callee(&j)})
		proxy(t, n, Timers{}, byVia)
		alice := listen(t, n.Host(aliceAddr), &Config{Accepted: func(_ *sip.Request, resp *sip.Response) {
			j.note("alice further %d", int(resp.Status()))
		}})
		ok, err := alice.Do(t.Context(), request(sip.INVITE, proxyURI+";transport=tcp"))
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if _, _, err := alice.Send(t.Context(), inDialog(sip.ACK, 1, ok)); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		j.check(t, "bob INVITE", "alice further 200", "bob ACK")
	})
}

// A caller whose sent-by is another port than the one it sends from gets every
// 200 there, and one that asks for rport where it sent from (RFC 3581).
func TestProxyForwardsToPort(t *testing.T) {
	for params, port := range map[string]uint16{"": 5070, ";rport": 5060} {
		ways(t, func(t *testing.T, n *siptest.Network, byVia bool) {
			var j journal
			listen(t, n.Host(bobAddr), &Config{Handler: callee(&j)})
			proxy(t, n, Timers{}, byVia)
			alice := newPeer(t, n.Host(aliceAddr), proxyAddr)
			other, err := n.Host(aliceAddr).ListenPacket(t.Context(), "udp", aliceAddr+":5070")
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			alice.send(request(sip.INVITE, proxyURI, sip.Push(sip.Via{Transport: "UDP",
				Host: aliceAddr, Port: 5070, Params: sip.Params(";branch=z9hG4bK1" + params)})))
			if port == 5070 {
				alice.conn = other
			}
			alice.expectAll(2*time.Second, "200 INVITE, 200 INVITE, 200 INVITE")
		})
	}
}

// A caller behind a connection that does not ask for rport: its Via does not say
// where the connection is, but the transaction knows (RFC 3261 section 18.2.2).
func TestProxyForwardsOnConnection(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: callee(&j)})
		proxy(t, n, Timers{}, false)
		conn, err := n.Host(aliceAddr).DialContext(t.Context(), "tcp", proxyAddr+":5060")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		invite := request(sip.INVITE, proxyURI, sip.Push(sip.Via{Transport: "TCP", Host: aliceAddr, Params: ";branch=z9hG4bK1"}))
		if _, err := conn.Write([]byte(invite.String())); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		var got []string
		r := sip.NewReader(conn, nil)
		for m, err := r.ReadMessage(); err == nil; m, err = r.ReadMessage() {
			got = append(got, label([]byte(m.String())))
		}
		if want := "200 INVITE, 200 INVITE, 200 INVITE"; strings.Join(got, ", ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
