package dialog_test

import (
	"context"
	"testing"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// BYE behind a re-INVITE that waits for the user in silence.
func TestByeBehindSilentReinvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if !in.Re() {
				accepting(t, nil)(ctx, in)
				return
			}
			<-ctx.Done()
		}})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		p.send(bobAddr, p.within(ok, sip.INVITE, 2, p.contact()))
		p.expect("100 INVITE 2")
		p.send(bobAddr, p.within(ok, sip.BYE, 3))
		p.expect("200 BYE 3")
	})
}

// RFC 3261 section 12.2.1.1: the first hop is a strict router, the next a loose one.
func TestStrictThenLoose(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		p.calls(bobAddr, "1",
			sip.Add(sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: aliceAddr}}),
			sip.Add(sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: carolAddr, Params: ";lr"}}))
		go (<-sessions).Do(t.Context(), sip.INFO)
		p.reply(p.expect("INFO 1"), sip.StatusOK)
	})
}
