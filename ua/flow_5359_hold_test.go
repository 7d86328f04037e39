package ua_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// The flows of RFC 5359 go over TLS there; here it is UDP, which can lose something.

// holdFields are what shows who waits.
var holdFields = []string{"From", "To", "Call-ID", "CSeq", "Contact", "SDP", "o="}

// serviceProxy is the proxy of RFC 5359, with the users of several domains.
var serviceProxy = flow.Actor{Name: "Proxy 1", Host: "ss1.example.com", Addr: "192.0.2.111", Domains: []string{"biloxi.example.com", "chicago.example.com"}}

// Bob puts Alice on hold, and takes her off again.
func TestFlow5359Hold(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.1", Title: "Call Hold",
		Cast: []flow.Actor{flow.Alice, serviceProxy, flow.Bob},
		Show: holdFields,
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  INVITE Proxy 1 -> Bob
			F3  100    Proxy 1 -> Alice
			F4  180    Bob -> Proxy 1
			F5  180    Proxy 1 -> Alice
			F6  200    Bob -> Proxy 1
			F7  200    Proxy 1 -> Alice
			F8  ACK    Alice -> Proxy 1
			F9  ACK    Proxy 1 -> Bob
			F10 INVITE Bob -> Proxy 1
			F11 INVITE Proxy 1 -> Alice
			F12 200    Alice -> Proxy 1
			F13 200    Proxy 1 -> Bob
			F14 ACK    Bob -> Proxy 1
			F15 ACK    Proxy 1 -> Alice
			F16 INVITE Bob -> Proxy 1
			F17 INVITE Proxy 1 -> Alice
			F18 200    Alice -> Proxy 1
			F19 200    Proxy 1 -> Bob
			F20 ACK    Bob -> Proxy 1
			F21 ACK    Proxy 1 -> Alice
			F22 BYE    Alice -> Proxy 1
			F23 BYE    Proxy 1 -> Bob
			F24 200    Bob -> Proxy 1
			F25 200    Proxy 1 -> Alice`,
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, forward: locate(flow.Bob)}).run(serviceProxy)
			alice, bob := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{})
			ours, theirs := establish(alice, bob)
			f.Note("Bob puts Alice on hold.")
			hold(f, theirs)
			f.Pass(10 * time.Second)
			f.Note("Bob takes her off hold.")
			resume(f, theirs)
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, ours, theirs)
		},
	})
}

// Bob puts Alice on hold while he asks Carol.
func TestFlow5359ConsultationHold(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.2", Title: "Consultation Hold",
		Cast: []flow.Actor{flow.Alice, serviceProxy, flow.Bob, flow.Carol},
		Show: holdFields,
		Flow: `
			F1  INVITE Alice -> Proxy 1
			F2  INVITE Proxy 1 -> Bob
			F3  100    Proxy 1 -> Alice
			F4  180    Bob -> Proxy 1
			F5  180    Proxy 1 -> Alice
			F6  200    Bob -> Proxy 1
			F7  200    Proxy 1 -> Alice
			F8  ACK    Alice -> Proxy 1
			F9  ACK    Proxy 1 -> Bob
			F10 INVITE Bob -> Proxy 1
			F11 INVITE Proxy 1 -> Alice
			F12 200    Alice -> Proxy 1
			F13 200    Proxy 1 -> Bob
			F14 ACK    Bob -> Proxy 1
			F15 ACK    Proxy 1 -> Alice
			F16 INVITE Bob -> Proxy 1
			F17 INVITE Proxy 1 -> Carol
			F18 100    Proxy 1 -> Bob
			F19 180    Carol -> Proxy 1
			F20 180    Proxy 1 -> Bob
			F21 200    Carol -> Proxy 1
			F22 200    Proxy 1 -> Bob
			F23 ACK    Bob -> Proxy 1
			F24 ACK    Proxy 1 -> Carol
			F25 BYE    Bob -> Proxy 1
			F26 BYE    Proxy 1 -> Carol
			F27 200    Carol -> Proxy 1
			F28 200    Proxy 1 -> Bob
			F29 INVITE Bob -> Proxy 1
			F30 INVITE Proxy 1 -> Alice
			F31 200    Alice -> Proxy 1
			F32 200    Proxy 1 -> Bob
			F33 ACK    Bob -> Proxy 1
			F34 ACK    Proxy 1 -> Alice
			F35 BYE    Alice -> Proxy 1
			F36 BYE    Proxy 1 -> Bob
			F37 200    Bob -> Proxy 1
			F38 200    Proxy 1 -> Alice`,
		Play: func(f *flow.Flow) {
			(&server{f: f, recordRoute: true, forward: locate(flow.Bob, flow.Carol)}).run(serviceProxy)
			alice := newPhone(f, flow.Alice, ua.Config{})
			bob := newPhone(f, flow.Bob, ua.Config{})
			carol := newPhone(f, flow.Carol, ua.Config{})
			ours, theirs := establish(alice, bob)
			f.Note("Bob puts Alice on hold.")
			hold(f, theirs)
			f.Pass(2 * time.Second)
			bobs, carols := establish(bob, carol)
			f.Note("Bob hangs up with Carol.")
			hangup(f, bobs, carols)
			f.Pass(2 * time.Second)
			f.Note("Bob takes Alice off hold.")
			resume(f, theirs)
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, ours, theirs)
		},
	})
}

// Bob has Alice know that he mixes, and calls Carol, too.
func TestFlow5359Conference(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.10", Title: "3-Way Conference - Third Party Is Added",
		Cast: []flow.Actor{flow.Alice, flow.Bob, flow.Carol},
		Show: holdFields,
		Flow: `
			F1  INVITE Alice -> Bob
			F2  180    Bob -> Alice
			F3  200    Bob -> Alice
			F4  ACK    Alice -> Bob
			F5  INVITE Bob -> Alice
			F6  200    Alice -> Bob
			F7  ACK    Bob -> Alice
			F8  INVITE Bob -> Carol
			F9  180    Carol -> Bob
			F10 200    Carol -> Bob
			F11 ACK    Bob -> Carol
			+   BYE Bob -> Alice // the RFC leaves them talking
			+   200 Alice -> Bob // as above
			+   BYE Bob -> Carol // as above
			+   200 Carol -> Bob // as above`,
		Differs: map[string]string{
			"F9 status": "the RFC prints another 200 under the title of a 180",
		},
		Play: func(f *flow.Flow) {
			alice, bob, carol := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{}), newPhone(f, flow.Carol, ua.Config{})
			alices, withAlice := establish(alice, bob)

			f.Note("Bob tells Alice that he mixes.")
			mixer := sip.Contact{URI: sip.URI{Scheme: "sip", User: "bob-mixer", Host: flow.Bob.Addr}, Params: ";isfocus"}
			withAlice.Dialog().SetContact(mixer)
			if err := withAlice.Renegotiate(f.Context()); err != nil {
				f.Errorf("Renegotiate() = %v", err)
			}
			f.Pass(time.Second)

			call, in := ring(bob, carol, &ua.InviteOptions{Header: []sip.Edit{mixer}})
			withCarol, carols := pickUp(call, in, "Carol")

			f.Note("Bob hangs up with both.")
			hangup(f, withAlice, alices)
			hangup(f, withCarol, carols)
		},
	})
}

// Carol joins the call of Alice and Bob, who has Alice know before he answers.
func TestFlow5359Join(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.11", Title: "3-Way Conference - Third Party Joins",
		Cast: []flow.Actor{flow.Alice, flow.Bob, flow.Carol},
		Show: append([]string{"Join"}, holdFields...),
		Flow: `
			F1  INVITE Alice -> Bob
			F2  180    Bob -> Alice
			F3  200    Bob -> Alice
			F4  ACK    Alice -> Bob
			F5  INVITE Carol -> Bob
			F6  180    Bob -> Carol
			F7  INVITE Bob -> Alice
			F8  200    Alice -> Bob
			F9  ACK    Bob -> Alice
			F10 200    Bob -> Carol
			F11 ACK    Carol -> Bob
			+   BYE    Alice -> Bob // the RFC leaves them talking
			+   200    Bob -> Alice // as above
			+   BYE    Carol -> Bob // as above
			+   200    Bob -> Carol // as above`,
		Play: func(f *flow.Flow) {
			alice, bob, carol := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{Join: true}), newPhone(f, flow.Carol, ua.Config{})
			alices, withAlice := establish(alice, bob)
			f.Note("Carol joins them.")
			call := carol.placeWith(flow.Bob.AOR, &ua.InviteOptions{Header: []sip.Edit{alices.Join()}}) // by whatever means she knows it
			in := bob.invited()
			if in.Joins() != withAlice {
				f.Error("Carol's call is not to join Alice's")
			}
			in.ring()
			f.Pass(time.Second)
			if err := withAlice.Renegotiate(f.Context()); err != nil {
				f.Errorf("Renegotiate() = %v", err)
			}
			withCarol, carols := in.answer(), call.answered()
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, alices, withAlice)
			f.Pass(time.Second)
			f.Note("Carol hangs up.")
			hangup(f, carols, withCarol)
		},
	})
}
