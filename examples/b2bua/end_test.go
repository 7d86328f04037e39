package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// What Bob refuses a call with is what Alice gets: a redirection with its Contact, a
// challenge, and the credentials that she then has.
func TestRefused(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
		for i, c := range []struct {
			status sip.Status
			field  sip.Field
		}{
			{486, sip.Field{Name: "Retry-After", Value: "18"}},
			{302, sip.Field{Name: "Contact", Value: "<sip:bob@there.example>;q=0.5"}},
			{401, sip.Field{Name: "WWW-Authenticate", Value: `Digest realm="b.example", nonce="1"`}},
			{407, sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="b.example", nonce="1"`}},
			{422, sip.Field{Name: "Min-SE", Value: "600"}},
			{420, sip.Field{Name: "Unsupported", Value: "frills"}},
			{606, sip.Field{Name: "Warning", Value: `370 b.example "no room"`}},
		} {
			go func() { // ends with the refusal
				in := <-bob.invites
				wantField(t, in.Request(), "Authorization", `Digest username="alice"`)
				wantField(t, in.Request(), "Require", "frills")
				in.Reject(c.status, c.field, sip.ReasonPhrase("Said Bob"))
			}()
			_, resp := alice.call(nil, desc("A1"), sip.CallID(fmt.Sprint(i)), sip.Require{"frills"},
				sip.Field{Name: "Authorization", Value: `Digest username="alice"`})
			wantStatus(t, resp, nil, c.status)
			wantField(t, resp, c.field.Name, c.field.Value)
			if got := resp.ReasonPhrase(); got != "Said Bob" {
				t.Errorf("the reason phrase is %q", got)
			}
		}
	})
}

// Alice gives up while it rings, or says BYE then: Bob's phone stops.
func TestGivesUp(t *testing.T) {
	for _, how := range []string{"CANCEL", "BYE"} {
		story(t, func(t *testing.T, w *world) {
			alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { (<-bob.invites).Provisional(sip.StatusRinging) }()
			_, resp, err := alice.Invite(ctx, alice.invite(), func(s *dialog.Session, _ *sip.Response) {
				if how == "CANCEL" {
					cancel()
				} else {
					go s.Bye(t.Context()) // ends with the answer
				}
			})
			wantStatus(t, resp, nil, sip.StatusRequestTerminated)
			if how == "CANCEL" && !errors.Is(err, context.Canceled) {
				t.Errorf("Invite() = %v", err)
			}
		})
	}
}

// Bob answers as Alice gives up: he is hung up on.
func TestAnswerCrossesCancel(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { // ends with the ACK
			in := <-bob.invites
			in.Provisional(sip.StatusRinging)
			time.Sleep(25 * time.Millisecond) // the CANCEL has come to the bridge and is on its way on
			in.Accept(desc("B1"))
		}()
		alice.Invite(ctx, alice.invite(), func(*dialog.Session, *sip.Response) { cancel() })
		if s := <-bob.ended; !errors.Is(s.Err(), dialog.ErrBye) {
			t.Errorf("Bob's call ended with %v", s.Err())
		}
	})
}

// One leg dies, and the other one is told why.
func TestLegDies(t *testing.T) {
	t.Run("no ACK", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
			go func() { (<-bob.invites).Accept(desc("B1")) }() // ends with the ACK
			s, _ := alice.call(nil, desc("A1"))
			<-s.Done()
			<-bob.ended // he got no ACK either
		})
	})
	t.Run("lost", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
			a, _ := connect(w, alice, bob)
			bob.Close()
			w.phone(bobAddr) // knows of nothing
			resp, err := a.Do(t.Context(), sip.INFO)
			wantStatus(t, resp, err, sip.StatusCallDoesNotExist)
			w.wantBye(aliceAddr, 481, "the peer has lost the call")
		})
	})
	t.Run("no refresh", func(t *testing.T) {
		story(t, func(t *testing.T, w *world) {
			alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
			timer := sip.SessionExpires{Seconds: 90, Params: ";refresher=uac"}
			go func() { (<-bob.invites).Accept(desc("B1"), timer, sip.Require{sip.OptionTimer}) }() // ends with the ACK
			s, resp := alice.call(nil, desc("A1"), timer, sip.Supported{sip.OptionTimer})
			wantField(t, resp, "Session-Expires", "90;refresher=uac")
			s.Ack(t.Context())
			bob.request = func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK, timer) }
			time.Sleep(45 * time.Second)
			resp, err := s.Do(t.Context(), sip.UPDATE, timer)
			wantStatus(t, resp, err, sip.StatusOK)
			begin := time.Now()
			<-s.Done()
			if got := time.Since(begin).Round(time.Second); got < 55*time.Second || got > 65*time.Second {
				t.Errorf("the call ended %v after the refresh", got)
			}
			<-bob.ended
		})
	})
}

// The bridge was started anew, and one leg of the call is not there any more: who changes
// the other one, or asks something in it, hears of that.
func TestLegMissing(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
		a, _ := connect(w, alice, bob)
		var kept []byte
		w.bridge.Close()
		for leg := range w.bridge.Dialogs() {
			if leg.Target().Host == aliceAddr {
				kept, _ = leg.Snapshot()
			}
		}
		b, err := start(w.sockets(bridgeAddr), w.bridge.hop)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		w.bridge = b
		if _, err := b.Restore(kept); err != nil {
			t.Fatal(err)
		}
		resp, err := a.Do(t.Context(), sip.INFO)
		wantStatus(t, resp, err, sip.StatusServerInternalError)
		resp, err = a.Invite(t.Context(), nil, desc("hold"))
		wantStatus(t, resp, err, sip.StatusCallDoesNotExist)
		<-a.Done()
	})
}

// wantBye looks at the Reason of the first BYE to a host.
func (w *world) wantBye(host string, cause int, text string) {
	w.Helper()
	w.so()
	for _, p := range w.net.Packets() {
		m, err := sip.Parse(string(p.Data))
		if req, ok := m.(*sip.Request); err == nil && ok && req.Method() == sip.BYE && p.To.Addr().String() == host {
			reason, err := sip.Get[sip.Reason](m)
			if err != nil || reason.Cause != cause || reason.Text != text {
				w.Errorf("the Reason is %+v, %v, want %d %q", reason, err, cause, text)
			}
			return
		}
	}
	w.Error("no BYE came")
}

// The bridge calls itself: the Max-Forwards ends that (RFC 7332).
func TestLoop(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		alice := w.phone(aliceAddr)
		w.bridge.hop.Host = bridgeAddr
		_, resp := alice.call(nil, sip.MaxForwards(20))
		wantStatus(t, resp, nil, sip.StatusTooManyHops)
	})
}

// Calls over a network that loses one datagram in five: what is lost is sent again, on
// both sides, and nothing is done twice.
func TestLoss(t *testing.T) {
	for seed := range uint64(8) {
		storyOn(t, siptest.NetworkConfig{Loss: 0.2, Seed: seed, Duplicate: 0.1, Reorder: 0.1}, func(t *testing.T, w *world) {
			alice, bob := w.phone(aliceAddr), w.phone(bobAddr)
			rung := make(chan *dialog.Session)
			go func() { // ends with the ACK
				in := <-bob.invites
				if err := in.Reliable(sip.StatusSessionProgress, desc("B1")); err != nil {
					t.Error(err)
				}
				if _, err := in.Accept(); err != nil {
					t.Error(err)
				}
				rung <- in.Session()
			}()
			s, resp := alice.call(func(s *dialog.Session, _ *sip.Response) {
				resp, err := s.Do(t.Context(), sip.PRACK)
				wantStatus(t, resp, err, sip.StatusOK)
			}, desc("A1"), sip.Supported{sip.Option100rel})
			wantStatus(t, resp, nil, sip.StatusOK)
			s.Ack(t.Context())
			b := <-rung
			if req := <-bob.requests; req.Method() != sip.PRACK {
				t.Errorf("Bob got %s", req.Method())
			}
			for i := range 10 {
				resp, err := s.Do(t.Context(), sip.INFO, sip.Body{Type: "application/dtmf", Content: fmt.Sprint(i)})
				wantStatus(t, resp, err, sip.StatusOK)
				if got := (<-bob.requests).Body(); got != fmt.Sprint(i) {
					t.Errorf("digit %s, want %d", got, i)
				}
			}
			b.Bye(t.Context())
			<-s.Done()
			if n := len(bob.requests); n != 0 {
				t.Errorf("%d requests more than were sent", n)
			}
		})
	}
}
