package transaction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// The first INVITE is lost: timer A sends it again (RFC 3261 section 17.1.1.2).
func TestInviteLost(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: answer(180, 486)})
		alice := listen(t, n.Host(aliceAddr), nil)
		lose(n, "INVITE")
		start := time.Now()
		expect(t, alice, request(sip.INVITE, bobURI), "180 486")
		pass(time.Minute)
		ladder(t, n, start, `
			   0s > INVITE x
			500ms > INVITE
			510ms < 180 INVITE
			510ms < 486 INVITE
			520ms > ACK`)
	})
}

// The 180 is lost: the retransmitted INVITE gets it again, and the handler
// hears nothing of that (RFC 3261 section 17.2.1).
func TestProvisionalLost(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			tx.Reply(180)
			<-time.After(3 * time.Second)
			tx.Reply(486)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		lose(n, "180 INVITE")
		start := time.Now()
		expect(t, alice, request(sip.INVITE, bobURI), "180 486")
		pass(time.Minute)
		j.check(t, "INVITE")
		ladder(t, n, start, `
			    0s > INVITE
			  10ms < 180 INVITE x
			 500ms > INVITE
			 510ms < 180 INVITE
			 3.01s < 486 INVITE
			 3.02s > ACK`)
	})
}

// The 200 is lost: Accepted absorbs the INVITE that comes again, for to repeat
// the 200 is up to the user (RFC 6026 sections 6 and 7.1). Its retransmission
// reaches the caller, and later ones go to Accepted.
func TestSuccessLost(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			if req.Method() == sip.ACK {
				return
			}
			ok := req.Reply(sip.StatusOK)
			for range 3 {
				if err := tx.Respond(ok); err != nil {
					t.Errorf("Respond: %v", err)
				}
				<-time.After(time.Second)
			}
		}})
		alice := listen(t, n.Host(aliceAddr), &Config{Accepted: func(invite *sip.Request, resp *sip.Response) {
			j.note("further %d", int(resp.Status()))
		}})
		lose(n, "200 INVITE")
		start := time.Now()
		for resp, err := range alice.Responses(t.Context(), request(sip.INVITE, bobURI)) {
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := alice.Send(t.Context(), inDialog(sip.ACK, 1, resp)); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Minute)
		ladder(t, n, start, `
			   0s > INVITE
			 10ms < 200 INVITE x
			500ms > INVITE
			1.01s < 200 INVITE
			1.02s > ACK
			2.01s < 200 INVITE`)
		j.check(t, "INVITE", "ACK", "further 200")
	})
}

// The ACK of a refusal is lost: timer G sends the refusal again, and the client
// transaction acknowledges it by itself (RFC 3261 sections 17.1.1.2, 17.2.1). Or the
// refusal is lost, and nothing before it told the client to wait: it asks again, and
// gets the same. The handler is asked once.
func TestRefusalLost(t *testing.T) {
	for _, test := range []struct {
		lost     string
		statuses []sip.Status
		want     string
		ladder   string
	}{
		{"ACK", []sip.Status{180, 486}, "180 486", `
			   0s > INVITE
			 10ms < 180 INVITE
			 10ms < 486 INVITE
			 20ms > ACK x
			510ms < 486 INVITE
			520ms > ACK`},
		{"407 INVITE", []sip.Status{407}, "407", `
			   0s > INVITE
			 10ms < 407 INVITE x
			500ms > INVITE
			510ms < 407 INVITE
			520ms > ACK`},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			var j journal
			listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
				j.note("%s", req.Method())
				for _, status := range test.statuses {
					tx.Reply(status)
				}
			}})
			alice := listen(t, n.Host(aliceAddr), nil)
			lose(n, test.lost)
			start := time.Now()
			expect(t, alice, request(sip.INVITE, bobURI), test.want)
			pass(time.Minute)
			j.check(t, "INVITE")
			ladder(t, n, start, test.ladder)
		})
	}
}

// A slow handler of a non-INVITE request sees the request once. The response is
// lost: the next retransmission gets it (RFC 3261 section 17.2.2).
func TestNonInviteRetransmission(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.Method())
			<-time.After(time.Second)
			tx.Reply(sip.StatusOK)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		lose(n, "200 OPTIONS")
		start := time.Now()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		pass(time.Minute)
		j.check(t, "OPTIONS")
		ladder(t, n, start, `
			   0s > OPTIONS
			500ms > OPTIONS
			1.01s < 200 OPTIONS x
			 1.5s > OPTIONS
			1.51s < 200 OPTIONS`)
	})
}

// Over TCP nothing is sent twice.
func TestNoRetransmissionOverTCP(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			<-time.After(3 * time.Second)
			tx.Reply(486)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		expect(t, alice, request(sip.INVITE, bobURI+";transport=tcp"), "486")
		pass(time.Minute)
		ladder(t, n, start, `
			  20ms > INVITE
			 230ms < 100 INVITE
			 3.03s < 486 INVITE
			 3.04s > ACK`)
	})
}

// An INVITE that its handler is slow with gets 100 after 200 ms (RFC 3261
// section 17.2.1).
func TestTrying(t *testing.T) {
	for _, tt := range []struct {
		name   string
		timers Timers
		want   time.Duration
	}{
		{"after 200 ms", Timers{}, 200 * time.Millisecond},
		{"at once", Timers{Trying: -1}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				listen(t, n.Host(bobAddr), &Config{Timers: tt.timers, Handler: func(tx *Server, req *sip.Request) {
					<-time.After(time.Second)
					tx.Reply(486)
				}})
				alice := alicePeer(t, n)
				invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
				start := time.Now()
				alice.send(invite)
				resp := alice.response("100 INVITE")
				if got := time.Since(start) - 20*time.Millisecond; got != tt.want {
					t.Errorf("100 after %v, want %v", got, tt.want)
				}
				if tag := resp.To().Tag(); tag != "" {
					t.Errorf("To tag of the 100 = %q, want none (RFC 3261 section 8.2.6.2)", tag)
				}
				alice.send(invite) // and it is repeated
				alice.response("100 INVITE")
				alice.send(ackFor(invite, alice.response("486 INVITE")))
			})
		})
	}
}

// The ACK of a 2xx should have a branch of its own. Some peers give it that of
// the INVITE: the handler gets it all the same, also when somebody else was refused
// for want of places just before.
func TestACKWithBranchOfInvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{MaxHandlers: 5, Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.OPTIONS {
				time.Sleep(time.Second)
				tx.Reply(sip.StatusOK)
				return
			}
			j.note("%s", req.Method())
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusOK)
			} else if err := tx.Reply(sip.StatusOK); !errors.Is(err, ErrCompleted) {
				t.Errorf("reply to ACK: %v, want %v", err, ErrCompleted)
			}
		}})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		alice.send(invite)
		answer := alice.response("200 INVITE")
		for id := range 5 {
			alice.send(alice.with(fmt.Sprint("z9hG4bKother", id), request(sip.OPTIONS, bobURI, sip.CallID(fmt.Sprint(id)))))
		}
		alice.response("503 OPTIONS")
		alice.send(ackFor(invite, answer))
		alice.expectAll(time.Minute, strings.TrimSuffix(strings.Repeat("200 OPTIONS, ", 4), ", "))
		j.check(t, "INVITE", "ACK")
	})
}

// A request that its handler leaves without a final response gets 500.
func TestHandlerLeavesWithoutResponse(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(180)
			}
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		expect(t, alice, request(sip.INVITE, bobURI), "180 500")
		expect(t, alice, request(sip.OPTIONS, bobURI, sip.CallID("2")), "500")
	})
}

// A handler that panics costs its request alone: that gets 500, the log gets
// the request, and the next one of the same call is served.
func TestHandlerPanics(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var log bytes.Buffer
		listen(t, n.Host(bobAddr), &Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Handler: func(tx *Server, req *sip.Request) {
				if req.Method() == sip.MESSAGE {
					panic("a bug in the program")
				}
				tx.Reply(sip.StatusOK)
			}})
		alice := listen(t, n.Host(aliceAddr), nil)
		expect(t, alice, request(sip.MESSAGE, bobURI), "500")
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		for _, want := range []string{"a bug in the program", "MESSAGE " + bobURI, "server_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log says\n%s\nwithout %q", log.String(), want)
			}
		}
	})
}

// What may be said when: RFC 3261 section 17.2, RFC 6026 section 7.1, RFC 4320.
func TestRespondErrors(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var tx *Server
		l := listen(t, n.Host(bobAddr), &Config{Handler: func(s *Server, req *sip.Request) {
			tx = s
			try := func(status sip.Status, want error) {
				t.Helper()
				if err := s.Reply(status); !errors.Is(err, want) {
					t.Errorf("%s: Reply(%d) = %v, want %v", req.Method(), status, err, want)
				}
			}
			if req.Method() == sip.OPTIONS {
				try(180, ErrStatus)
				try(200, nil)
				try(200, ErrCompleted)
				return
			}
			try(180, nil)
			try(200, nil)
			try(200, nil)
			try(183, ErrCompleted)
			try(486, ErrCompleted)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		expect(t, alice, request(sip.INVITE, bobURI), "180 200")
		broken := tx.Request().Reply(200, sip.Field{Name: "Bad\r\nName", Value: "1"})
		if err := tx.Respond(broken); err == nil {
			t.Error("Respond took a response with an error")
		}
		l.Close()
		if err := tx.Reply(200); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Reply after Close = %v, want %v", err, transport.ErrClosed)
		}
	})
}

// A response cannot be sent: the handler is told, and the transaction stays to
// absorb retransmissions (RFC 6026 section 8.8).
func TestRespondTransportError(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s from %s", req.Method(), tx.Flow().RemoteAddr())
			err := tx.Reply(sip.StatusOK)
			var op *net.OpError
			if !errors.Is(err, ErrTransport) || !errors.As(err, &op) {
				t.Errorf("Reply = %v, want %v with a *net.OpError", err, ErrTransport)
			}
		}})
		alice := alicePeer(t, n)
		unreachable := sip.Via{Transport: "UDP", Host: aliceAddr, Params: ";branch=z9hG4bK1;maddr=[ff02::1]"}
		options := request(sip.OPTIONS, bobURI, sip.Push(unreachable))
		for range 3 {
			alice.send(options)
			alice.expectAll(time.Second, "")
		}
		j.check(t, "OPTIONS from 192.0.2.1:5060")
	})
}

// The context of a transaction ends with the handler, and one that is asked for
// later has ended already: it is not kept.
func TestContextEndsWithHandler(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var early context.Context
		var tx *Server
		listen(t, n.Host(bobAddr), &Config{Handler: func(s *Server, req *sip.Request) {
			if req.CallID() == "early" {
				early = s.Context()
			}
			tx = s
			s.Reply(sip.StatusOK)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		expect(t, alice, request(sip.OPTIONS, bobURI, sip.CallID("early")), "200")
		if early.Err() == nil {
			t.Error("the context lives on after the handler")
		}
		expect(t, alice, request(sip.OPTIONS, bobURI, sip.CallID("late")), "200")
		if tx.Context().Err() == nil {
			t.Error("a context asked for after the handler has not ended")
		}
	})
}
