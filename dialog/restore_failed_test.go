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

// The transaction of a re-INVITE is restored before its call, which then is not. Nothing
// is left of that call: it is not refreshed, and nobody hears that it ends.
func TestRestoreThatFailsLeavesNothing(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		timer := &dialog.SessionTimer{Interval: 90 * time.Second}
		bob := newLayer(t, n, bobAddr, &dialog.Config{SessionTimer: timer, OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if in.Re() {
				<-ctx.Done() // the restart
				return
			}
			in.Accept()
		}})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1", timers, expires("90;refresher=uas"))
		p.send(bobAddr, p.within(ok, sip.INVITE, 2, p.contact()))
		time.Sleep(time.Second)
		kept := keep(t, bob)
		var txs [][]byte
		for tx := range bob.Transactions().Servers() {
			data, err := tx.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			txs = append(txs, data)
		}
		cfg := &dialog.Config{SessionTimer: timer, OnEnd: func(s *dialog.Session) { t.Errorf("a call has ended: %v", s.Err()) }}
		cfg.Restore = func(l *dialog.Layer) error {
			for _, data := range txs {
				if _, err := l.Transactions().Restore(data, nil); err != nil {
					return err
				}
			}
			if _, err := l.Restore(kept[0]); !errors.Is(err, dialog.ErrExists) {
				t.Errorf("Restore = %v, want %v", err, dialog.ErrExists)
			}
			return nil
		}
		bob = newLayer(t, n, bobAddr, cfg)
		p.silent(10*time.Minute, "100 INVITE 2", "481 INVITE 2", "500 INVITE 2", "488 INVITE 2")
		wantEmpty(t, bob)
	})
}
