package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

const bobURI = "sip:bob@192.0.2.2"

// Both streams are told once, and closed once, whoever hangs up.
func TestStreams(t *testing.T) {
	for _, hangup := range []string{"caller", "callee"} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			calls := make(chan *ua.Call, 1)
			ours, theirs := newStream(t), newStream(t)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, theirs)})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			a, err := alice.Invite(t.Context(), bobURI, streams(ours))
			if err != nil {
				t.Fatal(err)
			}
			b := <-calls
			ours.check(t, "caller", "sendrecv 192.0.2.2:4000", false)
			theirs.check(t, "callee", "sendrecv 192.0.2.1:4000", false)
			first, second := a, b
			if hangup == "callee" {
				first, second = b, a
			}
			if err := first.Hangup(t.Context()); err != nil {
				t.Error(err)
			}
			if err := first.Err(); err != nil {
				t.Errorf("Err() = %v at the side that hung up, want nil", err)
			}
			<-second.Done()
			if err := second.Err(); !errors.Is(err, ua.ErrHungUp) {
				t.Errorf("Err() = %v at the other side, want ErrHungUp", err)
			}
			ours.check(t, "caller", "", true)
			theirs.check(t, "callee", "", true)
			if err := first.Hangup(t.Context()); err != nil {
				t.Errorf("Hangup() of a call that is over = %v", err)
			}
			if err := second.Hold(t.Context()); err == nil {
				t.Error("Hold() of a call that is over worked")
			}
		})
	}
}

// A context that has ended is no reason not to say goodbye.
func TestHangupWithEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		theirs := <-calls
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		call.Hangup(ctx)
		<-theirs.Done()
	})
}

// A stream that takes a long time, or calls back, holds up nothing but itself:
// the call ends, the stream's context with it, and Close comes after.
func TestSlowStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		slow := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, slow)})
		alice := newCaller(t, n, "192.0.2.1", nil)
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		call := <-calls
		entered := make(chan struct{})
		slow.onUpdate = func(ctx context.Context) error {
			close(entered)
			go call.Hangup(context.Background())
			<-ctx.Done()
			return ctx.Err()
		}
		start := time.Now()
		s.Invite(t.Context(), nil, describe("192.0.2.1", 2, "audio 5002 RTP/AVP 0"))
		<-entered
		<-call.Done()
		if took := time.Since(start); took > time.Second {
			t.Errorf("the call was over after %v", took)
		}
		slow.check(t, "callee", "sendrecv 192.0.2.1:5000, sendrecv 192.0.2.1:5002", true)
	})
}

// A slow Update of the caller does not keep its ACK back.
func TestACKBeforeUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		slow := newStream(t)
		slow.onUpdate = func(context.Context) error { time.Sleep(time.Minute); return nil }
		if _, err := alice.Invite(t.Context(), bobURI, streams(slow)); err != nil {
			t.Fatal(err)
		}
		if <-calls == nil {
			t.Error("the callee got no ACK")
		}
	})
}

// The first Update is that of early media, and fails. The stream is told again
// with the answer, and the call ends if it fails again.
func TestEarlyUpdateFails(t *testing.T) {
	for _, failures := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			answer := describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0")
			hungUp := false
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				switch req.Method() {
				case sip.INVITE:
					tx.Reply(sip.StatusSessionProgress, contactAt("192.0.2.2"), answer)
					time.Sleep(time.Second)
					tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), answer)
				case sip.BYE:
					hungUp = true
					tx.Reply(sip.StatusOK)
				}
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			broken := errors.New("speaker is broken")
			stream := newStream(t)
			updates := 0
			stream.onUpdate = func(context.Context) error {
				if updates++; updates <= failures {
					return broken
				}
				return nil
			}
			_, err := alice.Invite(t.Context(), bobURI, streams(stream))
			synctest.Wait()
			ends := failures == 2
			if errors.Is(err, broken) != ends || hungUp != ends {
				t.Errorf("after %d failures Invite() = %v, and a BYE came: %v", failures, err, hungUp)
			}
			stream.check(t, "caller", "sendrecv 192.0.2.2:5000, sendrecv 192.0.2.2:5000", ends)
		})
	}
}

// An INVITE that ends with an error closes its streams, wherever the error is.
func TestInviteFails(t *testing.T) {
	broken := errors.New("microphone is broken")
	fail := func(context.Context) error { return broken }
	for _, test := range []struct {
		name   string
		target string
		handle func(*transaction.Server, *sip.Request)
		offer  func(context.Context) error
		update func(context.Context) error
		want   error
	}{
		{name: "busy", handle: func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusBusyHere) }, want: sip.StatusBusyHere},
		{name: "offer", offer: fail, want: broken},
		{name: "update", update: fail, want: broken},
		{name: "no answer in the 200", handle: answer200(sip.Body{}), want: ua.ErrNoStream},
		{name: "all refused", handle: answer200(describe("192.0.2.2", 1, "audio 0 RTP/AVP 0")), want: ua.ErrNoStream},
		{name: "nonsense", handle: answer200(sip.Body{Type: "application/sdp", Content: "x"})},
		{name: "no contact", handle: func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }},
		{name: "target", target: "mailto:bob"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				if test.handle == nil {
					test.handle = answer200(describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
				}
				newPeer(t, n, "192.0.2.2", test.handle)
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				stream := newStream(t)
				stream.onOffer, stream.onUpdate = test.offer, test.update
				if test.target == "" {
					test.target = bobURI
				}
				_, err := alice.Invite(t.Context(), test.target, streams(stream))
				if err == nil || test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("Invite() = %v, want %v", err, test.want)
				}
				stream.told()
				stream.check(t, "caller", "", true)
			})
		})
	}
}

// answer200 answers an INVITE, and BYE, with 200.
func answer200(body sip.Body) func(*transaction.Server, *sip.Request) {
	contact := contactAt("192.0.2.2")
	return func(tx *transaction.Server, req *sip.Request) {
		if req.Method() == sip.INVITE && body.Type != "" {
			tx.Reply(sip.StatusOK, contact, body)
		} else {
			tx.Reply(sip.StatusOK, contact)
		}
	}
}

// The peer is dead: Invite returns when its context ends, and not when the
// transaction has given up.
func TestInviteDeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		stream := newStream(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := alice.Invite(ctx, bobURI, streams(stream))
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 3*time.Second {
			t.Errorf("Invite() = %v after %v, want the error of the context after 3s", err, took)
		}
		stream.check(t, "caller", "", true)
		start = time.Now()
		_, err = alice.Invite(t.Context(), bobURI, nil)
		if took := time.Since(start); !errors.Is(err, transaction.ErrTimeout) || took != 32*time.Second {
			t.Errorf("Invite() = %v after %v, want ErrTimeout after 32s", err, took)
		}
	})
}

// The callee answers in the moment in which the caller gives up: the call is
// acknowledged and ended.
func TestAnswerCrossesCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 50 * time.Millisecond})
		over := make(chan error, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				time.Sleep(time.Second)
				call, err := in.Answer(ctx, newStream(t))
				if err == nil {
					<-call.Done()
					err = call.Err()
				}
				over <- err
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		// Bob answers 1.05 s after the start, the CANCEL comes at 1.07 s.
		ctx, cancel := context.WithTimeout(t.Context(), 1020*time.Millisecond)
		defer cancel()
		if _, err := alice.Invite(ctx, bobURI, streams(newStream(t))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Invite() = %v, want the error of the context", err)
		}
		if err := <-over; !errors.Is(err, ua.ErrHungUp) {
			t.Errorf("Bob's call ended with %v, want ErrHungUp", err)
		}
	})
}

// A caller without streams refuses what the callee offers, and the call is up.
func TestInviteWithoutStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		acks := make(chan string, 1)
		bob := newCaller(t, n, "192.0.2.2", &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			if in.Request().Body() != "" {
				t.Error("there is an offer")
			}
			ack, err := in.Accept(describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			if err != nil {
				t.Error(err)
				return
			}
			acks <- ack.Body()
			// The peer may well refresh a call that carries nothing.
			resp, err := in.Session().Invite(context.Background(), nil, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			if err != nil || resp.Status() != sip.StatusOK {
				t.Errorf("the refresh got %v, %v", resp, err)
			}
			in.Session().Ack(context.Background())
		}})
		_ = bob
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body := <-acks; !contains(body, "m=audio 0 RTP/AVP 0") {
			t.Errorf("the ACK has %q, want a refusal", body)
		}
		synctest.Wait()
		call.Hangup(t.Context())
	})
}

// The first 200, or the first ACK, is lost: all is well a moment later, and the
// streams have not noticed.
func TestLost200AndACK(t *testing.T) {
	for _, lost := range []string{"SIP/2.0 200", "ACK "} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			dropped := 0
			n.SetFilter(func(p siptest.Packet) siptest.Verdict {
				if contains(string(p.Data[:min(len(p.Data), 11)]), lost) && dropped < 2 {
					dropped++
					return siptest.Verdict{Drop: true}
				}
				return siptest.Verdict{}
			})
			calls := make(chan *ua.Call, 1)
			ours, theirs := newStream(t), newStream(t)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, theirs)})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			if _, err := alice.Invite(t.Context(), bobURI, streams(ours)); err != nil {
				t.Fatal(err)
			}
			if <-calls == nil {
				t.Fatal("Answer failed")
			}
			time.Sleep(time.Minute)
			ours.check(t, "caller", "sendrecv 192.0.2.2:4000", false)
			theirs.check(t, "callee", "sendrecv 192.0.2.1:4000", false)
		})
	}
}

// No ACK ever comes: the callee ends the call after 32 seconds.
func TestNoACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		result := make(chan error, 1)
		stream := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			_, err := in.Answer(ctx, stream)
			result <- err
		}})
		alice := newCaller(t, n, "192.0.2.1", nil)
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, dialog.ErrNoACK) {
			t.Errorf("Answer() = %v, want ErrNoACK", err)
		}
		stream.told()
		stream.check(t, "callee", "", true)
		<-s.Done()
	})
}

// Whatever is asked of a call that is over says why it is, whoever has ended it.
func TestCallIsOver(t *testing.T) {
	elsewhere := sip.Reason{Protocol: "SIP", Cause: 480}
	for name, test := range map[string]struct {
		end  func(context.Context, *pair) error
		want error
	}{
		"by us":       {func(ctx context.Context, p *pair) error { return p.a.Hangup(ctx) }, dialog.ErrEnded},
		"by the peer": {func(ctx context.Context, p *pair) error { return p.b.Hangup(ctx, elsewhere) }, ua.ErrHungUp},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				if err := test.end(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				<-p.a.Done()
				_, do := p.a.Do(t.Context(), "FOO")
				for what, err := range map[string]error{
					"Do":          do,
					"Hold":        p.a.Hold(t.Context()),
					"Add":         p.a.Add(t.Context(), newStream(t)),
					"Renegotiate": p.a.Renegotiate(t.Context()),
					"Info":        p.a.Info(t.Context(), "", ua.DTMF('1', time.Second)),
					"Transfer":    p.a.Transfer(t.Context(), carolURI, nil),
				} {
					if !errors.Is(err, test.want) || errors.Is(err, elsewhere) != (test.want == ua.ErrHungUp) {
						t.Errorf("%s: %v, want %v", what, err, test.want)
					}
				}
			})
		})
	}
}
