package dialog_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// The bridge has a password, but not for the realm that challenges: the challenge is for
// Alice, who may have one (RFC 3261 section 22.3).
func TestRelayChallengeOfAnotherRealm(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridgeWith(t, n, &password{})
		challenged := func(what string) *sip.Response {
			t.Helper()
			got := alice.expect("407 " + what).Message.(*sip.Response)
			if value, _ := got.Value("Proxy-Authenticate"); value != `Digest realm="b", nonce="one"` {
				t.Errorf("the challenge of %s is %q", what, value)
			}
			return got
		}
		req := alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "0", alice.contact()))
		invite := bob.expect("INVITE 1")
		bob.reply(invite, sip.StatusProxyAuthRequired, challenge("one"), tagged(invite.Message, "b"))
		bob.expect("ACK 1")
		alice.refused(carolAddr, req, challenged("INVITE 1"))

		_, answer := bridged(t, alice, bob)
		alice.send(carolAddr, alice.within(answer, sip.INFO, 2))
		bob.reply(bob.expect("INFO 2"), sip.StatusProxyAuthRequired, challenge("one"))
		challenged("INFO 2")
		hold := alice.send(carolAddr, alice.within(answer, sip.INVITE, 3, alice.contact()))
		bob.reply(bob.expect("INVITE 3"), sip.StatusProxyAuthRequired, challenge("one"))
		bob.expect("ACK 3")
		alice.refused(carolAddr, hold, challenged("INVITE 3"))

		alice.send(carolAddr, alice.within(answer, sip.BYE, 4))
		alice.expect("200 BYE 4")
		bob.reply(bob.expect("BYE 4"), sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, bridge)
	})
}
