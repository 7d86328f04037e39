package ua_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// trio is a call between Alice and Bob, and Carol, whom Alice has Bob call.
type trio struct {
	n                 *siptest.Network
	alice, bob, carol *ua.Agent
	a, b              *ua.Call
	carols            chan *ua.Call // that Carol answers
	bobs              chan result   // of the call that Bob places for Alice
}

type result struct {
	call *ua.Call
	err  error
}

// newTrio sets the call up. answer is what Carol does with hers; nil answers at once. refer
// is what Bob does with a REFER; nil places the call.
func newTrio(t *testing.T, answer func(context.Context, *ua.Invitation), refer func(context.Context, *ua.Referral)) *trio {
	t.Helper()
	x := &trio{
		n:      siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond}),
		carols: make(chan *ua.Call, 3), bobs: make(chan result, 3),
	}
	if answer == nil {
		answer = func(ctx context.Context, in *ua.Invitation) { x.answer(t, ctx, in) }
	}
	if refer == nil {
		refer = func(ctx context.Context, r *ua.Referral) {
			call, err := r.Invite(ctx, streams(newStream(t)))
			x.bobs <- result{call, err}
		}
	}
	bobs := make(chan *ua.Call, 1)
	x.bob = newAgent(t, x.n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(bobs, newStream(t)), OnRefer: refer})
	x.carol = newAgent(t, x.n, "192.0.2.3", "sip:carol@c.example", ua.Config{OnInvite: answer})
	x.alice = newAgent(t, x.n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
	var err error
	if x.a, err = x.alice.Invite(t.Context(), bobURI, streams(newStream(t))); err != nil {
		t.Fatal(err)
	}
	x.b = <-bobs
	return x
}

func (x *trio) answer(t *testing.T, ctx context.Context, in *ua.Invitation) {
	call, err := in.Answer(ctx, newStream(t))
	if err != nil {
		t.Errorf("Carol's Answer() = %v", err)
		return
	}
	x.carols <- call
}

const carolURI = "sip:carol@192.0.2.3"

// Alice has Bob call Carol: Bob tells how it gets on, and when Carol has answered Alice hangs
// up (RFC 5589 section 6.1).
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x *trio
		x = newTrio(t, func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			time.Sleep(3 * time.Second)
			by, err := sip.Get[sip.ReferredBy](in.Request())
			if err != nil || by.URI.User != "alice" {
				t.Errorf("Referred-By is %v, %v, want Alice", by, err)
			}
			x.answer(t, ctx, in)
		}, nil)
		var progress []sip.Status
		err := x.a.Transfer(t.Context(), carolURI, &ua.TransferOptions{OnProgress: func(s sip.Status) { progress = append(progress, s) }})
		if err != nil {
			t.Fatalf("Transfer() = %v", err)
		}
		if want := []sip.Status{100, 180, 200}; !slices.Equal(progress, want) {
			t.Errorf("Bob told %v, want %v", progress, want)
		}
		<-x.a.Done()
		<-x.b.Done()
		b, c := <-x.bobs, <-x.carols
		if b.err != nil || b.call.Err() != nil || c.Remote().URI.User != "bob" {
			t.Errorf("Bob has %+v, and Carol talks to %v", b, c.Remote())
		}
		b.call.Hangup(t.Context())
		<-c.Done()
	})
}

// What goes wrong is told, and Alice's call with Bob goes on.
func TestTransferFails(t *testing.T) {
	busy := func(ctx context.Context, in *ua.Invitation) { in.Reject(ctx, sip.StatusBusyHere) }
	for _, test := range []struct {
		name   string
		target string
		answer func(context.Context, *ua.Invitation)
		refer  func(context.Context, *ua.Referral)
		want   error
	}{
		{"Carol is busy", carolURI, busy, nil, sip.StatusBusyHere},
		{"Carol is not there", "sip:carol@192.0.2.9", nil, nil, sip.StatusRequestTimeout},
		{"Bob will not", carolURI, nil, func(_ context.Context, r *ua.Referral) { r.Reject(sip.StatusForbidden) }, sip.StatusForbidden},
		{"Bob does not say", carolURI, nil, func(context.Context, *ua.Referral) {}, sip.StatusDecline},
		{"Bob cannot", "tel:+1234", nil, nil, sip.StatusServiceUnavailable},
		{"another method", "sip:carol@192.0.2.3;method=BYE", nil, nil, sip.StatusNotImplemented},
		{"Bob gives up", carolURI, nil, func(_ context.Context, r *ua.Referral) {
			r.Accept()
			time.Sleep(3 * time.Second)
			r.Report(sip.StatusTemporarilyUnavailable)
		}, sip.StatusTemporarilyUnavailable},
		{"Bob hangs up", carolURI, nil, func(_ context.Context, r *ua.Referral) {
			r.Accept()
			r.Call().Hangup(context.Background())
			r.Report(sip.StatusServerInternalError)
		}, sip.StatusServerInternalError},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTrio(t, test.answer, test.refer)
				err := x.a.Transfer(t.Context(), test.target, nil)
				var refused *ua.StatusError
				if !errors.As(err, &refused) || !errors.Is(err, test.want) {
					t.Errorf("Transfer() = %v, want %v", err, test.want)
				}
				if err := x.a.Err(); err != nil && test.name != "Bob hangs up" {
					t.Errorf("the call has ended: %v", err)
				}
			})
		})
	}
}

// The first NOTIFY is lost, and the BYE that Bob sends after it is not: when the NOTIFY
// comes again Alice has to refuse it, and still hears what has come of the transfer.
func TestTransferNotifyIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTrio(t, nil, func(_ context.Context, r *ua.Referral) {
			r.Accept()
			time.Sleep(100 * time.Millisecond)
			r.Call().Hangup(context.Background())
			r.Report(sip.StatusServerInternalError)
		})
		lost := 0
		x.n.SetFilter(func(p siptest.Packet) siptest.Verdict {
			if lost == 0 && strings.HasPrefix(string(p.Data), "NOTIFY ") {
				lost++
				return siptest.Verdict{Drop: true}
			}
			return siptest.Verdict{}
		})
		if err := x.a.Transfer(t.Context(), carolURI, nil); !errors.Is(err, sip.StatusServerInternalError) || lost != 1 {
			t.Errorf("Transfer() = %v, and %d NOTIFYs were lost, want 500 and 1", err, lost)
		}
	})
}

// Alice talks to Bob and to Carol, and has the two talk to each other (RFC 5589 section 7).
func TestTransferTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x *trio
		var replaced *ua.Call
		x = newTrio(t, func(ctx context.Context, in *ua.Invitation) {
			if in.Replaces() != nil {
				replaced = in.Replaces()
			}
			x.answer(t, ctx, in)
		}, nil)
		other, err := x.alice.Invite(t.Context(), carolURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		first := <-x.carols
		if err := x.a.TransferTo(t.Context(), other, nil); err != nil {
			t.Fatalf("TransferTo() = %v", err)
		}
		<-other.Done()
		<-first.Done()
		<-x.b.Done()
		if replaced != first || !errors.Is(first.Err(), ua.ErrReplaced) || !errors.Is(other.Err(), ua.ErrHungUp) {
			t.Errorf("replaced is %p, want %p; Carol's first call ended with %v and Alice's with %v", replaced, first, first.Err(), other.Err())
		}
		b, c := <-x.bobs, <-x.carols
		if b.err != nil || c.Err() != nil || c.Remote().URI.User != "bob" {
			t.Errorf("Bob has %+v, and Carol talks to %v", b, c.Remote())
		}
		b.call.Hangup(t.Context())
	})
}

// Nobody is told what becomes of it (RFC 4488).
func TestTransferBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTrio(t, nil, nil)
		if err := x.a.Transfer(t.Context(), carolURI, &ua.TransferOptions{Blind: true}); err != nil {
			t.Errorf("Transfer() = %v", err)
		}
		<-x.a.Done()
		(<-x.bobs).call.Hangup(t.Context())
	})
}

// Bob accepts, and is never heard of again: what becomes of it is not known when the time is over
// in which he should have told, an hour at most, and the call goes on. It is the same where Alice asks
// him outside of any call.
func TestTransferIsNotTold(t *testing.T) {
	for _, test := range []struct {
		name string
		told string // Subscription-State of the one NOTIFY; "": none
		want time.Duration
	}{
		{"no NOTIFY", "", 32 * time.Second},
		{"one, of a minute", "active;expires=60", 92 * time.Second},
		{"one that does not say for how long", "active", time.Hour + 32*time.Second},
		{"one, of many years", "active;expires=4294967295", time.Hour + 32*time.Second},
		{"the end, and no more", "terminated;reason=noresource", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
				newCaller(t, n, "192.0.2.2", &dialog.Config{
					OnInvite: func(_ context.Context, in *dialog.Invitation) {
						in.Accept(describe("192.0.2.2", 1, "audio 4000 RTP/AVP 0"))
					},
					OnRequest: func(tx *dialog.Server, req *sip.Request) {
						d, err := tx.Accept(sip.StatusAccepted)
						if err != nil || test.told == "" {
							return
						}
						d.Do(t.Context(), sip.NOTIFY, sip.Event{Package: "refer"}, sip.Field{Name: "Subscription-State", Value: test.told},
							sip.Body{Type: "message/sipfrag", Content: "SIP/2.0 100 Trying\r\n"})
					},
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
				if err != nil {
					t.Fatal(err)
				}
				for _, refer := range []func() error{
					func() error { return call.Transfer(t.Context(), carolURI, nil) },
					func() error { return alice.Refer(t.Context(), bobURI, carolURI, nil) },
				} {
					began := time.Now()
					if err := refer(); !errors.Is(err, ua.ErrTransfer) {
						t.Errorf("it ended with %v, want ErrTransfer", err)
					}
					if took := time.Since(began).Truncate(time.Second); took != test.want {
						t.Errorf("it took %v, want %v", took, test.want)
					}
				}
				if err := call.Err(); err != nil {
					t.Errorf("the call has ended: %v", err)
				}
				call.Hangup(t.Context())
			})
		})
	}
}

// Bob, whose Contact is a GRUU, has not said that he knows Target-Dialog: the REFER comes
// within the call. What he tells of his own call ends with LF alone.
func TestTransferPhone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		newCaller(t, n, "192.0.2.2", &dialog.Config{
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				contact := in.Contact()
				contact.URI.Params = contact.URI.Params.With("gr", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
				in.Accept(describe("192.0.2.2", 1, "audio 4000 RTP/AVP 0"), contact, sip.Supported{sip.OptionReplaces, sip.OptionGRUU})
			},
			OnRequest: func(tx *dialog.Server, req *sip.Request) {
				if tx.Dialog() == nil {
					tx.Reply(sip.StatusDecline)
					return
				}
				tx.Accept(sip.StatusAccepted)
				resp, err := tx.Dialog().Do(context.Background(), sip.NOTIFY, sip.Event{Package: "refer"},
					sip.Field{Name: "Subscription-State", Value: "terminated;reason=noresource"},
					sip.Body{Type: "message/sipfrag", Content: "SIP/2.0 200 OK\n"})
				if err != nil || resp.Status() != sip.StatusOK {
					t.Errorf("NOTIFY: %v, %v", resp, err)
				}
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Transfer(t.Context(), carolURI, nil); err != nil {
			t.Errorf("Transfer() = %v", err)
		}
		<-call.Done()
	})
}

// Alice gives a transfer up, and makes another: what Bob tells late of the first, without a
// number, is not taken for what became of the second (RFC 3515 section 2.4.6). A REFER that was
// refused does not count.
func TestTransferAfterTransfer(t *testing.T) {
	for _, test := range []struct {
		name    string
		refuses sip.Status // the first one; 0: accepts it, 100: tells of it and says no more
		told    sip.Status // what a NOTIFY without a number gets
		want    error
	}{
		{"the first was accepted", 0, sip.StatusCallDoesNotExist, ua.ErrTransfer},
		{"the first was not answered", sip.StatusTrying, sip.StatusCallDoesNotExist, ua.ErrTransfer},
		{"the first was refused", sip.StatusDecline, sip.StatusOK, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				count := 0
				call, _ := scriptedTransferee(t, n, nil, func(tx *dialog.Server, req *sip.Request) {
					count++
					switch {
					case count > 1, test.refuses == 0:
					case test.refuses == sip.StatusTrying:
						notify(tx.Dialog(), "", "active", "SIP/2.0 100 Trying\r\n")
						tx.Hold()
						return
					default:
						tx.Reply(test.refuses)
						return
					}
					tx.Reply(sip.StatusAccepted)
					if count == 1 {
						return
					}
					if resp, err := notify(tx.Dialog(), "", "terminated", "SIP/2.0 200 OK\r\n"); err != nil || resp.Status() != test.told {
						t.Errorf("the NOTIFY got %v, %v, want %v", resp, err, test.told)
					}
				})
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				if err := call.Transfer(ctx, carolURI, nil); err == nil {
					t.Error("the first Transfer() has worked")
				}
				if err := call.Transfer(t.Context(), "sip:dave@192.0.2.4", nil); !errors.Is(err, test.want) {
					t.Errorf("the second Transfer() = %v, want %v", err, test.want)
				}
				call.Hangup(t.Context())
				synctest.Wait() // Bob has his answer
			})
		})
	}
}

// The agent is closed: Transfer does not wait for a peer that it cannot hear any more.
func TestTransferCloses(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			call, alice := scriptedTransferee(t, n, nil, func(tx *dialog.Server, req *sip.Request) {
				if !answers {
					time.Sleep(10 * time.Second)
				}
				tx.Reply(sip.StatusAccepted)
				tx.Dialog().Do(context.Background(), sip.NOTIFY, sip.Event{Package: "refer"}, sip.SubscriptionState{State: "active"},
					sip.Body{Type: "message/sipfrag", Content: "SIP/2.0 100 Trying\r\n"})
			})
			done := make(chan error, 2) // the second waits for the answer to the first
			for range 2 {
				go func() { done <- call.Transfer(t.Context(), carolURI, nil) }() // ends with the transfer
			}
			time.Sleep(time.Second)
			alice.Close()
			for range 2 {
				if err := <-done; !errors.Is(err, ua.ErrClosed) {
					t.Errorf("Transfer() = %v, want ErrClosed", err)
				}
			}
			time.Sleep(time.Minute) // until Bob is done
		})
	}
}

// badHeader is a header field whose code has a bug.
type badHeader struct{}

func (badHeader) HeaderName() string        { return "X-Bad" }
func (badHeader) AppendValue([]byte) []byte { panic("bug") }

// A panic in what goes into a REFER is one of Transfer, and keeps no other one waiting.
func TestTransferPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		call, _ := scriptedTransferee(t, n, nil, func(tx *dialog.Server, req *sip.Request) { tx.Reply(sip.StatusForbidden) })
		if !panics(func() {
			call.Transfer(t.Context(), carolURI, &ua.TransferOptions{Header: []sip.Edit{sip.Add(badHeader{})}})
		}) {
			t.Error("Transfer() did not panic")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := call.Transfer(ctx, carolURI, nil); !errors.Is(err, sip.StatusForbidden) {
			t.Errorf("Transfer() after that = %v, want 403", err)
		}
		call.Hangup(t.Context())
	})
}
