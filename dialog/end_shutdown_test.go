package dialog_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A program that is there for one call shuts down when it ends, however that is found out:
// by a BYE, in a request that is refused or in the wait for an ACK.
func TestShutdownWhenCallEnds(t *testing.T) {
	for _, how := range []sip.Method{sip.BYE, sip.INVITE, sip.INFO, sip.ACK} {
		t.Run(string(how), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				bob := newPeer(t, n, bobAddr)
				down := make(chan error, 1)
				var alice *dialog.Layer
				alice = newLayer(t, n, aliceAddr, &dialog.Config{
					OnInvite: func(_ context.Context, in *dialog.Invitation) { in.Accept() },
					OnEnd: func(*dialog.Session) {
						ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
						defer cancel()
						down <- alice.Shutdown(ctx)
					},
				})
				if how == sip.ACK {
					bob.send(aliceAddr, newInvite(t, "sip:alice@"+aliceAddr, "1", bob.contact()))
					bob.expect("200 INVITE 1")
					bob.reply(bob.expect("BYE 1", "200 INVITE 1"), sip.StatusOK)
				} else {
					go func() { // ends with the call
						s := call(t, alice, "sip:bob@"+bobAddr, "1")
						switch how {
						case sip.INVITE:
							s.Invite(context.Background(), nil)
						case sip.INFO:
							s.Do(context.Background(), sip.INFO)
						}
					}()
					invite := bob.expect("INVITE 1")
					to := tagged(invite.Message, "one")
					bob.reply(invite, sip.StatusOK, bob.contact(), to)
					bob.expect("ACK 1")
					if how == sip.BYE {
						bob.send(aliceAddr, bob.back(invite.Message, to, sip.BYE, 1))
						bob.expect("200 BYE 1")
					} else {
						bob.reply(bob.expect(summaryOf(how, 2)), sip.StatusCallDoesNotExist)
						bob.reply(bob.expect("BYE 3", "ACK 2"), sip.StatusOK)
					}
				}
				if err := <-down; err != nil {
					t.Errorf("Shutdown() = %v, want nil", err)
				}
			})
		})
	}
}
