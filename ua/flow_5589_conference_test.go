package ua_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// guests writes who is in a conference as RFC 4575 has it, as far as this flow needs it.
func guests(states ...string) func(*ua.Watcher) string {
	return func(w *ua.Watcher) string {
		var s strings.Builder
		s.WriteString("<?xml version=\"1.0\"?>\r\n<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"" + w.Resource().String() + "\">\r\n<users>\r\n")
		for i := 0; i < len(states); i += 2 {
			s.WriteString("<user entity=\"" + states[i] + "\"><endpoint><status>" + states[i+1] + "</status></endpoint></user>\r\n")
		}
		s.WriteString("</users>\r\n</conference-info>\r\n")
		return s.String()
	}
}

// Bob has Alice talk to Carol, and makes a conference of it, so that both can watch what goes on
// until he is out of it.
func TestFlow5589Conference(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5589, Section: "9", Title: "Transfer as an Ad Hoc Conference",
		Cast: []flow.Actor{flow.Alice, flow.Bob, flow.Carol},
		Show: append([]string{"Refer-To", "Referred-By"}, eventFields...),
		Flow: `
			INVITE Alice -> Bob
			180    Bob -> Alice
			200    Bob -> Alice
			ACK    Alice -> Bob
			INVITE Bob -> Alice
			200    Alice -> Bob
			ACK    Bob -> Alice
			SUBSCRIBE Alice -> Bob
			200    Bob -> Alice
			NOTIFY Bob -> Alice
			200    Alice -> Bob
			INVITE Bob -> Carol
			180    Carol -> Bob
			200    Carol -> Bob
			ACK    Bob -> Carol
			SUBSCRIBE Carol -> Bob
			200    Bob -> Carol
			NOTIFY Bob -> Carol
			200    Carol -> Bob
			NOTIFY Bob -> Alice
			+ NOTIFY Bob -> Carol // she is told what Alice is
			200    Alice -> Bob
			+ 200    Carol -> Bob // as above
			INVITE Bob -> Carol
			200    Carol -> Bob
			ACK    Bob -> Carol
			NOTIFY Bob -> Alice
			+ NOTIFY Bob -> Carol // as above
			200    Alice -> Bob
			+ 200    Carol -> Bob // as above
			REFER  Bob -> Alice
			- 202  Alice -> Bob // 202 is deprecated (RFC 6665 section 8.3.1),
			+ 200  Alice -> Bob // and this is what it was
			NOTIFY Alice -> Bob
			INVITE Alice -> Carol
			200    Bob -> Alice
			200    Carol -> Alice
			ACK    Alice -> Carol
			NOTIFY Alice -> Bob
			BYE    Carol -> Bob
			200    Bob -> Alice
			BYE    Bob -> Alice
			200    Bob -> Carol
			200    Alice -> Bob
			NOTIFY Bob -> Alice
			NOTIFY Bob -> Carol
			200    Alice -> Bob
			200    Carol -> Bob
			+ BYE  Alice -> Carol // the RFC leaves them talking
			+ 200  Carol -> Alice // as above`,
		Play: func(f *flow.Flow) {
			b := newBoard("conference", "application/conference-info+xml")
			b.text = guests()
			alice, carol := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Carol, ua.Config{})
			bob := newPhone(f, flow.Bob, ua.Config{Notifiers: []*ua.Notifier{b.Notifier}})
			conference := sip.Contact{URI: sip.URI{Scheme: "sip", User: "conf-id", Host: flow.Bob.Addr}, Params: ";isfocus"}
			s := &transferScene{f: f}
			alices, withAlice := establish(alice, bob)
			withAlice.Dialog().SetContact(conference)
			b.text = guests(flow.Alice.AOR, "on-hold", flow.Bob.AOR, "connected")
			s.hold(withAlice, "Bob puts Alice on hold, and says that there is a conference.")
			f.Note("Alice subscribes to it.")
			alicesWatch := alice.watch(alices.Dialog().Target().String(), "conference", nil)
			heard(f, alicesWatch)
			f.Pass(time.Second)

			call, in := ring(bob, carol, &ua.InviteOptions{Header: []sip.Edit{sip.Require{sip.OptionReplaces}, conference}})
			f.Pass(2 * time.Second)
			f.Note("Carol answers.")
			carols, withCarol := in.answer(), call.answered()
			f.Pass(time.Second)
			f.Note("Carol subscribes to the conference.")
			carolsWatch := carol.watch(carols.Dialog().Target().String(), "conference", nil)
			heard(f, carolsWatch)
			f.Pass(time.Second)
			b.write(guests(flow.Alice.AOR, "on-hold", flow.Bob.AOR, "connected", flow.Carol.AOR, "connected"))
			f.Pass(5 * time.Second)
			s.hold(withCarol, "Bob puts Carol on hold.")
			b.write(guests(flow.Alice.AOR, "on-hold", flow.Bob.AOR, "connected", flow.Carol.AOR, "on-hold"))
			f.Pass(5 * time.Second)

			f.Note("Bob has Alice take his place.")
			sent := refer(func() error { return withAlice.TransferTo(f.Context(), withCarol, nil) })
			second, first := carol.invited().answer(), <-alice.referred
			transferEnds(f, sent, nil)
			replaced(f, withCarol, carols)
			<-alices.Done()
			f.Pass(time.Second)
			f.Note("There is no conference any more.")
			b.terminate("noresource", 0)
			f.Pass(10 * time.Second)
			for _, watch := range []*ua.Subscription{alicesWatch, carolsWatch} {
				if err := watch.Close(); err != nil {
					f.Errorf("Close() = %v", err)
				}
			}
			f.Note("Alice hangs up.")
			hangup(f, first, second)
		},
	})
}
