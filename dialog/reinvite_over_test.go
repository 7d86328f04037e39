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

// The call ends while the peer asks its user about a re-INVITE, by a BYE of either side,
// and the re-INVITE is never answered. It is cancelled, and Invite returns within 64*T1.
func TestReinviteEndsWithCall(t *testing.T) {
	for _, ends := range []struct {
		how  string
		want error
	}{{"their BYE", dialog.ErrBye}, {"our BYE", dialog.ErrEnded}} {
		t.Run(ends.how, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				bob := newPeer(t, n, bobAddr)
				alice := newLayer(t, n, aliceAddr, nil)
				sessions, done := make(chan *dialog.Session, 1), make(chan error, 1)
				go func() { // ends with the call
					s := call(t, alice, "sip:bob@"+bobAddr, "1")
					sessions <- s
					_, err := s.Invite(context.Background(), nil)
					done <- err
				}()
				invite := bob.expect("INVITE 1")
				to := tagged(invite.Message, "one")
				bob.reply(invite, sip.StatusOK, bob.contact(), to)
				bob.expect("ACK 1")
				s := <-sessions
				bob.reply(bob.expect("INVITE 2"), sip.StatusRinging, bob.contact())
				if ends.want == dialog.ErrBye {
					bob.send(aliceAddr, bob.back(invite.Message, to, sip.BYE, 1))
					bob.expect("200 BYE 1")
				} else {
					time.Sleep(time.Second)
					go s.Bye(context.Background()) // ends with the answer
				}
				select {
				case err := <-done:
					if !errors.Is(err, ends.want) {
						t.Errorf("Invite() = %v, want %v", err, ends.want)
					}
				case <-time.After(time.Minute):
					t.Fatal("Invite has not returned a minute after the end of the call")
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if err := alice.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown() = %v, want nil", err)
				}
			})
		})
	}
}
