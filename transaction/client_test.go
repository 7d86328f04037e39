package transaction

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// Ten thousand provisional responses in a second: a caller that reads sees
// them all, one that does not costs a bounded number and sees these, and the final
// one is never lost.
func TestProvisionalFlood(t *testing.T) {
	const flood = 10000
	for _, tt := range []struct {
		reads bool
		want  int
	}{{true, flood}, {false, 1 + maxNews}} {
		story(t, func(t *testing.T, n *siptest.Network) {
			bob := bobPeer(t, n)
			alice := listen(t, n.Host(aliceAddr), nil)
			go func() {
				invite := bob.request(sip.INVITE)
				ringing := reply(invite, 180, "b")
				for range flood {
					bob.send(ringing)
					<-time.After(100 * time.Microsecond)
				}
				bob.send(reply(invite, 486, "b"))
			}()
			count := map[sip.Status]int{}
			for resp, err := range alice.Responses(t.Context(), request(sip.INVITE, bobURI)) {
				if err != nil {
					t.Fatal(err)
				}
				if count[resp.Status()]++; count[180] == 1 && !tt.reads {
					pass(2 * time.Second)
				}
			}
			if count[180] != tt.want || count[486] != 1 {
				t.Errorf("read: %v, yielded %v, want %d 180 and one 486", tt.reads, count, tt.want)
			}
		})
	}
}

// A panic in Accepted is logged by the transport and ends nothing else.
func TestAcceptedPanics(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), &Config{Accepted: func(*sip.Request, *sip.Response) { panic("a bug") }})
		go func() {
			invite := bob.request(sip.INVITE)
			bob.send(reply(invite, 200, "b"), reply(invite, 200, "b"))
			bob.send(reply(bob.request(sip.OPTIONS), 200, "b"))
		}()
		expect(t, alice, request(sip.INVITE, bobURI), "200")
		pass(time.Second)
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
	})
}

// A 100 is for the machine alone, a late one too.
func TestTryingIsNotYielded(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() {
			invite := bob.request(sip.INVITE)
			for _, s := range []sip.Status{100, 180, 100, 486, 100} {
				bob.send(reply(invite, s, "b"))
			}
		}()
		expect(t, alice, request(sip.INVITE, bobURI), "180 486")
	})
}

// Nobody answers: timer B and timer F.
func TestTimeout(t *testing.T) {
	for _, method := range []sip.Method{sip.INVITE, sip.OPTIONS} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice := listen(t, n.Host(aliceAddr), nil)
			start := time.Now()
			got, err := collect(t.Context(), alice, request(method, bobURI))
			if got != "error" || !errors.Is(err, ErrTimeout) {
				t.Errorf("%s: responses %q, error %v, want %v", method, got, err, ErrTimeout)
			}
			if got := time.Since(start); got != 32*time.Second {
				t.Errorf("%s: timed out after %v, want 32s", method, got)
			}
		})
	}
}

// failover is a story about sip:bob@b.example, which is 192.0.2.8 and then bob.
func failover(t *testing.T, f func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer)) {
	t.Helper()
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listenAsking(t, n.Host(aliceAddr), names{"b.example": addrs("192.0.2.8", bobAddr)}, nil)
		f(t, n, alice, newPeer(t, n.Host("192.0.2.8"), aliceAddr), bobPeer(t, n))
	})
}

// The first target answers 503: the next one is tried, with a branch of its own
// (RFC 3263 section 4.3), and the caller sees nothing of that.
func TestFailoverOn503(t *testing.T) {
	failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
		done := make(chan string)
		go func() {
			one := first.request(sip.INVITE)
			first.send(reply(one, 100, ""), reply(one, 503, "1"))
			first.request(sip.ACK)
			two := second.request(sip.INVITE)
			second.send(reply(two, 180, "2"), reply(two, 486, "2"))
			second.request(sip.ACK)
			done <- branches(one, two)
		}()
		expect(t, alice, request(sip.INVITE, "sip:bob@b.example"), "180 486")
		if got := <-done; got != "1 2" {
			t.Errorf("branches %s, want two", got)
		}
	})
}

// The last target's 503 is the caller's, and so is one after a 180.
func TestNoFailover(t *testing.T) {
	failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
		go func() {
			first.send(reply(first.request(sip.OPTIONS), 503, "1"))
			second.send(reply(second.request(sip.OPTIONS), 503, "2"))
			invite := first.request(sip.INVITE)
			first.send(reply(invite, 180, "1"), reply(invite, 503, "1"))
			second.expectAll(time.Minute, "")
		}()
		expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example"), "503")
		expect(t, alice, request(sip.INVITE, "sip:bob@b.example"), "180 503")
	})
}

// The first target does not answer.
func TestFailoverOnTimeout(t *testing.T) {
	failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
		go func() {
			r := second.request(sip.OPTIONS)
			second.send(reply(r, 200, "2"))
		}()
		start := time.Now()
		expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example"), "200")
		if got, want := time.Since(start), 32*time.Second+20*time.Millisecond; got != want {
			t.Errorf("answered after %v, want %v", got, want)
		}
	})
}

// A context that ends while the first target is silent ends it all.
func TestNoFailoverAfterContext(t *testing.T) {
	failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
		go second.expectAll(time.Minute, "")
		got, err := collect(cancelledAfter(t, time.Second), alice, request(sip.INVITE, "sip:bob@b.example"))
		if got != "error" || !errors.Is(err, context.Canceled) || !errors.Is(err, ErrTimeout) {
			t.Errorf("responses %q, error %v, want %v and %v", got, err, context.Canceled, ErrTimeout)
		}
	})
}

// Nobody listens on TCP there: the first target is refused, and the next one
// taken. When that is refused too, the error has what the network said.
func TestTransportError(t *testing.T) {
	failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
		got, err := collect(t.Context(), alice, request(sip.INVITE, "sip:bob@b.example;transport=tcp"))
		var op *net.OpError
		if got != "error" || !errors.Is(err, ErrTransport) || !errors.As(err, &op) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("responses %q, error %v, want %v with a *net.OpError", got, err, ErrTransport)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q has more than one line", err)
		}
		ln, err := n.Host(bobAddr).Listen(t.Context(), "tcp", ":5060")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer ln.Close()
			c, err := ln.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			m, err := sip.NewReader(c, nil).ReadMessage()
			if err != nil {
				t.Error(err)
				return
			}
			c.Write([]byte(m.(*sip.Request).Reply(200).String()))
			pass(time.Second)
		}()
		expect(t, alice, request(sip.OPTIONS, "sip:bob@b.example;transport=tcp"), "200")
	})
}

// The first server takes no connection, or breaks it off when it has the request, or
// cannot be written to: the next one is asked at once, with a branch of its own
// (RFC 3261 section 8.1.3.1, RFC 3263 section 4.3).
func TestFailoverOnTransportError(t *testing.T) {
	for _, tt := range []struct {
		name, transport, first string
		tries                  int
	}{
		{"refused", "tcp", "192.0.2.8", 1},
		{"broken off", "tcp", "192.0.2.9", 2},
		{"no route", "udp", noRoute, 2},
	} {
		for _, method := range []sip.Method{sip.INVITE, sip.OPTIONS} {
			t.Run(tt.name+", "+string(method), func(t *testing.T) {
				story(t, func(t *testing.T, n *siptest.Network) {
					records := servers{"_sip._" + tt.transport + ".b.example": {
						{Priority: 1, Port: 5060, Target: "first.example"}, {Priority: 2, Port: 5060, Target: "second.example"}}}
					hosts := names{"first.example": addrs(tt.first), "second.example": addrs(bobAddr)}
					alice, err := Listen(&transport.Config{Listen: []string{"udp:" + aliceAddr + ":5060", "tcp:" + aliceAddr + ":5060"},
						Network: lost{n.Host(aliceAddr)}, Resolver: records.with(hosts)}, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer func() {
						nothingLeft(t, alice)
						alice.Close()
					}()
					breaks, err := n.Host("192.0.2.9").Listen(t.Context(), "tcp", ":5060")
					if err != nil {
						t.Fatal(err)
					}
					defer breaks.Close()
					go func() { // ends with the listener
						if c, err := breaks.Accept(); err == nil {
							sip.NewReader(c, nil).ReadMessage()
							c.Close()
						}
					}()
					n.Host("192.0.2.8") // nobody listens there
					listen(t, n.Host(bobAddr), &Config{Handler: answer(486)})
					var tried []*sip.Request
					ctx := WithSent(t.Context(), func(_ transport.Flow, r *sip.Request) { tried = append(tried, r) })
					began := time.Now()
					resp, err := alice.Do(ctx, request(method, "sip:bob@b.example;transport="+tt.transport))
					if err != nil || resp.Status() == sip.StatusServiceUnavailable {
						t.Fatalf("%v, %v, want what the second server says", resp, err)
					}
					if got := time.Since(began); got > 100*time.Millisecond {
						t.Errorf("answered after %v, want it at once", got)
					}
					if got, want := branches(tried...), "1 2"[:2*tt.tries-1]; got != want {
						t.Errorf("branches %s, want %s", got, want)
					}
				})
			})
		}
	}
}

// lost is a host that has no route to one address.
type lost struct{ *siptest.Host }

const noRoute = "192.0.2.10"

func (h lost) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := h.Host.ListenPacket(ctx, network, address)
	return lostConn{c}, err
}

type lostConn struct{ net.PacketConn }

func (c lostConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if strings.HasPrefix(to.String(), noRoute) {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: syscall.EHOSTUNREACH}
	}
	return c.PacketConn.WriteTo(b, to)
}

// Writing to a UDP socket fails: that of a family that is not there.
func TestTransportErrorUDP(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		got, err := collect(t.Context(), alice, request(sip.OPTIONS, "sip:bob@[2001:db8::1]"))
		var op *net.OpError
		if got != "error" || !errors.Is(err, ErrTransport) || !errors.As(err, &op) {
			t.Errorf("responses %q, error %v, want %v with a *net.OpError", got, err, ErrTransport)
		}
	})
}

// A name that is not there is what the resolver says, not a transport error.
func TestUnknownHost(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listenAsking(t, n.Host(aliceAddr), names{}, nil)
		got, err := collect(t.Context(), alice, request(sip.OPTIONS, "sip:bob@nowhere.example"))
		var dns *net.DNSError
		if got != "error" || !errors.As(err, &dns) || errors.Is(err, ErrTransport) {
			t.Errorf("responses %q, error %v, want a *net.DNSError", got, err)
		}
	})
}

// The connection breaks while a response is awaited: that ends a request that
// is not answered yet, but not an INVITE that rings, for its response may come
// on a new connection (RFC 3261 section 18.2.2).
func TestConnectionBreaks(t *testing.T) {
	for _, tt := range []struct {
		method sip.Method
		rings  bool
		want   string
	}{
		{sip.OPTIONS, false, "error"},
		{sip.INVITE, false, "error"},
		{sip.INVITE, true, "180 486"},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			listen(t, n.Host(bobAddr), &Config{Timers: Timers{Trying: time.Hour}, Handler: func(tx *Server, req *sip.Request) {
				if tt.rings {
					tx.Reply(180)
				}
				<-time.After(2 * time.Second)
				tx.Reply(486)
			}})
			alice := listen(t, n.Host(aliceAddr), nil)
			time.AfterFunc(time.Second, n.Host(bobAddr).Reset)
			start := time.Now()
			got, err := collect(t.Context(), alice, request(tt.method, bobURI+";transport=tcp"))
			if got != tt.want {
				t.Errorf("%s: responses %q, error %v, want %q", tt.method, got, err, tt.want)
			}
			if tt.want != "error" {
				return
			}
			if !errors.Is(err, ErrTransport) || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: error %v, want %v and %v", tt.method, err, ErrTransport, syscall.ECONNRESET)
			}
			if got := time.Since(start); got != time.Second {
				t.Errorf("%s: told after %v, want 1s", tt.method, got)
			}
		})
	}
}

// A request goes to its topmost Route if that is a loose router's (RFC 3261
// section 8.1.2).
func TestRoute(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		route := func(host, params string) sip.Edit {
			return sip.Route{URI: sip.URI{Scheme: "sip", Host: host, Params: sip.Params(params)}}
		}
		for _, tt := range []struct {
			r    *sip.Request
			want string
		}{
			{request(sip.OPTIONS, bobURI), bobAddr},
			{request(sip.OPTIONS, "sip:192.0.2.9", route(bobAddr, ";lr")), bobAddr},
			{request(sip.OPTIONS, bobURI, route("192.0.2.9", "")), bobAddr},
		} {
			flow, _, err := alice.Send(t.Context(), tt.r)
			if err != nil || flow.RemoteAddr() != netip.MustParseAddrPort(tt.want+":5060") {
				t.Errorf("sent to %v, %v, want %s", flow.RemoteAddr(), err, tt.want)
			}
		}
		broken := request(sip.OPTIONS, bobURI, sip.Field{Name: "Bad\nName", Value: "1"})
		if _, _, err := alice.Send(t.Context(), broken); err == nil {
			t.Error("Send took a request with an error")
		}
		if got, err := collect(t.Context(), alice, broken); got != "error" || err == nil {
			t.Errorf("Responses to a request with an error: %q, %v", got, err)
		}
		alice.Close()
		if _, err := alice.Do(t.Context(), request(sip.OPTIONS, bobURI)); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Do after Close = %v, want %v", err, transport.ErrClosed)
		}
	})
}

// A request to which no response can be told to belong is not sent.
func TestIncompleteRequest(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), nil)
		whole := request(sip.OPTIONS, bobURI)
		for _, name := range []string{"To", "From", "CSeq", "Call-ID"} {
			got, err := collect(t.Context(), alice, whole.With(sip.Del(name)))
			if got != "error" || !strings.Contains(err.Error(), name) {
				t.Errorf("without %s: responses %q, error %v, want one that names it", name, got, err)
			}
		}
	})
}
