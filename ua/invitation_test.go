package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// What Reject says goes, whatever Add has said before; the edits of the program stay as they are.
func TestAddAndReject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		all := []sip.Edit{sip.ReasonPhrase("Out For Lunch"), sip.RetryAfter{Seconds: 60}}
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Add(sip.ReasonPhrase("Here"), sip.Subject("no"))
			in.Reject(ctx, sip.StatusBusyHere, all[:1]...)
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		_, err := alice.Invite(t.Context(), bobURI, nil)
		var refused *ua.StatusError
		if !errors.As(err, &refused) || refused.Reason != "Out For Lunch" {
			t.Fatalf("Invite() = %v, want the phrase that was said last", err)
		}
		if got, _ := refused.Response.Value("Subject"); got != "no" {
			t.Errorf("Subject is %q, want that of Add", got)
		}
		if all[1] != sip.Edit(sip.RetryAfter{Seconds: 60}) {
			t.Errorf("what the program has beside its edits is %v now", all[1])
		}
	})
}

// What OnInvite may do with a call: each path ends in one final response.
func TestOnInvite(t *testing.T) {
	offer := describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")
	for _, test := range []struct {
		name     string
		offer    sip.Body
		onInvite func(t *testing.T, ctx context.Context, in *ua.Invitation)
		want     sip.Status
	}{
		{"nothing", offer, func(*testing.T, context.Context, *ua.Invitation) {}, sip.StatusTemporarilyUnavailable},
		{"panic", offer, func(*testing.T, context.Context, *ua.Invitation) { panic("bug") }, sip.StatusServerInternalError},
		{"ring, reject", offer, func(t *testing.T, ctx context.Context, in *ua.Invitation) {
			if err := in.Ring(ctx); err != nil {
				t.Error(err)
			}
			if err := in.Reject(ctx, sip.StatusOK); err == nil {
				t.Error("Reject(200) worked")
			}
			if err := in.Reject(ctx, sip.StatusBusyHere); err != nil {
				t.Error(err)
			}
			s := newStream(t)
			if _, err := in.Answer(ctx, s); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("Answer() after Reject() = %v, want ErrCompleted", err)
			}
			s.check(t, "callee", "", true)
			if err := in.Ring(ctx); err == nil {
				t.Error("Ring() after Reject() worked")
			}
		}, sip.StatusBusyHere},
		{"no codec in common", describe("192.0.2.9", 1, "audio 5000 RTP/AVP 8", "video 5002 RTP/AVP 31"), func(t *testing.T, ctx context.Context, in *ua.Invitation) {
			s := newStream(t)
			if _, err := in.Answer(ctx, s); !errors.Is(err, ua.ErrNoStream) {
				t.Errorf("Answer() = %v, want ErrNoStream", err)
			}
			s.check(t, "callee", "", true)
		}, sip.StatusNotAcceptableHere},
		{"nonsense", sip.Body{Type: "application/sdp", Content: "v=1"}, func(t *testing.T, ctx context.Context, in *ua.Invitation) {
			if _, err := in.Answer(ctx, newStream(t)); err == nil {
				t.Error("Answer() worked")
			}
		}, sip.StatusBadRequest},
		{"stream fails", offer, func(t *testing.T, ctx context.Context, in *ua.Invitation) {
			s := newStream(t)
			s.onAnswer = func(context.Context) error { return errors.New("no microphone") }
			if _, err := in.Answer(ctx, s); err == nil {
				t.Error("Answer() worked")
			}
			s.check(t, "callee", "", true)
		}, sip.StatusNotAcceptableHere},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
					OnInvite: func(ctx context.Context, in *ua.Invitation) { test.onInvite(t, ctx, in) },
				})
				stranger := newPeer(t, n, "192.0.2.9", nil)
				resp, err := stranger.Do(t.Context(), request(sip.INVITE, bobURI, contactAt("192.0.2.9"), test.offer))
				if err != nil || resp.Status() != test.want {
					t.Errorf("the INVITE got %v, %v, want %v", resp, err, test.want)
				}
				// The next one is served.
				resp, err = stranger.Do(t.Context(), request(sip.OPTIONS, bobURI))
				if err != nil || resp.Status() != sip.StatusOK {
					t.Errorf("OPTIONS got %v, %v", resp, err)
				}
			})
		})
	}
}

// A caller whose offer does not fit is told so, and by whom (RFC 3261 section
// 13.3.1.3).
func TestNoStreamWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Answer(ctx, newStream(t))
		}})
		stranger := newPeer(t, n, "192.0.2.9", nil)
		resp, err := stranger.Do(t.Context(), request(sip.INVITE, bobURI, contactAt("192.0.2.9"), describe("192.0.2.9", 1, "video 5002 RTP/AVP 31")))
		if err != nil {
			t.Fatal(err)
		}
		got, err := sip.Get[sip.Warning](resp)
		if want := (sip.Warning{Code: 305, Agent: "192.0.2.2:5060", Text: "Incompatible media format"}); got != want {
			t.Errorf("the %v has the Warning %+v, %v, want %+v", resp.Status(), got, err, want)
		}
	})
}

// A second Answer is refused, and does the first no harm.
func TestAnswerTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls := make(chan *ua.Call, 1)
		first, second := newStream(t), newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			call, err := in.Answer(ctx, first)
			if err != nil {
				t.Error(err)
			}
			if _, err := in.Answer(ctx, second); !errors.Is(err, transaction.ErrCompleted) {
				t.Errorf("second Answer() = %v, want ErrCompleted", err)
			}
			calls <- call
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		<-calls
		first.check(t, "first", "sendrecv 192.0.2.1:4000", false)
		second.check(t, "second", "", true)
		if err := call.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		first.check(t, "first", "recvonly 192.0.2.1:4000", false)
		call.Hangup(t.Context())
		synctest.Wait()
		first.check(t, "first", "", true)
	})
}

// A panic after the call was answered ends that call.
func TestPanicInCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		stream := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Answer(ctx, stream)
			panic("bug")
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		<-call.Done()
		synctest.Wait()
		stream.check(t, "callee", "sendrecv 192.0.2.1:4000", true)
	})
}
