package ua_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// silence is an agent that has everything, and whose peers have all fallen silent.
type silence struct {
	*ua.Agent
	call, other *ua.Call
	stream      *fakeStream // of call
	reg         *ua.Registration
	pub         *ua.Publication
	sub         *ua.Subscription
	more        []*fakeStream // that no call has
}

func newSilence(t *testing.T) *silence {
	t.Helper()
	n := siptest.NewNetwork(nil)
	newPeer(t, n, registrarAddr, func(tx *transaction.Server, req *sip.Request) {
		expires, _ := sip.Get[sip.Expires](req)
		if req.Method() == sip.REGISTER {
			contact, _ := sip.Get[sip.Contact](req)
			tx.Reply(sip.StatusOK, contact.WithExpires(uint32(expires)))
			return
		}
		tx.Reply(sip.StatusOK, expires, sip.SIPETag("x"))
	})
	calls := make(chan *ua.Call, 2)
	newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
		OnInvite:     func(ctx context.Context, in *ua.Invitation) { answerWith(calls, newStream(t))(ctx, in) },
		InfoPackages: map[string]func(context.Context, ua.Info) error{"x": func(context.Context, ua.Info) error { return nil }},
		Notifiers:    []*ua.Notifier{ua.NewNotifier(&mood{}, nil)},
	})
	s := &silence{stream: newStream(t)}
	s.Agent = newAgent(t, n, "192.0.2.1", "sip:alice@"+registrarAddr, ua.Config{InfoPackages: map[string]func(context.Context, ua.Info) error{}})
	var errs [5]error
	s.reg, errs[0] = s.Register(t.Context(), &ua.RegisterOptions{OnError: func(error) {}})
	s.pub, errs[1] = s.Publish(t.Context(), "presence", sip.Body{Type: "text/plain", Content: "x"}, &ua.PublishOptions{OnError: func(error) {}})
	s.sub, errs[2] = s.Subscribe(t.Context(), bobURI, "mood", nil)
	s.call, errs[3] = s.Invite(t.Context(), bobURI, streams(s.stream, newStream(t)))
	s.other, errs[4] = s.Invite(t.Context(), bobURI, streams(newStream(t)))
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	next(t, s.sub)
	synctest.Wait() // for the last ACK
	n.SetFilter(func(siptest.Packet) siptest.Verdict { return siptest.Verdict{Drop: true} })
	return s
}

// Nobody answers any more: whatever the agent is doing returns when its context ends, with
// the error of that.
func TestContextIsHeeded(t *testing.T) {
	const gone = "sip:carol@192.0.2.3"
	text := sip.Body{Type: "text/plain", Content: "y"}
	for _, test := range []struct {
		name string
		do   func(context.Context, *silence) error
	}{
		{"Agent.Invite", func(ctx context.Context, s *silence) error {
			_, err := s.Invite(ctx, gone, streams(s.more...))
			return err
		}},
		{"Agent.Message", func(ctx context.Context, s *silence) error { return s.Message(ctx, gone, "text/plain", "hello") }},
		{"Agent.Options", func(ctx context.Context, s *silence) error { _, err := s.Options(ctx, gone); return err }},
		{"Agent.Do", func(ctx context.Context, s *silence) error { _, err := s.Do(ctx, "FOO", gone); return err }},
		{"Agent.Register", func(ctx context.Context, s *silence) error { _, err := s.Register(ctx, nil); return err }},
		{"Agent.Bindings", func(ctx context.Context, s *silence) error { _, err := s.Bindings(ctx, nil); return err }},
		{"Agent.RemoveBindings", func(ctx context.Context, s *silence) error { return s.RemoveBindings(ctx, nil) }},
		{"Agent.Publish", func(ctx context.Context, s *silence) error { _, err := s.Publish(ctx, "mood", text, nil); return err }},
		{"Agent.Subscribe", func(ctx context.Context, s *silence) error {
			_, err := s.Agent.Subscribe(ctx, gone, "mood", nil)
			return err
		}},
		{"Agent.Fetch", func(ctx context.Context, s *silence) error { _, err := s.Fetch(ctx, gone, "mood", nil); return err }},
		{"Agent.Refer", func(ctx context.Context, s *silence) error { return s.Refer(ctx, bobURI, gone, nil) }},
		{"Agent.NetworkChanged", func(ctx context.Context, s *silence) error { return s.NetworkChanged(ctx) }},
		{"Agent.Shutdown", func(ctx context.Context, s *silence) error { return s.Shutdown(ctx) }},
		{"Registration.Refresh", func(ctx context.Context, s *silence) error { return s.reg.Refresh(ctx) }},
		{"Registration.SetPush", func(ctx context.Context, s *silence) error {
			return s.reg.SetPush(ctx, sip.PushParams{Provider: "apns", PRID: "1"})
		}},
		{"Publication.Update", func(ctx context.Context, s *silence) error { return s.pub.Update(ctx, text) }},
		{"Subscription.Notifies", func(ctx context.Context, s *silence) error {
			for _, err := range s.sub.Notifies(ctx) {
				return err
			}
			return ctx.Err() // it ends without an error
		}},
		{"Call.Do", func(ctx context.Context, s *silence) error { _, err := s.call.Do(ctx, "FOO"); return err }},
		{"Call.Info", func(ctx context.Context, s *silence) error { return s.call.Info(ctx, "x", text) }},
		{"Call.Hold", func(ctx context.Context, s *silence) error { return s.call.Hold(ctx) }},
		{"Call.Resume", func(ctx context.Context, s *silence) error { return s.call.Resume(ctx) }},
		{"Call.Renegotiate", func(ctx context.Context, s *silence) error { return s.call.Renegotiate(ctx) }},
		{"Call.Add", func(ctx context.Context, s *silence) error { return s.call.Add(ctx, s.more[0]) }},
		{"Call.Remove", func(ctx context.Context, s *silence) error { return s.call.Remove(ctx, s.stream) }},
		{"Call.Transfer", func(ctx context.Context, s *silence) error { return s.call.Transfer(ctx, gone, nil) }},
		{"Call.TransferTo", func(ctx context.Context, s *silence) error { return s.call.TransferTo(ctx, s.other, nil) }},
		{"Call.Hangup", func(ctx context.Context, s *silence) error { return s.call.Hangup(ctx) }},
		{"Call.Hold behind another", func(ctx context.Context, s *silence) error {
			go s.call.Resume(context.WithoutCancel(ctx)) // ends with the transaction
			synctest.Wait()
			return s.call.Hold(ctx)
		}},
		{"Call.Info behind another", func(ctx context.Context, s *silence) error {
			go s.call.Info(context.WithoutCancel(ctx), "x", text) // likewise
			synctest.Wait()
			return s.call.Info(ctx, "x", text)
		}},
		{"Call.Transfer behind another", func(ctx context.Context, s *silence) error {
			go s.call.Transfer(context.WithoutCancel(ctx), gone, nil) // likewise
			synctest.Wait()
			return s.call.Transfer(ctx, gone, nil)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSilence(t)
				s.more = append(s.more, newStream(t))
				wantHeeded(t, func(ctx context.Context) error { return test.do(ctx, s) })
				s.Agent.Close()
			})
		})
	}
}

// Nobody answers any more, and the program has set no deadline: what ends by a time limit of ours says
// so, and not that a context has ended.
func TestLimitsOfOurs(t *testing.T) {
	register := func(opts *ua.RegisterOptions) func(*silence) error {
		return func(s *silence) error { _, err := s.Register(context.Background(), opts); return err }
	}
	for _, test := range []struct {
		name string
		do   func(*silence) error
		took time.Duration
		want error
	}{
		{"Registration.Close", func(s *silence) error { return s.reg.Close() }, 2 * time.Second, transaction.ErrTimeout},
		{"Publication.Close", func(s *silence) error { return s.pub.Close() }, 2 * time.Second, transaction.ErrTimeout},
		{"Subscription.Close", func(s *silence) error { return s.sub.Close() }, 2 * time.Second, transaction.ErrTimeout},
		{"two proxies", register(&ua.RegisterOptions{Proxies: []string{"sip:192.0.2.2", "sip:192.0.2.2:5070"}}),
			5*time.Second + 32*time.Second, transaction.ErrTimeout},
		{"TCP", register(&ua.RegisterOptions{Registrar: "sip:192.0.2.99;transport=tcp"}), 10 * time.Second, os.ErrDeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSilence(t)
				start := time.Now()
				err := test.do(s)
				if took := time.Since(start); took != test.took || !errors.Is(err, test.want) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v after %v, want %v after %v", err, took, test.want, test.took)
				}
				s.Agent.Close()
			})
		})
	}
}

// The callee answers, but its Contact has a name that nobody knows, and the server that is
// asked says nothing: the way of the ACK is not waited for. Both ACK and BYE go where the
// INVITE went.
func TestContextIsHeededByTheACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		got := make(chan sip.Method, 3)
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			got <- req.Method()
			switch req.Method() {
			case sip.INVITE:
				tx.Reply(sip.StatusOK, contactAt("slow.example"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			case sip.BYE:
				tx.Reply(sip.StatusOK)
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Resolver: deafResolver{}})
		s := newStream(t)
		wantHeeded(t, func(ctx context.Context) error {
			_, err := alice.Invite(ctx, bobURI, streams(s))
			return err
		})
		s.check(t, "Alice's", "", true)
		for _, want := range []sip.Method{sip.INVITE, sip.ACK, sip.BYE} {
			if method := <-got; method != want {
				t.Errorf("Bob gets %s, want %s", method, want)
			}
		}
	})
}

// deafResolver asks servers that never answer.
type deafResolver struct{}

func (deafResolver) Lookup(ctx context.Context, _ string, _ resolve.Type) (*resolve.Answer, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// wantHeeded gives something three seconds, which it has to take.
func wantHeeded(t *testing.T, do func(context.Context) error) {
	t.Helper()
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	err := do(ctx)
	if took := time.Since(start); took != patience || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v after %v, want the error of the context after %v", err, took, patience)
	}
}

// A caller, or who has sent a REFER, falls silent: so do those that answer it.
func TestContextIsHeededByAnswers(t *testing.T) {
	reliable := []sip.Edit{sip.Require{sip.Option100rel}, contactAt("192.0.2.9"), describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")}
	for _, test := range []struct {
		name   string
		in     func(context.Context, *ua.Invitation, ua.Stream) error
		method sip.Method
		edits  []sip.Edit
	}{
		{"Ring", func(ctx context.Context, in *ua.Invitation, s ua.Stream) error { return in.Ring(ctx) }, sip.INVITE, reliable},
		{"Progress", func(ctx context.Context, in *ua.Invitation, s ua.Stream) error { return in.Progress(ctx, s) }, sip.INVITE, reliable},
		{"Answer", func(ctx context.Context, in *ua.Invitation, s ua.Stream) error {
			_, err := in.Answer(ctx, s)
			return err
		}, sip.INVITE, reliable},
		{"Answer behind Progress", func(ctx context.Context, in *ua.Invitation, s ua.Stream) error {
			go in.Progress(context.WithoutCancel(ctx), s) // ends after 64*T1
			synctest.Wait()
			_, err := in.Answer(ctx)
			return err
		}, sip.INVITE, reliable},
		{"Referral.Invite", nil, sip.REFER, []sip.Edit{contactAt("192.0.2.9"), sip.ReferTo{URI: mustURI("sip:carol@192.0.2.3")}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				done := make(chan bool)
				bob := newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
					OnInvite: func(ctx context.Context, in *ua.Invitation) {
						defer close(done)
						wantHeeded(t, func(limited context.Context) error { return test.in(limited, in, newStream(t)) })
					},
					OnRefer: func(ctx context.Context, r *ua.Referral) {
						defer close(done)
						wantHeeded(t, func(limited context.Context) error {
							_, err := r.Invite(limited, streams(newStream(t)))
							return err
						})
					},
				})
				stranger := newPeer(t, n, "192.0.2.9", func(*transaction.Server, *sip.Request) {})
				go stranger.Do(t.Context(), request(test.method, bobURI, test.edits...)) // ends with the answer
				<-done
				bob.Close()
			})
		})
	}
}
