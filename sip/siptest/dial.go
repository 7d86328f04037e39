package siptest

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// dialTimeout is when a dialer gives up on a host that does not answer: as
// Linux does after six retransmissions of its SYN.
const dialTimeout = 127 * time.Second

// DialContext opens a stream connection, as [net.Dialer.DialContext] does. The
// network is "tcp", "tcp4" or "tcp6".
//
// With "udp", "udp4" or "udp6" it opens a datagram socket that talks to one
// address only, at once and without sending anything: its LocalAddr is the
// address that leads there.
//
// A stream takes a round trip. Errors are *net.OpError: for ECONNREFUSED after a
// round trip if nobody listens there, for ENETUNREACH if the address is of
// another family than the host's, for the context's error when that ends, and
// for ETIMEDOUT after 127 seconds. The last two come of an address that no host
// has, of a host that is down and of a path that is cut: these do not answer.
//
// A connection is a reliable stream of bytes, with the link's delay. Write
// blocks while [NetworkConfig.Window] bytes are not read at the other end.
// Closed, it gives the peer io.EOF after what is in flight; what the peer writes
// from then on fails with EPIPE. It also has CloseWrite, as [net.TCPConn] has.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !isStream(network) && !isDatagram(network) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	remote, err := h.parse(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if remote.Addr().IsUnspecified() { // the local system, as for a net.Dialer
		remote = netip.AddrPortFrom(h.addr, remote.Port())
	}
	if isDatagram(network) {
		return h.dialPacket(ctx, network, remote)
	}
	c, err := h.dial(ctx, network, remote)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(remote), Err: err}
	}
	return c, nil
}

// dialing is a connection that is being opened, as its caller sees it.
type dialing struct {
	host          *Host
	network       string
	local, remote netip.AddrPort
	done          chan struct{} // closed when one of the next two is set

	// Network.mu guards what follows.
	route     route // to the remote host
	conn      *conn
	err       error
	abandoned bool // the caller has gone
}

func (h *Host) dial(ctx context.Context, network string, remote netip.AddrPort) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if remote.Addr().Is4() != h.addr.Is4() {
		return nil, os.NewSyscallError("connect", syscall.ENETUNREACH)
	}
	d := &dialing{host: h, network: network, remote: remote, done: make(chan struct{})}
	if err := d.start(); err != nil {
		return nil, err
	}
	timeout := time.NewTimer(dialTimeout)
	defer timeout.Stop()
	var err error
	select {
	case <-d.done:
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = os.NewSyscallError("connect", syscall.ETIMEDOUT)
	}
	return d.finish(err)
}

// start sends the SYN (RFC 9293 section 3.5).
func (d *dialing) start() error {
	n := d.host.n
	n.mu.Lock()
	defer n.mu.Unlock()
	number, err := d.host.bind("tcp", 0, d)
	if err != nil {
		return err
	}
	d.local = netip.AddrPortFrom(d.host.addr, number)
	d.route = d.host.routeTo("tcp", d.local, d.remote)
	n.signal(d.route, d.syn)
	n.run()
	return nil
}

// syn is the SYN's arrival at the remote host. Network.mu is held, as in what
// follows it.
func (d *dialing) syn() {
	n := d.host.n
	if !d.route.local() {
		d.route.dst = n.hosts[d.remote.Addr()] // by now
	}
	switch at := d.route.dst; {
	case at == nil, at.box != nil: // no answer
	case at.listenerAt(d.remote.Port()) == nil:
		n.signal(d.route.back(), func() { // RST
			d.err = os.NewSyscallError("connect", syscall.ECONNREFUSED)
			d.answered()
		})
	default:
		n.signal(d.route.back(), d.synAck)
	}
}

// synAck is the arrival of the SYN-ACK: the dialer's end is open. The ACK is
// its first packet and opens the other.
func (d *dialing) synAck() {
	if d.abandoned {
		return
	}
	near, far := newConns(d)
	d.conn = near
	d.answered()
	near.out.signal(func() {
		if l := far.host.listenerAt(d.remote.Port()); l == nil || !l.established(far) {
			far.host.n.signal(d.route.back(), near.reset) // RST
		}
	})
}

func (d *dialing) answered() {
	if !d.abandoned {
		close(d.done)
	}
}

// finish returns the outcome. An answer counts even if err, which ended the
// wait, came at the same moment.
func (d *dialing) finish(err error) (*conn, error) {
	d.host.n.mu.Lock()
	defer d.host.n.mu.Unlock()
	if d.conn != nil {
		return d.conn, nil
	}
	d.abandoned = true
	d.host.unbind("tcp", d.local.Port())
	if d.err != nil {
		return nil, d.err
	}
	return nil, err
}
