package dialog_test

import (
	"strings"
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Tags are tokens, in which case means nothing, and a Call-ID is compared byte by byte (RFC
// 3261 sections 7.3.1 and 8.1.1.4): a peer that writes the tags in another way is within
// the call, and one with another Call-ID is not.
func TestTagsInAnotherCase(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "One", sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: aliceAddr}, Params: ";tag=aLiCe"})
		s := <-sessions
		id := s.ID()
		if id.RemoteTag != "aLiCe" {
			t.Errorf("RemoteTag is %s, want it as it came", id.RemoteTag)
		}
		for i, tag := range []func(string) string{strings.ToLower, strings.ToUpper} {
			from, to := ok.From().WithTag(tag(id.RemoteTag)), ok.To().WithTag(tag(id.LocalTag))
			p.send(bobAddr, p.within(ok, sip.UPDATE, uint32(2+i), from, to, p.contact()))
			p.expect("200 " + summaryOf(sip.UPDATE, 2+i))
			if bob.Dialog(dialog.ID{CallID: "One", LocalTag: tag(id.LocalTag), RemoteTag: tag(id.RemoteTag)}) == nil {
				t.Error("Dialog() of the same ID = nil")
			}
		}
		p.send(bobAddr, p.within(ok, sip.UPDATE, 4, sip.CallID("one"), p.contact()))
		p.expect("481 UPDATE 4")
		p.send(bobAddr, p.within(ok, sip.BYE, 5, ok.From().WithTag("ALICE")))
		p.expect("200 BYE 5")
		<-s.Done()
		if dialogs, _ := bob.Left(); dialogs != 0 {
			t.Errorf("%d dialogs are left", dialogs)
		}
	})
}

// A callee whose tag has another case in the 200 than in the 180 is one, and has one call.
func TestAnswerWithTagInAnotherCase(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := newLayer(t, n, aliceAddr, nil)
		p := newPeer(t, n, bobAddr)
		result := make(chan error, 1)
		go func() { // ends with the call
			s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
			if err == nil {
				if err = s.Ack(t.Context()); err == nil {
					err = s.Bye(t.Context())
				}
			}
			result <- err
		}()
		invite := p.expect("INVITE 1")
		to := invite.Message.(*sip.Request).To()
		p.reply(invite, sip.StatusRinging, to.WithTag("bOb"), p.contact())
		p.reply(invite, sip.StatusOK, to.WithTag("Bob"), p.contact())
		p.expect("ACK 1")
		p.reply(p.expect("BYE 2"), sip.StatusOK)
		if err := <-result; err != nil {
			t.Error(err)
		}
		if dialogs, _ := alice.Left(); dialogs != 0 {
			t.Errorf("%d dialogs are left", dialogs)
		}
	})
}
