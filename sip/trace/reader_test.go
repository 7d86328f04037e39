package trace

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// frame is a packet as read back from a file.
type frame struct {
	at       time.Time
	dir      uint32
	comment  string
	from, to netip.AddrPort
	protocol byte
	flags    byte // TCP
	seq, ack uint32
	text     string
	cut      int // bytes that the packet had and the file has not
}

// readPcapng reads a file as far as Pcapng writes them. It checks every length
// and every checksum on the way.
func readPcapng(t *testing.T, file []byte) []frame {
	t.Helper()
	var frames []frame
	for n := 0; len(file) > 0; n++ {
		kind, size := order.Uint32(file), order.Uint32(file[4:])
		if size%4 != 0 || int(size) > len(file) || order.Uint32(file[size-4:]) != size {
			t.Fatalf("block %d has length %d before and %d behind it", n, size, order.Uint32(file[size-4:]))
		}
		body := file[8 : size-4]
		file = file[size:]
		switch {
		case n == 0 && kind == sectionHeader:
			if order.Uint32(body) != byteOrderMagic || order.Uint16(body[4:]) != 1 || order.Uint16(body[6:]) != 0 {
				t.Fatalf("section header %x", body)
			}
			options(t, body[16:])
		case n == 1 && kind == interfaceBlock:
			if order.Uint16(body) != linkTypeRaw || options(t, body[8:])[optTimeUnits] != "\x09" {
				t.Fatalf("interface %x", body)
			}
		case n > 1 && kind == packetBlock:
			frames = append(frames, readPacket(t, body))
		default:
			t.Fatalf("block %d is of type %d", n, kind)
		}
	}
	return frames
}

func readPacket(t *testing.T, body []byte) frame {
	t.Helper()
	length, whole := int(order.Uint32(body[12:])), int(order.Uint32(body[16:]))
	opts := options(t, body[20+(length+3)/4*4:])
	f := frame{
		at:  time.Unix(0, int64(uint64(order.Uint32(body[4:]))<<32|uint64(order.Uint32(body[8:])))).UTC(),
		dir: order.Uint32([]byte(opts[optFlags])), comment: opts[optComment], cut: whole - length,
	}
	readIP(t, &f, body[20:20+length])
	return f
}

func options(t *testing.T, b []byte) map[uint16]string {
	t.Helper()
	all := map[uint16]string{}
	for {
		code, size := order.Uint16(b), int(order.Uint16(b[2:]))
		if code == optEnd {
			if len(b) != 4 || size != 0 {
				t.Fatalf("%d bytes after the last option", len(b)-4)
			}
			return all
		}
		all[code] = string(b[4 : 4+size])
		b = b[4+(size+3)/4*4:]
	}
}

func readIP(t *testing.T, f *frame, b []byte) {
	t.Helper()
	be := binary.BigEndian
	var src, dst netip.Addr
	var pseudo []byte
	switch b[0] >> 4 {
	case 4:
		if b[0] != 0x45 || int(be.Uint16(b[2:])) != len(b) || onesComplement(b[:20]) != 0xffff {
			t.Fatalf("IPv4 header %x of %d bytes", b[:20], len(b))
		}
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		pseudo = append([]byte{}, b[12:20]...)
		f.protocol, b = b[9], b[20:]
	case 6:
		if int(be.Uint16(b[4:])) != len(b)-40 {
			t.Fatalf("IPv6 header %x of %d bytes", b[:40], len(b))
		}
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		pseudo = append([]byte{}, b[8:40]...)
		f.protocol, b = b[6], b[40:]
	default:
		t.Fatalf("IP version %d", b[0]>>4)
	}
	pseudo = append(pseudo, 0, f.protocol)
	pseudo = be.AppendUint16(pseudo, uint16(len(b)))
	if got := onesComplement(append(pseudo, b...)); got != 0xffff {
		t.Errorf("checksum of %x... leaves %#x, want 0xffff", b[:8], got)
	}
	f.from, f.to = netip.AddrPortFrom(src, be.Uint16(b)), netip.AddrPortFrom(dst, be.Uint16(b[2:]))
	if f.protocol == protocolUDP {
		if int(be.Uint16(b[4:])) != len(b) || be.Uint16(b[6:]) == 0 {
			t.Errorf("UDP header %x of %d bytes", b[:8], len(b))
		}
		f.text = string(b[8:])
		return
	}
	f.seq, f.ack, f.flags = be.Uint32(b[4:]), be.Uint32(b[8:]), b[13]
	f.text = string(b[20:])
}

// onesComplement adds up as RFC 1071 says, word by word.
func onesComplement(b []byte) uint32 {
	if len(b)%2 != 0 {
		b = append(b[:len(b):len(b)], 0)
	}
	var n uint32
	for i := 0; i < len(b); i += 2 {
		n += uint32(b[i])<<8 | uint32(b[i+1])
		n = n&0xffff + n>>16
	}
	return n
}

// streams checks the sequence numbers of all connections and returns the text
// of each direction, by its ends.
func streams(t *testing.T, frames []frame) map[[2]netip.AddrPort]string {
	t.Helper()
	next := map[[2]netip.AddrPort]uint32{}
	text := map[[2]netip.AddrPort]string{}
	for i, f := range frames {
		if f.protocol != protocolTCP {
			continue
		}
		there, back := [2]netip.AddrPort{f.from, f.to}, [2]netip.AddrPort{f.to, f.from}
		if f.flags&flagSYN != 0 {
			next[there] = f.seq + 1
		} else if f.seq != next[there] {
			t.Errorf("frame %d has sequence number %d, want %d", i, f.seq, next[there])
		}
		if f.flags&flagACK != 0 && f.ack != next[back] {
			t.Errorf("frame %d acknowledges %d, want %d", i, f.ack, next[back])
		}
		next[there] += uint32(len(f.text))
		text[there] += f.text
	}
	return text
}
