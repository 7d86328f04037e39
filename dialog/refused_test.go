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

// A call that rings is ended by who does not answer it: its handler, which may wait for
// somebody who would, hears of it.
func TestHandlerHearsOfRefusal(t *testing.T) {
	for how, want := range map[string]error{"Bye": dialog.ErrEnded, "no PRACK": dialog.ErrNoPRACK} {
		story(t, func(t *testing.T, n *siptest.Network) {
			heard := make(chan error, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				go func() { // ends with the refusal
					if how == "no PRACK" {
						in.Reliable(sip.StatusRinging)
						return
					}
					time.Sleep(time.Second)
					in.Session().Bye(context.Background())
				}()
				<-ctx.Done()
				heard <- context.Cause(ctx)
			}})
			p := newPeer(t, n, aliceAddr)
			invite := p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), sip.Supported{sip.Option100rel}))
			if err := <-heard; !errors.Is(err, want) {
				t.Errorf("%s: the context has ended with %v, want %v", how, err, want)
			}
			for in := range p.in {
				if resp := in.Message.(*sip.Response); resp.Status().Final() {
					p.refused(bobAddr, invite, resp)
					break
				}
			}
			time.Sleep(time.Minute)
			wantEmpty(t, bob)
		})
	}
}
