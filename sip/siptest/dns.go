package siptest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// DNS is a name server with a script. It answers from records that are written
// as in a zone file, as the resolver of a network does: it knows everything,
// and follows aliases. What it does instead, for one question or for all, is up
// to a script.
//
// It runs on a [Host], or on any sockets with ServePacket and Serve, and must be
// closed. Closed, it answers nothing, as a server that is down.
type DNS struct {
	mu      sync.Mutex
	zone    zone
	script  func(DNSQuestion) DNSReply
	asked   []DNSQuestion
	sockets map[io.Closer]bool
	done    chan struct{}  // closed by Close
	running sync.WaitGroup // goroutines: each ends with its socket or timer
}

// DNSQuestion is a question that arrived.
type DNSQuestion struct {
	Name    string // in lower case, without the final dot
	Type    string // "A", "NAPTR"
	Network string // "udp" or "tcp"
	Message []byte // as it came
}

// String returns the question as "udp SRV _sip._tcp.example.com".
func (q DNSQuestion) String() string { return q.Network + " " + q.Type + " " + q.Name }

// DNSReply says how a question is answered. The zero value answers it at once
// from the records.
type DNSReply struct {
	Drop     bool          // no answer
	Delay    time.Duration // time before the answer
	Rcode    string        // an answer without records and with this code, as "REFUSED"; one that is none is SERVFAIL
	Truncate bool          // over UDP an answer that is cut: TC set, and no records

	// Edit returns the messages to send in place of the answer: one with
	// another id before it, say, or bytes that are no message. nil sends the
	// answer alone.
	Edit func(answer []byte) [][]byte
}

// NewDNS returns a name server with the given records, a line each as in a zone
// file (RFC 1035 section 5.1): "example.com. 300 IN A 192.0.2.1". All of it may
// be indented, and the final dot of names left out, unless $ORIGIN sets a domain.
// So may class, and time to live: it is then that of the record before, or 300
// seconds. A name that begins with "*" stands for all names below it that have
// no records. Names that have none get a negative answer with the SOA record of
// their domain, if there is one.
func NewDNS(zone string) (*DNS, error) {
	d := &DNS{sockets: make(map[io.Closer]bool), done: make(chan struct{})}
	if err := d.SetZone(zone); err != nil {
		return nil, err
	}
	return d, nil
}

// SetZone changes all records.
func (d *DNS) SetZone(text string) error {
	z, err := parseZone(text)
	if err != nil {
		return fmt.Errorf("siptest: zone: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.zone = z
	return nil
}

// SetScript has a func decide how each question is answered from now on; nil
// answers all of them from the records. It is called from several goroutines.
func (d *DNS) SetScript(script func(DNSQuestion) DNSReply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.script = script
}

// Questions returns what has been asked so far, in order of arrival.
func (d *DNS) Questions() []DNSQuestion {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]DNSQuestion(nil), d.asked...)
}

// Listen answers on port 53 of a host, over UDP and TCP, until Close.
func (d *DNS) Listen(h *Host) error {
	pc, err := h.ListenPacket(context.Background(), "udp", net.JoinHostPort(h.Addr().String(), "53"))
	if err != nil {
		return err
	}
	l, err := h.Listen(context.Background(), "tcp", net.JoinHostPort(h.Addr().String(), "53"))
	if err != nil {
		pc.Close()
		return err
	}
	d.running.Go(func() { d.ServePacket(pc) }) // ends with pc
	d.running.Go(func() { d.Serve(l) })        // ends with l
	return nil
}

// Close closes all sockets and waits until nothing runs any more.
func (d *DNS) Close() error {
	d.mu.Lock()
	select {
	case <-d.done:
	default:
		close(d.done)
	}
	for s := range d.sockets {
		s.Close()
	}
	d.mu.Unlock()
	d.running.Wait()
	return nil
}

// hold has Close close a socket; release is to be called when it is done with.
func (d *DNS) hold(s io.Closer) (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sockets[s] = true
	d.running.Add(1)
	select {
	case <-d.done:
		s.Close()
	default:
	}
	return func() {
		s.Close()
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.sockets, s)
		d.running.Done()
	}
}

// ServePacket answers the questions that arrive at a datagram socket. It closes
// the socket and returns its error when reading from it fails, as after Close.
func (d *DNS) ServePacket(pc net.PacketConn) error {
	defer d.hold(pc)()
	b := make([]byte, maxDatagram)
	for {
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			return err
		}
		d.answer("udp", append([]byte(nil), b[:n]...), func(m []byte) { pc.WriteTo(m, from) })
	}
}

// Serve answers the questions that arrive at connections to a listener, as
// ServePacket does.
func (d *DNS) Serve(l net.Listener) error {
	defer d.hold(l)()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		d.running.Go(func() { d.serveConn(conn) }) // ends with conn
	}
}

// serveConn reads messages with their length before them (RFC 1035 section
// 4.2.2).
func (d *DNS) serveConn(conn net.Conn) {
	defer d.hold(conn)()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		d.answer("tcp", b, func(m []byte) {
			conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
		})
	}
}

// answer answers one message, now or when the script says.
func (d *DNS) answer(network string, message []byte, send func([]byte)) {
	var m dns.Msg
	if m.Unpack(message) != nil || m.Response || len(m.Question) != 1 {
		return
	}
	q := DNSQuestion{
		Name:    strings.ToLower(strings.TrimSuffix(m.Question[0].Name, ".")),
		Type:    dns.TypeToString[m.Question[0].Qtype],
		Network: network,
		Message: message,
	}
	d.mu.Lock()
	d.asked = append(d.asked, q)
	script, zone := d.script, d.zone
	d.mu.Unlock()
	var how DNSReply
	if script != nil {
		how = script(q)
	}
	if how.Drop {
		return
	}
	out, err := reply(&m, zone, network, how)
	if err != nil {
		return
	}
	messages := [][]byte{out}
	if how.Edit != nil {
		messages = how.Edit(out)
	}
	deliver := func() {
		for _, m := range messages {
			send(m)
		}
	}
	if how.Delay <= 0 {
		deliver()
		return
	}
	d.running.Go(func() { // ends when it is sent, or with Close
		timer := time.NewTimer(how.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			deliver()
		case <-d.done:
		}
	})
}

// reply makes the answer to a question. It has none if there are more records
// than a message has room for.
func reply(q *dns.Msg, z zone, network string, how DNSReply) ([]byte, error) {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	size := dns.MinMsgSize // without EDNS (RFC 1035 section 4.2.1)
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(opt.UDPSize(), false)
		size = max(size, int(opt.UDPSize()))
	}
	switch code, known := dns.StringToRcode[how.Rcode]; {
	case known:
		m.Rcode = code
	case how.Rcode != "":
		m.Rcode = dns.RcodeServerFailure
	case how.Truncate && network == "udp":
		m.Truncated = true
	default:
		z.answer(m)
	}
	if network == "udp" {
		m.Truncate(size)
		m.Truncated = m.Truncated || how.Truncate
	}
	m.Compress = true // Truncate ends it where there is room
	return m.Pack()
}
