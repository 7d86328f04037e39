package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

const play sip.Method = "PLAY"

// A method of an extension, outside of a call: typed header fields and a body go over,
// the 2xx comes back with what the func put into it, and a refusal is a StatusError.
func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond, Loss: 0.2, Seed: 1})
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{
			Methods: map[sip.Method]func(context.Context, *ua.Request){
				play: func(ctx context.Context, r *ua.Request) {
					subject, err := sip.Get[sip.Subject](r.Request)
					if err != nil || r.Request.Body() != "la la" || r.Call != nil {
						t.Errorf("%s has subject %q, %v, the body %q and the call %v", r.Request.Method(), subject, err, r.Request.Body(), r.Call)
					}
					if subject == "noise" {
						r.Reply(sip.StatusNotAcceptableHere)
						return
					}
					r.Reply(sip.StatusAccepted, sip.Body{Type: "text/plain", Content: "heard"})
				},
			},
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		song := sip.Body{Type: "text/plain", Content: "la la"}
		resp, err := alice.Do(t.Context(), play, bobURI, sip.Subject("song"), song)
		if err != nil || resp.Status() != sip.StatusAccepted || resp.Body() != "heard" {
			t.Errorf("Do() = %v, %v, want 202 and what was heard", resp, err)
		}
		_, err = alice.Do(t.Context(), play, bobURI, sip.Subject("noise"), song)
		if !errors.Is(err, sip.StatusNotAcceptableHere) {
			t.Errorf("Do() = %v, want 488", err)
		}
		if _, err = alice.Do(t.Context(), "REST", bobURI); !errors.Is(err, sip.StatusMethodNotAllowed) {
			t.Errorf("Do() = %v, want 405", err)
		}
		for _, method := range []sip.Method{sip.INVITE, sip.ACK, sip.CANCEL} {
			if _, err := alice.Do(t.Context(), method, bobURI); err == nil {
				t.Errorf("Do(%s) worked", method)
			}
		}
		if _, err := alice.Do(t.Context(), play, bobURI, sip.Subject("a\r\nb")); err == nil {
			t.Error("Do() of a request that cannot be written worked")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := alice.Do(ctx, play, "sip:nobody@192.0.2.77"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do() = %v, want the error of its context", err)
		}
		alice.Close()
		if _, err := alice.Do(t.Context(), play, bobURI); !errors.Is(err, ua.ErrClosed) {
			t.Errorf("Do() = %v, want ErrClosed", err)
		}
	})
}

// Another From keeps the tag that the request needs (RFC 3261 section 8.1.1.3).
func TestDoFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			if from := req.From(); from.Display != "Desk" || from.Tag() == "" {
				t.Errorf("From is %v, want Desk with a tag", from)
			}
			tx.Reply(sip.StatusOK)
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		desk := sip.From{Display: "Desk", URI: sip.URI{Scheme: "sip", User: "desk", Host: "a.example"}}
		if _, err := alice.Do(t.Context(), sip.MESSAGE, bobURI, desk); err != nil {
			t.Error(err)
		}
	})
}

// The same method in a call, whichever side sends it. What the func leaves without an
// answer, or panics with, gets 500, and the call goes on.
func TestDoInCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		calls, in := make(chan *ua.Call, 1), make(chan *ua.Call, 3)
		methods := map[sip.Method]func(context.Context, *ua.Request){
			play:     func(_ context.Context, r *ua.Request) { in <- r.Call; r.Reply(sip.StatusOK) },
			"FORGET": func(context.Context, *ua.Request) {},
			"BUG":    func(context.Context, *ua.Request) { panic("bug") },
			"TWICE": func(_ context.Context, r *ua.Request) {
				r.Reply(sip.StatusOK)
				if err := r.Reply(sip.StatusOK); !errors.Is(err, transaction.ErrCompleted) {
					t.Errorf("the second Reply() = %v, want ErrCompleted", err)
				}
			},
		}
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{Methods: methods, OnInvite: answerWith(calls, newStream(t))})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Methods: methods})
		a, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		b := <-calls
		for from, to := range map[*ua.Call]*ua.Call{a: b, b: a} {
			for method, want := range map[sip.Method]error{play: nil, "FORGET": sip.StatusServerInternalError,
				"BUG": sip.StatusServerInternalError, "TWICE": nil, "REST": sip.StatusMethodNotAllowed} {
				if _, err := from.Do(t.Context(), method); !errors.Is(err, want) {
					t.Errorf("Do(%s) = %v, want %v", method, err, want)
				}
			}
			if got := <-in; got != to {
				t.Error("the request came in another call")
			}
		}
		resp, err := a.Do(t.Context(), sip.OPTIONS)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := resp.Value("Allow"); got != "ACK, BYE, CANCEL, OPTIONS, NOTIFY, INVITE, PRACK, UPDATE, BUG, FORGET, PLAY, TWICE" {
			t.Errorf("Allow is %s", got)
		}
		if err := a.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Methods of the agent's own are not for others.
func TestMethodsOfTheAgent(t *testing.T) {
	serve := func(context.Context, *ua.Request) {}
	for method, cfg := range map[sip.Method]ua.Config{
		sip.INVITE: {}, sip.BYE: {}, sip.OPTIONS: {}, sip.PRACK: {}, sip.UPDATE: {},
		sip.MESSAGE: {OnMessage: func(context.Context, ua.Message) error { return nil }},
	} {
		cfg.Methods = map[sip.Method]func(context.Context, *ua.Request){method: serve}
		cfg.Network = siptest.NewNetwork(nil).Host("192.0.2.1")
		if a, err := ua.New("sip:alice@a.example", &cfg); err == nil {
			t.Errorf("New() with a func for %s worked", method)
			a.Close()
		}
	}
}
