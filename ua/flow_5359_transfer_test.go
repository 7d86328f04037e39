package ua_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// transferFields are what shows who is to call whom, and what has become of it.
var transferFields = []string{"From", "To", "Call-ID", "CSeq", "Refer-To", "Referred-By", "Replaces", "Event", "Subscription-State", "body", "SDP"}

// Alice sends Bob, who has called her, to Carol. She hangs up when she hears that it has
// worked, as RFC 5589 section 6.1 has it, and not before as here in F9.
func TestFlow5359TransferUnattended(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.4", Title: "Transfer - Unattended",
		Cast: []flow.Actor{flow.Alice, flow.Bob, flow.Carol},
		Show: transferFields,
		Flow: `
			F1  INVITE Bob -> Alice
			F2  180    Alice -> Bob
			F3  200    Alice -> Bob
			F4  ACK    Bob -> Alice
			F5  REFER  Alice -> Bob
			-   F6 202 Bob -> Alice // 202 is deprecated (RFC 6665 section 8.3.1),
			+   200    Bob -> Alice // and this is what it was
			F7  NOTIFY Bob -> Alice
			F11 INVITE Bob -> Carol
			F8  200    Alice -> Bob
			F12 180    Carol -> Bob
			+   NOTIFY Bob -> Alice // that it rings
			+   200    Alice -> Bob // as above
			F13 200    Carol -> Bob
			F14 ACK    Bob -> Carol
			F15 NOTIFY Bob -> Alice
			F16 200    Alice -> Bob
			F9  BYE    Alice -> Bob
			F10 200    Bob -> Alice
			+   BYE    Carol -> Bob // the RFC leaves them talking
			+   200    Bob -> Carol // as above`,
		Play: func(f *flow.Flow) {
			alice, bob, carol := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{}), newPhone(f, flow.Carol, ua.Config{})
			withAlice, withBob := establish(bob, alice)
			f.Note("Alice sends Bob to Carol.")
			sent := refer(func() error { return withBob.Transfer(f.Context(), flow.Carol.AOR, nil) })
			in := carol.invited()
			in.ring()
			f.Pass(2 * time.Second)
			f.Note("Carol answers.")
			carols, bobs := in.answer(), <-bob.referred
			transferEnds(f, sent, nil)
			<-withAlice.Done()
			f.Pass(10 * time.Second)
			f.Note("Carol hangs up.")
			hangup(f, carols, bobs)
		},
	})
}

// Bob has Carol on the phone, and Alice on hold. He has Alice take his place. What the RFC
// draws one after the other goes on side by side: Alice calls Carol while her NOTIFY is
// under way.
func TestFlow5359TransferAttended(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.5", Title: "Transfer - Attended",
		Cast: []flow.Actor{flow.Alice, flow.Bob, flow.Carol},
		Show: transferFields,
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
			F12 INVITE Bob -> Carol
			F13 200    Carol -> Bob
			F14 ACK    Bob -> Carol
			F15 REFER  Bob -> Alice
			-   F16 202 Alice -> Bob // 202 is deprecated (RFC 6665 section 8.3.1),
			+   200    Alice -> Bob // and this is what it was
			F17 NOTIFY Alice -> Bob
			F19 INVITE Alice -> Carol
			F18 200    Bob -> Alice
			F20 200    Carol -> Alice
			F21 ACK    Alice -> Carol
			F24 NOTIFY Alice -> Bob
			F22 BYE    Carol -> Bob
			F25 200    Bob -> Alice
			F26 BYE    Bob -> Alice
			F23 200    Bob -> Carol
			F27 200    Alice -> Bob
			+   BYE    Alice -> Carol // the RFC leaves them talking
			+   200    Carol -> Alice // as above`,
		Play: func(f *flow.Flow) {
			alice, bob, carol := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{}), newPhone(f, flow.Carol, ua.Config{})
			alices, withAlice := establish(alice, bob)
			f.Note("Bob puts Alice on hold, and calls Carol.")
			hold(f, withAlice)
			f.Pass(time.Second)
			call := bob.place(flow.Carol.AOR)
			in := carol.invited()
			in.ring()
			withCarol, carols := pickUp(call, in, "Carol")
			f.Note("Bob puts Carol on hold, too, and has Alice take his place.")
			hold(f, withCarol)
			f.Pass(time.Second)
			sent := refer(func() error { return withAlice.TransferTo(f.Context(), withCarol, nil) })
			second := carol.invited().answer()
			first := <-alice.referred
			transferEnds(f, sent, nil)
			replaced(f, withCarol, carols)
			<-alices.Done()
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, first, second)
		},
	})
}

// Bob writes to Carol, who takes the call from him: she calls Alice in his place.
func TestFlow5359TransferByMessage(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.6", Title: "Transfer - Instant Messaging",
		Cast: []flow.Actor{flow.Alice, flow.Bob, flow.Carol},
		Show: transferFields,
		Flow: `
			F1  INVITE  Alice -> Bob
			F2  180     Bob -> Alice
			F3  200     Bob -> Alice
			F4  ACK     Alice -> Bob
			F5  MESSAGE Bob -> Carol
			F6  200     Carol -> Bob
			F7  INVITE  Carol -> Alice
			F8  200     Alice -> Carol
			F9  ACK     Carol -> Alice
			F10 BYE     Alice -> Bob
			F11 200     Bob -> Alice
			+   BYE     Carol -> Alice // the RFC leaves them talking
			+   200     Alice -> Carol // as above`,
		Differs: map[string]string{
			"F6 Contact": "a 2xx to MESSAGE has none (RFC 3428 section 7)",
		},
		Play: func(f *flow.Flow) {
			alice, bob := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{})
			messages := make(chan string, 1)
			carol := newPhone(f, flow.Carol, ua.Config{OnMessage: func(_ context.Context, m ua.Message) error {
				messages <- m.Body
				return nil
			}})
			alices, bobs := establish(alice, bob)
			f.Note("Bob tells Carol of the call.")
			if err := bob.Message(f.Context(), flow.Carol.AOR, "text/plain", string(bobs.Replaces().AppendValue(nil))); err != nil {
				f.Errorf("Message() = %v", err)
			}
			instead, err := sip.Replaces{}.ParseValue(<-messages)
			if err != nil {
				f.Fatal(err)
			}
			f.Pass(2 * time.Second)
			f.Note("Carol takes it.")
			call := carol.placeWith(flow.Alice.AOR, &ua.InviteOptions{Header: []sip.Edit{instead}})
			in := alice.invited()
			in.inPlaceOf(alices)
			withCarol, carols := in.answer(), call.answered()
			replaced(f, bobs, alices)
			f.Pass(10 * time.Second)
			f.Note("Carol hangs up.")
			hangup(f, carols, withCarol)
		},
	})
}
