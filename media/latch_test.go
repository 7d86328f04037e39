package media

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// A latch story is a row of packets, each with what becomes of it, and where
// media goes in the end.
func TestLatch(t *testing.T) {
	const (
		sdpAddr  = "198.51.100.7:4000" // what a peer with a public address says
		sameHost = "198.51.100.7:9999" // the same host through a NAT that maps ports
		natted   = "192.168.1.5:4000"  // what a phone behind a NAT says
		outside  = "203.0.113.9:6000"  // where its packets are seen to come from
		attacker = "203.0.113.66:6666"
	)
	type packet struct {
		from string
		ssrc uint32
		seq  uint16
		want bool
	}
	for _, tt := range []struct {
		name      string
		policy    LatchPolicy
		described string
		packets   []packet
		dest      string
	}{
		{"nothing came yet: the described address", LatchNAT, sdpAddr, nil, sdpAddr},
		{"the described address needs one packet", LatchNAT, sdpAddr, []packet{{sdpAddr, 1, 1, true}}, sdpAddr},
		{"another port of the host needs three", LatchNAT, sdpAddr,
			[]packet{{sameHost, 1, 1, false}, {sameHost, 1, 2, false}, {sameHost, 1, 3, true}, {sameHost, 1, 4, true}}, sameHost},
		{"three that do not follow each other are not enough", LatchNAT, sdpAddr,
			[]packet{{sameHost, 1, 1, false}, {sameHost, 1, 2, false}, {sameHost, 1, 9, false}, {sameHost, 2, 10, false}, {sameHost, 2, 11, false}}, sdpAddr},
		{"another host is a stranger", LatchNAT, sdpAddr,
			[]packet{{attacker, 1, 1, false}, {attacker, 1, 2, false}, {attacker, 1, 3, false}, {attacker, 1, 4, false}}, sdpAddr},
		{"a private address is believed to be behind a NAT", LatchNAT, natted,
			[]packet{{outside, 1, 1, false}, {outside, 1, 2, false}, {outside, 1, 3, true}}, outside},
		{"who is latched stays", LatchNAT, natted,
			[]packet{{outside, 1, 1, false}, {outside, 1, 2, false}, {outside, 1, 3, true},
				{attacker, 1, 4, false}, {attacker, 1, 5, false}, {attacker, 1, 6, false}, {attacker, 1, 7, false}, {natted, 1, 8, false}, {outside, 1, 8, true}}, outside},
		{"the described address ends a stranger's probation", LatchNAT, natted,
			[]packet{{attacker, 1, 1, false}, {attacker, 1, 2, false}, {natted, 7, 1, true}, {attacker, 1, 3, false}}, natted},
		{"policy host: no other host even for a private one", LatchHost, natted,
			[]packet{{outside, 1, 1, false}, {outside, 1, 2, false}, {outside, 1, 3, false}, {outside, 1, 4, false}}, natted},
		{"policy exact: no other port", LatchExact, sdpAddr,
			[]packet{{sameHost, 1, 1, false}, {sameHost, 1, 2, false}, {sameHost, 1, 3, false}, {sdpAddr, 1, 4, true}}, sdpAddr},
		{"policy any: anyone", LatchAny, sdpAddr,
			[]packet{{outside, 1, 65534, false}, {outside, 1, 65535, false}, {outside, 1, 0, true}}, outside},
	} {
		l := latch{policy: tt.policy}
		l.describe(netip.MustParseAddrPort(tt.described))
		for i, p := range tt.packets {
			if got := l.accept(netip.MustParseAddrPort(p.from), p.ssrc, p.seq); got != p.want {
				t.Errorf("%s: packet %d from %s is accepted: %v, want %v", tt.name, i, p.from, got, p.want)
			}
		}
		if got := l.dest().String(); got != tt.dest {
			t.Errorf("%s: media goes to %s, want %s", tt.name, got, tt.dest)
		}
	}
}

// A refresh names the same address again. Media keeps going to where it was
// found, and the peer is back with one packet, before any stranger's three;
// or it has moved, and is found again.
func TestLatchAfterRefresh(t *testing.T) {
	natted, outside := netip.MustParseAddrPort("10.0.0.5:4000"), netip.MustParseAddrPort("203.0.113.9:6000")
	moved := netip.MustParseAddrPort("203.0.113.9:7000")
	var l latch
	l.describe(natted)
	for seq := range uint16(3) {
		l.accept(outside, 1, seq)
	}
	l.describe(natted)
	if got := l.dest(); got != outside {
		t.Errorf("after a refresh media goes to %v, want %v", got, outside)
	}
	l.accept(moved, 1, 3)
	if !l.accept(outside, 1, 4) {
		t.Error("the peer has to wait after a refresh")
	}
	l.describe(natted)
	for seq := range uint16(3) {
		l.accept(moved, 1, 5+seq)
	}
	if got := l.dest(); got != moved {
		t.Errorf("after the NAT has moved the peer media goes to %v, want %v", got, moved)
	}
	l.describe(netip.AddrPort{}) // on hold by c=0.0.0.0, and back
	if got := l.dest(); got.IsValid() {
		t.Errorf("on hold media goes to %v, want nowhere", got)
	}
	l.describe(natted)
	if got := l.dest(); got != moved {
		t.Errorf("after a hold media goes to %v, want %v", got, moved)
	}
	l.describe(netip.MustParseAddrPort("198.51.100.1:5000"))
	if l.accept(moved, 1, 9) {
		t.Error("the old source is accepted for a new address")
	}
}

// RTCP is believed from the described place, from that host, and from where
// the media comes, once; with LatchExact from the described place alone.
func TestLatchRTCP(t *testing.T) {
	addr := netip.MustParseAddrPort
	for _, tt := range []struct {
		policy      LatchPolicy
		from, media string
		want        bool
	}{
		{LatchNAT, "10.0.0.5:4001", "", true},
		{LatchNAT, "10.0.0.5:9999", "", true},
		{LatchNAT, "203.0.113.9:6001", "203.0.113.9:6000", true},
		{LatchNAT, "203.0.113.9:6001", "", false},
		{LatchNAT, "203.0.113.66:6001", "203.0.113.9:6000", false},
		{LatchExact, "10.0.0.5:4001", "10.0.0.5:4000", true},
		{LatchExact, "10.0.0.5:9999", "10.0.0.5:4000", false},
	} {
		l := latch{policy: tt.policy}
		l.describe(addr("10.0.0.5:4001"))
		media := netip.AddrPort{}
		if tt.media != "" {
			media = addr(tt.media)
		}
		if got := l.acceptReport(addr(tt.from), media); got != tt.want {
			t.Errorf("policy %d: from %s, media from %q: %v, want %v", tt.policy, tt.from, tt.media, got, tt.want)
		}
		if tt.want && l.acceptReport(addr("10.0.0.5:1234"), media) {
			t.Errorf("policy %d: from a second place after %s", tt.policy, tt.from)
		}
	}
}

// An attacker who knows the ports sends to both, before and during the call,
// RTP with the right payload type and RTCP: he is not heard, and gets nothing.
func TestAttackerIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		evil := netip.MustParseAddr("203.0.113.66")
		got := 0
		w.fate = func(_, to netip.AddrPort, _ []byte) (time.Duration, bool) {
			if to.Addr() == evil {
				got++
			}
			return 0, false
		}
		var heard Recorder
		alice := NewAudio(&AudioConfig{Play: Tone(440), Network: w.host("192.0.2.1")})
		bob := NewAudio(&AudioConfig{Record: &heard, Network: w.host("192.0.2.2")})
		// The attacker speaks RTP and RTCP like anyone else.
		mallory := NewAudio(&AudioConfig{Play: Tone(2000), Network: wireHost{w, evil}})
		offer, err := bob.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		own, err := mallory.Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := mallory.Update(t.Context(), own, offer); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		connect(t, bob, alice)
		pass(20 * time.Second)
		if got := ToneLevel(heard.Clip()[SampleRate:], 440); got < 0.99 {
			t.Errorf("bob hears %g of alice, want 0.99", got)
		}
		st := bob.Stats()
		if st.Strangers < 1000 || st.Lost != 0 {
			t.Errorf("%+v, want 1000 packets of strangers and no loss", st)
		}
		closed(t, alice, bob, mallory)
		if got != 0 {
			t.Errorf("%d packets were sent to the attacker, want none", got)
		}
	})
}

// A phone behind a NAT is heard, and hears, on both ports.
func TestPhoneBehindNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		var atPhone, atServer Recorder
		// The phone believes to be 192.168.1.5; the world sees 203.0.113.9.
		phone := NewAudio(&AudioConfig{Play: Tone(440), Record: &atPhone, Network: w.host("203.0.113.9"),
			Address: netip.MustParseAddr("192.168.1.5")})
		server := NewAudio(&AudioConfig{Play: Tone(1000), Record: &atServer, Network: w.host("192.0.2.2")})
		connect(t, phone, server)
		pass(20 * time.Second)
		if got := ToneLevel(atPhone.Clip(), 1000); got < 0.99 {
			t.Errorf("the phone hears %g, want 0.99", got)
		}
		if got := ToneLevel(atServer.Clip(), 440); got < 0.99 {
			t.Errorf("the server hears %g, want 0.99", got)
		}
		st := server.Stats()
		if st.Remote.Addr() != netip.MustParseAddr("203.0.113.9") {
			t.Errorf("media goes to %v, want where it came from", st.Remote)
		}
		if st := phone.Stats(); st.PeerLost != 0 || st.RTT != 0 && st.RTT > time.Millisecond || phone.session.reports.last == 0 {
			t.Errorf("the phone got no report: %+v", st)
		}
		closed(t, phone, server)
	})
}
