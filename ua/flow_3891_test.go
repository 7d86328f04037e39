package ua_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// The phones of Bob in RFC 3891 section 7.1.
var (
	bobsDesk = flow.Actor{Name: "Bob's desk", AOR: "sip:bob@biloxi.example.com", Host: "bobster.biloxi.example.com", Addr: "192.0.2.201"}
	bobsLab  = flow.Actor{Name: "Bob's lab", AOR: "sip:bob@biloxi.example.com", Host: "labpc.biloxi.example.com", Addr: "192.0.2.202"}
)

// Bob hears the phone on his desk ring, and takes the call in the lab: Alice, who has called
// the one, is called by the other.
func TestFlow3891(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3891, Section: "7.1", Title: "Replacing an Early Dialog at the Originator",
		Cast: []flow.Actor{flow.Alice, bobsDesk, bobsLab},
		Show: append([]string{"Replaces"}, callFields...),
		Flow: `
			F1 INVITE Alice -> Bob's desk
			F2 180    Bob's desk -> Alice
			F3 INVITE Bob's lab -> Alice
			F4 200    Alice -> Bob's lab
			+  ACK    Bob's lab -> Alice // the RFC has it in its figure, without a number
			F5 CANCEL Alice -> Bob's desk
			F6 200    Bob's desk -> Alice
			F7 487    Bob's desk -> Alice
			+  ACK    Alice -> Bob's desk // as the other one
			+  BYE    Alice -> Bob's lab // the RFC leaves them talking
			+  200    Bob's lab -> Alice // as above`,
		Play: func(f *flow.Flow) {
			alice, desk, lab := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, bobsDesk, ua.Config{}), newPhone(f, bobsLab, ua.Config{})
			f.Note("Alice calls Bob.")
			opts, rings := hears()
			first := alice.placeWith("sip:bob@"+bobsDesk.Host, opts)
			in := desk.invited()
			in.ring()
			id := in.Dialog().ID() // which the desk tells the lab
			f.Pass(5 * time.Second)
			<-rings // Alice knows of no dialog before
			f.Note("Bob takes the call in the lab.")
			second := lab.placeWith(flow.Alice.AOR, &ua.InviteOptions{Header: []sip.Edit{
				sip.Replaces{CallID: sip.CallID(id.CallID), ToTag: id.RemoteTag, FromTag: id.LocalTag, EarlyOnly: true},
			}})
			alices, bobs := alice.invited().answer(), second.answered()
			first.failed(ua.ErrReplaced)
			in.givenUp()
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, alices, bobs)
		},
	})
}

// What an INVITE with a Replaces gets that cannot be granted, of which section 3 has no figure:
// Carol tries to take the place of a call, of its caller and of its callee, and is refused each
// time. The call does not notice.
func TestFlow3891Refusals(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3891, Section: "3", Title: "Receiving a Replaces Header, refused",
		Cast: []flow.Actor{flow.Alice, flow.Bob, flow.Carol},
		Show: []string{"From", "To", "Call-ID", "CSeq", "Replaces", "Join", "Expires"},
		Play: func(f *flow.Flow) {
			alice, bob := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{Join: true})
			carol := newDialogs(f, flow.Carol, nil)
			n := 0
			// try has Carol send a request, and checks how it is refused.
			try := func(note string, method sip.Method, to flow.Actor, want sip.Status, header ...sip.Edit) {
				f.Helper()
				f.Note(note)
				n++
				header = append([]sip.Edit{sip.From{URI: mustURI(flow.Carol.AOR), Params: ";tag=carol"}, sip.CallID(fmt.Sprintf("%d@chicago.example.com", n))}, header...)
				req := request(method, to.AOR, append(header, describe("192.0.2.100", 1, "audio 4000 RTP/AVP 0"))...)
				var resp *sip.Response
				var err error
				if method == sip.INVITE {
					_, resp, err = carol.Invite(f.Context(), req, nil)
				} else {
					resp, err = carol.Do(f.Context(), req)
				}
				if err != nil || resp.Status() != want {
					f.Errorf("%s: %v, %v, want %v", note, resp, err, want)
				}
				f.Pass(time.Second)
			}
			opts, rings := hears()
			call, in := ring(alice, bob, opts)
			early := <-rings
			f.Pass(2 * time.Second)
			try("Carol takes the place of Alice, whose call rings: that is for Bob alone to answer.", sip.INVITE, flow.Bob, sip.StatusCallDoesNotExist, early.Replaces())
			f.Note("Bob answers.")
			theirs, ours := in.answer(), call.answered()
			f.Pass(2 * time.Second)

			aliceInBob, bobInAlice := ours.Replaces(), theirs.Replaces()
			onlyEarly := bobInAlice
			onlyEarly.EarlyOnly = true
			try("Carol takes the place of Bob, if he has not answered yet.", sip.INVITE, flow.Alice, sip.StatusBusyHere, onlyEarly)
			swapped := sip.Replaces{CallID: bobInAlice.CallID, ToTag: bobInAlice.FromTag, FromTag: bobInAlice.ToTag}
			try("Carol takes one side for the other.", sip.INVITE, flow.Alice, sip.StatusCallDoesNotExist, swapped)
			try("Carol has heard of a call that there is not.", sip.INVITE, flow.Alice, sip.StatusCallDoesNotExist, sip.Replaces{CallID: "nothing@example.com", ToTag: "1", FromTag: "2"})
			try("Carol wants to join the call, and to take a place in it.", sip.INVITE, flow.Bob, sip.StatusBadRequest, aliceInBob, ours.Join())
			try("Carol asks what Alice can do, in Bob's place.", sip.OPTIONS, flow.Alice, sip.StatusBadRequest, bobInAlice)
			select {
			case <-ours.Done():
				f.Error("Alice's call is over")
			case <-theirs.Done():
				f.Error("Bob's call is over")
			default:
			}
			f.Note("Alice hangs up.")
			hangup(f, ours, theirs)
			f.Pass(time.Second)
			try("Carol comes too late.", sip.INVITE, flow.Alice, sip.StatusDecline, bobInAlice)
		},
	})
}
