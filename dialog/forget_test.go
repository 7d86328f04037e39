package dialog_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A notifier says that a subscription of an hour lasts for 136 years. What was asked for is
// what counts, and nothing when nobody wants it any more.
func TestSubscriptionForCenturies(t *testing.T) {
	for _, forget := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			dialogs := make(chan *dialog.Dialog, 1)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, req *sip.Request) {
				tx.Reply(sip.StatusOK)
				dialogs <- tx.Dialog()
			}})
			event := sip.Event{Package: "presence"}
			go func() { // ends with the answer
				req := newInvite(t, "sip:bob@"+bobAddr, "1")
				req = sip.NewRequest(sip.SUBSCRIBE, req.URI(), sip.MaxForwards(70), req.From(), req.To(), sip.CallID("1"),
					sip.CSeq{Seq: 1, Method: sip.SUBSCRIBE}, event, sip.Expires(3600))
				if _, err := alice.Subscribe(t.Context(), req, nil); err != nil {
					t.Error(err)
				}
			}()
			sub := p.expect("SUBSCRIBE 1")
			to := tagged(sub.Message, "b")
			p.reply(sub, sip.StatusOK, p.contact(), to, sip.Expires(3600))
			p.send(aliceAddr, p.back(sub.Message, to, sip.NOTIFY, 1, p.contact(), event,
				sip.SubscriptionState{State: "active", Params: ";expires=4294967295"}))
			p.expect("200 NOTIFY 1")
			d := <-dialogs
			if forget {
				d.Forget(event)
			} else {
				time.Sleep(2 * time.Hour)
			}
			if left, _ := alice.Left(); left != 0 {
				t.Errorf("forgotten: %v: %d dialogs are left, want none", forget, left)
			}
		})
	}
}

// What has a method of its own is not for Do.
func TestDoRefusesOthers(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		s := call(t, newLayer(t, n, aliceAddr, nil), "sip:bob@"+bobAddr, "1")
		for _, method := range []sip.Method{sip.INVITE, sip.ACK, sip.BYE, sip.CANCEL} {
			if resp, err := s.Do(t.Context(), method); err == nil {
				t.Errorf("Do(%s) = %v, want an error", method, resp)
			}
		}
		time.Sleep(time.Second)
		s.Bye(t.Context())
	})
}
