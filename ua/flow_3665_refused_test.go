package ua_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/ua"
)

// refusalFields are what shows who ends a call that is not answered.
var refusalFields = []string{"Via", "From", "To", "CSeq"}

// twoProxies are Alice and Bob with a proxy each, both of which stay on the way.
func twoProxies(f *flow.Flow) (alice, bob *phone) {
	f.Helper()
	(&server{f: f, recordRoute: true}).run(flow.Proxy1)
	(&server{f: f, recordRoute: true}).run(flow.Proxy2)
	alice = newPhone(f, flow.Alice, ua.Config{Proxy: "sip:ss1.atlanta.example.com"})
	bob = newPhone(f, flow.Bob, ua.Config{})
	bob.register()
	f.Begin()
	return alice, bob
}

// Alice gives up before Bob answers.
func TestFlow3665NoAnswer(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.8", Title: "Unsuccessful No Answer",
		Cast: []flow.Actor{flow.Alice, flow.Proxy1, flow.Proxy2, flow.Bob},
		Show: refusalFields,
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  INVITE Proxy 1 -> Proxy 2
			F3  100    Proxy 1 -> Alice
			F4  INVITE Proxy 2 -> Bob
			F5  100    Proxy 2 -> Proxy 1
			F6  180    Bob -> Proxy 2
			F7  180    Proxy 2 -> Proxy 1
			F8  180    Proxy 1 -> Alice
			F9  CANCEL Alice -> Proxy 1
			F10 200    Proxy 1 -> Alice
			F11 CANCEL Proxy 1 -> Proxy 2
			F12 200    Proxy 2 -> Proxy 1
			F13 CANCEL Proxy 2 -> Bob
			F14 200    Bob -> Proxy 2
			F15 487    Bob -> Proxy 2
			F16 ACK    Proxy 2 -> Bob
			F17 487    Proxy 2 -> Proxy 1
			F18 ACK    Proxy 1 -> Proxy 2
			F19 487    Proxy 1 -> Alice
			F20 ACK    Alice -> Proxy 1`,
		Differs: map[string]string{
			"Record-Route":            byFlow,
			"F1 Proxy-Authorization":  noPassword,
			"F10 To tag":              cancelTag,
			"F12 To tag":              cancelTag,
			"F14 To tag":              cancelTag,
			"F20 Proxy-Authorization": noPassword,
			"F20 Route":               ackRoute,
		},
		Play: func(f *flow.Flow) {
			alice, bob := twoProxies(f)
			call, in := ring(alice, bob, nil)
			f.Pass(20 * time.Second)
			f.Note("Alice gives up.")
			call.cancel()
			call.failed(context.Canceled)
			if err := in.givenUp(); !errors.Is(err, transaction.ErrCancelled) {
				f.Errorf("Bob's context ends with %v, want ErrCancelled", err)
			}
		},
	})
}

// Bob is on the phone.
func TestFlow3665Busy(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.9", Title: "Unsuccessful Busy",
		Cast: []flow.Actor{flow.Alice, flow.Proxy1, flow.Proxy2, flow.Bob},
		Show: refusalFields,
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  INVITE Proxy 1 -> Proxy 2
			F3  100    Proxy 1 -> Alice
			F4  INVITE Proxy 2 -> Bob
			F5  100    Proxy 2 -> Proxy 1
			F6  486    Bob -> Proxy 2
			F7  ACK    Proxy 2 -> Bob
			F8  486    Proxy 2 -> Proxy 1
			F9  ACK    Proxy 1 -> Proxy 2
			F10 486    Proxy 1 -> Alice
			F11 ACK    Alice -> Proxy 1`,
		Differs: map[string]string{
			"Record-Route":            byFlow,
			"F1 Proxy-Authorization":  noPassword,
			"F11 Proxy-Authorization": noPassword,
			"F11 Route":               ackRoute,
		},
		Play: func(f *flow.Flow) {
			alice, bob := twoProxies(f)
			f.Note("Alice calls Bob, who is busy.")
			call := alice.place(flow.Bob.AOR)
			bob.invited().reject(sip.StatusBusyHere)
			call.failed(sip.StatusBusyHere)
		},
	})
}

// Bob's phone is off, though it is registered. Proxy 2 makes a 480 of that; the 408 of package proxy would do as
// well (RFC 3261 section 16.8).
func TestFlow3665NoResponse(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.10", Title: "Unsuccessful No Response from User Agent",
		Cast: []flow.Actor{flow.Alice, flow.Proxy1, flow.Proxy2, flow.Bob},
		Show: refusalFields,
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  INVITE Proxy 1 -> Proxy 2
			F3  100    Proxy 1 -> Alice
			F4  INVITE Proxy 2 -> Bob
			F5  100    Proxy 2 -> Proxy 1
			F6  INVITE Proxy 2 -> Bob
			F7  INVITE Proxy 2 -> Bob
			F8  INVITE Proxy 2 -> Bob
			F9  INVITE Proxy 2 -> Bob
			F10 INVITE Proxy 2 -> Bob
			F11 INVITE Proxy 2 -> Bob
			F12 480    Proxy 2 -> Proxy 1
			F13 ACK    Proxy 1 -> Proxy 2
			F14 480    Proxy 1 -> Alice
			F15 ACK    Alice -> Proxy 1`,
		Silent: []string{"Bob"},
		Differs: map[string]string{
			"F1 Proxy-Authorization":  noPassword,
			"F15 Proxy-Authorization": noPassword,
			"F15 Route":               ackRoute,
		},
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true}).run(flow.Proxy1)
			s := &server{f: f, recordRoute: true}
			s.forward = func(tx *proxy.Server, req *sip.Request) {
				targets, err := s.location.Lookup(tx.Context(), req.URI())
				if err != nil {
					f.Error(err)
				}
				trying(tx, req)
				tx.ForkThen(req, func(best *sip.Response) {
					if best.Status() == sip.StatusRequestTimeout {
						tx.Reply(sip.StatusTemporarilyUnavailable, sip.ReasonPhrase("No Response"))
					}
				}, targets...)
			}
			s.run(flow.Proxy2)
			alice := newPhone(f, flow.Alice, ua.Config{Proxy: "sip:ss1.atlanta.example.com"})
			bob := newDialogs(f, flow.Bob, nil)
			registerDialogs(f, bob, "sip:biloxi.example.com", flow.Bob)
			bob.Close()
			f.Begin()
			f.Note("Alice calls Bob, whose phone is off.")
			alice.place(flow.Bob.AOR).failed(sip.StatusTemporarilyUnavailable)
		},
	})
}

// Bob's phone rings, until it gives up itself.
func TestFlow3665Unavailable(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "3.11", Title: "Unsuccessful Temporarily Unavailable",
		Cast: []flow.Actor{flow.Alice, flow.Proxy1, flow.Proxy2, flow.Bob},
		Show: refusalFields,
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  INVITE Proxy 1 -> Proxy 2
			F3  100    Proxy 1 -> Alice
			F4  INVITE Proxy 2 -> Bob
			F5  100    Proxy 2 -> Proxy 1
			F6  180    Bob -> Proxy 2
			F7  180    Proxy 2 -> Proxy 1
			F8  180    Proxy 1 -> Alice
			F9  480    Bob -> Proxy 2
			F10 ACK    Proxy 2 -> Bob
			F11 480    Proxy 2 -> Proxy 1
			F12 ACK    Proxy 1 -> Proxy 2
			F13 480    Proxy 1 -> Alice
			F14 ACK    Alice -> Proxy 1`,
		Differs: map[string]string{
			"Record-Route":            byFlow,
			"F1 Proxy-Authorization":  noPassword,
			"F14 Proxy-Authorization": noPassword,
			"F14 Route":               ackRoute,
		},
		Play: func(f *flow.Flow) {
			alice, bob := twoProxies(f)
			call, in := ring(alice, bob, nil)
			f.Pass(20 * time.Second)
			f.Note("Bob's phone gives up.")
			in.reject(sip.StatusTemporarilyUnavailable)
			call.failed(sip.StatusTemporarilyUnavailable)
		},
	})
}
