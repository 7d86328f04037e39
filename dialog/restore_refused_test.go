package dialog

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/internal/snapshot"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// A snapshot whose transaction is of another call is refused before anything is
// made of it: the peer hears nothing, and the good one finds its place free.
func TestRestoreOfAnotherCallsTransaction(t *testing.T) {
	data := sampleOfAnINVITE(t, "")
	values := append([]byte(nil), data[10:]...)
	values[1] ^= 1 // the first letter of the Call-ID
	var w snapshot.Writer
	w.Raw(values)
	n := siptest.NewNetwork(nil)
	peer, err := n.Host("192.0.2.1").ListenPacket(t.Context(), "udp", ":5060")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	ended := 0
	l, err := Listen(&transport.Config{Listen: []string{"udp:192.0.2.2:5060"}, Network: n.Host("192.0.2.2")},
		&Config{OnEnd: func(*Session) { ended++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Restore(w.Seal(snapshotKind, snapshotVersion)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("Restore = %v, want %v", err, ErrSnapshot)
	}
	for s := range l.Transactions().Servers() {
		t.Errorf("there is the transaction %s", s.ID())
	}
	if ended > 0 {
		t.Error("a call that never was has ended")
	}
	// What is sent to the peer after that is the first that it gets.
	mark := []byte("mark")
	from := n.Host("192.0.2.3")
	pc, err := from.ListenPacket(t.Context(), "udp", ":5060")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	pc.WriteTo(mark, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:5060")))
	peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 2000)
	if k, _, err := peer.ReadFrom(buf); err != nil || string(buf[:k]) != string(mark) {
		t.Errorf("the peer gets %.60q, %v", buf[:k], err)
	}
	if _, err := l.Restore(data); err != nil {
		t.Errorf("Restore of the good one: %v", err)
	}
}

// The Layer is closed while the refusal of a call is on its way whose 180 waits for its
// PRACK. The call is restored, to be refused once more.
func TestRestoreOfRefusalBeforePRACK(t *testing.T) {
	n := siptest.NewNetwork(nil)
	ready := make(chan bool)
	l, err := Listen(&transport.Config{Listen: []string{"udp:192.0.2.2:5060"}, Network: n.Host("192.0.2.2")},
		&Config{OnInvite: func(ctx context.Context, in *Invitation) {
			resp, err := in.provisional(sip.StatusRinging)
			if err == nil {
				_, _, err = in.number(resp)
			}
			if err != nil {
				t.Error(err)
			}
			in.s.mu.Lock() // as refuse begins
			in.finish()
			in.s.refusing = in
			in.s.mu.Unlock()
			close(ready)
			<-ctx.Done()
		}})
	if err != nil {
		t.Fatal(err)
	}
	peer, err := n.Host("192.0.2.1").ListenPacket(t.Context(), "udp", ":5060")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	text := invite(t, "Contact: <sip:a@192.0.2.1>", "Supported: 100rel").String()
	peer.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:5060")))
	<-ready
	l.Close()
	calls := 0
	for d := range l.Dialogs() {
		calls++
		data, err := d.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := restorer(t, &Config{}).Restore(data); err != nil {
			t.Errorf("Restore = %v", err)
		}
	}
	if calls != 1 {
		t.Errorf("%d calls are left, want 1", calls)
	}
}
