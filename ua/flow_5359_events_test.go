package ua_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Who tells of calls in RFC 5359.
var (
	parkServer = flow.Actor{Name: "Park Server", AOR: "sip:park@server.example.com", Host: "server.example.com", Addr: "192.0.2.103"}
	bill       = flow.Actor{Name: "Bill", AOR: "sip:bill@biloxi.example.com", Host: "pc.biloxi.example.com", Addr: "192.0.2.202"}
)

// Bob parks Alice's call: a server takes his place in it. Carol asks the server for the call, and
// takes it from there.
func TestFlow5359Park(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.15", Title: "Call Park",
		Cast: []flow.Actor{flow.Alice, flow.Bob, parkServer, flow.Carol},
		Show: append([]string{"Refer-To", "Referred-By"}, eventFields...),
		Flow: `
			F1  INVITE    Alice -> Bob
			F2  180       Bob -> Alice
			F3  200       Bob -> Alice
			F4  ACK       Alice -> Bob
			F5  REFER     Bob -> Park Server
			-   F6 202    Park Server -> Bob // 202 is deprecated (RFC 6665 section 8.3.1),
			+   200       Park Server -> Bob // and this is what it was
			F7  NOTIFY    Park Server -> Bob
			F9  INVITE    Park Server -> Alice
			F8  200       Bob -> Park Server
			F10 200       Alice -> Park Server
			F11 ACK       Park Server -> Alice
			F14 NOTIFY    Park Server -> Bob
			F12 BYE       Alice -> Bob
			F15 200       Bob -> Park Server
			F13 200       Bob -> Alice
			F16 SUBSCRIBE Carol -> Park Server
			F17 200       Park Server -> Carol
			F18 NOTIFY    Park Server -> Carol
			F19 200       Carol -> Park Server
			F20 INVITE    Carol -> Alice
			F21 200       Alice -> Carol
			F22 ACK       Carol -> Alice
			F23 BYE       Alice -> Park Server
			F24 200       Park Server -> Alice
			+   BYE       Alice -> Carol // the RFC leaves them talking
			+   200       Carol -> Alice // as above`,
		Differs: map[string]string{
			"F19 Contact": "where Carol is was said in her SUBSCRIBE",
		},
		Play: func(f *flow.Flow) {
			calls := newCalls()
			alice, bob, carol := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{}), newPhone(f, flow.Carol, ua.Config{})
			server := newPhone(f, parkServer, ua.Config{Notifiers: []*ua.Notifier{calls.Notifier}})
			alices, bobs := establish(alice, bob)
			f.Note("Bob parks the call.")
			alices2, parked := takenOver(f, bob, parkServer, bobs, alice, server)
			calls.show(parked.Dialog().ID(), "initiator", "confirmed")
			replaced(f, bobs, alices)
			f.Pass(30 * time.Second)

			f.Note("Carol picks the call up.")
			n, err := carol.Fetch(f.Context(), parkServer.AOR, "dialog", nil)
			if err != nil {
				f.Fatalf("Fetch() = %v", err)
			}
			instead, state := readDialog(f, n)
			if state != "confirmed" || instead != parked.Replaces() {
				f.Errorf("Carol hears of %v, %s, want the parked call", instead, state)
			}
			f.Pass(time.Second)
			call := carol.placeWith(flow.Alice.AOR, &ua.InviteOptions{Header: []sip.Edit{instead, sip.Require{sip.OptionReplaces}}})
			in := alice.invited()
			in.inPlaceOf(alices2)
			withCarol, carols := in.answer(), call.answered()
			replaced(f, parked, alices2)
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, withCarol, carols)
		},
	})
}

// Bob's phone rings, and Bill takes the call: he asks the phone which it is.
func TestFlow5359Pickup(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.16", Title: "Call Pickup",
		Cast: []flow.Actor{flow.Alice, flow.Bob, bill},
		Show: eventFields,
		Flow: `
			F1  INVITE    Alice -> Bob
			F2  180       Bob -> Alice
			F3  SUBSCRIBE Bill -> Bob
			F4  200       Bob -> Bill
			F5  NOTIFY    Bob -> Bill
			F6  200       Bill -> Bob
			F7  INVITE    Bill -> Alice
			F8  200       Alice -> Bill
			F13 ACK       Bill -> Alice
			F9  CANCEL    Alice -> Bob
			F10 200       Bob -> Alice
			F11 487       Bob -> Alice
			F12 ACK       Alice -> Bob
			F14 BYE       Alice -> Bill
			F15 200       Bill -> Alice`,
		Differs: map[string]string{
			"F4 Contact": "the response that makes a dialog has one (RFC 3261 section 12.1.1)",
			"F6 Contact": "where Bill is was said in his SUBSCRIBE",
		},
		Play: func(f *flow.Flow) {
			calls := newCalls()
			alice, bills := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, bill, ua.Config{})
			bob := newPhone(f, flow.Bob, ua.Config{Notifiers: []*ua.Notifier{calls.Notifier}})
			opts, rings := hears()
			first, in := ring(alice, bob, opts)
			calls.show(in.Dialog().ID(), "recipient", "early")
			f.Pass(5 * time.Second)
			<-rings // Alice knows of no dialog before
			f.Note("Bill picks the call up.")
			n, err := bills.Fetch(f.Context(), flow.Bob.AOR, "dialog", nil)
			if err != nil {
				f.Fatalf("Fetch() = %v", err)
			}
			instead, state := readDialog(f, n)
			if state != "early" {
				f.Errorf("Bill hears of a call that is %s, want early", state)
			}
			instead.EarlyOnly = true
			f.Pass(time.Second)
			second := bills.placeWith(flow.Alice.AOR, &ua.InviteOptions{Header: []sip.Edit{instead, sip.Require{sip.OptionReplaces}}})
			alices, theirs := alice.invited().answer(), second.answered()
			first.failed(ua.ErrReplaced)
			in.givenUp()
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, alices, theirs)
		},
	})
}

// Bob is busy, and Alice's phone has him tell when he is not.
func TestFlow5359Redial(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.17", Title: "Automatic Redial",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: eventFields,
		Flow: `
			F1  INVITE    Alice -> Bob
			F2  486       Bob -> Alice
			F3  ACK       Alice -> Bob
			F4  SUBSCRIBE Alice -> Bob
			F5  200       Bob -> Alice
			F6  NOTIFY    Bob -> Alice
			F7  200       Alice -> Bob
			F8  NOTIFY    Bob -> Alice
			F9  200       Alice -> Bob
			F10 INVITE    Alice -> Bob
			F11 180       Bob -> Alice
			F12 200       Bob -> Alice
			F13 ACK       Alice -> Bob
			F14 NOTIFY    Bob -> Alice
			F15 200       Alice -> Bob
			F16 SUBSCRIBE Alice -> Bob
			F17 200       Bob -> Alice
			F18 NOTIFY    Bob -> Alice
			F19 200       Alice -> Bob
			+   BYE       Alice -> Bob // the RFC leaves them talking
			+   200       Bob -> Alice // as above`,
		Play: func(f *flow.Flow) {
			calls := newCalls()
			alice, bob := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{Notifiers: []*ua.Notifier{calls.Notifier}})
			other := dialog.ID{CallID: "whatever@biloxi.example.com", LocalTag: "one", RemoteTag: "two"}
			calls.show(other, "initiator", "confirmed")
			f.Note("Alice calls Bob, who is busy.")
			call := alice.place(flow.Bob.AOR)
			bob.invited().reject(sip.StatusBusyHere)
			call.failed(sip.StatusBusyHere)
			f.Note("Alice's phone asks to be told of his calls.")
			sub := alice.watch(flow.Bob.AOR, "dialog", nil)
			if _, state := readDialog(f, heard(f, sub)); state != "confirmed" {
				f.Errorf("Alice hears that Bob's call is %s, want confirmed", state)
			}
			f.Pass(20 * time.Second)
			f.Note("Bob hangs up.")
			calls.show(other, "initiator", "terminated")
			for state := ""; state != "terminated"; {
				_, state = readDialog(f, heard(f, sub))
			}
			f.Pass(time.Second)
			f.Note("Alice's phone calls him again.")
			call = alice.place(flow.Bob.AOR)
			in := bob.invited()
			in.ring()
			f.Pass(2 * time.Second)
			f.Note("Bob answers.")
			theirs, ours := in.answer(), call.answered()
			f.Pass(time.Second)
			calls.show(theirs.Dialog().ID(), "recipient", "confirmed")
			for state := ""; state != "confirmed"; {
				_, state = readDialog(f, heard(f, sub))
			}
			f.Pass(time.Second)
			f.Note("Alice's phone has heard enough.")
			unwatch(f, sub)
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, ours, theirs)
		},
	})
}
