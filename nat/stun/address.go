package stun

import (
	"encoding/binary"
	"net/netip"
)

// Families of addresses (RFC 8489 section 14.1).
const (
	familyIPv4 = 1
	familyIPv6 = 2
)

// mask is what addresses are XORed with, so that no NAT that replaces addresses
// in a payload finds them (RFC 8489 section 14.2).
func mask(id [idSize]byte) (m [16]byte) {
	binary.BigEndian.PutUint32(m[:], cookie)
	copy(m[4:], id[:])
	return m
}

// appendXORMapped adds XOR-MAPPED-ADDRESS.
func appendXORMapped(b []byte, id [idSize]byte, addr netip.AddrPort) []byte {
	var value [20]byte
	value[1] = familyIPv6
	binary.BigEndian.PutUint16(value[2:], addr.Port()^cookie>>16)
	size := copy(value[4:], addr.Addr().AsSlice())
	if size == 4 {
		value[1] = familyIPv4
	}
	for i, m := range mask(id) {
		value[4+i] ^= m
	}
	return appendAttribute(b, xorMappedAddress, value[:4+size])
}

// xorMapped reads the value of XOR-MAPPED-ADDRESS. An address at which nobody
// can be, or of a family that does not exist, is none.
func xorMapped(value []byte, id [idSize]byte) (netip.AddrPort, bool) {
	if len(value) < 4 {
		return netip.AddrPort{}, false
	}
	family, port, ip := value[1], binary.BigEndian.Uint16(value[2:])^cookie>>16, value[4:]
	if !(family == familyIPv4 && len(ip) == 4 || family == familyIPv6 && len(ip) == 16) {
		return netip.AddrPort{}, false
	}
	var clear [16]byte
	for i, m := range mask(id) {
		if i < len(ip) {
			clear[i] = ip[i] ^ m
		}
	}
	addr, _ := netip.AddrFromSlice(clear[:len(ip)])
	addr = addr.Unmap()
	if port == 0 || addr.IsUnspecified() || addr.IsMulticast() {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, port), true
}

// plain returns an address as it is compared and told to others: IPv4 as IPv4,
// and without the zone, which means something on this machine only.
func plain(addr netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
}
