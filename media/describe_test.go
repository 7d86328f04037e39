package media

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/goparley/parley/sdp"
)

func format(number uint8, name string) sdp.Format {
	return sdp.Format{PayloadType: number, Name: name, ClockRate: 8000}
}

func section(address string, port int, formats ...sdp.Format) *sdp.Media {
	m := &sdp.Media{Type: "audio", Port: port, Proto: "RTP/AVP", Address: address}
	m.SetRTP(formats)
	return m
}

func TestOffer(t *testing.T) {
	w := newWire()
	a := NewAudio(&AudioConfig{Network: w.host("192.0.2.1"), MinPort: 5001, MaxPort: 5003})
	defer a.Close()
	a.SetDirection(sdp.SendOnly)
	got, err := a.Offer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &sdp.Media{
		Type: "audio", Port: 5002, Proto: "RTP/AVP", Formats: []string{"0", "8", "101"},
		Address: "192.0.2.1", Direction: sdp.SendOnly,
		Attributes: []sdp.Attribute{
			{Name: "rtpmap", Value: "0 PCMU/8000"}, {Name: "rtpmap", Value: "8 PCMA/8000"},
			{Name: "rtpmap", Value: "101 telephone-event/8000"}, {Name: "fmtp", Value: "101 0-15"},
			{Name: "ptime", Value: "20"},
		},
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("Offer(), got before want:\n%s", d)
	}
	again, err := a.Offer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(again, got); d != "" || w.open() != 2 {
		t.Errorf("a second Offer() is another, on %d sockets:\n%s", w.open(), d)
	}
}

// The answer keeps the offer's order and numbers; what is not for us is
// refused with neither an error nor a socket.
func TestAnswer(t *testing.T) {
	g729, pcma, pcmu := format(18, "G729"), format(8, "PCMA"), format(0, "PCMU")
	event := format(96, "telephone-event")
	change := func(f func(*sdp.Media)) *sdp.Media {
		m := section("192.0.2.9", 4000, pcmu)
		f(m)
		return m
	}
	for _, tt := range []struct {
		name   string
		codecs []string
		offer  *sdp.Media
		want   string // "" refuses
	}{
		{"the offer's order", nil, section("192.0.2.9", 4000, g729, pcma, pcmu, event), "8 0 96"},
		{"a dynamic number for a static codec", nil, section("192.0.2.9", 4000, format(97, "pcmu")), "97"},
		{"only what the config has", []string{"PCMU"}, section("192.0.2.9", 4000, pcma, pcmu), "0"},
		{"on hold by 0.0.0.0", nil, section("0.0.0.0", 4000, pcmu), "0"},
		{"with feedback", nil, change(func(m *sdp.Media) { m.Proto = "RTP/AVPF" }), "0"},
		{"no codec of ours", nil, section("192.0.2.9", 4000, g729), ""},
		{"only events", nil, section("192.0.2.9", 4000, event), ""},
		{"no format", nil, section("192.0.2.9", 4000), ""},
		{"PCMU at 16 kHz", nil, section("192.0.2.9", 4000, sdp.Format{PayloadType: 96, Name: "PCMU", ClockRate: 16000}), ""},
		{"port 0", nil, section("192.0.2.9", 0, pcmu), ""},
		{"video", nil, change(func(m *sdp.Media) { m.Type = "video" }), ""},
		{"encrypted", nil, change(func(m *sdp.Media) { m.Proto = "RTP/SAVP" }), ""},
		{"multicast", nil, section("224.2.1.1/127", 4000, pcmu), ""},
		{"multicast without a TTL", nil, section("224.2.1.1", 4000, pcmu), ""},
		{"broadcast", nil, section("255.255.255.255", 4000, pcmu), ""},
		{"no address", nil, section("", 4000, pcmu), ""},
		{"a host name", nil, section("media.example.com", 4000, pcmu), ""},
	} {
		w := newWire()
		a := NewAudio(&AudioConfig{Codecs: tt.codecs, Network: w.host("192.0.2.1")})
		got, err := a.Answer(t.Context(), tt.offer)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		formats := ""
		if got != nil {
			formats = strings.Join(got.Formats, " ")
		} else if n := w.open(); n != 0 {
			t.Errorf("%s: %d sockets are open for a refused section", tt.name, n)
		}
		if formats != tt.want {
			t.Errorf("%s: answered %q, want %q", tt.name, formats, tt.want)
		}
		a.Close()
	}
	if _, err := NewAudio(&AudioConfig{Codecs: []string{"OPUS"}}).Offer(t.Context()); err == nil || !strings.Contains(err.Error(), "OPUS") {
		t.Errorf("Offer() with a codec nobody knows = %v, want an error", err)
	}
}

// What two descriptions come down to.
func TestAgree(t *testing.T) {
	local := section("192.0.2.1", 5000, format(0, "PCMU"), format(8, "PCMA"), format(101, "telephone-event"))
	with := func(m *sdp.Media, name, value string) *sdp.Media {
		m.Attributes = append(m.Attributes, sdp.Attribute{Name: name, Value: value})
		return m
	}
	remote := func() *sdp.Media {
		return section("192.0.2.9", 4000, format(8, "PCMA"), format(110, "telephone-event"))
	}
	for _, tt := range []struct {
		name      string
		remote    *sdp.Media
		rtp, rtcp string
		frame     int
	}{
		{"plain", remote(), "192.0.2.9:4000", "192.0.2.9:4001", 160},
		{"rtcp port", with(remote(), "rtcp", "53020"), "192.0.2.9:4000", "192.0.2.9:53020", 160},
		{"rtcp address", with(remote(), "rtcp", "53020 IN IP4 126.16.64.4"), "192.0.2.9:4000", "126.16.64.4:53020", 160},
		{"rtcp rubbish", with(remote(), "rtcp", "99999 IN IP4 x"), "192.0.2.9:4000", "192.0.2.9:4001", 160},
		{"rtcp to multicast", with(remote(), "rtcp", "1 IN IP4 224.0.0.1"), "192.0.2.9:4000", "192.0.2.9:1", 160},
		{"no rtcp", with(remote(), "rtcp", "0"), "192.0.2.9:4000", "invalid AddrPort", 160},
		{"30 ms", with(remote(), "ptime", "30"), "192.0.2.9:4000", "192.0.2.9:4001", 240},
		{"ptime 0", with(remote(), "ptime", "0"), "192.0.2.9:4000", "192.0.2.9:4001", 160},
		{"ptime 2^31", with(remote(), "ptime", "2147483648"), "192.0.2.9:4000", "192.0.2.9:4001", 160},
		{"ptime 1000", with(remote(), "ptime", "1000"), "192.0.2.9:4000", "192.0.2.9:4001", 160},
		{"ptime 12.5", with(remote(), "ptime", "12.5"), "192.0.2.9:4000", "192.0.2.9:4001", 160},
		{"on hold", section("0.0.0.0", 4000, format(8, "PCMA"), format(110, "telephone-event")), "invalid AddrPort", "invalid AddrPort", 160},
		{"port 65535", section("192.0.2.9", 65535, format(8, "PCMA"), format(110, "telephone-event")), "192.0.2.9:65535", "invalid AddrPort", 160},
	} {
		g, err := agree(local, tt.remote)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := g.rtp.String(); got != tt.rtp {
			t.Errorf("%s: RTP goes to %s, want %s", tt.name, got, tt.rtp)
		}
		if got := g.rtcp.String(); got != tt.rtcp {
			t.Errorf("%s: RTCP goes to %s, want %s", tt.name, got, tt.rtcp)
		}
		if g.frame != tt.frame || g.number != 8 || g.codec != codecs[1] || g.events != 110 {
			t.Errorf("%s: %d samples of type %d, events %d, want %d of 8, 110", tt.name, g.frame, g.number, g.events, tt.frame)
		}
		if !g.accepts[101].event || g.accepts[110].event || g.accepts[0].codec == nil {
			t.Errorf("%s: accepts by the peer's numbers, want by ours", tt.name)
		}
	}
	for _, address := range []string{"", "example.com", "224.0.0.1", "fe80::1%eth0", "255.255.255.255"} {
		if _, err := agree(local, section(address, 4000, format(0, "PCMU"))); err == nil {
			t.Errorf("agree() with %q = nil, want an error", address)
		}
	}
	for _, port := range []int{-1, 65536} {
		if _, err := agree(local, section("192.0.2.9", port, format(0, "PCMU"))); err == nil {
			t.Errorf("agree() with port %d = nil, want an error", port)
		}
	}
	if g, err := agree(local, section("192.0.2.9", 0)); err != nil || g.rtp.IsValid() || g.sends {
		t.Errorf("agree() with port 0 = %+v, %v, want a stopped stream", g, err)
	}
}

// An answer, or an offer, that has telephone-event alone makes no call: there
// would be nothing to send. What was in force stays.
func TestNoCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, offer := offered(t, newWire(), AudioConfig{})
		defer a.Close()
		answer := section("192.0.2.9", 4000, format(0, "PCMU"), format(101, eventName))
		events := section("192.0.2.9", 4000, format(101, eventName))
		if err := a.Update(t.Context(), offer, events); !errors.Is(err, ErrNoCodec) {
			t.Errorf("Update() with an answer of events = %v, want ErrNoCodec", err)
		}
		if err := a.Update(t.Context(), section("192.0.2.1", 4000, format(101, eventName)), answer); !errors.Is(err, ErrNoCodec) {
			t.Errorf("Update() with events of ours = %v, want ErrNoCodec", err)
		}
		agreeOn(t, a, offer, answer)
		before := a.Stats().PacketsSent
		if err := a.Update(t.Context(), offer, events); !errors.Is(err, ErrNoCodec) {
			t.Errorf("Update() in a call = %v, want ErrNoCodec", err)
		}
		pass(time.Second)
		if got := a.Stats().PacketsSent - before; got < 50 {
			t.Errorf("%d packets were sent in a second, want 50", got)
		}
		if m, err := a.Answer(t.Context(), events); m != nil || err != nil {
			t.Errorf("Answer() to events = %v, %v, want a refusal", m, err)
		}
	})
}

// A number keeps its meaning over all offers of a call: the peer had 101 for
// PCMU and 96 for events.
func TestNumbersStick(t *testing.T) {
	a := NewAudio(&AudioConfig{Network: newWire().host("192.0.2.1")})
	defer a.Close()
	remote := section("192.0.2.9", 4000, format(101, "PCMU"))
	local, err := a.Answer(t.Context(), remote)
	if err != nil || local == nil {
		t.Fatalf("Answer() = %v, %v", local, err)
	}
	if err := a.Update(t.Context(), local, remote); err != nil {
		t.Fatal(err)
	}
	again, err := a.Offer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(again.Formats, " "), "101 8 96"; got != want {
		t.Errorf("the next offer has %s, want %s", got, want)
	}
}

// Where a stream listens and what it says, from the least config to the most.
func TestAddresses(t *testing.T) {
	here, public := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("203.0.113.1")
	for _, tt := range []struct {
		name              string
		config            AudioConfig
		hint              netip.Addr
		described, listen string
	}{
		{"nothing said", AudioConfig{}, netip.Addr{}, "10.1.1.1", "0.0.0.0"},
		{"the user agent's", AudioConfig{}, here, "192.0.2.1", "0.0.0.0"},
		{"of the config before the user agent's", AudioConfig{Address: public}, here, "203.0.113.1", "0.0.0.0"},
		{"a 1:1 NAT", AudioConfig{Address: public, Listen: here}, netip.Addr{}, "203.0.113.1", "192.0.2.1"},
		{"listen only", AudioConfig{Listen: here}, netip.Addr{}, "192.0.2.1", "192.0.2.1"},
		{"loopback stays inside", AudioConfig{Address: netip.IPv6Loopback()}, netip.Addr{}, "::1", "::1"},
		{"IPv6", AudioConfig{Address: netip.MustParseAddr("2001:db8::1")}, netip.Addr{}, "2001:db8::1", "::"},
	} {
		var listened string
		tt.config.Network = listenFunc(func(network, address string) {
			listened, _, _ = net.SplitHostPort(address)
			if want := "udp4"; strings.Contains(listened, ":") == (network == want) {
				t.Errorf("%s: %s for %s", tt.name, network, address)
			}
		})
		a := NewAudio(&tt.config)
		a.UseAddress(tt.hint)
		m, err := a.Offer(t.Context())
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if m.Address != tt.described || listened != tt.listen {
			t.Errorf("%s: describes %s and listens on %s, want %s and %s", tt.name, m.Address, listened, tt.described, tt.listen)
		}
		a.Close()
	}
	none := NewAudio(&AudioConfig{Network: anywhere{}})
	if m, err := none.Offer(t.Context()); err != errNoAddress {
		t.Errorf("Offer() on sockets of 0.0.0.0 = %v, %v, want an error", m, err)
	}
	none.Close()
	// On the real network: loopback to loopback, else an address of our own.
	a := NewAudio(nil)
	defer a.Close()
	m, err := a.Answer(t.Context(), section("127.0.0.1", 4000, format(0, "PCMU")))
	if err != nil || m == nil || m.Address != "127.0.0.1" || a.pair.local.Addr() != loopback {
		t.Errorf("Answer() to loopback = %+v, %v, want 127.0.0.1", m, err)
	}
	if err := a.Update(t.Context(), m, section("::1", 4000, format(0, "PCMU"))); err == nil {
		t.Error("Update() with IPv6 on a socket of IPv4 = nil, want an error")
	}
}

// listenFunc is a network that is asked where to listen.
type listenFunc func(network, address string)

func (f listenFunc) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	f(network, address)
	return newWire().host("10.1.1.1").ListenPacket(ctx, network, address)
}

// anywhere is a network whose sockets do not say where they are.
type anywhere struct{}

func (anywhere) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	return newWire().host("0.0.0.0").ListenPacket(ctx, network, address)
}

// Ports come in pairs, inside the range, until there are no more.
func TestPorts(t *testing.T) {
	w := newWire()
	host := w.host("192.0.2.1")
	if _, err := host.ListenPacket(t.Context(), "udp4", "192.0.2.1:5003"); err != nil { // taken
		t.Fatal(err)
	}
	addr := netip.MustParseAddr("192.0.2.1")
	seen := make(map[uint16]bool)
	for range 2 {
		p, err := openPair(t.Context(), host, addr, 5000, 5005)
		if err != nil {
			t.Fatal(err)
		}
		seen[p.local.Port()] = true
	}
	if !seen[5000] || !seen[5004] {
		t.Errorf("ports %v, want 5000 and 5004", seen)
	}
	_, err := openPair(t.Context(), host, addr, 5000, 5005)
	var op *net.OpError
	if !errors.As(err, &op) || !strings.Contains(err.Error(), "5000 to 5005") {
		t.Errorf("openPair() with all taken = %v, want an error that says so", err)
	}
	if got := w.open(); got != 5 {
		t.Errorf("%d sockets are open, want 5: none of a failed pair", got)
	}
	for _, r := range [][2]int{{5001, 5002}, {-4, 10}, {65536, 65540}, {5000, 0}, {0, 70000}} {
		if _, err := openPair(t.Context(), host, addr, r[0], r[1]); err == nil {
			t.Errorf("openPair(%d, %d) = nil, want an error", r[0], r[1])
		}
	}
	p, err := openPair(t.Context(), host, addr, 0, 0)
	if err != nil || p.local.Port()%2 != 0 {
		t.Errorf("openPair() = port %d, %v, want an even one", p.local.Port(), err)
	}
}
