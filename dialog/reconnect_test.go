package dialog_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// A connection breaks in the middle of a call, and the numbers of its requests go on over the
// next one (RFC 3261 section 12.2): what the peer sends again, because it does not know
// whether it has come, is answered and not served again, and what another request has
// overtaken is out of order.
func TestNumbersAcrossReconnect(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		var served []uint32
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions), OnRequest: func(tx *dialog.Server, req *sip.Request) {
			served = append(served, req.CSeq().Seq)
			tx.Reply(sip.StatusOK)
		}})
		p := newPeer(t, n, aliceAddr)
		contact := p.contact()
		contact.URI.Params = ";transport=tcp"
		ok := p.calls(bobAddr, "1", contact)
		s := <-sessions
		byTCP := resolve.Target{Transport: "TCP", Addr: netip.MustParseAddrPort(bobAddr + ":5060")}
		send := func(seq uint32, branch string, want int) {
			t.Helper()
			if _, _, err := p.ep.SendRequest(t.Context(), p.within(ok, sip.INFO, seq), byTCP, "z9hG4bK-"+branch); err != nil {
				t.Fatal(err)
			}
			p.expect(fmt.Sprint(want, " ", summaryOf(sip.INFO, int(seq))))
		}
		send(10, "a", 200)
		done := does(t, s, sip.INFO)
		p.reply(p.expect("INFO 1"), sip.StatusOK)
		<-done

		n.Host(bobAddr).Reset()
		synctest.Wait() // both see it
		send(12, "b", 200)
		send(10, "a", 200) // once more
		send(11, "c", 500) // it was on its way
		send(13, "d", 200)
		done = does(t, s, sip.INFO)
		p.reply(p.expect("INFO 2"), sip.StatusOK)
		<-done
		if got, want := fmt.Sprint(served), "[10 12 13]"; got != want {
			t.Errorf("served %s, want %s", got, want)
		}
	})
}
