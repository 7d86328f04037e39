package ua_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// Who does something for others in RFC 5359.
var (
	musicServer = flow.Actor{Name: "Music Server", AOR: "sip:music@server.example.com", Host: "server.example.com", Addr: "192.0.2.103"}
	bobsPC      = flow.Actor{Name: "Bob's PC", AOR: "sip:bob@pc.biloxi.example.com", Host: "pc.biloxi.example.com", Addr: "192.0.2.202"}
)

// Bob has Alice hear music: a server takes his place in the call, and he takes it back. The
// NOTIFY that tells him so has nothing of the new call but its status, so he knows by other means
// what it is called.
func TestFlow5359Music(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.3", Title: "Music on Hold",
		Cast: []flow.Actor{flow.Alice, flow.Bob, musicServer},
		Show: transferFields,
		Flow: `
			F1  INVITE Alice -> Bob
			F2  180    Bob -> Alice
			F3  200    Bob -> Alice
			F4  ACK    Alice -> Bob
			F5  INVITE Bob -> Alice
			F6  200    Alice -> Bob
			F7  ACK    Bob -> Alice
			F8  REFER  Bob -> Music Server
			-   F9 202 Music Server -> Bob // 202 is deprecated (RFC 6665 section 8.3.1),
			+   200    Music Server -> Bob // and this is what it was
			F10 NOTIFY Music Server -> Bob
			F12 INVITE Music Server -> Alice
			F11 200    Bob -> Music Server
			F13 200    Alice -> Music Server
			F14 ACK    Music Server -> Alice
			F17 NOTIFY Music Server -> Bob
			F15 BYE    Alice -> Bob
			F18 200    Bob -> Music Server
			F16 200    Bob -> Alice
			F19 INVITE Bob -> Alice
			F20 200    Alice -> Bob
			F21 ACK    Bob -> Alice
			F22 BYE    Alice -> Music Server
			F23 200    Music Server -> Alice
			+   BYE    Alice -> Bob // the RFC leaves them talking
			+   200    Bob -> Alice // as above`,
		Play: func(f *flow.Flow) {
			alice, bob, music := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{}), newPhone(f, musicServer, ua.Config{})
			alices, bobs := establish(alice, bob)
			f.Note("Bob puts Alice on hold.")
			hold(f, bobs)
			f.Pass(2 * time.Second)
			f.Note("Bob has the music server take his place.")
			alices2, musics := takenOver(f, bob, musicServer, bobs, alice, music)
			replaced(f, bobs, alices)
			f.Pass(30 * time.Second)

			f.Note("The music is over, and Bob takes the place of the server.")
			call := bob.placeWith(flow.Alice.AOR, &ua.InviteOptions{Header: []sip.Edit{musics.Replaces()}})
			in := alice.invited()
			in.inPlaceOf(alices2)
			alices, bobs = in.answer(), call.answered()
			replaced(f, musics, alices2)
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, alices, bobs)
		},
	})
}

// takenOver has a server take the place of one phone in its call with another one, and returns
// the call at that one and at the server.
func takenOver(f *flow.Flow, from *phone, who flow.Actor, call *ua.Call, other, server *phone) (others, servers *ua.Call) {
	f.Helper()
	sent := refer(func() error { return from.Refer(f.Context(), who.AOR, call.ReferTo().String(), nil) })
	others = other.invited().answer()
	servers = <-server.referred
	transferEnds(f, sent, nil)
	return others, servers
}

// Bob clicks at a link, and his PC has his phone call Carol.
func TestFlow5359ClickToDial(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 5359, Section: "2.18", Title: "Click to Dial",
		Cast: []flow.Actor{bobsPC, flow.Bob, flow.Carol},
		Show: append([]string{"Refer-Sub"}, transferFields...),
		Flow: `
			F1 REFER  Bob's PC -> Bob
			-  F2 202 Bob -> Bob's PC // 202 is deprecated (RFC 6665 section 8.3.1),
			+  200    Bob -> Bob's PC // and this is what it was
			F3 INVITE Bob -> Carol
			F4 180    Carol -> Bob
			F5 200    Carol -> Bob
			F6 ACK    Bob -> Carol
			+  BYE    Bob -> Carol // the RFC leaves them talking
			+  200    Carol -> Bob // as above`,
		Play: func(f *flow.Flow) {
			pc, bob, carol := newPhone(f, bobsPC, ua.Config{}), newPhone(f, flow.Bob, ua.Config{}), newPhone(f, flow.Carol, ua.Config{})
			f.Note("Bob clicks at Carol's address.")
			if err := pc.Refer(f.Context(), flow.Bob.AOR, flow.Carol.AOR, &ua.TransferOptions{Blind: true}); err != nil {
				f.Errorf("Refer() = %v", err)
			}
			in := carol.invited()
			in.ring()
			f.Pass(2 * time.Second)
			f.Note("Carol answers.")
			carols, bobs := in.answer(), <-bob.referred
			f.Pass(10 * time.Second)
			f.Note("Bob hangs up.")
			hangup(f, bobs, carols)
		},
	})
}
