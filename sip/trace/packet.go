package trace

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	protocolTCP = 6
	protocolUDP = 17

	// maxSegment is the most text in one segment. It keeps a packet below
	// 65,535 bytes, and most messages in one.
	maxSegment = 60000
	// maxDatagram is the most text in one datagram over IPv6. More never was
	// on a wire, and is cut.
	maxDatagram = 65535 - 8
)

// packetTo makes packets and writes them.
type packetTo struct {
	p        *Pcapng
	at       time.Time
	from, to netip.AddrPort
	dir      direction
	comment  string
}

// uncommented returns the same without the comment, which belongs to one packet.
func (o packetTo) uncommented() packetTo {
	o.comment = ""
	return o
}

// datagram writes a UDP datagram (RFC 768).
func (o packetTo) datagram(text string) {
	most := maxDatagram
	if o.from.Addr().Is4() {
		most -= 20 // IPv4 counts its header in the length
	}
	whole := len(text)
	text = text[:min(whole, most)]
	b := appendIP(o.p.packet[:0], o.from.Addr(), o.to.Addr(), protocolUDP, 8+len(text))
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, o.from.Port())
	b = binary.BigEndian.AppendUint16(b, o.to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(text)))
	b = append(b, 0, 0) // checksum
	b = append(b, text...)
	sum := transportSum(o.from.Addr(), o.to.Addr(), protocolUDP, b[at:])
	if sum == 0 {
		sum = 0xffff // 0 would say that there is none
	}
	binary.BigEndian.PutUint16(b[at+6:], sum)
	o.p.packet = b
	o.p.capture(o.at, b, len(b)+whole-len(text), o.dir, o.comment)
}

// The flags of a segment (RFC 9293 section 3.1).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagPSH = 0x08
	flagACK = 0x10
)

// segments writes text on the connection between the two ends, from the one to
// the other: in one segment, unless it is large.
func (o packetTo) segments(text string) {
	c := o.p.conns.between(o)
	seq, ack := c.ends(o.from)
	for {
		piece := text[:min(len(text), maxSegment)]
		text = text[len(piece):]
		flags := byte(flagACK)
		if text == "" {
			flags |= flagPSH
		}
		o.segment(flags, *seq, *ack, piece)
		*seq += uint32(len(piece))
		if text == "" {
			return
		}
		o = o.uncommented()
	}
}

// finish ends the connection from the receiving side.
func (o packetTo) finish() {
	c := o.p.conns.between(o)
	seq, ack := c.ends(o.to)
	o.from, o.to, o.dir = o.to, o.from, outbound
	o.segment(flagFIN|flagACK, *seq, *ack, "")
	o.p.conns.forget(o)
}

// segment writes one TCP segment (RFC 9293 section 3.1).
func (o packetTo) segment(flags byte, seq, ack uint32, text string) {
	b := appendIP(o.p.packet[:0], o.from.Addr(), o.to.Addr(), protocolTCP, 20+len(text))
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, o.from.Port())
	b = binary.BigEndian.AppendUint16(b, o.to.Port())
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(b, 5<<4, flags)                    // five words of header
	b = binary.BigEndian.AppendUint16(b, 1<<16-1) // window
	b = append(b, 0, 0, 0, 0)                     // checksum, urgent pointer
	b = append(b, text...)
	binary.BigEndian.PutUint16(b[at+16:], transportSum(o.from.Addr(), o.to.Addr(), protocolTCP, b[at:]))
	o.p.packet = b
	o.p.capture(o.at, b, len(b), o.dir, o.comment)
}

// appendIP appends the header of an IP packet, of version 4 if both addresses
// are (RFC 791 section 3.1, RFC 8200 section 3).
func appendIP(b []byte, from, to netip.Addr, protocol byte, length int) []byte {
	const hops = 64
	if !from.Is4() || !to.Is4() {
		b = append(b, 6<<4, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(length))
		b = append(b, protocol, hops)
		src, dst := wide(from), wide(to)
		return append(append(b, src[:]...), dst[:]...)
	}
	at := len(b)
	b = append(b, 4<<4|5, 0) // five words of header
	b = binary.BigEndian.AppendUint16(b, uint16(20+length))
	b = append(b, 0, 0, 1<<6, 0, hops, protocol, 0, 0) // not to be fragmented
	src, dst := from.As4(), to.As4()
	b = append(append(b, src[:]...), dst[:]...)
	binary.BigEndian.PutUint16(b[at+10:], ^fold(sum(0, b[at:])))
	return b
}

// wide returns an address as one of IPv6, unspecified if there is none.
func wide(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}

// transportSum returns the checksum of a UDP or TCP packet with its pseudo
// header (RFC 9293 section 3.1, RFC 8200 section 8.1).
func transportSum(from, to netip.Addr, protocol byte, packet []byte) uint16 {
	n := uint64(protocol) + uint64(len(packet))
	if from.Is4() && to.Is4() {
		src, dst := from.As4(), to.As4()
		n = sum(sum(n, src[:]), dst[:])
	} else {
		src, dst := wide(from), wide(to)
		n = sum(sum(n, src[:]), dst[:])
	}
	return ^fold(sum(n, packet))
}

// sum adds up 16-bit words (RFC 1071).
func sum(n uint64, b []byte) uint64 {
	for ; len(b) > 1; b = b[2:] {
		n += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		n += uint64(b[0]) << 8
	}
	return n
}

func fold(n uint64) uint16 {
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}
