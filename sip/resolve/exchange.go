package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// maxStrays is how many datagrams that are no answer a question bears with.
const maxStrays = 32

// maxUDP is what a name server may send in one datagram, in bytes: what passes
// without fragments on nearly every path.
const maxUDP = 1232

// exchange asks one server, by UDP and then, if need be, by TCP.
func (d *DNS) exchange(ctx context.Context, server netip.AddrPort, conf config, name string, t Type) (*reply, error) {
	timeout := conf.timeout
	if conf.tcp {
		return d.overTCP(ctx, server, timeout, name, t)
	}
	r, err := d.overUDP(ctx, server, timeout, name, t, true)
	if err == nil && (r.rcode == dns.RcodeFormatError || r.rcode == dns.RcodeNotImplemented) {
		// It is older than EDNS (RFC 6891 section 7).
		r, err = d.overUDP(ctx, server, timeout, name, t, false)
	}
	if errors.Is(err, errUseTCP) {
		r, err = d.overTCP(ctx, server, timeout, name, t)
	}
	return r, err
}

// errUseTCP says that UDP will not do for a question.
var errUseTCP = errors.New("to be asked over TCP")

func (d *DNS) overUDP(ctx context.Context, server netip.AddrPort, timeout time.Duration, name string, t Type, edns bool) (*reply, error) {
	q, err := newQuestion(name, t, edns)
	if err != nil {
		return nil, err
	}
	conn, done, err := d.dial(ctx, "udp", server, timeout)
	if err != nil {
		return nil, err
	}
	defer done()
	if _, err := conn.Write(q.message); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096) // some send more than they were asked to
	for range maxStrays {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		switch r, verdict := q.read(buf[:n]); verdict {
		case isAnswer:
			return r, nil
		case isCut, isFolded:
			return nil, errUseTCP
		}
	}
	return nil, errUseTCP
}

// overTCP needs no guard against forged answers: who could send one could read
// the question, too.
func (d *DNS) overTCP(ctx context.Context, server netip.AddrPort, timeout time.Duration, name string, t Type) (*reply, error) {
	q, err := newQuestion(name, t, true)
	if err != nil {
		return nil, err
	}
	conn, done, err := d.dial(ctx, "tcp", server, timeout)
	if err != nil {
		return nil, err
	}
	defer done()
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q.message))), q.message...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, err
	}
	r, verdict := q.read(buf)
	if verdict == isFolded {
		q.fold()
		r, verdict = q.read(buf)
	}
	if verdict != isAnswer {
		return nil, errors.New("malformed answer")
	}
	return r, nil
}

// dial opens a connection that fails when the time is over or ctx ends. done
// closes it.
func (d *DNS) dial(ctx context.Context, network string, server netip.AddrPort, timeout time.Duration) (conn net.Conn, done func(), err error) {
	deadline := time.Now().Add(timeout)
	dialer := d.Dialer
	if dialer == nil {
		dialer = &net.Dialer{}
	}
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if conn, err = dialer.DialContext(dialing, network, server.String()); err != nil {
		return nil, nil, err
	}
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { stop(); conn.Close() }, nil
}
