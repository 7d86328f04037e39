package dialog_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// newBridge runs a Layer on Carol's host that passes calls on to Bob, with edits of its
// own in the INVITE.
func newBridge(t *testing.T, n *siptest.Network, own ...sip.Edit) *dialog.Layer {
	t.Helper()
	return newBridgeWith(t, n, nil, own...)
}

// newBridgeWith runs one that answers challenges.
func newBridgeWith(t *testing.T, n *siptest.Network, auth dialog.Authorizer, own ...sip.Edit) *dialog.Layer {
	t.Helper()
	return newBridgeOf(t, n, dialog.Config{Auth: auth}, own...)
}

// newBridgeOf runs one with other options.
func newBridgeOf(t *testing.T, n *siptest.Network, cfg dialog.Config, own ...sip.Edit) *dialog.Layer {
	t.Helper()
	ready := make(chan *dialog.Layer, 1)
	cfg.OnInvite = func(ctx context.Context, in *dialog.Invitation) {
		l := <-ready
		ready <- l
		if in.Re() {
			other := in.Session().Other().Session()
			resp, err := other.Invite(ctx, func(resp *sip.Response) { in.Relay(other, resp, nil) }, l.Relayed(in.Request())...)
			in.Relay(other, resp, err)
			return
		}
		out := newInvite(t, "sip:bob@"+bobAddr, "other", append(l.Relayed(in.Request()), own...)...)
		s, resp, err := l.Invite(ctx, out, func(s *dialog.Session, resp *sip.Response) { in.Relay(s, resp, nil) })
		in.Relay(s, resp, err)
	}
	cfg.OnRequest = func(tx *dialog.Server, req *sip.Request) {
		l := <-ready
		ready <- l
		other := tx.Dialog().Other()
		if other == nil {
			tx.Reply(sip.StatusServerInternalError)
			return
		}
		tx.Relay(other.Do(tx.Context(), req.Method(), l.Relayed(req)...))
	}
	cfg.OnEnd = func(s *dialog.Session) {
		if other := s.Other(); other != nil {
			go other.Session().Bye(context.Background(), s.Farewell()...) // ends with the answer
		}
	}
	b := newLayer(t, n, carolAddr, &cfg)
	ready <- b
	return b
}

func body(text string) sip.Body { return sip.Body{Type: "application/sdp", Content: text} }

// What goes from end to end of a call through two dialogs, and what does not.
func TestRelayed(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		l := newLayer(t, n, aliceAddr, nil)
		for _, c := range []struct {
			name, in string
			want     []string // the lines that are not of the dialog, in order
		}{
			{"a request", "INFO sip:x@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:a@h>;tag=1\r\nt: <sip:b@h>;tag=2\r\n" +
				"i: 1\r\nCSeq: 9 INFO\r\nm: <sip:a@h>\r\nMax-Forwards: 7\r\nRoute: <sip:h;lr>\r\nPath: <sip:h>\r\nRAck: 1 2 INVITE\r\n" +
				"Proxy-Authorization: Digest a=\"1\"\r\nk: 100rel\r\nX-A: 1\r\nX-B: 2\r\nx-a: 3\r\nSupported: timer\r\nMin-SE: broken\r\n" +
				"Security-Client: tls\r\nSecurity-Verify: tls\r\nRequire: sec-agree\r\nRequire: 100rel, Sec-Agree\r\nProxy-Require: sec-agree\r\nContent-Type: text/plain ; charset=\"x\"\r\nContent-Language: de\r\nl: 4\r\n\r\n\x00\r\n.",
				[]string{"Max-Forwards: 6", "Proxy-Authorization: Digest a=\"1\"", "k: 100rel", "X-A: 1", "X-B: 2", "x-a: 3",
					"Supported: timer", "Require: 100rel", "Content-Language: de", "Content-Type: text/plain ; charset=\"x\""}},
			{"a response", "SIP/2.0 183 Call Progress\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n" +
				"Call-ID: 1\r\nCSeq: 9 INVITE\r\nContact: <sip:a@h>\r\nRecord-Route: <sip:h;lr>\r\nRSeq: 5\r\nRequire: 100rel, timer\r\n" +
				"Allow: INVITE\r\nAllow: BYE\r\nContent-Length: 0\r\n\r\n",
				[]string{"Require: timer", "Allow: INVITE", "Allow: BYE"}},
			{"an agreement of hops", "SIP/2.0 494 x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n" +
				"Call-ID: 1\r\nCSeq: 9 INVITE\r\nSecurity-Server: tls\r\nRequire: sec-agree\r\nSupported: sec-agree, 100rel\r\nContent-Length: 0\r\n\r\n",
				[]string{"Supported: 100rel"}},
			{"no Require is left", "SIP/2.0 183 x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n" +
				"Call-ID: 1\r\nCSeq: 9 INVITE\r\nRequire: 100REL\r\nContent-Length: 0\r\n\r\n", nil},
			{"a redirection", "SIP/2.0 302 x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n" +
				"Call-ID: 1\r\nCSeq: 9 INVITE\r\nContact: <sip:c@h>\r\nContact: <sip:d@h>\r\nContent-Length: 0\r\n\r\n",
				[]string{"Contact: <sip:c@h>", "Contact: <sip:d@h>"}},
			{"two of one", "SIP/2.0 486 x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n" +
				"Call-ID: 1\r\nCSeq: 9 INVITE\r\nSubject: one\r\nWarning: 1\r\ns: two\r\nContent-Length: 0\r\n\r\n",
				[]string{"s: two"}},
			{"a body of no type", "SIP/2.0 486 x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n" +
				"Call-ID: 1\r\nCSeq: 9 INVITE\r\nContent-Length: 1\r\n\r\n.",
				[]string{"Content-Type: application/octet-stream"}},
		} {
			m, err := sip.Parse(c.in)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			out := sip.NewRequest(m.CSeq().Method, sip.URI{Scheme: "sip", Host: "h"},
				append([]sip.Edit{sip.Allow{sip.REGISTER}}, l.Relayed(m)...)...)
			if err := out.Err(); err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			var got []string
			for f := range out.Fields() {
				if f.Name != "Content-Length" {
					got = append(got, f.Name+": "+f.Value)
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: passed on is\n%q\nwant\n%q", c.name, got, c.want)
			}
			if got, want := out.Body(), m.Body(); got != want {
				t.Errorf("%s: the body is %q, want %q", c.name, got, want)
			}
		}
	})
}

// The callee forks. Alice has one dialog: she shares it with the branch that first
// describes a session reliably, and hears of another that it rings. That one is
// acknowledged, and what it asks for has to wait. Then it is the one that answers: both
// describe their sessions anew.
func TestRelayFork(t *testing.T) {
	for _, winner := range []string{"one", "two"} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n)
			alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body("A1"), sip.Supported{sip.Option100rel}))
			invite := bob.expect("INVITE 1")
			one, two := tagged(invite.Message, "one"), tagged(invite.Message, "two")
			bob.reply(invite, sip.StatusRinging, bob.contact(), tagged(invite.Message, "zero"))
			ringing := alice.expect("180 INVITE 1").Message
			bob.reply(invite, sip.StatusSessionProgress, bob.contact(), one, body("one"), sip.RSeq(1), sip.Require{sip.Option100rel})
			early := alice.expect("183 INVITE 1").Message
			if got := early.Body(); got != "one" || early.To().Tag() != ringing.To().Tag() {
				t.Errorf("the early session is %q with %v", got, early.To())
			}
			rseq, _ := sip.Get[sip.RSeq](early)
			alice.send(carolAddr, alice.within(early, sip.PRACK, 2, sip.RAck{RSeq: rseq, CSeq: early.CSeq()}))
			prack := bob.expect("PRACK 2")
			if got := prack.Message.To().Tag(); got != "one" {
				t.Errorf("the PRACK is for %s", got)
			}
			bob.reply(prack, sip.StatusOK)
			alice.expect("200 PRACK 2")

			bob.reply(invite, sip.StatusSessionProgress, bob.contact(), two, body("two"), sip.RSeq(9), sip.Require{sip.Option100rel})
			prack = bob.expect("PRACK 2")
			if got := prack.Message.To().Tag(); got != "two" {
				t.Errorf("the PRACK of the bridge is for %s", got)
			}
			bob.reply(prack, sip.StatusOK)
			if got := alice.expect("183 INVITE 1").Message; got.Body() != "" {
				t.Errorf("Alice got %q of the second branch", got.Body())
			}
			bob.send(carolAddr, bob.back(invite.Message, two, sip.UPDATE, 1, body("two again")))
			bob.expect("500 UPDATE 1")
			bob.reply(invite, sip.StatusEarlyDialogTerminated, bob.contact(), tagged(invite.Message, "zero"))
			alice.silent(time.Second)

			bob.reply(invite, sip.StatusOK, bob.contact(), tagged(invite.Message, winner))
			answer := alice.expect("200 INVITE 1").Message
			alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
			bob.expect("ACK 1")
			if winner == "two" {
				again := bob.expect("INVITE 3")
				if got := again.Message.Body(); got != "" {
					t.Errorf("Bob is offered %q, want him to make an offer", got)
				}
				bob.reply(again, sip.StatusOK, bob.contact(), body("two anew"))
				offer := alice.expect("INVITE 1")
				if got := offer.Message.Body(); got != "two anew" {
					t.Errorf("Alice is offered %q", got)
				}
				alice.reply(offer, sip.StatusOK, alice.contact(), body("A2"))
				alice.expect("ACK 1")
				if got := bob.expect("ACK 3").Message.Body(); got != "A2" {
					t.Errorf("Bob's answer is %q", got)
				}
			}
			alice.send(carolAddr, alice.within(answer, sip.BYE, 3, sip.Reason{Protocol: "SIP", Cause: 200, Text: "enough"}))
			alice.expect("200 BYE 3")
			last := "BYE 3"
			if winner == "two" {
				last = "BYE 4"
			}
			got := bob.expect(last)
			if reason, _ := got.Message.Value("Reason"); reason != `SIP;cause=200;text="enough"` {
				t.Errorf("the Reason is %q", reason)
			}
			bob.reply(got, sip.StatusOK)
			time.Sleep(time.Minute)
			wantEmpty(t, bridge)
		})
	}
}

// Alice never acknowledges the reliable ringing: the call is refused with 504, and Bob
// hears that it is over.
func TestRelayNoPRACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), sip.Supported{sip.Option100rel}))
		invite := bob.expect("INVITE 1")
		bob.reply(invite, sip.StatusRinging, bob.contact(), tagged(invite.Message, "one"), sip.RSeq(1), sip.Require{sip.Option100rel})
		refusal := alice.expect("504 INVITE 1", "180 INVITE 1").Message
		alice.refused(carolAddr, req, refusal)
		bob.reply(bob.expect("CANCEL 1"), sip.StatusOK)
		bob.reply(invite, sip.StatusRequestTerminated, tagged(invite.Message, "one"))
		bob.expect("ACK 1")
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}

// Bob says BYE right behind his 200, which he should not before the ACK: Alice is
// refused, or hung up on.
func TestRelayByeBehindAnswer(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
		invite := bob.expect("INVITE 1")
		to := tagged(invite.Message, "one")
		bob.reply(invite, sip.StatusRinging, bob.contact(), to)
		alice.expect("180 INVITE 1")
		bob.reply(invite, sip.StatusOK, bob.contact(), to)
		bob.send(carolAddr, bob.back(invite.Message, to, sip.BYE, 1))
		bob.expect("200 BYE 1", "ACK 1", "BYE 2") // ours if the BYE was looked at first
		got := <-alice.in
		switch summary(got.Message) {
		case "480 INVITE 1":
			alice.refused(carolAddr, req, got.Message)
		case "200 INVITE 1": // which was looked at first
			alice.send(carolAddr, alice.within(got.Message, sip.ACK, 1))
			alice.reply(alice.expect("BYE 1"), sip.StatusOK)
		default:
			t.Errorf("Alice got %s", summary(got.Message))
		}
		time.Sleep(2 * time.Minute)
		wantEmpty(t, bridge)
	})
}

// Bob's Contact leads nowhere, so his 200 cannot be acknowledged as Alice has: both are
// hung up on, Bob by the way that the INVITE went.
func TestRelayCannotAcknowledge(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
		invite := bob.expect("INVITE 1")
		nowhere := sip.Contact{URI: sip.URI{Scheme: "sip", Host: "[2001:db8::1]"}}
		bob.reply(invite, sip.StatusOK, nowhere, tagged(invite.Message, "one"))
		answer := alice.expect("200 INVITE 1").Message
		alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
		bye := alice.expect("BYE 1")
		if reason, _ := sip.Get[sip.Reason](bye.Message); reason.Cause != 481 {
			t.Errorf("the Reason is %+v", reason)
		}
		alice.reply(bye, sip.StatusOK)
		bob.expect("ACK 1")
		bob.reply(bob.expect("BYE 2"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}

// A branch that Alice does not hear answers before it refuses its PRACK, which ends the
// call. The program closes the Layer for that, there and then.
func TestCloseWhenRelayEndsACall(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		var bridge *dialog.Layer
		ended := make(chan error, 2)
		bridge = newLayer(t, n, carolAddr, &dialog.Config{
			OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				out := newInvite(t, "sip:bob@"+bobAddr, "other", bridge.Relayed(in.Request())...)
				s, resp, err := bridge.Invite(ctx, out, func(s *dialog.Session, resp *sip.Response) { in.Relay(s, resp, nil) })
				in.Relay(s, resp, err)
			},
			OnEnd: func(s *dialog.Session) {
				err := s.Err()
				bridge.Close()
				ended <- err
			},
		})
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), body("A1"), sip.Supported{sip.Option100rel}))
		invite := bob.expect("INVITE 1")
		one, two := tagged(invite.Message, "one"), tagged(invite.Message, "two")
		bob.reply(invite, sip.StatusSessionProgress, bob.contact(), one, body("one"))
		alice.expect("183 INVITE 1")
		bob.reply(invite, sip.StatusSessionProgress, bob.contact(), two, sip.RSeq(9), sip.Require{sip.Option100rel})
		prack := bob.expect("PRACK 2")
		alice.expect("183 INVITE 1")
		bob.reply(invite, sip.StatusOK, bob.contact(), two)
		alice.expect("200 INVITE 1")
		bob.reply(prack, sip.StatusCallDoesNotExist)
		// Close ends the other leg before it returns.
		if caller, callee := <-ended, <-ended; !errors.Is(caller, transport.ErrClosed) || !errors.Is(callee, dialog.ErrLost) {
			t.Errorf("the legs have ended with %v and %v, want ErrClosed and ErrLost", caller, callee)
		}
	})
}
