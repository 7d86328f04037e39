package transaction

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// A proxy that is stateless for OPTIONS and stateful for the rest (RFC 3261
// section 16.11): what it forwards leaves nothing behind, its responses come back
// by it, and what belongs to a transaction never gets there.
func TestStatelessBesideStateful(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("bob %s %s", req.Method(), req.Via().Branch())
			tx.Reply(sip.StatusOK)
		}})
		bob, _ := sip.ParseURI(bobURI)
		var l *Layer
		l = listen(t, n.Host(proxyAddr), &Config{
			Handler: func(tx *Server, req *sip.Request) {
				j.note("stateful %s", req.Method())
				tx.Reply(sip.StatusNotFound)
			},
			Stateless: func(in *transport.Inbound) bool {
				switch m := in.Message.(type) {
				case *sip.Response:
					j.note("response to %s", m.CSeq().Method)
					go l.Endpoint().Forward(context.Background(), m.With(sip.Pop("Via"))) // ends when it is sent
					return true
				case *sip.Request:
					if m.Method() != sip.OPTIONS {
						return false
					}
					ctx := WithBranch(context.Background(), "same."+strings.TrimPrefix(m.Via().Branch(), cookie))
					go l.Send(ctx, m.WithURI(bob)) // ends when it is sent
					return true
				}
				return false
			},
		})
		alice := listen(t, n.Host(aliceAddr), nil)
		ctx := WithBranch(context.Background(), "mark")
		for _, method := range []sip.Method{sip.OPTIONS, sip.MESSAGE} {
			var last *sip.Response
			var branch string
			sent := WithSent(ctx, func(_ transport.Flow, out *sip.Request) { branch = out.Via().Branch() })
			for resp, err := range alice.Responses(sent, request(method, proxyURI)) {
				if err != nil {
					t.Fatal(err)
				}
				last = resp
			}
			if !strings.HasPrefix(branch, cookie) || !strings.HasSuffix(branch, ".mark") {
				t.Errorf("branch = %q, want one that ends with .mark", branch)
			}
			if got := last.Via().Branch(); got != branch {
				t.Errorf("the response has branch %q, want %q", got, branch)
			}
			if method == sip.OPTIONS {
				j.check(t, "bob OPTIONS "+cookie+"same."+strings.TrimPrefix(branch, cookie), "response to OPTIONS")
			}
		}
		synctest.Wait()
		if n := tallyOf(l).servers; n != 1 {
			t.Errorf("%d server transactions, want that of MESSAGE alone", n)
		}
	})
}

// The name of a transaction is that of its retransmissions and like no other;
// that of a peer of RFC 2543 is one line, too.
func TestID(t *testing.T) {
	parse := func(method, via string) string {
		m, err := sip.Parse(method + " sip:b@h SIP/2.0\r\nVia: " + via + "\r\nFrom: <sip:a@h>;tag=1\r\n" +
			"To: <sip:b@h>\r\nCall-ID: 7\r\nCSeq: 1 " + method + "\r\nContent-Length: 0\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		return serverKeyOf(m.(*sip.Request)).String()
	}
	for _, test := range []struct{ method, via, want string }{
		{"INVITE", "SIP/2.0/UDP h;branch=z9hG4bKaB", "z9hG4bKab h INVITE"},
		{"CANCEL", "SIP/2.0/UDP h;branch=z9hG4bKab", "z9hG4bKab h CANCEL"},
		{"INVITE", "SIP/2.0/UDP H:5060;branch=Z9hG4bKab", "z9hG4bKab h:5060 INVITE"},
		{"INVITE", "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKab", "z9hG4bKab [2001:db8::1]:5060 INVITE"},
		{"INVITE", "SIP/2.0/UDP h", "sip:b@h 1 7 1  h INVITE"},
	} {
		if got := parse(test.method, test.via); got != test.want {
			t.Errorf("ID of %s with %s = %q, want %q", test.method, test.via, got, test.want)
		}
	}
}

// A response that comes when its transaction is over, and one that fails to match
// it, is none that was sent without a transaction: Config.Stateless does not get
// it, or a proxy would pass it on (RFC 4320 section 4.2 forbids it to). Its
// branch is one that the layer has made for a transaction.
func TestLateResponseIsNotStateless(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), &Config{Stateless: func(in *transport.Inbound) bool {
			j.note("%s", label([]byte(in.Message.String())))
			return true
		}})
		go func() { // ends with the story
			r := bob.request(sip.OPTIONS)
			bob.send(reply(r, 200, "b").With(sip.CSeq{Seq: 1, Method: sip.MESSAGE}), reply(r, 200, "b"))
			pass(34 * time.Second)
			bob.send(reply(r, 200, "b"))
		}()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		pass(time.Minute)
		j.check(t, "")
	})
}
