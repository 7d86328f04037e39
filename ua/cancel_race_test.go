package ua_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// race is Alice, an agent, on a network where everything takes 50 ms.
type race struct {
	t     *testing.T
	n     *siptest.Network
	alice *ua.Agent
	start time.Time
}

// run has Alice call Bob and give up when the time has come. want is what Invite returns,
// and wire all that was sent until a minute later, as Alice sees it.
func (r *race) run(giveUp time.Duration, opts *ua.InviteOptions, want error, wire string) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	time.AfterFunc(giveUp, cancel)
	call, err := r.alice.Invite(ctx, bobURI, opts)
	if !errors.Is(err, want) || call != nil {
		r.t.Errorf("Invite() = %v, %v, want %v", call, err, want)
	}
	if errors.Is(want, context.Canceled) {
		if took := time.Since(r.start); took != giveUp {
			r.t.Errorf("Invite returned after %v, want %v", took, giveUp)
		}
	}
	time.Sleep(time.Minute)
	r.wire(wire)
}

// wire compares what was sent, and when, a message a line.
func (r *race) wire(want string) {
	r.t.Helper()
	var got []string
	for _, p := range r.n.Packets() {
		arrow, lost := "<", ""
		if p.From.Addr().String() == "192.0.2.1" {
			arrow = ">"
		}
		if p.Lost {
			lost = " x"
		}
		line, _, _ := strings.Cut(string(p.Data), "\r\n")
		what := strings.Fields(line)[0]
		if what == "SIP/2.0" {
			m, err := sip.Parse(string(p.Data))
			if err != nil {
				r.t.Fatal(err)
			}
			what = fmt.Sprintf("%s %s", strings.Fields(line)[1], m.(*sip.Response).CSeq().Method)
		}
		got = append(got, fmt.Sprintf("%v %s %s%s", p.Time.Sub(r.start).Round(time.Millisecond), arrow, what, lost))
	}
	var lines []string
	for line := range strings.Lines(want) {
		if f := strings.Fields(line); len(f) > 0 {
			lines = append(lines, strings.Join(f, " "))
		}
	}
	if got, want := strings.Join(got, "\n"), strings.Join(lines, "\n"); got != want {
		r.t.Errorf("on the wire:\n%s\nwant:\n%s", got, want)
	}
}

// newRace makes Alice, and Bob as an agent with cfg, or as a machine that does what
// handle does.
func newRace(t *testing.T, cfg *ua.Config, handle func(*transaction.Server, *sip.Request)) *race {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 50 * time.Millisecond, Record: true})
	if cfg != nil {
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", *cfg)
	} else {
		newPeer(t, n, "192.0.2.2", handle)
	}
	return &race{t: t, n: n, alice: newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{}), start: time.Now()}
}

func TestCancelRaces(t *testing.T) {
	answer := describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0")
	at := contactAt("192.0.2.2")
	reliably := []sip.Edit{at, sip.Require{sip.Option100rel}, sip.RSeq(1)}
	for _, test := range []struct {
		name   string
		handle func(*transaction.Server, *sip.Request) // Bob
		giveUp time.Duration
		want   error
		wire   string
	}{
		// RFC 3261 section 9.1: the CANCEL waits, so that it does not overtake the INVITE.
		{"before any provisional response", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				time.Sleep(180 * time.Millisecond)
				tx.Reply(sip.StatusRinging, at)
				<-tx.Context().Done()
			}
		}, 100 * time.Millisecond, context.Canceled, `
			0s > INVITE
			230ms < 180 INVITE
			280ms > CANCEL
			330ms < 200 CANCEL
			330ms < 487 INVITE
			380ms > ACK`},
		// A refusal leaves nothing to cancel.
		{"the first response is a refusal", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				time.Sleep(100 * time.Millisecond)
				tx.Reply(sip.StatusBusyHere)
			}
		}, 100 * time.Millisecond, context.Canceled, `
			0s > INVITE
			150ms < 486 INVITE
			200ms > ACK`},
		// An answer leaves a call, which is ended.
		{"the first response is an answer", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				time.Sleep(100 * time.Millisecond)
			}
			tx.Reply(sip.StatusOK, at, answer)
		}, 100 * time.Millisecond, context.Canceled, `
			0s > INVITE
			150ms < 200 INVITE
			200ms > ACK
			200ms > BYE
			250ms < 200 BYE`},
		{"crossing a 200", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusRinging, at)
				time.Sleep(time.Second)
				tx.Reply(sip.StatusOK, at, answer)
				return
			}
			tx.Reply(sip.StatusOK)
		}, 1075 * time.Millisecond, context.Canceled, `
			0s > INVITE
			50ms < 180 INVITE
			1.05s < 200 INVITE
			1.075s > CANCEL
			1.1s > ACK
			1.1s > BYE
			1.125s < 200 CANCEL
			1.15s < 200 BYE`},
		{"crossing a 486", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusRinging, at)
				time.Sleep(time.Second)
				tx.Reply(sip.StatusBusyHere)
			}
		}, 1075 * time.Millisecond, context.Canceled, `
			0s > INVITE
			50ms < 180 INVITE
			1.05s < 486 INVITE
			1.075s > CANCEL
			1.1s > ACK
			1.125s < 200 CANCEL`},
		// A peer of RFC 2543 answers the CANCEL, and the INVITE never: it is forgotten
		// after 64*T1 (RFC 3261 section 9.1).
		{"of a peer that never answers the INVITE", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusRinging, at)
				_, release := tx.Hold()
				time.AfterFunc(5*time.Minute, release)
			}
		}, time.Second, context.Canceled, `
			0s > INVITE
			50ms < 180 INVITE
			1s > CANCEL
			1.05s < 200 CANCEL`},
		// The PRACK that is under way goes on, and is answered, and the call ends.
		{"while a PRACK is under way", func(tx *transaction.Server, req *sip.Request) {
			switch req.Method() {
			case sip.INVITE:
				tx.Reply(sip.StatusRinging, reliably...)
				<-tx.Context().Done()
			case sip.PRACK:
				time.Sleep(100 * time.Millisecond)
				tx.Reply(sip.StatusOK)
			}
		}, 175 * time.Millisecond, context.Canceled, `
			0s > INVITE
			50ms < 180 INVITE
			100ms > PRACK
			175ms > CANCEL
			225ms < 200 CANCEL
			225ms < 487 INVITE
			250ms < 200 PRACK
			275ms > ACK`},
		// The INVITE to the first place is over: it is the second one that is cancelled.
		{"in the second place of a redirection", func(tx *transaction.Server, req *sip.Request) {
			switch {
			case req.Method() != sip.INVITE:
			case req.URI().User == "bob":
				tx.Reply(sip.StatusMovedTemporarily, moved("sip:mobile@192.0.2.2", ""))
			default:
				tx.Reply(sip.StatusRinging, at)
				<-tx.Context().Done()
			}
		}, time.Second, context.Canceled, `
			0s > INVITE
			50ms < 302 INVITE
			100ms > ACK
			100ms > INVITE
			150ms < 180 INVITE
			1s > CANCEL
			1.05s < 200 CANCEL
			1.05s < 487 INVITE
			1.1s > ACK`},
		// No other place is tried for somebody who has given up.
		{"crossing a redirection", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				tx.Reply(sip.StatusRinging, at)
				time.Sleep(time.Second)
				tx.Reply(sip.StatusMovedTemporarily, moved("sip:mobile@192.0.2.2", ""))
			}
		}, 1075 * time.Millisecond, context.Canceled, `
			0s > INVITE
			50ms < 180 INVITE
			1.05s < 302 INVITE
			1.075s > CANCEL
			1.1s > ACK
			1.125s < 200 CANCEL`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stream := newStream(t)
				r := newRace(t, nil, test.handle)
				r.run(test.giveUp, streams(stream), test.want, test.wire)
				stream.check(t, "caller", "", true)
			})
		})
	}
}

// A challenge crosses the end of the context: no password goes out for a call that
// nobody wants any more. One that was answered before is cancelled like any other.
func TestCancelDuringChallenge(t *testing.T) {
	users, err := digest.NewServer(digest.ServerConfig{Realm: "b.example", Password: digest.Passwords(map[string]string{"alice": "sesame"})})
	if err != nil {
		t.Fatal(err)
	}
	for giveUp, wire := range map[time.Duration]string{
		75 * time.Millisecond: `
			0s > INVITE
			50ms < 401 INVITE
			100ms > ACK`,
		125 * time.Millisecond: `
			0s > INVITE
			50ms < 401 INVITE
			100ms > ACK
			100ms > INVITE
			150ms < 180 INVITE
			200ms > CANCEL
			250ms < 200 CANCEL
			250ms < 487 INVITE
			300ms > ACK`,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRace(t, &ua.Config{
				Authenticate: func(*sip.Request) *digest.Server { return users },
				OnInvite: func(ctx context.Context, in *ua.Invitation) {
					in.Ring(ctx)
					<-ctx.Done()
				},
			}, nil)
			r.alice.Close()
			r.alice = newAgent(t, r.n, "192.0.2.1", "sip:alice@a.example", ua.Config{
				Credentials: []digest.Credentials{{Realm: "b.example", Username: "alice", Password: "sesame"}},
			})
			r.run(giveUp, nil, context.Canceled, wire)
		})
	}
}

// The other end of these races: what Bob's program gets to see when Alice gives up.
func TestCalleeIsCancelled(t *testing.T) {
	for _, test := range []struct {
		name   string
		bob    func(t *testing.T, ctx context.Context, in *ua.Invitation) error
		giveUp time.Duration
		want   error
		wire   string
	}{
		{"and rings", func(t *testing.T, ctx context.Context, in *ua.Invitation) error {
			<-ctx.Done()
			return in.Ring(ctx)
		}, time.Second, transaction.ErrCancelled, `
			0s > INVITE
			250ms < 100 INVITE
			1s > CANCEL
			1.05s < 200 CANCEL
			1.05s < 487 INVITE
			1.1s > ACK`},
		{"and answers", func(t *testing.T, ctx context.Context, in *ua.Invitation) error {
			<-ctx.Done()
			s := newStream(t)
			_, err := in.Answer(ctx, s)
			s.check(t, "callee", "", true)
			return err
		}, time.Second, transaction.ErrCancelled, `
			0s > INVITE
			250ms < 100 INVITE
			1s > CANCEL
			1.05s < 200 CANCEL
			1.05s < 487 INVITE
			1.1s > ACK`},
		{"and declines", func(t *testing.T, ctx context.Context, in *ua.Invitation) error {
			<-ctx.Done()
			return in.Reject(context.Background(), sip.StatusDecline)
		}, time.Second, nil, `
			0s > INVITE
			250ms < 100 INVITE
			1s > CANCEL
			1.05s < 200 CANCEL
			1.05s < 487 INVITE
			1.1s > ACK`},
		{"when he has answered", func(t *testing.T, ctx context.Context, in *ua.Invitation) error {
			in.Ring(ctx)
			time.Sleep(time.Second)
			s := newStream(t)
			call, err := in.Answer(ctx, s)
			if err != nil {
				return err
			}
			<-call.Done()
			s.check(t, "callee", "sendrecv 192.0.2.1:4000", true)
			return call.Err()
		}, 1075 * time.Millisecond, ua.ErrHungUp, `
			0s > INVITE
			50ms < 180 INVITE
			1.05s < 200 INVITE
			1.075s > CANCEL
			1.1s > ACK
			1.1s > BYE
			1.125s < 200 CANCEL
			1.15s < 200 BYE`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := make(chan error, 1)
				r := newRace(t, &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) { got <- test.bob(t, ctx, in) }}, nil)
				r.run(test.giveUp, streams(newStream(t)), context.Canceled, test.wire)
				if err := <-got; !errors.Is(err, test.want) {
					t.Errorf("Bob's program got %v, want %v", err, test.want)
				}
			})
		})
	}
}

// Both hang up at once: each gets a 200 for its BYE, and both calls ended as their own
// side wanted (RFC 5407 section 3.2.1).
func TestBothHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := make(chan *ua.Call, 1)
		theirs, ours := newStream(t), newStream(t)
		r := newRace(t, &ua.Config{OnInvite: answerWith(calls, theirs)}, nil)
		a, err := r.alice.Invite(t.Context(), bobURI, streams(ours))
		if err != nil {
			t.Fatal(err)
		}
		b := <-calls
		ended := make(chan error, 2)
		for _, call := range []*ua.Call{a, b} {
			go func() { ended <- call.Hangup(t.Context()) }()
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("Hangup() = %v", err)
			}
		}
		if a.Err() != nil || b.Err() != nil {
			t.Errorf("the calls ended with %v and %v, want nil", a.Err(), b.Err())
		}
		theirs.check(t, "callee", "sendrecv 192.0.2.1:4000", true)
		ours.check(t, "caller", "sendrecv 192.0.2.2:4000", true)
		time.Sleep(time.Minute)
	})
}

// Alice hangs up as soon as she has answered, and her ACK is lost: the BYE comes first,
// and is what Bob hears of it.
func TestByeBeforeACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan error, 1)
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 50 * time.Millisecond})
		n.SetFilter(func(p siptest.Packet) siptest.Verdict {
			return siptest.Verdict{Drop: strings.HasPrefix(string(p.Data), "ACK ")}
		})
		stream := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			_, err := in.Answer(ctx, stream)
			got <- err
		}})
		alice := newCaller(t, n, "192.0.2.1", &dialog.Config{})
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Bye(t.Context(), sip.Reason{Protocol: "SIP", Cause: 488}); err != nil {
			t.Errorf("Bye() = %v", err)
		}
		var why sip.Reason
		if err := <-got; !errors.Is(err, ua.ErrHungUp) || !errors.As(err, &why) || why.Cause != 488 {
			t.Errorf("Answer() = %v, want ErrHungUp for 488", err)
		}
		stream.check(t, "callee", "sendrecv 192.0.2.1:5000", true)
	})
}

// The same over a network that loses a fifth of all datagrams: whenever Alice gives up,
// nobody is left with half a call.
func TestCancelUnderLoss(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.2, Reorder: 0.1, Seed: seed})
			bobs := make(chan *ua.Call, 1)
			theirs, ours := newStream(t), newStream(t)
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				time.Sleep(300 * time.Millisecond)
				call, err := in.Answer(ctx, theirs)
				if (call == nil) == (err == nil) {
					t.Errorf("seed %d: Answer() = %v, %v", seed, call, err)
				}
				bobs <- call
			}})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seed)*20*time.Millisecond)
			defer cancel()
			call, err := alice.Invite(ctx, bobURI, streams(ours))
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("seed %d: Invite() = %v", seed, err)
			}
			time.Sleep(2 * time.Minute)
			if call != nil {
				if err := call.Hangup(t.Context()); err != nil {
					t.Errorf("seed %d: Hangup() = %v", seed, err)
				}
			}
			ours.told()
			ours.check(t, fmt.Sprint("caller, seed ", seed), "", true)
			select {
			case b := <-bobs:
				if b != nil {
					<-b.Done()
				}
				theirs.told()
				theirs.check(t, fmt.Sprint("callee, seed ", seed), "", true)
			default: // the INVITE was never sent
			}
		})
	}
}
