package dialog_test

import (
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Requests that are no target refresh, and their answers, leave the target
// alone though they carry a Contact; our own of them carry none (RFC 3261
// section 12.2).
func TestOtherRequestsLeaveTarget(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite:  accepting(t, sessions),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		s := <-sessions
		moved := p.contact()
		moved.URI.User = "moved"
		check := func(what string) {
			t.Helper()
			in := p.expect(what)
			req := in.Message.(*sip.Request)
			if got := req.URI().User; got != "peer" {
				t.Errorf("%s goes to %s, want peer", what, got)
			}
			if got, ok := req.Value("Contact"); ok {
				t.Errorf("%s has the Contact %s, want none", what, got)
			}
			p.reply(in, sip.StatusOK, moved)
		}
		seq := 0
		for _, method := range []sip.Method{sip.INFO, sip.MESSAGE, sip.OPTIONS} {
			p.send(bobAddr, p.within(ok, method, uint32(seq+2), moved))
			p.expect("200 " + summaryOf(method, seq+2))
			seq++
			done := make(chan error, 1)
			go func() { // ends with the answer
				_, err := s.Do(t.Context(), method)
				done <- err
			}()
			check(summaryOf(method, seq))
			if err := <-done; err != nil {
				t.Errorf("%s: %v", method, err)
			}
		}
		done := make(chan error, 1)
		go func() { done <- s.Bye(t.Context()) }() // ends with the answer
		check(summaryOf(sip.BYE, seq+1))
		if err := <-done; err != nil {
			t.Errorf("BYE: %v", err)
		}
	})
}
