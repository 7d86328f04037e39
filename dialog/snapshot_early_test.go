package dialog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A restart while a PRACK is waited for. The 183 is sent again, the same, and its
// PRACK served; a second reliable response has the number that follows. The offer of
// the INVITE is still open until it is answered.
func TestRestartBeforeThePRACK(t *testing.T) {
	for _, pracked := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
				in.Reliable(sip.StatusSessionProgress)
			}})
			p := newPeer(t, n, aliceAddr)
			invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), session, sip.Supported{sip.Option100rel}))
			ring := p.expect("183 INVITE 1").Message
			rseq, err := sip.Get[sip.RSeq](ring)
			if err != nil {
				t.Fatal(err)
			}
			result := make(chan error, 2)
			answered := make(chan bool)
			again(t, n, bobAddr, keep(t, bob), &dialog.Config{
				OnInvite: func(_ context.Context, in *dialog.Invitation) {
					result <- in.Reliable(sip.StatusRinging, session)
					if !pracked {
						return
					}
					<-answered
					_, err := in.Accept()
					result <- err
				},
				OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
			})
			if got := p.expect("183 INVITE 1").Message; got.String() != ring.String() {
				t.Errorf("the 183 is\n%s\nwant\n%s", got, ring)
			}
			if !pracked {
				p.refused(bobAddr, invite, p.expect("504 INVITE 1", "183 INVITE 1").Message)
				if err := <-result; err == nil {
					t.Error("the second response was taken")
				}
				return
			}
			prack := func(seq uint32, rseq sip.RSeq) {
				t.Helper()
				p.send(bobAddr, p.within(ring, sip.PRACK, seq, sip.RAck{RSeq: rseq, CSeq: sip.CSeq{Seq: 1, Method: sip.INVITE}}))
				p.expect("200 "+summaryOf(sip.PRACK, int(seq)), "183 INVITE 1", "180 INVITE 1")
			}
			p.send(bobAddr, p.within(ring, sip.UPDATE, 2, p.contact(), session))
			p.expect("500 UPDATE 2", "183 INVITE 1") // the offer of the INVITE has no answer
			prack(3, rseq)
			if next, err := sip.Get[sip.RSeq](p.expect("180 INVITE 1").Message); err != nil || next != rseq+1 {
				t.Errorf("the next RSeq is %d, %v, want %d", next, err, rseq+1)
			}
			prack(4, rseq+1)
			if err := <-result; err != nil {
				t.Errorf("Reliable() = %v", err)
			}
			p.send(bobAddr, p.within(ring, sip.UPDATE, 5, p.contact(), session))
			p.expect("200 UPDATE 5") // it has
			answered <- true
			ok := p.expect("200 INVITE 1").Message
			p.send(bobAddr, p.within(ok, sip.ACK, 1))
			if err := <-result; err != nil {
				t.Errorf("Accept() = %v", err)
			}
		})
	}
}

// A restart in the middle of subscriptions, at either side: they go on, and end as
// they would have.
func TestRestartOfSubscriptions(t *testing.T) {
	for _, end := range []string{"is told", "comes by itself"} {
		story(t, func(t *testing.T, n *siptest.Network) {
			dialogs := make(chan *dialog.Dialog, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnRequest: notifies(t, sip.StatusOK, dialogs, sip.Expires(600))})
			p := newPeer(t, n, aliceAddr)
			p.send(bobAddr, newRequest(t, sip.SUBSCRIBE, "1", event("presence"), sip.Expires(600), p.contact()))
			ok := p.expect("200 SUBSCRIBE 1").Message
			d := <-dialogs
			done := does(t, d, sip.SUBSCRIBE, event("presence"))
			p.reply(p.expect("SUBSCRIBE 1"), sip.StatusOK, p.contact(), sip.Expires(300))
			<-done
			kept := keep(t, bob)
			var restored *dialog.Dialog
			bob = newLayer(t, n, bobAddr, &dialog.Config{
				OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
				Restore: func(l *dialog.Layer) (err error) {
					restored, err = l.Restore(kept[0])
					return err
				}})
			if restored.Session() != nil || restored.ID() != d.ID() {
				t.Errorf("restored is %v, want %v", restored.ID(), d.ID())
			}
			if end == "comes by itself" {
				time.Sleep(600*time.Second + 31*time.Second)
				if dialogs, _ := bob.Left(); dialogs != 1 {
					t.Errorf("%d dialogs shortly before the end, want 1", dialogs)
				}
				time.Sleep(2 * time.Second)
				wantEmpty(t, bob)
				return
			}
			p.send(bobAddr, p.within(ok, sip.NOTIFY, 2, event("presence"), state("terminated"), p.contact()))
			p.expect("200 NOTIFY 2")
			p.send(bobAddr, p.within(ok, sip.NOTIFY, 3, event("presence"), state("active"), p.contact()))
			p.expect("481 NOTIFY 3")
			done = does(t, restored, sip.NOTIFY, event("presence"), state("terminated"))
			p.reply(p.expect("NOTIFY 2"), sip.StatusOK)
			<-done
			wantEmpty(t, bob)
			if _, err := restored.Do(t.Context(), sip.NOTIFY); !errors.Is(err, dialog.ErrEnded) {
				t.Errorf("another NOTIFY: %v, want ErrEnded", err)
			}
		})
	}
}
