package media

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sdp"
	"github.com/pion/rtcp"
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

// A latch through the whole of a call: "= addr" is a description, "addr n"
// that many packets in sequence from there, of which the last is believed
// or "refused", and "-> addr" is where media goes.
func TestLatchThroughACall(t *testing.T) {
	const (
		natted   = "192.168.1.5:4000"
		outside  = "203.0.113.9:6000"
		moved    = "203.0.113.9:7000"
		attacker = "203.0.113.66:6666"
		a, b     = "192.168.0.11:5000", "192.168.0.12:5000"
		public   = "198.51.100.7:5000"
		public2  = "198.51.100.7:5002"
	)
	for _, tt := range []struct {
		name   string
		policy LatchPolicy
		script []string
	}{
		{"a refresh keeps the source", LatchNAT, []string{"= " + natted, outside + " 3", "= " + natted, "-> " + outside, outside + " 1"}},
		{"a refresh keeps a stranger out", LatchNAT, []string{"= " + natted, outside + " 3", "= " + natted, attacker + " 9 refused", outside + " 1"}},
		{"also with the laxest policy", LatchAny, []string{"= " + natted, outside + " 3", "= " + natted, attacker + " 9 refused", outside + " 1"}},
		{"and in a hold by c=0.0.0.0", LatchAny, []string{"= " + natted, outside + " 3", "= ", "-> ", attacker + " 9 refused", "= " + natted, "-> " + outside, attacker + " 9 refused"}},
		{"nobody is believed if nothing was described but c=0.0.0.0", LatchAny, []string{"= ", attacker + " 9 refused", "= " + natted, "-> " + natted}},
		{"the NAT moves a silent peer", LatchNAT, []string{"= " + natted, outside + " 3", "= " + natted, moved + " 2 refused", "-> " + outside, moved + " 1", "-> " + moved}},
		{"once", LatchNAT, []string{"= " + natted, outside + " 3", "= " + natted, moved + " 3", "203.0.113.9:8000 9 refused", "-> " + moved}},
		{"and not one that was heard since", LatchNAT, []string{"= " + natted, outside + " 3", "= " + natted, outside + " 1", moved + " 9 refused", "-> " + outside}},
		{"nor in mid call", LatchNAT, []string{"= " + natted, outside + " 3", moved + " 9 refused"}},
		{"nor with the strictest policy", LatchExact, []string{"= " + public, public + " 1", "= " + public, public2 + " 9 refused"}},
		{"another address opens the choice again", LatchNAT, []string{"= " + natted, outside + " 3", "= " + public, "-> " + public, outside + " 9 refused", public + " 1", "-> " + public}},
		{"a fork: the first phone goes on, the second is silent, and answers", LatchNAT,
			[]string{"= " + a, a + " 1", "= " + b, a + " 9 refused", "-> " + b, "= " + b, b + " 1", "-> " + b}},
		{"a fork: the first phone begins when the second is described", LatchNAT,
			[]string{"= " + a, "= " + b, a + " 9 refused", b + " 1", a + " 9 refused"}},
		{"a fork: another port of the first phone", LatchNAT,
			[]string{"= " + a, a + " 1", "= " + b, "192.168.0.11:6000 3", b + " 1", "-> " + b, "192.168.0.11:6000 9 refused"}},
		{"a fork behind one NAT", LatchNAT,
			[]string{"= " + a, outside + " 3", "= " + b, outside + " 9 refused", moved + " 3", "-> " + moved, outside + " 9 refused"}},
		{"a fork behind one NAT of which the first phone answers", LatchNAT,
			[]string{"= " + a, outside + " 3", "= " + b, outside + " 9 refused", "= " + a, "-> " + outside, outside + " 1", attacker + " 9 refused"}},
		{"a fork of three", LatchNAT,
			[]string{"= " + a, outside + " 3", "= " + b, moved + " 3", "= 192.168.0.13:5000", outside + " 9 refused", moved + " 9 refused", "192.168.0.13:5000 1"}},
		{"a fork behind one media server", LatchHost,
			[]string{"= " + public, public + " 1", "= " + public2, public + " 3", public2 + " 1", "-> " + public2, public + " 9 refused"}},
		{"a peer that describes another port and sends from the old one", LatchHost,
			[]string{"= " + public, public + " 1", "= " + public2, public + " 2 refused", public + " 1", "-> " + public}},
		{"the described address takes nothing from anyone in a call that stays where it is", LatchNAT,
			[]string{"= " + natted, outside + " 3", "= " + natted, natted + " 9 refused", outside + " 1"}},
	} {
		l, seq := latch{policy: tt.policy}, uint16(65530)
		for i, line := range tt.script {
			f := strings.Fields(line)
			switch {
			case f[0] == "=" && len(f) == 1:
				l.describe(netip.AddrPort{})
			case f[0] == "=":
				l.describe(netip.MustParseAddrPort(f[1]))
			case f[0] == "->":
				want := "invalid AddrPort"
				if len(f) > 1 {
					want = f[1]
				}
				if got := l.dest().String(); got != want {
					t.Errorf("%s: after %d steps media goes to %s, want %s", tt.name, i, got, want)
				}
			default:
				var got bool
				for range int(f[1][0] - '0') {
					got = l.accept(netip.MustParseAddrPort(f[0]), 1, seq)
					seq++
				}
				if want := len(f) == 2; got != want {
					t.Errorf("%s: step %d, %s: believed: %v, want %v", tt.name, i, line, got, want)
				}
			}
		}
	}
}

// A peer that describes ever new addresses costs no memory.
func TestLatchOfManyDescriptions(t *testing.T) {
	var l latch
	for i := range uint16(10000) {
		l.describe(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.5"), 1+i))
	}
	if got := len(l.earlier); got != maxEarlier {
		t.Errorf("%d earlier descriptions are kept, want %d", got, maxEarlier)
	}
}

// Alice is behind a NAT. Either side holds the call and she falls silent;
// a stranger sends to the port all the while. When the hold is over she is
// heard, and hears, as before.
func TestStrangerInAHold(t *testing.T) {
	for _, hold := range []sdp.Direction{sdp.SendOnly, sdp.RecvOnly, sdp.Inactive} {
		t.Run(hold.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire()
				server, offer := offered(t, w, AudioConfig{Play: Tone(440)})
				alice := phoneAt(t, w, "198.51.100.2:4000", 1, server)
				stranger := phoneAt(t, w, "203.0.113.66:6666", 99, server)
				answer := section("10.0.0.2", 4000, format(0, "PCMU"))
				agreeOn(t, server, offer, answer)
				alice.speak(50)
				agreeOn(t, server, at(offer, hold), at(answer, hold.Reverse()))
				stranger.speak(50)
				agreeOn(t, server, offer, answer)
				stranger.speak(3)
				before := server.Stats()
				for range 50 {
					stranger.send()
					alice.speak(1)
				}
				after := server.Stats()
				if got := after.PacketsReceived - before.PacketsReceived; got != 50 {
					t.Errorf("%d packets of alice were used, want 50", got)
				}
				if got, want := after.Remote.String(), "198.51.100.2:4000"; got != want {
					t.Errorf("media goes to %s, want %s", got, want)
				}
				closed(t, server)
			})
		})
	}
}

// Two phones of a private network ring. The first plays a melody, and goes on
// with it when the second has described itself, which says nothing until it
// is picked up. The call is the second one's.
func TestForkWithEarlyMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		caller, offer := offered(t, w, AudioConfig{Play: Tone(440)})
		a, b := phoneAt(t, w, "192.168.0.11:5000", 1, caller), phoneAt(t, w, "192.168.0.12:5000", 2, caller)
		atA, atB := section("192.168.0.11", 5000, format(0, "PCMU")), section("192.168.0.12", 5000, format(0, "PCMU"))
		agreeOn(t, caller, offer, atA)
		a.speak(50)
		if got := caller.Stats().PacketsReceived; got != 50 {
			t.Errorf("%d packets of the melody are heard, want 50", got)
		}
		agreeOn(t, caller, offer, atB)
		a.speak(100)
		agreeOn(t, caller, offer, atB) // 200
		before := caller.Stats().PacketsReceived
		for range 50 {
			a.send()
			b.speak(1)
		}
		after := caller.Stats()
		if got := after.PacketsReceived - before; got != 49 { // a change of SSRC costs one
			t.Errorf("%d packets of the phone that answered are used, want 49", got)
		}
		if got, want := after.Remote.String(), "192.168.0.12:5000"; got != want {
			t.Errorf("media goes to %s, want %s", got, want)
		}
		closed(t, caller)
	})
}

// RTCP is believed from the described place and from the host that RTP is
// latched to, whichever port; with LatchExact from the described place alone.
// It goes to where it came from last, but stays with the described place.
func TestLatchRTCP(t *testing.T) {
	const described, natted, other = "10.0.0.5:4001", "203.0.113.9:6001", "203.0.113.9:7777"
	for _, tt := range []struct {
		name       string
		policy     LatchPolicy
		rtp        string   // where RTP is latched to
		from, dest []string // "!" before one that is refused
	}{
		{"the described place", LatchNAT, "", []string{described}, []string{described}},
		{"the described host is not enough", LatchNAT, "", []string{"!10.0.0.5:9999"}, []string{described}},
		{"the host of RTP, from the last port heard", LatchNAT, "203.0.113.9:6000", []string{other, natted, "!203.0.113.66:6001"}, []string{other, natted, natted}},
		{"the described place after another program there", LatchNAT, "10.0.0.5:4000", []string{"10.0.0.5:7777", described, "10.0.0.5:7777"}, []string{"10.0.0.5:7777", described, described}},
		{"before RTP nobody else", LatchAny, "", []string{"!" + natted, described}, []string{described, described}},
		{"the strictest policy", LatchExact, "10.0.0.5:4000", []string{"!10.0.0.5:9999", described}, []string{described, described}},
	} {
		rtp := latch{policy: tt.policy}
		rtp.describe(netip.MustParseAddrPort("10.0.0.5:4000"))
		if tt.rtp != "" {
			rtp.source = netip.MustParseAddrPort(tt.rtp)
		}
		var l controlLatch
		l.describe(netip.MustParseAddrPort(described))
		for i, from := range tt.from {
			address, refused := strings.CutPrefix(from, "!")
			if got := l.accept(netip.MustParseAddrPort(address), &rtp); got == refused {
				t.Errorf("%s: report %d from %s is believed: %v, want %v", tt.name, i, address, got, !refused)
			}
			if got := l.dest(&rtp).String(); got != tt.dest[i] {
				t.Errorf("%s: after report %d ours go to %s, want %s", tt.name, i, got, tt.dest[i])
			}
		}
		rtp.describe(netip.MustParseAddrPort("198.51.100.1:5000")) // the peer has moved, but for RTCP
		if got := l.dest(&rtp).String(); got != described {
			t.Errorf("%s: after RTP has moved reports go to %s, want %s", tt.name, got, described)
		}
	}
}

// Another program on the peer's host sends one report. The peer's own are
// taken all the same, and ours go to the peer.
func TestReportOfAnotherProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		a, offer := offered(t, w, AudioConfig{})
		peer, control := phoneAt(t, w, "192.0.2.2:4000", 1, a), phoneAt(t, w, "192.0.2.2:4001", 1, a)
		other := phoneAt(t, w, "192.0.2.2:7777", 99, a)
		agreeOn(t, a, offer, section("192.0.2.2", 4000, format(0, "PCMU")))
		peer.speak(10)
		to := addrPort(a.pair.rtcp.conn.LocalAddr())
		for _, p := range []*phone{other, control, control} {
			b, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: p.next.SSRC}})
			if err != nil {
				t.Fatal(err)
			}
			p.socket.write(b, to)
			pass(time.Second)
		}
		if got := a.Stats().Strangers; got != 0 {
			t.Errorf("%d reports were of strangers, want none", got)
		}
		if got, want := a.session.control.dest(&a.session.media).String(), "192.0.2.2:4001"; got != want {
			t.Errorf("reports go to %s, want %s", got, want)
		}
		closed(t, a)
	})
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
