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
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// loseBegin has the network lose the first k datagrams that begin like this.
func loseBegin(n *siptest.Network, begin string, k int) {
	n.SetFilter(func(p siptest.Packet) siptest.Verdict {
		if k > 0 && strings.HasPrefix(string(p.Data), begin) {
			k--
			return siptest.Verdict{Drop: true}
		}
		return siptest.Verdict{}
	})
}

// Early media and then the answer, between two agents, whatever is lost on the way: both
// streams hear of it once, in the beginning, and the answer is not made twice.
func TestProgress(t *testing.T) {
	for _, lost := range []string{"nothing", "SIP/2.0 183", "PRACK", "SIP/2.0 200", "ACK"} {
		for _, noOffer := range []bool{false, true} {
			t.Run(fmt.Sprint("lost: ", lost, " NoOffer=", noOffer), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
					loseBegin(n, lost, 2)
					ours, theirs := newStream(t), newStream(t)
					calls := make(chan *ua.Call, 1)
					newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
						if err := in.Progress(ctx, theirs); err != nil {
							t.Errorf("Progress() = %v", err)
						}
						theirs.check(t, "callee, early", "sendrecv 192.0.2.1:4000", false)
						time.Sleep(3 * time.Second)
						ours.check(t, "caller, early", "sendrecv 192.0.2.2:4000", false)
						call, err := in.Answer(ctx)
						if err != nil {
							t.Errorf("Answer() = %v", err)
						}
						calls <- call
					}})
					alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
					opts := streams(ours)
					opts.NoOffer = noOffer
					a, err := alice.Invite(t.Context(), bobURI, opts)
					if err != nil {
						t.Fatal(err)
					}
					b := <-calls
					ours.check(t, "caller", "", false)
					theirs.check(t, "callee", "", false)
					if err := b.Hold(t.Context()); err != nil {
						t.Error(err)
					}
					ours.check(t, "caller, held", "recvonly 192.0.2.2:4000", false)
					a.Hangup(t.Context())
					<-b.Done()
					theirs.told()
					theirs.check(t, "callee, after the call", "", true)
				})
			})
		}
	}
}

// A caller that knows nothing of 100rel gets early media in a 183 that may be lost, and the
// same again in the 200.
func TestEarlyMediaUnreliable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		theirs := newStream(t)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Progress(ctx, theirs); err != nil {
				t.Errorf("Progress() = %v", err)
			}
			theirs.check(t, "callee, early", "sendrecv 192.0.2.1:5000", false)
			time.Sleep(time.Second)
			call, err := in.Answer(ctx)
			if err != nil {
				t.Errorf("Answer() = %v", err)
			}
			calls <- call
		}})
		alice := newCaller(t, n, "192.0.2.1", nil)
		early := ""
		s, resp, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")),
			func(_ *dialog.Session, resp *sip.Response) { early = resp.Body() })
		if err != nil {
			t.Fatal(err)
		}
		s.Ack(t.Context())
		if <-calls == nil || early == "" || resp.Body() != early {
			t.Errorf("the 183 said %q and the 200 %q, want the same", early, resp.Body())
		}
		theirs.check(t, "callee", "", false)
	})
}

// A caller without 100rel that leaves the offer to us can have no early media. It can have
// the call.
func TestEarlyMediaWithoutOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		first, second := newStream(t), newStream(t)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Progress(ctx, first); !errors.Is(err, ua.ErrNoStream) {
				t.Errorf("Progress() = %v, want ErrNoStream", err)
			}
			first.check(t, "the first", "", true)
			answerWith(calls, second)(ctx, in)
		}})
		alice := newCaller(t, n, "192.0.2.1", nil)
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Ack(t.Context(), describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"))
		if <-calls == nil {
			t.Error("Answer() failed")
		}
		second.check(t, "the second", "sendrecv 192.0.2.1:5000", false)
	})
}

// What may follow early media but an answer: the streams are closed once, and the caller's
// too.
func TestEarlyMediaEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		then func(ctx context.Context, in *ua.Invitation)
		want error // of Invite
	}{
		{"rejected", func(ctx context.Context, in *ua.Invitation) { in.Reject(ctx, sip.StatusBusyHere) }, sip.StatusBusyHere},
		{"left", func(context.Context, *ua.Invitation) {}, sip.StatusTemporarilyUnavailable},
		{"panic", func(context.Context, *ua.Invitation) { panic("bug") }, sip.StatusServerInternalError},
		{"cancelled", func(ctx context.Context, in *ua.Invitation) { <-ctx.Done() }, context.DeadlineExceeded},
		{"cancelled, and answered", func(ctx context.Context, in *ua.Invitation) {
			<-ctx.Done()
			if _, err := in.Answer(ctx); !errors.Is(err, transaction.ErrCancelled) {
				panic(fmt.Sprintf("Answer() = %v, want ErrCancelled", err))
			}
		}, context.DeadlineExceeded},
	} {
		for _, reliable := range []bool{true, false} {
			t.Run(fmt.Sprint(test.name, " reliable=", reliable), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := siptest.NewNetwork(nil)
					ours, theirs := newStream(t), newStream(t)
					newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
						if err := in.Progress(ctx, theirs); err != nil {
							t.Error(err)
						}
						time.Sleep(time.Second)
						test.then(ctx, in)
					}})
					alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
					opts := streams(ours)
					if !reliable {
						opts.Header = []sip.Edit{sip.Supported{sip.OptionTimer}}
					}
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					if _, err := alice.Invite(ctx, bobURI, opts); !errors.Is(err, test.want) {
						t.Errorf("Invite() = %v, want %v", err, test.want)
					}
					synctest.Wait()
					ours.check(t, "caller", "sendrecv 192.0.2.2:4000", true)
					theirs.check(t, "callee", "sendrecv 192.0.2.1:4000", true)
				})
			})
		}
	}
}

// Progress twice, and an Answer with streams after it: what comes too late is closed, and
// the call comes about.
func TestProgressTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		s := [4]*fakeStream{newStream(t), newStream(t), newStream(t), newStream(t)}
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Progress(ctx, s[0]); err != nil {
				t.Errorf("the first Progress() = %v", err)
			}
			if err := in.Progress(ctx, s[1]); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("the second Progress() = %v, want ErrCompleted", err)
			}
			if _, err := in.Answer(ctx, s[2]); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("Answer() with a stream = %v, want ErrCompleted", err)
			}
			call, err := in.Answer(ctx)
			if err != nil {
				t.Errorf("Answer() = %v", err)
			}
			if err := in.Progress(ctx, s[3]); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("Progress() after Answer() = %v, want ErrCompleted", err)
			}
			calls <- call
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		if _, err := alice.Invite(t.Context(), bobURI, streams(newStream(t))); err != nil {
			t.Fatal(err)
		}
		<-calls
		s[0].check(t, "the first", "sendrecv 192.0.2.1:4000", false)
		for _, late := range s[1:] {
			late.check(t, "a late one", "", true)
		}
	})
}

// No PRACK comes. Progress returns when its context ends, and the call is refused after 64*T1
// (RFC 3262 section 3).
func TestNoPRACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		loseBegin(n, "PRACK", 1000)
		s := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			start := time.Now()
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if err := in.Progress(short, s); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("Progress() = %v after %v, want its context's after 1s", err, time.Since(start))
			}
			if _, err := in.Answer(ctx); err == nil || time.Since(start) != 32*time.Second {
				t.Errorf("Answer() = %v after %v, want an error after 32s", err, time.Since(start))
			}
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		// At the same time the caller gives up, who has no answer to the PRACK.
		if _, err := alice.Invite(t.Context(), bobURI, streams(newStream(t))); err == nil {
			t.Error("Invite() worked")
		}
		synctest.Wait()
		s.check(t, "callee", "sendrecv 192.0.2.1:4000", true)
	})
}

// A caller that requires reliable responses: the 180 is acknowledged, with a PRACK that gets
// its 200, before there is a stream.
func TestRingReliably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Ring(ctx); err != nil {
				t.Errorf("Ring() = %v", err)
			}
			time.Sleep(time.Second)
			answerWith(calls, newStream(t))(ctx, in)
		}})
		alice := newCaller(t, n, "192.0.2.1", nil)
		offer := describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0")
		statuses := make(chan sip.Status, 3)
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, sip.Require{sip.Option100rel}, offer),
			func(s *dialog.Session, resp *sip.Response) {
				go func() { // ends with the answers
					for _, method := range []sip.Method{sip.PRACK, sip.UPDATE} {
						resp, err := s.Do(context.Background(), method)
						if err != nil {
							t.Error(err)
							return
						}
						statuses <- resp.Status()
					}
				}()
			})
		if err != nil {
			t.Fatal(err)
		}
		s.Ack(t.Context())
		<-calls
		if prack, update := <-statuses, <-statuses; prack != 200 || update != 200 {
			t.Errorf("the PRACK got %v and the UPDATE %v, want 200", prack, update)
		}
	})
}

// The answer of a reliable 183 counts, whatever the 200 says (RFC 3261 section 13.2.1).
func TestAnswerAfterReliableAnswer(t *testing.T) {
	for _, again := range []string{"", "the same", "another", "nonsense"} {
		t.Run(again, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				b := newBank(t, n, func(b *bank) {
					b.sayReliably("one", 183, b.audio(5001))
					time.Sleep(time.Second)
					switch again {
					case "":
						b.say("one", 200)
					case "the same":
						b.say("one", 200, b.audio(5001))
					case "another":
						b.say("one", 200, b.audio(5009))
					default:
						b.say("one", 200, sip.Body{Type: "application/sdp", Content: "x"})
					}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				s := newStream(t)
				call, err := alice.Invite(t.Context(), bobURI, streams(s))
				if err != nil {
					t.Fatal(err)
				}
				s.check(t, "caller", "sendrecv 192.0.2.2:5001", false)
				if got, want := b.heard(), "ACK one, PRACK one"; got != want {
					t.Errorf("the phone got %s, want %s", got, want)
				}
				call.Hangup(t.Context())
			})
		})
	}
}

// A reliable 183 whose answer is nonsense has its PRACK, and the 200 another chance.
func TestReliableNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		b := newBank(t, n, func(b *bank) {
			b.sayReliably("one", 183, sip.Body{Type: "application/sdp", Content: "x"})
			time.Sleep(time.Second)
			b.say("one", 200, b.audio(5001))
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(s))
		if err != nil {
			t.Fatal(err)
		}
		s.check(t, "caller", "sendrecv 192.0.2.2:5001", false)
		if got, want := b.heard(), "ACK one, PRACK one"; got != want {
			t.Errorf("the phone got %s, want %s", got, want)
		}
		call.Hangup(t.Context())
	})
}
