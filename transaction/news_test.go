package transaction

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A callee that sends provisional responses faster than they are read does not
// fill the memory: 64 of them wait, and the final response behind them.
func TestProvisionalsThatWaitAreBounded(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() { // ends with the story's INVITE
			invite := bob.request(sip.INVITE)
			bob.send(reply(invite, sip.StatusRinging, "b"))
			pass(100 * time.Millisecond)
			for range 200 {
				bob.send(reply(invite, sip.StatusRinging, "b"))
			}
			bob.send(reply(invite, sip.StatusBusyHere, "b"))
			bob.request(sip.ACK)
		}()
		ringing, final := 0, sip.Status(0)
		for resp, err := range alice.Responses(t.Context(), request(sip.INVITE, bobURI)) {
			if err != nil {
				t.Fatal(err)
			}
			if ringing == 0 {
				pass(time.Second) // a slow reader
			}
			if final = resp.Status(); !final.Final() {
				ringing++
			}
		}
		if want := 1 + 64; ringing != want || final != sip.StatusBusyHere {
			t.Errorf("%d provisional responses and %d, want %d and 486", ringing, int(final), want)
		}
	})
}
