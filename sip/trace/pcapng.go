package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/goparley/parley/sip/transport"
)

// Pcapng writes messages to a capture file that Wireshark and tshark open: one
// datagram for each message by UDP, one or more segments of a connection for
// each by TCP. Packets are those of IP without a link layer (LINKTYPE_RAW),
// with checksums, and say whether they came in or went out. What was malformed
// has a comment that tells why; for a stream that could not be framed it is on
// the segment that ends the connection, as the bytes are not known.
//
// Connections begin with a handshake where the first message of one is seen.
// Sequence numbers are counted from what was recorded.
//
// Wireshark finds SIP by its port 5060 or, on any other port, by looking at the
// text. Where another protocol has the port, say so: "Decode As" in Wireshark,
// or
//
//	tshark -r calls.pcapng -d udp.port==5070,sip -d tcp.port==5070,sip
//
// Its methods may be called from any goroutine.
type Pcapng struct {
	mu     sync.Mutex
	w      *bufio.Writer
	err    error // the first, after which nothing is written
	pairs  pairs
	conns  conns
	packet []byte // room to make one in
	block  []byte
}

// errWritten ends a Pcapng that was closed.
var errWritten = errors.New("trace: closed")

// NewPcapng returns a Pcapng that writes to w, which stays the caller's to
// close. What it writes is buffered: see Flush and Close.
func NewPcapng(w io.Writer) *Pcapng {
	p := &Pcapng{w: bufio.NewWriterSize(w, 1<<16), pairs: newPairs(), conns: newConns()}
	p.header()
	return p
}

// Trace returns what to put into a transport.Config. It is the same file for
// all endpoints that share it.
func (p *Pcapng) Trace() *transport.Trace {
	return &transport.Trace{
		Sent:      func(m transport.TraceMessage) { p.record(m, m.Local, m.Remote, outbound) },
		Received:  func(m transport.TraceMessage) { p.record(m, m.Remote, m.Local, inbound) },
		Malformed: func(m transport.TraceMessage) { p.record(m, m.Remote, m.Local, inbound) },
	}
}

// Flush writes out what is buffered. It returns the first error of the writer,
// after which nothing more is written.
func (p *Pcapng) Flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = p.w.Flush()
	}
	if p.err == errWritten {
		return nil
	}
	return p.err
}

// Close ends the file: it flushes, and further messages are ignored. It returns
// the first error of the writer, and does not close it.
func (p *Pcapng) Close() error {
	err := p.Flush()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = errWritten
	}
	return err
}

func (p *Pcapng) record(m transport.TraceMessage, from, to netip.AddrPort, dir direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || m.Err == nil && p.pairs.isSecond(m, dir == outbound) {
		return
	}
	comment := ""
	if m.Err != nil {
		comment = m.Err.Error()
	}
	out := packetTo{p: p, at: m.Time, from: from, to: to, dir: dir, comment: comment}
	switch {
	case m.Transport == "UDP":
		out.datagram(m.Text)
	case m.Text != "":
		out.segments(m.Text)
	default:
		out.finish()
	}
}

// direction is the direction in the flags of a packet block.
type direction uint32

const (
	inbound  direction = 1
	outbound direction = 2
)

// The block types, and the options that are used of each (sections 4.1 to 4.3
// of the draft).
const (
	sectionHeader  = 0x0A0D0D0A
	interfaceBlock = 1
	packetBlock    = 6

	byteOrderMagic = 0x1A2B3C4D
	linkTypeRaw    = 101

	optEnd       = 0
	optComment   = 1
	optFlags     = 2
	optUserAppl  = 4
	optName      = 2
	optTimeUnits = 9
)

var order = binary.LittleEndian

// header writes the blocks that begin a file: a section and its one interface.
func (p *Pcapng) header() {
	b := p.block[:0]
	b = order.AppendUint32(b, byteOrderMagic)
	b = order.AppendUint16(b, 1)          // version 1.0
	b = order.AppendUint16(b, 0)          //
	b = order.AppendUint64(b, ^uint64(0)) // length of the section: not said
	b = appendOption(b, optUserAppl, "Parley")
	b = appendOption(b, optEnd, "")
	p.write(sectionHeader, b)

	b = b[:0]
	b = order.AppendUint16(b, linkTypeRaw)
	b = order.AppendUint16(b, 0) // reserved
	b = order.AppendUint32(b, 0) // packets are whole
	b = appendOption(b, optName, "sip")
	b = appendOption(b, optTimeUnits, "\x09") // 10^-9 s
	b = appendOption(b, optEnd, "")
	p.write(interfaceBlock, b)
	p.block = b
}

// capture writes a packet. size is what its length was on the wire.
func (p *Pcapng) capture(at time.Time, packet []byte, size int, dir direction, comment string) {
	b := p.block[:0]
	ns := uint64(at.UnixNano())
	b = order.AppendUint32(b, 0) // of the one interface
	b = order.AppendUint32(b, uint32(ns>>32))
	b = order.AppendUint32(b, uint32(ns))
	b = order.AppendUint32(b, uint32(len(packet)))
	b = order.AppendUint32(b, uint32(size))
	b = append(b, packet...)
	b = pad(b, len(packet))
	b = appendOption(b, optFlags, string(order.AppendUint32(nil, uint32(dir))))
	if comment != "" {
		b = appendOption(b, optComment, comment)
	}
	b = appendOption(b, optEnd, "")
	p.write(packetBlock, b)
	p.block = b
}

// write writes a block, whose length stands before and behind it.
func (p *Pcapng) write(kind uint32, body []byte) {
	if p.err != nil {
		return
	}
	var head [8]byte
	order.PutUint32(head[:], kind)
	order.PutUint32(head[4:], uint32(len(body)+12))
	p.w.Write(head[:])
	p.w.Write(body)
	_, p.err = p.w.Write(head[4:]) // a bufio.Writer keeps its first error
}

// appendOption appends an option of a block.
func appendOption(b []byte, code uint16, value string) []byte {
	const most = 4096
	value = value[:min(len(value), most)]
	b = order.AppendUint16(b, code)
	b = order.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return pad(b, len(value))
}

// pad fills up to 32 bits what has a length.
func pad(b []byte, length int) []byte {
	for ; length%4 != 0; length++ {
		b = append(b, 0)
	}
	return b
}
