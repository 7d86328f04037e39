package ua_test

import (
	"context"
	"fmt"
	"slices"
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

// Early media is agreed on reliably. The caller puts it on hold before the call is answered,
// with UPDATE (RFC 3311 section 5.1), and it stays so.
func TestHoldEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		ours, theirs := newStream(t), newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Progress(ctx, theirs); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			theirs.check(t, "callee, early", "sendrecv 192.0.2.1:4000, recvonly 192.0.2.1:4000", false)
			if _, err := in.Answer(ctx); err != nil {
				t.Error(err)
			}
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		opts := streams(ours)
		opts.OnProvisional = func(c *ua.Call, _ *sip.Response) {
			if err := c.Hold(context.Background()); err != nil {
				t.Errorf("Hold() = %v", err)
			}
		}
		call, err := alice.Invite(t.Context(), bobURI, opts)
		if err != nil {
			t.Fatal(err)
		}
		ours.check(t, "caller", "sendrecv 192.0.2.2:4000, sendonly 192.0.2.2:4000", false)
		if err := call.Resume(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		theirs.check(t, "callee", "sendrecv 192.0.2.1:4000", false)
	})
}

// Whatever the program has to say to a callee that rings reliably goes out when the PRACK is
// answered, lest it overtake that: the callee would refuse the PRACK for its number, which is
// lower then (RFC 3261 section 12.2.2).
func TestRequestsWaitForThePRACK(t *testing.T) {
	for method, send := range map[sip.Method]func(*ua.Call) error{
		sip.UPDATE: func(c *ua.Call) error { return c.Hold(context.Background()) },
		sip.INFO:   func(c *ua.Call) error { return c.Info(context.Background(), "", sip.Body{}) },
		sip.OPTIONS: func(c *ua.Call) error {
			_, err := c.Do(context.Background(), sip.OPTIONS)
			return err
		},
	} {
		t.Run(string(method), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
				start := time.Now()
				var got []string // what is sent once the INVITE is there
				n.SetFilter(func(p siptest.Packet) siptest.Verdict {
					m, err := sip.Parse(string(p.Data))
					if err != nil || m.CSeq().Method == sip.INVITE || m.CSeq().Method == sip.ACK || m.CSeq().Method == sip.BYE {
						return siptest.Verdict{}
					}
					what := string(m.CSeq().Method)
					if resp, ok := m.(*sip.Response); ok {
						what = fmt.Sprint(int(resp.Status()), " ", what)
					}
					got = append(got, fmt.Sprint(p.Time.Sub(start).Milliseconds(), " ", what))
					return siptest.Verdict{}
				})
				b := newBank(t, n, func(b *bank) {
					b.sayReliably("one", 183, b.audio(5001))
					time.Sleep(time.Second)
					b.say("one", 200)
				})
				b.answer = func(tx *transaction.Server, req *sip.Request) {
					if req.Method() == sip.PRACK {
						time.Sleep(300 * time.Millisecond)
					}
					var edits []sip.Edit
					if req.Method() == sip.UPDATE {
						edits = []sip.Edit{contactAt(b.addr), describe(b.addr, 2, "audio 5001 RTP/AVP 0|a=recvonly")}
					}
					tx.Reply(sip.StatusOK, edits...)
				}
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				opts := streams(newStream(t))
				opts.OnProvisional = func(c *ua.Call, _ *sip.Response) {
					if err := send(c); err != nil {
						t.Errorf("%s: %v", method, err)
					}
				}
				call, err := alice.Invite(t.Context(), bobURI, opts)
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				want := []string{"20 PRACK", "330 200 PRACK", "340 " + string(method), "350 200 " + string(method)}
				if !slices.Equal(got, want) {
					t.Errorf("there were %q, want %q", got, want)
				}
				call.Hangup(t.Context())
			})
		})
	}
}

// The callee changes early media with UPDATE before it answers.
func TestUpdateOfCalleeBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newCaller(t, n, "192.0.2.2", &dialog.Config{
			OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				if err := in.Reliable(sip.StatusSessionProgress, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0")); err != nil {
					t.Error(err)
				}
				resp, err := in.Session().Do(ctx, sip.UPDATE, describe("192.0.2.2", 2, "audio 5002 RTP/AVP 0|a=sendonly"))
				if err != nil || resp.Status() != 200 || !contains(resp.Body(), "a=recvonly") {
					t.Errorf("the UPDATE got %v, %v", resp, err)
				}
				if _, err := in.Accept(); err != nil {
					t.Error(err)
				}
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(s))
		if err != nil {
			t.Fatal(err)
		}
		s.check(t, "caller", "sendrecv 192.0.2.2:5000, recvonly 192.0.2.2:5002", false)
		call.Hangup(t.Context())
	})
}

// Hold while the only answer there is came unreliably, and so may be none: it is made when the
// call is answered.
func TestHoldBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		p := make(chan error, 1)
		theirs := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			time.Sleep(5 * time.Second)
			if _, err := in.Answer(ctx, theirs); err != nil {
				t.Error(err)
			}
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		opts := streams(newStream(t))
		opts.OnProvisional = func(c *ua.Call, _ *sip.Response) {
			go func() { p <- c.Hold(context.Background()) }() // ends when the call is held
		}
		call, err := alice.Invite(t.Context(), bobURI, opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-p; err != nil {
			t.Errorf("Hold() = %v", err)
		}
		synctest.Wait()
		theirs.check(t, "callee", "sendrecv 192.0.2.1:4000, recvonly 192.0.2.1:4000", false)
		call.Hangup(t.Context())
	})
}

// The caller leaves the offer to the callee, and adds a stream while it rings. There is nothing to
// add it to before the offer has come, and so no UPDATE (RFC 3311 section 5.1): it is added when
// the call is answered, and has one section.
func TestAddBeforeOffer(t *testing.T) {
	for _, sections := range []int{1, 2} { // that the callee offers
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			x := &addTakers{t: t}
			theirs := []ua.Stream{newStream(t), newStream(t)}[:sections]
			newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
				OnStream: x.take,
				OnInvite: func(ctx context.Context, in *ua.Invitation) {
					in.Ring(ctx)
					time.Sleep(5 * time.Second)
					if _, err := in.Answer(ctx, theirs...); err != nil {
						t.Error(err)
					}
				},
			})
			n.SetFilter(func(p siptest.Packet) siptest.Verdict {
				if strings.HasPrefix(string(p.Data), "UPDATE") {
					t.Errorf("there is an UPDATE:\n%s", p.Data)
				}
				return siptest.Verdict{}
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			first, second := newStream(t), newStream(t)
			opts := streams(first)
			opts.NoOffer = true
			added := make(chan error, 1)
			opts.OnProvisional = func(c *ua.Call, _ *sip.Response) {
				go func() { added <- c.Add(t.Context(), second) }() // ends when it is added
			}
			call, err := alice.Invite(t.Context(), bobURI, opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := <-added; err != nil {
				t.Errorf("Add() = %v", err)
			}
			synctest.Wait()
			if got, want := len(x.ss), 2-sections; got != want {
				t.Errorf("the callee was asked for %d streams, want %d", got, want)
			}
			first.check(t, "first", "sendrecv 192.0.2.2:4000", false)
			second.check(t, "second", "sendrecv 192.0.2.2:4000", false)
			call.Hangup(t.Context())
		})
	}
}

// The caller's offer in the PRACK for early media fits nothing, and is refused. The PRACK
// that follows, without an offer (RFC 6337 section 2.3), is accepted, and the session is
// what was agreed on before.
func TestPRACKOfferRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		theirs := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			if err := in.Progress(ctx, theirs); err != nil {
				t.Errorf("Progress() = %v", err)
			}
			time.Sleep(time.Second)
			if _, err := in.Answer(ctx); err != nil {
				t.Errorf("Answer() = %v", err)
			}
		}})
		caller := newCaller(t, n, "192.0.2.1", nil)
		var got []sip.Status
		invite := request(sip.INVITE, bobURI, sip.Supported{sip.Option100rel}, describe("192.0.2.1", 1, "audio 5000 RTP/AVP 0"))
		s, _, err := caller.Invite(t.Context(), invite, func(s *dialog.Session, _ *sip.Response) {
			for _, edits := range [][]sip.Edit{{describe("192.0.2.1", 2, "audio 5000 RTP/AVP 8")}, nil} {
				resp, err := s.Do(t.Context(), sip.PRACK, edits...)
				if err != nil {
					t.Error(err)
					return
				}
				got = append(got, resp.Status())
			}
		})
		if err != nil || s == nil {
			t.Fatalf("Invite() = %v, %v", s, err)
		}
		s.Ack(t.Context())
		if want := []sip.Status{sip.StatusNotAcceptableHere, sip.StatusOK}; !slices.Equal(got, want) {
			t.Errorf("the PRACKs get %v, want %v", got, want)
		}
		theirs.check(t, "callee", "sendrecv 192.0.2.1:5000", false)
		s.Bye(t.Context())
	})
}
