package dialog

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// Bye meets a refusal on its way: that ends the call, and the callee of one that is not
// answered may not say BYE (RFC 3261 section 15).
func TestByeWhileRefusing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		over := make(chan error, 1)
		l, err := Listen(&transport.Config{Listen: []string{"udp:192.0.2.2:5060"}, Network: n.Host("192.0.2.2")},
			&Config{OnInvite: func(ctx context.Context, in *Invitation) {
				in.s.mu.Lock() // as refuse begins
				in.finish()
				in.s.refusing = in
				in.s.mu.Unlock()
				err := in.s.Bye(ctx)
				in.tx.Reply(sip.StatusBusyHere)
				in.refused()
				over <- errors.Join(err, context.Cause(ctx))
			}})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		peer, err := n.Host("192.0.2.1").ListenPacket(t.Context(), "udp", ":5060")
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		text := invite(t, "Contact: <sip:a@192.0.2.1>").String()
		began := time.Now()
		peer.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:5060")))
		if err := <-over; err != nil {
			t.Errorf("Bye() = %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("Bye() has waited %v for an answer to a BYE", took)
		}
		if dialogs, _ := l.Left(); dialogs != 0 {
			t.Errorf("%d calls are left, want none", dialogs)
		}
	})
}
