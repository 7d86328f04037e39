package dialog

import (
	"bytes"
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

// restorer makes a Layer whose peers are not there.
func restorer(t testing.TB, cfg *Config) *Layer {
	t.Helper()
	l, err := Listen(&transport.Config{
		Listen:  []string{"udp:192.0.2.2:5060"},
		Network: siptest.NewNetwork(nil).Host("192.0.2.2"),
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// samples are snapshots of calls: one that was answered, one that was placed and
// whose ACK is not sent, and one whose ACK is, with a session timer and a
// subscription; and of a dialog that has subscriptions alone.
func samples(t testing.TB, l *Layer) (list [][]byte) {
	t.Helper()
	lines := []string{"Record-Route: <sip:p1.example;lr>", `Contact: "B" <sip:b@192.0.2.7>`, `Authorization: Digest username="a"`}
	callee, err := newCallee(invite(t, lines...), "b")
	if err != nil {
		t.Fatal(err)
	}
	caller, err := newCaller(invite(t, lines...), answer(t, lines...))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Session{newSession(l, callee), newSession(l, caller), newSession(l, caller)} {
		s.began, s.contact = true, "<sip:b@192.0.2.2>"
		var known keptLeg
		switch len(list) {
		case 1:
			s.invite, s.unacked = ackedBy(invite(t, lines...)), true
			known.known = true
		case 2:
			s.invite.seq = 1
			ack := s.d.request(sip.ACK, 1, sip.Push(sip.Via{Transport: "UDP", Host: "192.0.2.2", Params: ";branch=z9hG4bK1"}))
			known.known, known.ack = true, ack
			s.timer = &timer{interval: time.Hour, refresh: true, since: time.Now()}
			s.minSE, s.updates = 2*time.Minute, true
			s.offers.due = local
			s.subs = []*subscription{{ours: true, event: "refer", id: "2", first: true, until: time.Now().Add(time.Hour)}}
		}
		at, err := s.Dialog.at(time.Now(), known, nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := at.write()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, data)
	}
	d := &Dialog{l: l, d: callee, subs: []*subscription{
		{event: "presence", until: time.Now().Add(time.Hour)},
		{ours: true, event: "dialog", id: "x", until: time.Now().Add(-time.Hour)},
	}}
	d.contact = "<sip:192.0.2.2>"
	at, err := d.at(time.Now(), keptLeg{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := at.write()
	if err != nil {
		t.Fatal(err)
	}
	return append(list, data)
}

// sampleOfAnINVITE is a snapshot of a call whose INVITE is not answered, or rings
// reliably without a PRACK, or is accepted and not acknowledged.
func sampleOfAnINVITE(t testing.TB, how string) []byte {
	t.Helper()
	n := siptest.NewNetwork(nil)
	taken := make(chan []byte)
	l, err := Listen(&transport.Config{Listen: []string{"udp:192.0.2.2:5060"}, Network: n.Host("192.0.2.2")},
		&Config{OnInvite: func(ctx context.Context, in *Invitation) {
			in.Provisional(sip.StatusRinging)
			switch how {
			case "reliably":
				resp, err := in.provisional(sip.StatusSessionProgress, sip.Body{Type: "application/sdp", Content: "v=0"})
				if err == nil {
					_, _, err = in.number(resp)
				}
				if err != nil {
					t.Error(err)
				}
			case "accepted":
				in.s.mu.Lock()
				in.finish()
				in.s.began = true
				in.beginWait(in.req.Reply(sip.StatusOK), time.Second)
				in.s.mu.Unlock()
			}
			data, err := in.Session().Snapshot()
			if err != nil {
				t.Error(err)
			}
			taken <- data
			<-ctx.Done()
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pc, err := n.Host("192.0.2.1").ListenPacket(t.Context(), "udp", ":5060")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	text := invite(t, "Contact: <sip:a@192.0.2.1>", "Expires: 60").String()
	if _, err := pc.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:5060"))); err != nil {
		t.Fatal(err)
	}
	return <-taken
}

// A snapshot that was cut off or damaged is an error, and leaves nothing.
func TestRestoreErrors(t *testing.T) {
	l := restorer(t, nil)
	for i, data := range samples(t, l) {
		for n := range data {
			if _, err := l.Restore(data[:n]); !errors.Is(err, ErrSnapshot) {
				t.Fatalf("sample %d: Restore of the first %d bytes = %v, want %v", i, n, err, ErrSnapshot)
			}
			// A frame around what was cut off before.
			if n >= 10 {
				var w snapshot.Writer
				w.Raw(data[10:n])
				if _, err := l.Restore(w.Seal(snapshotKind, snapshotVersion)); !errors.Is(err, ErrSnapshot) {
					t.Fatalf("sample %d: Restore of a frame around %d bytes = %v, want %v", i, n-10, err, ErrSnapshot)
				}
			}
		}
		if _, err := l.Restore(append([]byte{data[0], 9}, data[2:]...)); !errors.Is(err, ErrSnapshotVersion) {
			t.Errorf("Restore of a later version = %v, want %v", err, ErrSnapshotVersion)
		}
	}
	if sessions, invites := l.Left(); sessions != 0 || invites != 0 {
		t.Errorf("%d calls and %d INVITEs are left, want none", sessions, invites)
	}

	boom := errors.New("the store is not there")
	data := samples(t, l)[1]
	cfg := &transport.Config{Listen: []string{"udp:192.0.2.3:5060"}, Network: siptest.NewNetwork(nil).Host("192.0.2.3")}
	var restored *Dialog
	_, err := Listen(cfg, &Config{Restore: func(l *Layer) (err error) {
		if restored, err = l.Restore(data); err != nil {
			t.Error(err)
		}
		return boom
	}})
	if err != boom {
		t.Errorf("Listen() = %v, want %v", err, boom)
	}
	if err := restored.Session().Err(); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("the call that was restored ended with %v, want %v", err, transport.ErrClosed)
	}

	l.Close()
	if _, err := l.Restore(data); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Restore when closed = %v, want %v", err, transport.ErrClosed)
	}
}

// FuzzRestore reads what was damaged, cut off or made up: an error, or a call
// that can be written down as the same again, and ends.
func FuzzRestore(f *testing.F) {
	for _, data := range samples(f, restorer(f, nil)) {
		f.Add(data, false)
		f.Add(data[10:], true)
	}
	for _, how := range []string{"", "reliably", "accepted"} {
		data := sampleOfAnINVITE(f, how)
		f.Add(data, false)
		f.Add(data[10:], true)
	}
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			var w snapshot.Writer
			w.Raw(data)
			data = w.Seal(snapshotKind, snapshotVersion)
		}
		block := func(ctx context.Context, _ *Invitation) { <-ctx.Done() }
		l := restorer(t, &Config{OnInvite: block})
		defer l.Close()
		d, err := l.Restore(data)
		if err != nil {
			if sessions, _ := l.Left(); sessions != 0 {
				t.Errorf("Restore() = %v, and %d calls are left", err, sessions)
			}
			return
		}
		first, err := d.Snapshot()
		if err != nil {
			return // the INVITE was over
		}
		l.Close()
		l = restorer(t, &Config{OnInvite: block})
		defer l.Close()
		if d, err = l.Restore(first); err != nil {
			t.Fatalf("Restore of a snapshot of what was restored: %v", err)
		}
		// But for what is left of timers.
		m, err := readMoment(first, 64*l.tl.Timers().T1)
		if err != nil {
			t.Fatal(err)
		}
		if c := m.call; m.subs == nil && (c == nil || c.in == nil && !c.acked.known && c.interval == 0) {
			if second, err := d.Snapshot(); err != nil || !bytes.Equal(second, first) {
				t.Errorf("the snapshot is\n%q, %v, was\n%q", second, err, first)
			}
		}
		d.unsubscribeAll()
		if s := d.Session(); s != nil {
			s.terminate(ErrBye)
		}
	})
}
