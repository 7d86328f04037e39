package siptest

import (
	"net/netip"
	"testing"
	"time"
)

// courier returns a func that carries one datagram of 1,000 bytes across.
func courier(tb testing.TB, config *NetworkConfig) func() {
	n := NewNetwork(config)
	pa, errA := n.Host("192.0.2.1").ListenPacket(tb.Context(), "udp", aliceAddr)
	pb, errB := n.Host("192.0.2.2").ListenPacket(tb.Context(), "udp", bobAddr)
	if errA != nil || errB != nil {
		tb.Fatal(errA, errB)
	}
	a, b := pa.(*packetConn), pb.(*packetConn)
	to, out, in := netip.MustParseAddrPort(bobAddr), make([]byte, 1000), make([]byte, 1500)
	return func() {
		if _, err := a.WriteToUDPAddrPort(out, to); err != nil {
			tb.Fatal(err)
		}
		if _, _, err := b.ReadFromUDPAddrPort(in); err != nil {
			tb.Fatal(err)
		}
	}
}

// natCourier returns a func that carries one datagram out through a NAT, and the
// answer in.
func natCourier(tb testing.TB, config *NATConfig) func() {
	n := NewNetwork(nil)
	pa, errA := n.NAT(natAddr, config).Host("10.0.0.2").ListenPacket(tb.Context(), "udp", phoneAddr)
	pb, errB := n.Host("192.0.2.2").ListenPacket(tb.Context(), "udp", bobAddr)
	if errA != nil || errB != nil {
		tb.Fatal(errA, errB)
	}
	a, b := pa.(*packetConn), pb.(*packetConn)
	to, out, in := netip.MustParseAddrPort(bobAddr), make([]byte, 1000), make([]byte, 1500)
	return func() {
		if _, err := a.WriteToUDPAddrPort(out, to); err != nil {
			tb.Fatal(err)
		}
		_, from, err := b.ReadFromUDPAddrPort(in)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := b.WriteToUDPAddrPort(out, from); err != nil {
			tb.Fatal(err)
		}
		if _, _, err := a.ReadFromUDPAddrPort(in); err != nil {
			tb.Fatal(err)
		}
	}
}

var couriers = []struct {
	name   string
	config *NetworkConfig
}{
	{"perfect", nil},
	{"by chance", &NetworkConfig{Loss: 1e-12}},
	{"delayed", &NetworkConfig{Delay: time.Microsecond}},
}

func BenchmarkDatagram(b *testing.B) {
	for _, bb := range couriers[:2] { // a real delay would measure the clock
		b.Run(bb.name, func(b *testing.B) {
			carry := courier(b, bb.config)
			b.ReportAllocs()
			for b.Loop() {
				carry()
			}
		})
	}
	b.Run("there and back through a symmetric NAT", func(b *testing.B) {
		carry := natCourier(b, &NATConfig{Mapping: AddressAndPortDependent, Filtering: AddressAndPortDependent})
		b.ReportAllocs()
		for b.Loop() {
			carry()
		}
	})
}

func TestDatagramDoesNotAllocate(t *testing.T) {
	for _, tt := range couriers {
		if got := testing.AllocsPerRun(1000, courier(t, tt.config)); got > 0 {
			t.Errorf("%s: %v allocations a datagram, want 0", tt.name, got)
		}
	}
	for _, kind := range natKinds {
		if got := testing.AllocsPerRun(1000, natCourier(t, &kind.config)); got > 0 {
			t.Errorf("%s: %v allocations for two datagrams, want 0", kind.name, got)
		}
	}
}
