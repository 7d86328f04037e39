package dialog_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// The handler of a PRACK rings on before it answers: that would wait for itself, and is
// refused. Behind the answer it may (RFC 3262 section 3).
func TestReliableInHandlerOfPRACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		invited := make(chan *dialog.Invitation, 1)
		refused := make(chan error, 1)
		newLayer(t, n, bobAddr, &dialog.Config{
			OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				invited <- in
				if err := in.Reliable(sip.StatusRinging); err != nil {
					t.Errorf("Reliable() = %v", err)
				}
				<-ctx.Done()
			},
			OnRequest: func(tx *dialog.Server, req *sip.Request) {
				if len(invited) == 0 { // the second
					tx.Reply(sip.StatusOK)
					return
				}
				in := <-invited
				refused <- in.Reliable(sip.StatusQueued)
				tx.Reply(sip.StatusOK)
				if err := in.Reliable(sip.StatusQueued); err != nil {
					t.Errorf("Reliable() behind the answer = %v", err)
				}
			},
		})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), sip.Supported{sip.Option100rel}))
		ringing := p.expect("180 INVITE 1").Message
		rseq, _ := sip.Get[sip.RSeq](ringing)
		p.send(bobAddr, p.within(ringing, sip.PRACK, 2, sip.RAck{RSeq: rseq, CSeq: ringing.CSeq()}))
		p.expect("200 PRACK 2", "100 PRACK 2")
		if err := <-refused; err == nil {
			t.Error("Reliable() before the answer = nil")
		}
		p.expect("182 INVITE 1")
		p.send(bobAddr, p.within(ringing, sip.PRACK, 3, sip.RAck{RSeq: rseq + 1, CSeq: ringing.CSeq()}))
		p.expect("200 PRACK 3")
		time.Sleep(time.Second)
	})
}
