package ua_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
)

// dialogPair has Alice call Bob, both by package dialog, which leaves it to the program when to try
// again: at a time of its own in a phone of package ua, and at a known one here. Each accepts
// what the other one offers.
func dialogPair(f *flow.Flow, callID string) (alice, bob *dialog.Session) {
	f.Helper()
	sessions := make(chan *dialog.Session, 1)
	config := func(addr string) *dialog.Config {
		return &dialog.Config{
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				if !in.Re() {
					in.Provisional(sip.StatusRinging)
					f.Pass(2 * time.Second)
					f.Note("Bob answers.")
				}
				if _, err := in.Accept(describe(addr, 1, "audio 3456 RTP/AVP 0")); err != nil {
					f.Errorf("Accept() = %v", err)
				}
				if !in.Re() {
					sessions <- in.Session()
				}
			},
			OnRequest: onRequest(addr),
		}
	}
	newDialogs(f, flow.Bob, config("192.0.2.201"))
	l := newDialogs(f, flow.Alice, config("192.0.2.101"))
	f.Note("Alice calls Bob.")
	alice = establishDialog(f, l, request(sip.INVITE, flow.Bob.AOR, sip.From{URI: mustURI(flow.Alice.AOR), Params: ";tag=alice"},
		sip.CallID(callID), describe("192.0.2.101", 1, "audio 49170 RTP/AVP 0")), nil)
	bob = <-sessions
	f.Pass(10 * time.Second)
	return alice, bob
}

// modify offers something, and once more after a wait each time that it is refused with 491 or
// 500.
func modify(f *flow.Flow, s *dialog.Session, method sip.Method, wait time.Duration, header ...sip.Edit) {
	for range 20 {
		var resp *sip.Response
		var err error
		if method == sip.INVITE {
			resp, err = s.Invite(f.Context(), nil, header...)
		} else {
			resp, err = s.Do(f.Context(), method, header...)
		}
		switch {
		case errors.Is(err, dialog.ErrPending): // an offer of the peer's
		case err != nil:
			f.Errorf("%s: %v", method, err)
			return
		case resp.Status() == sip.StatusOK:
			if method == sip.INVITE {
				if err := s.Ack(f.Context()); err != nil {
					f.Error(err)
				}
			}
			return
		case resp.Status() != sip.StatusRequestPending && resp.Status() != sip.StatusServerInternalError:
			f.Errorf("%s: %v, want 200, 491 or 500", method, resp.Status())
			return
		}
		f.Pass(wait)
	}
	f.Errorf("%s has been refused twenty times", method)
}

// Alice changes the session, and Bob refreshes it. Both have to try again: Bob, who was called,
// is the first.
func TestFlow5407Reinvites(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.3.1", Title: "Re-INVITE Crossover",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1  INVITE Alice -> Bob
			F2  180    Bob -> Alice
			F3  200    Bob -> Alice
			F4  ACK    Alice -> Bob
			F5  INVITE Alice -> Bob
			F6  INVITE Bob -> Alice
			F7  491    Bob -> Alice
			F8  491    Alice -> Bob
			F9  ACK    Alice -> Bob
			F10 ACK    Bob -> Alice
			F11 INVITE Bob -> Alice
			F12 200    Alice -> Bob
			F13 ACK    Bob -> Alice
			F14 INVITE Alice -> Bob
			F15 200    Bob -> Alice
			F16 ACK    Alice -> Bob
			+   BYE    Alice -> Bob // the RFC leaves them talking
			+   200    Bob -> Alice // as above`,
		Differs: map[string]string{"Contact": shortened, "SDP": shortened},
		Play: func(f *flow.Flow) {
			alice, bob := dialogPair(f, "3.3.1@atlanta.example.com")
			f.Note("Alice changes the session, and Bob refreshes it.")
			together(func() {
				modify(f, alice, sip.INVITE, 3*time.Second, describe("192.0.2.101", 2, "audio 49172 RTP/AVP 0"))
			}, func() {
				modify(f, bob, sip.INVITE, time.Second, describe("192.0.2.201", 1, "audio 3456 RTP/AVP 0"))
			})
			goodbye(f, alice, bob)
		},
	})
}

// The same with an UPDATE of Alice's.
func TestFlow5407UpdateAndReinvite(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5407, Section: "3.3.2", Title: "UPDATE and re-INVITE Crossover",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: raceFields,
		Flow: `
			F1  INVITE Alice -> Bob
			F2  180    Bob -> Alice
			F3  200    Bob -> Alice
			F4  ACK    Alice -> Bob
			F5  UPDATE Alice -> Bob
			F6  INVITE Bob -> Alice
			F7  491    Bob -> Alice
			F8  491    Alice -> Bob
			F9  ACK    Bob -> Alice
			F10 INVITE Bob -> Alice
			F11 200    Alice -> Bob
			F12 ACK    Bob -> Alice
			F13 UPDATE Alice -> Bob
			F14 200    Bob -> Alice
			+   BYE    Alice -> Bob // the RFC leaves them talking
			+   200    Bob -> Alice // as above`,
		Differs: map[string]string{"Contact": shortened, "F5 SDP": shortened, "F13 SDP": shortened},
		Play: func(f *flow.Flow) {
			alice, bob := dialogPair(f, "3.3.2@atlanta.example.com")
			f.Note("Alice changes the session, and Bob refreshes it.")
			together(func() {
				modify(f, alice, sip.UPDATE, 3*time.Second, describe("192.0.2.101", 2, "audio 49172 RTP/AVP 0"))
			}, func() {
				modify(f, bob, sip.INVITE, time.Second, describe("192.0.2.201", 1, "audio 3456 RTP/AVP 0"))
			})
			goodbye(f, alice, bob)
		},
	})
}
