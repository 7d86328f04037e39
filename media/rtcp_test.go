package media

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

// The interval of a call between two is the minimum of 5 s, half of it at
// first, from 0.5 to 1.5 times, divided by e - 3/2 (RFC 3550 section 6.3.1).
// Sections with many members share the bandwidth.
func TestRTCPInterval(t *testing.T) {
	for _, tt := range []struct {
		members, senders int
		weSent, initial  bool
		size, random     float64
		want             float64 // seconds
	}{
		{2, 2, true, false, 120, 0.5, 5 / rtcpCompensation},
		{2, 2, true, false, 120, 0, 2.5 / rtcpCompensation},
		{2, 2, true, true, 120, 0.5, 2.5 / rtcpCompensation},
		{2, 0, false, false, 120, 0.5, 5 / rtcpCompensation},
		{100, 50, true, false, 120, 0.5, 100 * 120 / 500. / rtcpCompensation},
		{100, 10, true, false, 1000, 0.5, 10 * 1000 / 125. / rtcpCompensation},
		{100, 10, false, false, 120, 0.5, 90 * 120 / 375. / rtcpCompensation},
	} {
		got := rtcpInterval(tt.members, tt.senders, tt.weSent, tt.initial, tt.size, tt.random).Seconds()
		if d := got - tt.want; d < -1e-6 || d > 1e-6 {
			t.Errorf("rtcpInterval(%+v) = %g s, want %g", tt, got, tt.want)
		}
	}
}

// A report that would be too early now that more is known is put off
// (RFC 3550 section 6.3.6).
func TestRTCPTimerReconsiders(t *testing.T) {
	now := time.Now()
	var timer rtcpTimer
	if timer.expire(now, 1, 0, false) {
		t.Error("a report is sent at once")
	}
	if got := timer.next.Sub(now); got < time.Second || got > 3100*time.Millisecond {
		t.Errorf("the first report is after %v, want 1.03 to 3.08 s", got)
	}
	at := timer.next
	if timer.expire(at.Add(-time.Millisecond), 1, 0, false) {
		t.Error("a report is sent before its time")
	}
	if timer.expire(at, 10000, 0, false) {
		t.Error("a report is sent although ten thousand members came")
	}
	if got := timer.next.Sub(now); got < time.Minute {
		t.Errorf("the report is put off to %v, want minutes", got)
	}
	if !timer.expire(now.Add(2*time.Hour), 2, 1, true) {
		t.Error("no report is sent after two hours")
	}
	timer.sent(now, 100, 2, 1, true)
	if got := timer.next.Sub(now); got < 2*time.Second || got > 6200*time.Millisecond {
		t.Errorf("the next report is after %v, want 2.05 to 6.16 s", got)
	}
}

func TestNTPTime(t *testing.T) {
	if got, want := ntpTime(time.Unix(0, 5e8)), uint64(2208988800<<32|1<<31); got != want {
		t.Errorf("ntpTime() = %#x, want %#x", got, want)
	}
	now := time.Unix(1e9, 0)
	sent := uint32(ntpTime(now.Add(-3*time.Second)) >> 16)
	if got, ok := roundTrip(now, sent, 2<<16); !ok || got != time.Second {
		t.Errorf("roundTrip() = %v, %v, want 1s", got, ok)
	}
	if got, ok := roundTrip(now, sent, 4<<16); ok {
		t.Errorf("roundTrip() of a peer that says it held it longer = %v, want none", got)
	}
	if got, ok := roundTrip(now, 0, 0); ok {
		t.Errorf("roundTrip() of a peer that got none = %v, want none", got)
	}
}

// Reports go out in compound packets with a name, the first after 1 to 3 s;
// Close ends with BYE (RFC 3550 sections 6.1, 6.3.7).
func TestReportsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		var got []string
		var times []time.Duration
		start := time.Now()
		w.fate = func(from, to netip.AddrPort, b []byte) (time.Duration, bool) {
			if from.Port()%2 == 1 && from.Addr() == netip.MustParseAddr("192.0.2.1") {
				packets, err := rtcp.Unmarshal(append([]byte(nil), b...))
				if err != nil {
					t.Errorf("a report cannot be read: %v", err)
				}
				var s []string
				for _, p := range packets {
					s = append(s, strings.TrimPrefix(fmt.Sprintf("%T", p), "*rtcp."))
				}
				got, times = append(got, strings.Join(s, "+")), append(times, time.Since(start))
			}
			return 50 * time.Millisecond, false
		}
		alice := NewAudio(&AudioConfig{Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Network: w.host("192.0.2.2")})
		connect(t, alice, bob)
		pass(60 * time.Second)
		stats := alice.Stats()
		if stats.RTT < 99*time.Millisecond || stats.RTT > 101*time.Millisecond {
			t.Errorf("round trip %v, want 100ms", stats.RTT)
		}
		closed(t, alice)
		if bob.Stats().Malformed != 0 {
			t.Errorf("bob: %+v, want nothing malformed", bob.Stats())
		}
		closed(t, bob)
		if times[0] < time.Second || times[0] > 3200*time.Millisecond {
			t.Errorf("the first report left after %v, want 1 to 3.1 s", times[0])
		}
		if n := len(got) - 1; n < 60/7 || n > 60/2 {
			t.Errorf("%d reports in a minute, want about 14", n)
		}
		for i, s := range got {
			want := "SenderReport+SourceDescription"
			if i == len(got)-1 {
				want += "+Goodbye"
			}
			if s != want {
				t.Errorf("report %d is %s, want %s", i, s, want)
			}
		}
	})
}
