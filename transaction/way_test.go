package transaction

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// tcpPeer answers every request on every TCP connection to a host with 200, and
// notes the requests.
type tcpPeer struct {
	ln    net.Listener
	conns []net.Conn
	got   []*sip.Request
}

func newTCPPeer(t *testing.T, host *siptest.Host) *tcpPeer {
	t.Helper()
	ln, err := host.Listen(t.Context(), "tcp", ":5060")
	if err != nil {
		t.Fatal(err)
	}
	p := &tcpPeer{ln: ln}
	t.Cleanup(func() {
		ln.Close()
		for _, c := range p.conns {
			c.Close()
		}
	})
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.conns = append(p.conns, c)
			go func() { // ends with the connection
				for r := sip.NewReader(c, nil); ; {
					m, err := r.ReadMessage()
					if err != nil {
						return
					}
					p.got = append(p.got, m.(*sip.Request))
					c.Write([]byte(m.(*sip.Request).Reply(sip.StatusOK).String()))
				}
			}()
		}
	}()
	return p
}

// The peer has closed the connection, and the news of it are on their way: the
// request goes out again on a new one, with a branch of its own.
func TestStaleConnectionIsReplaced(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		bob := newTCPPeer(t, n.Host(bobAddr))
		uri := "sip:bob@" + bobAddr + ";transport=tcp"
		expect(t, alice, request(sip.OPTIONS, uri), "200")
		bob.conns[0].Close()
		expect(t, alice, request(sip.OPTIONS, uri), "200")
		synctest.Wait()
		if got := len(bob.conns); got != 2 {
			t.Errorf("%d connections, want 2", got)
		}
		if len(bob.got) != 2 || bob.got[0].Via().Branch() == bob.got[1].Via().Branch() {
			t.Errorf("%d requests arrived, want 2 with different branches", len(bob.got))
		}
	})
}

// A server is at work on a request when the connection ends, which has been there
// for long. The request comes to it again as it was, so it is served once, and
// answered on the new connection: whether the client listens or not.
func TestRequestFollowsItsConnection(t *testing.T) {
	for _, listens := range []string{"tcp:" + aliceAddr + ":5060", "udp:" + aliceAddr + ":5060"} {
		for _, trying := range []bool{false, true} {
			uri, body := bobURI+";transport=tcp", sip.Body{}
			if listens[:3] == "udp" && trying { // too long for UDP, so by TCP
				uri, body = bobURI, sip.Body{Type: "text/plain", Content: strings.Repeat("x", 3000)}
			}
			story(t, func(t *testing.T, n *siptest.Network) {
				var served []string
				listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
					served = append(served, string(req.Method()))
					if req.Method() == sip.MESSAGE {
						if trying {
							tx.Reply(sip.StatusTrying)
						}
						<-time.After(2 * time.Second)
					}
					tx.Reply(sip.StatusOK)
				}})
				alice, err := Listen(&transport.Config{Listen: []string{listens}, Network: n.Host(aliceAddr)}, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer alice.Close()
				expect(t, alice, request(sip.OPTIONS, uri, body), "200")
				time.AfterFunc(time.Second, n.Host(bobAddr).Reset)
				expect(t, alice, request(sip.MESSAGE, uri, body), "200")
				if got := strings.Join(served, " "); got != "OPTIONS MESSAGE" {
					t.Errorf("%s: served %s, want each once", listens, got)
				}
			})
		}
	}
}

// An INVITE is not placed again when its connection ends: its user may be about
// to give it up, and nobody is to ring for that.
func TestInviteIsPlacedOnce(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		invites := 0
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				invites++
				tx.Reply(sip.StatusRinging)
				<-time.After(time.Minute) // and nobody answers
				return
			}
			tx.Reply(sip.StatusOK)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		expect(t, alice, request(sip.OPTIONS, bobURI+";transport=tcp"), "200")
		time.AfterFunc(time.Second, n.Host(bobAddr).Reset)
		collect(cancelledAfter(t, time.Second+10*time.Millisecond), alice, request(sip.INVITE, bobURI+";transport=tcp"))
		if invites != 1 {
			t.Errorf("%d INVITEs, want 1", invites)
		}
		pass(2 * time.Minute)
	})
}

// A NAT has lost a connection that its client then gives up, while the server
// thinks it open: the answer goes where the request came last.
func TestAnswerGoesToTheNewerConnection(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		box := n.NAT("192.0.2.200", nil)
		served := 0
		var flows []transport.Flow
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.MESSAGE {
				served++
				flows = append(flows, tx.Flow())
				<-time.After(5 * time.Second)
				flows = append(flows, tx.Flow())
			}
			tx.Reply(sip.StatusOK)
		}})
		alice := listen(t, box.Host("10.0.0.1"), nil)
		expect(t, alice, request(sip.OPTIONS, bobURI+";transport=tcp"), "200")
		time.AfterFunc(time.Second, func() {
			box.Reboot()
			box.Host("10.0.0.1").Reset()
		})
		expect(t, alice, request(sip.MESSAGE, bobURI+";transport=tcp"), "200")
		if served != 1 || flows[0] == flows[1] {
			t.Errorf("served %d times, by flows %v, want once and the newer one at last", served, flows)
		}
	})
}

// A message that is too long for the queue says nothing about its connection.
func TestBacklogRetiresNothing(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		bob := newTCPPeer(t, n.Host(bobAddr))
		uri := "sip:bob@" + bobAddr + ";transport=tcp"
		expect(t, alice, request(sip.OPTIONS, uri), "200")
		long := request(sip.MESSAGE, uri, sip.Body{Type: "text/plain", Content: strings.Repeat("x", 1<<20)})
		if got, err := collect(t.Context(), alice, long); got != "error" || !errors.Is(err, transport.ErrBacklog) {
			t.Errorf("responses %q, error %v, want %v", got, err, transport.ErrBacklog)
		}
		expect(t, alice, request(sip.OPTIONS, uri), "200")
		if len(bob.conns) != 1 {
			t.Errorf("%d connections, want 1", len(bob.conns))
		}
	})
}

// Nobody is there any more: one new connection is tried, and no more.
func TestStaleConnectionIsReplacedOnce(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		bob := newTCPPeer(t, n.Host(bobAddr))
		uri := "sip:bob@" + bobAddr + ";transport=tcp"
		expect(t, alice, request(sip.OPTIONS, uri), "200")
		bob.conns[0].Close()
		bob.ln.Close()
		got, err := collect(t.Context(), alice, request(sip.OPTIONS, uri))
		if got != "error" || !errors.Is(err, ErrTransport) {
			t.Errorf("responses %q, error %v, want %v", got, err, ErrTransport)
		}
	})
}

// A request that is sent by a flow goes there whatever its URI says, and
// nowhere else when the flow is gone.
func TestWithFlow(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		bob := newTCPPeer(t, n.Host(bobAddr))
		var flow transport.Flow
		ctx := WithSent(t.Context(), func(f transport.Flow, r *sip.Request) {
			flow = f
			if r.Via().Transport != "TCP" {
				t.Errorf("sent %s, want it as it went out", r)
			}
		})
		if _, err := alice.Do(ctx, request(sip.OPTIONS, "sip:bob@"+bobAddr+";transport=tcp")); err != nil {
			t.Fatal(err)
		}
		ctx = WithFlow(t.Context(), flow)
		if _, err := alice.Do(ctx, request(sip.MESSAGE, "sip:carol@xyz.invalid;transport=ws")); err != nil {
			t.Errorf("Do = %v, want it sent by the flow", err)
		}
		if _, _, err := alice.Send(ctx, request(sip.ACK, "sip:carol@xyz.invalid")); err != nil {
			t.Errorf("Send = %v, want it sent by the flow", err)
		}
		pass(time.Second)
		if len(bob.conns) != 1 || len(bob.got) != 3 {
			t.Errorf("%d requests on %d connections, want 3 on one", len(bob.got), len(bob.conns))
		}
		bob.conns[0].Close()
		pass(time.Second)
		if _, err := alice.Do(ctx, request(sip.OPTIONS, "sip:bob@"+bobAddr)); !errors.Is(err, transport.ErrNoFlow) {
			t.Errorf("Do = %v, want %v", err, transport.ErrNoFlow)
		}
		if _, err := alice.Do(WithFlow(t.Context(), transport.Flow{}), request(sip.OPTIONS, "sip:bob@"+bobAddr)); !errors.Is(err, transport.ErrNoFlow) {
			t.Errorf("Do by the zero Flow = %v, want %v", err, transport.ErrNoFlow)
		}
	})
}

// RFC 3263 section 4.3: a target that failed is avoided for a while, as long as
// its Retry-After says.
func TestFailedTargetIsAvoided(t *testing.T) {
	failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
		go func() {
			first.send(first.request(sip.OPTIONS).Reply(503, sip.RetryAfter{Seconds: 600}))
			second.send(second.request(sip.OPTIONS).Reply(200))
		}()
		expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example"), "200")
		for _, next := range []struct {
			after time.Duration
			peer  *peer
		}{{time.Second, second}, {590 * time.Second, second}, {20 * time.Second, first}} {
			pass(next.after)
			go func() { next.peer.send(next.peer.request(sip.OPTIONS).Reply(200)) }()
			expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example"), "200")
		}
	})
}

// A Retry-After of 136 years is good for an hour, and one that is no number any more
// for the minute of a server that says nothing.
func TestRetryAfterOfAges(t *testing.T) {
	for _, tt := range []struct {
		seconds string
		avoided time.Duration
	}{{"4294967295", time.Hour}, {"4294967296", time.Minute}, {"99999999999999999999", time.Minute}} {
		failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
			go func() {
				refusal := first.request(sip.OPTIONS).Reply(503, sip.RetryAfter{Seconds: 7}).String()
				first.sendText(strings.Replace(refusal, "Retry-After: 7", "Retry-After: "+tt.seconds, 1))
				second.send(second.request(sip.OPTIONS).Reply(200))
			}()
			expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example"), "200")
			for _, next := range []struct {
				after time.Duration
				peer  *peer
			}{{tt.avoided - time.Second, second}, {2 * time.Second, first}} {
				pass(next.after)
				go func() { next.peer.send(next.peer.request(sip.OPTIONS).Reply(200)) }()
				began := time.Now()
				expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example"), "200")
				if took := time.Since(began); took > time.Second {
					t.Errorf("Retry-After: %s: another server was asked first, after %v", tt.seconds, next.after)
				}
			}
		})
	}
}

// RFC 8305: an address that does not answer has a quarter of a second before
// the next one is tried beside it. Who comes first is used, and asked first the
// next time.
func TestConnectionsAreRaced(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listenAsking(t, n.Host(aliceAddr), names{"b.example": addrs("192.0.2.8", bobAddr)}, nil)
		bob := newTCPPeer(t, n.Host(bobAddr))
		n.Host("192.0.2.8").Down()
		began := time.Now()
		expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example;transport=tcp"), "200")
		if got := time.Since(began); got < 250*time.Millisecond || got > 400*time.Millisecond {
			t.Errorf("answered after %v, want a quarter of a second and two round trips", got)
		}
		began = time.Now()
		expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example;transport=tcp"), "200")
		if got := time.Since(began); got > 30*time.Millisecond {
			t.Errorf("answered after %v, want a round trip on the connection that is there", got)
		}
		if len(bob.got) != 2 || len(bob.conns) != 1 {
			t.Errorf("%d requests on %d connections, want 2 on one", len(bob.got), len(bob.conns))
		}
	})
}

// None of the four addresses of a server answers: that is found out once, and
// the next server is tried.
func TestDeadServerIsGivenUpAsAWhole(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		dead := []string{"192.0.2.21", "192.0.2.22", "192.0.2.23", "192.0.2.24"}
		for _, addr := range dead {
			n.Host(addr).Down()
		}
		alice := listenAsking(t, n.Host(aliceAddr), servers{
			"_sip._tcp.b.example": {{Priority: 1, Port: 5060, Target: "dead.example"}, {Priority: 2, Port: 5060, Target: "live.example"}},
		}.with(names{"dead.example": addrs(dead...), "live.example": addrs(bobAddr)}), nil)
		newTCPPeer(t, n.Host(bobAddr))
		began := time.Now()
		expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example;transport=tcp"), "200")
		if got := time.Since(began); got > 12*time.Second {
			t.Errorf("answered after %v, want about 10s for the dead server", got)
		}
	})
}

// A NAT has forgotten a connection: one request is lost in it, and the next one
// gets a new connection.
func TestBlackHoleIsLeft(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		box := n.NAT("192.0.2.200", nil)
		alice := listen(t, box.Host("10.0.0.1"), nil)
		newTCPPeer(t, n.Host(bobAddr))
		uri := "sip:bob@" + bobAddr + ";transport=tcp"
		expect(t, alice, request(sip.OPTIONS, uri), "200")
		box.Reboot()
		if got, err := collect(t.Context(), alice, request(sip.OPTIONS, uri)); got != "error" || !errors.Is(err, ErrTimeout) {
			t.Errorf("responses %q, error %v, want %v", got, err, ErrTimeout)
		}
		expect(t, alice, request(sip.OPTIONS, uri), "200")
	})
}

// RFC 3263 section 4.3: who has sent a 100 has the request, and nobody else gets
// it.
func TestNoFailoverAfterTrying(t *testing.T) {
	failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
		go func() {
			first.send(reply(first.request(sip.MESSAGE), 100, ""))
			second.expectAll(time.Minute, "")
		}()
		if got, err := collect(t.Context(), alice, request(sip.MESSAGE, "sip:bob@b.example")); got != "error" || !errors.Is(err, ErrTimeout) {
			t.Errorf("responses %q, error %v, want %v", got, err, ErrTimeout)
		}
		first.all(time.Second) // retransmissions
		go func() { first.send(reply(first.request(sip.OPTIONS), 200, "")) }()
		expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example"), "200") // it is not avoided
	})
}

// A sips URI takes TLS to the next hop, also where its Route says sip (RFC 3261
// section 8.1.2).
func TestRouteOfSIPS(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		req := request(sip.OPTIONS, "sips:bob@b.example", sip.Route{URI: sip.URI{Scheme: "sip", Host: bobAddr, Params: ";lr"}})
		got, err := collect(t.Context(), alice, req)
		if got != "error" || !strings.Contains(err.Error(), "tls:"+bobAddr+":5061") {
			t.Errorf("responses %q, error %v, want it to be tried by TLS", got, err)
		}
	})
}

// servers is a resolver with SRV records.
type servers map[string][]resolve.SRV

func (s servers) with(hosts names) resolve.Resolver {
	return resolverFunc(func(ctx context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
		if t == resolve.TypeSRV {
			return &resolve.Answer{SRV: s[name], TTL: time.Minute}, nil
		}
		return hosts.Lookup(ctx, name, t)
	})
}

type resolverFunc func(context.Context, string, resolve.Type) (*resolve.Answer, error)

func (f resolverFunc) Lookup(ctx context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
	return f(ctx, name, t)
}

// A branch ends with a token or not at all: anything else would end the branch, or
// the line, and begin something of its own. Nothing of it is sent.
func TestBranchIsAToken(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		for _, id := range []string{"", "a;evil=1", "a b", "a,b", "a\"b", "a\r\nEvil: 1", "\xe9", "\u00e9"} {
			ctx := WithBranch(t.Context(), id)
			if _, _, err := alice.Send(ctx, request(sip.MESSAGE, bobURI)); err == nil {
				t.Errorf("Send with the branch %q is no error", id)
			}
			if _, err := alice.Do(ctx, request(sip.MESSAGE, bobURI)); err == nil || errors.Is(err, ErrTimeout) {
				t.Errorf("Do with the branch %q: %v, want an error at once", id, err)
			}
		}
		bob.expectAll(time.Second, "")
		id := "a-.!%*_+`'~Z9"
		_, out, err := alice.Send(WithBranch(t.Context(), id), request(sip.MESSAGE, bobURI))
		if err != nil || out.Via().Branch() != cookie+id {
			t.Errorf("Send with the branch %q: %v, %v", id, out, err)
		}
	})
}
