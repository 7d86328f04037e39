package siptest

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxDatagram is the most that a UDP datagram over IPv4 carries, in bytes:
// 65,535 less the IP and UDP headers.
const maxDatagram = 65507

// packetConn is a datagram socket.
type packetConn struct {
	host    *Host
	network string         // as given to ListenPacket
	local   netip.AddrPort // as bound: the host's address or an unspecified one
	source  netip.AddrPort // where its datagrams come from
	mapped  bool           // IPv4 peers are read as IPv4-mapped

	// Network.mu guards what follows.
	closed        bool
	queue         queue
	readable      sync.Cond
	flows         map[netip.AddrPort]*flow // by destination, where the link is not perfect
	readDeadline  deadline
	writeDeadline deadline // nothing waits to write: it has no timer
}

func newPacketConn(h *Host, network string) *packetConn {
	c := &packetConn{host: h, network: network}
	c.readable.L = &h.n.mu
	return c
}

func (c *packetConn) bound(local netip.AddrPort) {
	c.local = local
	c.source = netip.AddrPortFrom(c.host.addr, local.Port())
	c.mapped = local.Addr().Is6() && c.host.addr.Is4()
}

func (c *packetConn) fail(op string, addr net.Addr, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: addr, Err: err}
}

// ReadFromUDPAddrPort is that of [net.UDPConn].
func (c *packetConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n := c.host.n
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, netip.AddrPort{}, c.fail("read", nil, net.ErrClosed)
		case c.readDeadline.passed():
			return 0, netip.AddrPort{}, c.fail("read", nil, os.ErrDeadlineExceeded)
		case c.queue.n > 0:
			p := c.queue.take()
			size, from := copy(b, p.data), p.from
			n.recycle(p)
			if c.mapped {
				from = netip.AddrPortFrom(netip.AddrFrom16(from.Addr().As16()), from.Port())
			}
			return size, from, nil
		}
		c.readable.Wait()
	}
}

// ReadFrom is that of [net.PacketConn]. The address is a *net.UDPAddr.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	size, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return size, net.UDPAddrFromAddrPort(from), nil
}

// WriteToUDPAddrPort is that of [net.UDPConn].
func (c *packetConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	to := netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
	var errno syscall.Errno
	switch {
	case !to.IsValid() || to.Port() == 0:
		errno = syscall.EINVAL
	case to.Addr().Is4() != c.host.addr.Is4():
		errno = syscall.ENETUNREACH
	case len(b) > maxDatagram:
		errno = syscall.EMSGSIZE
	}
	if errno != 0 {
		return 0, c.fail("write", net.UDPAddrFromAddrPort(addr), os.NewSyscallError("sendto", errno))
	}
	n := c.host.n
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case c.closed:
		return 0, c.fail("write", net.UDPAddrFromAddrPort(addr), net.ErrClosed)
	case c.writeDeadline.passed():
		return 0, c.fail("write", net.UDPAddrFromAddrPort(addr), os.ErrDeadlineExceeded)
	}
	c.send(b, to)
	return len(b), nil
}

// send puts a datagram on its way. n.mu is held.
func (c *packetConn) send(b []byte, to netip.AddrPort) {
	n := c.host.n
	r := c.host.routeTo("udp", c.source, to)
	verdict := n.judge("udp", &r, b)
	now := n.now()
	ft := fate{due: now, again: now}
	if link := r.link(); link != (Link{}) {
		ft = c.flowTo(to).datagram(link, now)
	}
	lost := ft.lost || verdict.Drop || r.broken()
	n.stats.Sent++
	n.note("udp", &r, b, lost)
	if lost {
		n.stats.Lost++
		return
	}
	extra := max(verdict.Delay, 0)
	n.schedule.push(ft.due+extra, n.newParcel(&r, b))
	if ft.twice {
		verdict.Duplicate = max(verdict.Duplicate, 0) + 1
	}
	for range verdict.Duplicate {
		n.stats.Duplicated++
		n.schedule.push(ft.again+extra, n.newParcel(&r, b))
	}
	n.run()
}

// flowTo returns the flow to a destination. n.mu is held.
func (c *packetConn) flowTo(to netip.AddrPort) *flow {
	f := c.flows[to]
	if f == nil {
		if c.flows == nil {
			c.flows = make(map[netip.AddrPort]*flow)
		}
		f = newFlow(c.host.n.config.Seed, "udp"+c.host.realm(), c.source, to)
		c.flows[to] = f
	}
	return f
}

// WriteTo is that of [net.PacketConn]. The address is a *net.UDPAddr.
func (c *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok || to == nil {
		return 0, c.fail("write", addr, syscall.EINVAL)
	}
	return c.WriteToUDPAddrPort(b, to.AddrPort())
}

// Close is that of [net.PacketConn]: readers get net.ErrClosed, and what is in
// the queue is dropped.
func (c *packetConn) Close() error {
	n := c.host.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.fail("close", nil, net.ErrClosed)
	}
	c.closed = true
	c.host.unbind("udp", c.local.Port())
	for c.queue.n > 0 {
		n.recycle(c.queue.take())
	}
	c.flows = nil
	c.readDeadline.set(time.Time{}, nil)
	c.readable.Broadcast()
	return nil
}

// LocalAddr returns the *net.UDPAddr to which the socket is bound.
func (c *packetConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local) }

// SetDeadline is that of [net.PacketConn], as are the two below.
func (c *packetConn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

func (c *packetConn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

func (c *packetConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *packetConn) setDeadlines(t time.Time, read, write bool) error {
	c.host.n.mu.Lock()
	defer c.host.n.mu.Unlock()
	if c.closed {
		return c.fail("set", nil, net.ErrClosed)
	}
	if read {
		c.readDeadline.set(t, c.wake)
		c.readable.Broadcast()
	}
	if write {
		c.writeDeadline.at = t
	}
	return nil
}

func (c *packetConn) wake() {
	c.host.n.mu.Lock()
	defer c.host.n.mu.Unlock()
	c.readable.Broadcast()
}

// A queue is parcels in order.
type queue struct {
	head, tail *parcel
	n          int
}

func (q *queue) put(p *parcel) {
	if q.n == 0 {
		q.head = p
	} else {
		q.tail.next = p
	}
	q.tail = p
	q.n++
}

func (q *queue) take() *parcel {
	p := q.head
	q.head = p.next
	p.next = nil
	q.n--
	return p
}
