package dialog_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// An INVITE comes in with the Call-ID and the tag of our own, as when we call
// ourselves by way of a proxy. It is a call of its own and harms none.
func TestInviteWithOurOwnIdentifiers(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		sessions := make(chan *dialog.Session, 1)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		invite := p.expect("INVITE 1")
		p.reply(invite, sip.StatusOK, p.contact())
		s := <-result
		p.expect("ACK 1")
		ok := p.calls(aliceAddr, "1")
		at := <-sessions
		if s.ID() == at.ID() {
			t.Errorf("both calls are %+v", s.ID())
		}
		p.send(aliceAddr, p.within(ok, sip.BYE, 2))
		p.expect("200 BYE 2")
		<-at.Done()
		if err := s.Err(); err != nil {
			t.Errorf("our call ended: %v", err)
		}
	})
}

// The callee takes our own tag for its own.
func TestToTagEqualToFromTag(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		invite := p.expect("INVITE 1")
		to := tagged(invite.Message, invite.Message.From().Tag())
		p.reply(invite, sip.StatusOK, p.contact(), to)
		s := <-result
		p.expect("ACK 1")
		p.send(aliceAddr, p.back(invite.Message, to, sip.BYE, 1))
		p.expect("200 BYE 1")
		<-s.Done()
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// A peer of RFC 2543 answers without a tag, hears of us without one, and can
// end the call (RFC 3261 section 12.1.2).
func TestAnswerWithoutTag(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		invite := p.expect("INVITE 1")
		to := invite.Message.To()
		ok := p.reply(invite, sip.StatusOK, p.contact(), to)
		s := <-result
		if got := p.expect("ACK 1").Message.To().Tag(); got != "" {
			t.Errorf("the ACK has the tag %q, want none", got)
		}
		p.respond(invite, ok)
		p.expect("ACK 1")
		p.send(aliceAddr, p.back(invite.Message, to, sip.BYE, 1))
		p.expect("200 BYE 1")
		<-s.Done()
	})
}

// And as a caller it sends an INVITE without a tag in From (RFC 3261 section
// 12.1.1).
func TestInviteWithoutTag(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		from := sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "a.example"}}
		ok := p.calls(bobAddr, "1", from)
		s := <-sessions
		p.send(bobAddr, p.within(ok, sip.BYE, 2))
		p.expect("200 BYE 2")
		<-s.Done()
	})
}

// An INVITE that nothing can be sent back to is refused with 400.
func TestInviteWithHostileContact(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(context.Context, *dialog.Invitation) {
			t.Error("the program is asked")
		}})
		p := newPeer(t, n, aliceAddr)
		for i, test := range []struct {
			edit sip.Edit
			want string
		}{
			{sip.Del("Contact"), "Bad Contact"},
			{sip.Field{Name: "Contact", Value: "*"}, "Bad Contact"},
			{sip.Field{Name: "Contact", Value: "<tel:+15551234>"}, "Bad Contact"},
			{sip.Field{Name: "Record-Route", Value: "<mailto:a@example.com>"}, "Bad Record-Route"},
		} {
			invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, string(rune('a'+i)), p.contact(), test.edit))
			resp := p.expect("400 INVITE 1").Message
			if got := resp.(*sip.Response).ReasonPhrase(); got != test.want {
				t.Errorf("the refusal is %q, want %q", got, test.want)
			}
			p.refused(bobAddr, invite, resp)
		}
		wantEmpty(t, bob)
	})
}

// An INVITE comes again when its transaction is long forgotten, and the call it
// began is up. It is no new call.
func TestInviteComesAgainLate(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 2)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		invite := newInvite(t, "sip:bob@"+bobAddr, "1", p.contact())
		p.sendAs(bobAddr, invite, "z9hG4bK-late")
		p.send(bobAddr, p.within(p.expect("200 INVITE 1").Message, sip.ACK, 1))
		s := <-sessions
		time.Sleep(time.Minute)
		late := p.sendAs(bobAddr, invite, "z9hG4bK-late")
		p.refused(bobAddr, late, p.expect("482 INVITE 1").Message)
		if err := s.Err(); err != nil || len(sessions) != 0 {
			t.Errorf("the call: %v, and %d more", err, len(sessions))
		}
	})
}

// The answer to a re-INVITE has a tag of its own. It is taken for what it is,
// and so is its retransmission.
func TestReinviteAnsweredWithAnotherTag(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		p.calls(bobAddr, "1")
		s := <-sessions
		go func() { // ends with the answer
			s.Invite(t.Context(), nil)
			s.Ack(t.Context())
		}()
		invite := p.expect("INVITE 1")
		to := tagged(invite.Message, "other")
		ok := p.reply(invite, sip.StatusOK, p.contact(), to)
		p.expect("ACK 1")
		p.respond(invite, ok)
		p.expect("ACK 1")
		p.silent(time.Minute)
		if sessions, _ := bob.Left(); sessions != 1 {
			t.Errorf("%d sessions, want the one", sessions)
		}
	})
}

// ACKs that belong to nothing, and one with the wrong number, have no effect.
func TestStrayACKs(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		ok := p.expect("200 INVITE 1").Message
		p.send(bobAddr, p.within(ok, sip.ACK, 2))
		to := ok.To().WithTag("nobody")
		p.send(bobAddr, p.within(ok, sip.ACK, 1, to))
		p.send(bobAddr, p.within(ok, sip.ACK, 1, sip.To{URI: to.URI}))
		p.expect("200 INVITE 1") // none of them was the one
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		p.silent(time.Minute)
	})
}

// What the program does not serve gets 405 with an Allow that tells the truth.
func TestMethodsNotServed(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, nil)
		p := newPeer(t, n, aliceAddr)
		invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		refusal := p.expect("405 INVITE 1").Message
		p.refused(bobAddr, invite, refusal)
		if got, _ := refusal.Value("Allow"); got != "ACK, BYE, CANCEL" {
			t.Errorf("Allow: %s", got)
		}
	})
}

// A BYE that comes while the program is slow with another request is not kept
// waiting by it once that has got a response.
func TestByeOvertakesSlowRequest(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: accepting(t, sessions),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) {
				tx.Reply(sip.StatusAccepted)
				<-tx.Dialog().Session().Done()
			},
		})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		p.send(bobAddr, p.within(ok, sip.REFER, 2))
		p.expect("202 REFER 2")
		p.send(bobAddr, p.within(ok, sip.BYE, 3))
		p.expect("200 BYE 3")
		<-(<-sessions).Done()
	})
}
