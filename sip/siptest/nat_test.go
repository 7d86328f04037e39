package siptest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// home is alice and bob on the network, and a phone behind a NAT.
type home struct {
	*scene
	nat   *NAT
	phone *Host
}

const (
	natAddr   = "203.0.113.1"
	phoneAddr = "10.0.0.2:5060"
)

// playHome runs a story with a NAT.
func playHome(t *testing.T, config *NetworkConfig, nat *NATConfig, story func(h *home)) {
	t.Helper()
	play(t, config, func(s *scene) {
		box := s.n.NAT(natAddr, nat)
		story(&home{s, box, box.Host("10.0.0.2")})
	})
}

var natKinds = []struct {
	name   string
	config NATConfig
}{
	{"full cone", NATConfig{}},
	{"restricted cone", NATConfig{Filtering: AddressDependent}},
	{"port restricted cone", NATConfig{Filtering: AddressAndPortDependent}},
	{"symmetric", NATConfig{Mapping: AddressAndPortDependent, Filtering: AddressAndPortDependent}},
}

// RFC 3489 section 5: the phone has sent to alice's first port. Who may answer,
// and what do others see of it?
func TestKindsOfNAT(t *testing.T) {
	for i, want := range []struct {
		admitted string // of alice, alice's other port, and bob
		same     bool   // bob sees the address that alice sees
	}{
		{"alice alice2 bob", true},
		{"alice alice2", true},
		{"alice", true},
		{"alice", false},
	} {
		kind := natKinds[i]
		t.Run(kind.name, func(t *testing.T) {
			playHome(t, nil, &kind.config, func(h *home) {
				phone := h.socket(h.phone, phoneAddr)
				alice, alice2, bob := h.socket(h.alice, aliceAddr), h.socket(h.alice, ":5062"), h.socket(h.bob, bobAddr)

				h.send(phone, "REGISTER", aliceAddr)
				outside := h.receive(alice, "REGISTER")
				if want := netip.MustParseAddrPort(natAddr + ":5060"); outside != want {
					t.Errorf("alice sees %v, want %v", outside, want)
				}
				h.send(alice, "alice", outside.String())
				h.send(alice2, "alice2", outside.String())
				h.send(bob, "bob", outside.String())
				for _, text := range strings.Fields(want.admitted) {
					h.receive(phone, text)
				}
				h.silence(phone, time.Second)
				if got, want := h.n.Stats().Filtered, 3-uint64(len(strings.Fields(want.admitted))); got != want {
					t.Errorf("%d filtered, want %d", got, want)
				}

				h.send(phone, "OPTIONS", bobAddr)
				if from := h.receive(bob, "OPTIONS"); from == outside != want.same || from.Addr() != outside.Addr() {
					t.Errorf("bob sees %v and alice %v, want them the same: %v", from, outside, want.same)
				} else {
					h.send(bob, "200", from.String())
					h.receive(phone, "200")
				}
				h.at(time.Second)
			})
		})
	}
}

// RFC 4787 section 4.1: one outside port for each address, between the two
// others.
func TestAddressDependentMapping(t *testing.T) {
	playHome(t, nil, &NATConfig{Mapping: AddressDependent, NewPorts: true}, func(h *home) {
		phone := h.socket(h.phone, phoneAddr)
		alice, alice2, bob := h.socket(h.alice, aliceAddr), h.socket(h.alice, ":5062"), h.socket(h.bob, bobAddr)
		h.send(phone, "1", aliceAddr)
		h.send(phone, "2", "192.0.2.1:5062")
		h.send(phone, "3", bobAddr)
		one, two, three := h.receive(alice, "1"), unmapped(h.receive(alice2, "2")), h.receive(bob, "3")
		if one != two || one == three {
			t.Errorf("alice sees %v and %v, bob %v, want the first two the same", one, two, three)
		}
	})
}

func unmapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Without a keepalive nobody gets in after 30 s; with one every 29 s the phone
// is called after ten minutes.
func TestBindingTimeout(t *testing.T) {
	for _, kind := range natKinds {
		t.Run(kind.name, func(t *testing.T) {
			kind.config.NewPorts = true
			playHome(t, nil, &kind.config, func(h *home) {
				phone, alice := h.socket(h.phone, phoneAddr), h.socket(h.alice, aliceAddr)
				h.send(phone, "REGISTER", aliceAddr)
				outside := h.receive(alice, "REGISTER")
				for range 20 {
					h.wait(29 * time.Second)
					h.send(phone, "", aliceAddr)
					h.receive(alice, "")
				}
				h.wait(30*time.Second - 1)
				h.send(alice, "INVITE", outside.String())
				h.receive(phone, "INVITE")
				h.wait(1) // what comes in extends nothing
				h.send(alice, "BYE", outside.String())
				h.silence(phone, time.Second)

				h.send(phone, "REGISTER", aliceAddr)
				if again := h.receive(alice, "REGISTER"); again == outside || again.Addr() != outside.Addr() {
					t.Errorf("a new binding is at %v, want another port than %v", again, outside)
				}
			})
		})
	}
}

// A filter has a time for each peer: sending to bob keeps the binding, but does
// not let alice in.
func TestPermissionTimeout(t *testing.T) {
	playHome(t, nil, &NATConfig{Filtering: AddressDependent, Timeout: time.Minute}, func(h *home) {
		phone, alice, bob := h.socket(h.phone, phoneAddr), h.socket(h.alice, aliceAddr), h.socket(h.bob, bobAddr)
		h.send(phone, "1", aliceAddr)
		outside := h.receive(alice, "1").String()
		h.wait(40 * time.Second)
		h.send(phone, "2", bobAddr)
		h.receive(bob, "2")
		h.send(alice, "in time", outside)
		h.receive(phone, "in time")
		h.wait(20 * time.Second)
		h.send(alice, "too late", outside)
		h.send(bob, "in time", outside)
		h.receive(phone, "in time")
		h.silence(phone, time.Second)
		for i := range 100 { // what is over is not kept
			h.send(phone, "x", fmt.Sprintf("192.0.2.%d:9", 100+i))
			h.wait(time.Minute)
		}
		for _, b := range h.nat.bindings {
			if got := len(b.peers); got > 2 {
				t.Errorf("%d peers remembered, want those of the last minute", got)
			}
		}
	})
}

// Two telephones use port 5060. The first keeps it, as the second does behind
// another box where it is alone.
func TestPortsOutside(t *testing.T) {
	playHome(t, nil, nil, func(h *home) {
		neighbour := h.n.NAT("203.0.113.2", nil)
		alice := h.socket(h.alice, aliceAddr)
		for _, tt := range []struct {
			host *Host
			want string
		}{
			{h.phone, "203.0.113.1:5060"},
			{h.nat.Host("10.0.0.3"), "203.0.113.1:49152"},
			{neighbour.Host("10.0.0.2"), "203.0.113.2:5060"},
		} {
			phone := h.socket(tt.host, ":5060")
			h.send(phone, "REGISTER", aliceAddr)
			from := h.receive(alice, "REGISTER")
			if from.String() != tt.want {
				t.Errorf("from %v, want %v", from, tt.want)
			}
			h.send(alice, tt.want, from.String())
			h.receive(phone, tt.want)
		}

		// A port is free again when its binding has ended.
		h.wait(30 * time.Second)
		third := h.socket(h.nat.Host("10.0.0.4"), ":5060")
		h.send(third, "REGISTER", aliceAddr)
		if from, want := h.receive(alice, "REGISTER").String(), "203.0.113.1:5060"; from != want {
			t.Errorf("from %v, want %v", from, want)
		}
		if got := len(h.nat.bindings); got != 1 {
			t.Errorf("%d bindings are kept, want the one that lives", got)
		}
	})
}

func TestBehindOneNAT(t *testing.T) {
	playHome(t, &NetworkConfig{Record: true, Delay: time.Millisecond}, nil, func(h *home) {
		phone, other := h.socket(h.phone, phoneAddr), h.socket(h.nat.Host("10.0.0.3"), ":5060")
		h.send(phone, "direct", "10.0.0.3:5060")
		if from := unmapped(h.receive(other, "direct")); from.String() != phoneAddr {
			t.Errorf("from %v, want %v", from, phoneAddr)
		}

		// By the address that others know the other by: RFC 4787 section 6.
		alice := h.socket(h.alice, aliceAddr)
		h.send(other, "REGISTER", aliceAddr)
		outside := h.receive(alice, "REGISTER")
		h.send(phone, "hairpin", outside.String())
		if from, want := unmapped(h.receive(other, "hairpin")), "203.0.113.1:49152"; from.String() != want {
			t.Errorf("from %v, want %v", from, want)
		}

		// Streams as well.
		l := h.listen(h.nat.Host("10.0.0.3"), ":5060")
		near, err := h.phone.DialContext(h.Context(), "tcp", "10.0.0.3:5060")
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil || unmapped(far.RemoteAddr().(*net.TCPAddr).AddrPort()).Addr() != h.phone.Addr() {
			t.Errorf("connection from %v, %v, want %v", far.RemoteAddr(), err, h.phone.Addr())
		}
		h.write(near.(*conn), "hello")
		h.read(far.(*conn), "hello")

		h.packets(
			"10.0.0.2:5060 (10.0.0.2:5060) to 10.0.0.3:5060: direct",
			"203.0.113.1:5060 (10.0.0.3:5060) to 192.0.2.1:5060: REGISTER",
			"203.0.113.1:49152 (10.0.0.2:5060) to 203.0.113.1:5060: hairpin",
			"10.0.0.2:49152 (10.0.0.2:49152) to 10.0.0.3:5060: hello",
		)
	})
}

// packets checks what was recorded.
func (h *home) packets(want ...string) {
	h.Helper()
	var got []string
	for _, p := range h.n.Packets() {
		line := p.From.String()
		if p.Inside.IsValid() {
			line += " (" + p.Inside.String() + ")"
		}
		line += " to " + p.To.String() + ": " + string(p.Data)
		if p.Lost {
			line += ", lost"
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		h.Errorf("packets\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// Nobody outside can send to an address inside, and what comes to the box
// without a binding ends there.
func TestUnsolicited(t *testing.T) {
	playHome(t, nil, nil, func(h *home) {
		phone, alice := h.socket(h.phone, phoneAddr), h.socket(h.alice, aliceAddr)
		h.listen(h.phone, phoneAddr)
		h.send(alice, "INVITE", phoneAddr)
		h.send(alice, "INVITE", natAddr+":5060")
		h.silence(phone, time.Second)
		if got, want := h.n.Stats(), (Stats{Sent: 2, Unclaimed: 1, Filtered: 1}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
		for _, address := range []string{natAddr + ":5060", phoneAddr} {
			_, err := h.alice.DialContext(h.Context(), "tcp", address)
			h.opError(err, syscall.ETIMEDOUT)
		}
		// A binding whose socket has gone.
		h.send(phone, "REGISTER", aliceAddr)
		from := h.receive(alice, "REGISTER")
		phone.Close()
		h.send(alice, "INVITE", from.String())
		if got := h.n.Stats().Unclaimed; got != 2 {
			t.Errorf("%d unclaimed, want 2", got)
		}
	})
}

func TestNATReboots(t *testing.T) {
	playHome(t, &NetworkConfig{Delay: time.Second}, &NATConfig{NewPorts: true}, func(h *home) {
		phone, alice := h.socket(h.phone, phoneAddr), h.socket(h.alice, aliceAddr)
		h.send(phone, "REGISTER", aliceAddr)
		before := h.receive(alice, "REGISTER")
		h.send(alice, "on its way", before.String())
		h.nat.Reboot()
		h.silence(phone, 2*time.Second)

		h.send(phone, "keepalive", aliceAddr)
		after := h.receive(alice, "keepalive")
		if after == before || after.Addr() != before.Addr() {
			t.Errorf("from %v after the reboot, want another port than %v", after, before)
		}
		h.send(alice, "200", after.String())
		h.receive(phone, "200")
	})
}

func TestNATMoves(t *testing.T) {
	playHome(t, &NetworkConfig{Delay: time.Second}, nil, func(h *home) {
		phone, alice := h.socket(h.phone, phoneAddr), h.socket(h.alice, aliceAddr)
		h.n.SetLink(h.phone, h.alice, Link{Delay: 5 * time.Second})
		h.send(phone, "REGISTER", aliceAddr)
		before := h.receive(alice, "REGISTER")
		h.at(5 * time.Second)
		h.send(alice, "on its way", before.String())
		h.nat.Move("203.0.113.77")
		if got, want := h.nat.Addr().String(), "203.0.113.77"; got != want {
			t.Errorf("Addr() = %v, want %v", got, want)
		}
		h.silence(phone, 2*time.Second)
		h.send(phone, "REGISTER", aliceAddr)
		if got, want := h.receive(alice, "REGISTER").String(), "203.0.113.77:5060"; got != want {
			t.Errorf("from %v, want %v", got, want)
		}
		h.at(12 * time.Second) // the link is that of the box, wherever it is
		h.n.Host(natAddr)      // somebody else can have the old address
	})
}

// Links, cuts and hosts that are down are those of the box and of the phone.
func TestPathsThroughNAT(t *testing.T) {
	playHome(t, nil, &NATConfig{Mapping: AddressAndPortDependent}, func(h *home) {
		other := h.nat.Host("10.0.0.3")
		phone, lan, alice := h.socket(h.phone, phoneAddr), h.socket(other, "10.0.0.3:5060"), h.socket(h.alice, aliceAddr)
		h.n.SetLink(h.alice, h.phone, Link{Delay: time.Second})
		h.send(phone, "1", aliceAddr)
		outside := h.receive(alice, "1").String()
		h.send(alice, "2", outside)
		h.receive(phone, "2")
		h.at(time.Second)

		h.n.Cut(h.phone, h.alice)
		h.send(lan, "also cut", aliceAddr)
		h.send(alice, "cut", outside)
		h.send(phone, "direct", "10.0.0.3:5060")
		h.receive(lan, "direct")
		h.n.Mend(h.alice, h.phone)
		h.n.Cut(h.phone, other)
		h.send(phone, "cut", "10.0.0.3:5060")
		h.n.Mend(h.phone, other)

		h.send(alice, "lost inside", outside)
		h.phone.Down()
		h.send(phone, "not seen by the box", bobAddr)
		h.silence(lan, time.Second)
		h.phone.Up()
		h.silence(phone, time.Second)
		h.silence(alice, time.Second)
		if got, want := h.n.Stats(), (Stats{Sent: 8, Delivered: 3, Lost: 5}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
		if got := len(h.nat.bindings); got != 2 {
			t.Errorf("%d bindings, want those of two phones", got)
		}
	})
}

// dial returns a stream from the phone to an address of bob's.
func (h *home) dial(address string) (near, far *conn) {
	h.Helper()
	l := h.listen(h.bob, address)
	defer l.Close()
	c, err := h.phone.DialContext(h.Context(), "tcp", address)
	if err != nil {
		h.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		h.Fatal(err)
	}
	return c.(*conn), a.(*conn)
}

func TestNATRunsOutOfPorts(t *testing.T) {
	playHome(t, nil, &NATConfig{Mapping: AddressAndPortDependent, NewPorts: true}, func(h *home) {
		for i := range 1<<16 - firstFree {
			h.nat.face.ports[port{"udp", uint16(firstFree + i)}] = h
		}
		phone := h.socket(h.phone, phoneAddr)
		h.send(phone, "REGISTER", aliceAddr)
		if got, want := h.n.Stats(), (Stats{Sent: 1, Lost: 1}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
		for i := range 1<<16 - firstFree {
			h.nat.face.ports[port{"tcp", uint16(firstFree + i)}] = h
		}
		_, err := h.phone.DialContext(h.Context(), "tcp", bobAddr)
		h.opError(err, syscall.ETIMEDOUT)
	})
}

// A box is of one family, as are those behind it.
func TestNATOfIPv6(t *testing.T) {
	play(t, nil, func(s *scene) {
		box := s.n.NAT("2001:db8::ff", &NATConfig{Filtering: AddressAndPortDependent})
		phone, proxy := s.socket(box.Host("fd00::2"), ":5060"), s.socket(s.n.Host("2001:db8::1"), ":5060")
		s.send(phone, "REGISTER", "[2001:db8::1]:5060")
		from := s.receive(proxy, "REGISTER")
		if want := "[2001:db8::ff]:5060"; from.String() != want {
			t.Errorf("from %v, want %v", from, want)
		}
		s.send(proxy, "200", from.String())
		s.receive(phone, "200")
		_, err := phone.WriteToUDPAddrPort(nil, netip.MustParseAddrPort(aliceAddr))
		s.opError(err, syscall.ENETUNREACH)
	})
}

func TestMistakesWithNATs(t *testing.T) {
	n := NewNetwork(nil)
	n.Host("192.0.2.1")
	box := n.NAT(natAddr, nil)
	for name, mistake := range map[string]func(){
		"a box at a host":          func() { n.NAT("192.0.2.1", nil) },
		"a box at a box":           func() { n.NAT(natAddr, nil) },
		"a box everywhere":         func() { n.NAT("0.0.0.0", nil) },
		"a host at a box":          func() { n.Host(natAddr) },
		"a host of another family": func() { box.Host("fd00::2") },
		"a multicast host":         func() { box.Host("224.0.0.1") },
		"a move to a host":         func() { box.Move("192.0.2.1") },
		"a move to itself":         func() { box.Move(natAddr) },
		"a move to another family": func() { box.Move("2001:db8::1") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mistake()
		}()
	}
	if _, err := box.Host("10.0.0.2").ListenPacket(t.Context(), "udp", natAddr+":5060"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("a socket at the outside address: %v, want EADDRNOTAVAIL", err)
	}
}

// Chance is repeatable behind NATs too, and that of phones with one address
// behind two of them is not the same.
func TestLossBehindNAT(t *testing.T) {
	lost := func() (lost [2]string) {
		play(t, &NetworkConfig{Seed: 7, Loss: 0.5, Record: true}, func(s *scene) {
			for i, addr := range []string{natAddr, "203.0.113.2"} {
				phone := s.socket(s.n.NAT(addr, nil).Host("10.0.0.2"), ":5060")
				for range 50 {
					s.send(phone, "x", bobAddr)
				}
				for _, p := range s.n.Packets()[50*i:] {
					lost[i] += map[bool]string{true: "-", false: "x"}[p.Lost]
				}
			}
		})
		return lost
	}
	one := lost()
	if two := lost(); two != one {
		t.Errorf("lost in the second run\n%q, want as in the first\n%q", two, one)
	}
	if one[0] == one[1] {
		t.Errorf("two phones lose the same: %v", one[0])
	}
}
