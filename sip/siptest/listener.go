package siptest

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// backlog is how many connections wait for Accept. One more is reset.
const backlog = 128

// listener is a stream socket that accepts connections.
type listener struct {
	host    *Host
	network string
	local   netip.AddrPort
	mapped  bool // connections show IPv4 addresses as IPv4-mapped

	// Network.mu guards what follows.
	closed     bool
	waiting    []*conn
	acceptable sync.Cond
}

// Listen accepts stream connections, as [net.ListenConfig.Listen] does. The
// network is "tcp", "tcp4" or "tcp6". Errors are *net.OpError, for EADDRINUSE
// and EADDRNOTAVAIL among others. The context is not looked at.
//
// 128 connections wait for Accept; those beyond are reset. Connections are
// those of [Host.DialContext].
func (h *Host) Listen(_ context.Context, network, address string) (net.Listener, error) {
	if !isStream(network) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	local, err := h.localAddr(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	l := &listener{host: h, network: network}
	l.acceptable.L = &h.n.mu
	number, err := h.bind("tcp", local.Port(), l)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Source: net.TCPAddrFromAddrPort(local), Err: err}
	}
	l.local = netip.AddrPortFrom(local.Addr(), number)
	l.mapped = local.Addr().Is6() && h.addr.Is4()
	return l, nil
}

func isStream(network string) bool {
	return network == "tcp" || network == "tcp4" || network == "tcp6"
}

// listenerAt returns who accepts connections at a port, or nil. n.mu is held.
func (h *Host) listenerAt(number uint16) *listener {
	l, _ := h.ports[port{"tcp", number}].(*listener)
	return l
}

// established takes a connection whose opening is complete, unless it cannot.
// Network.mu is held.
func (l *listener) established(c *conn) bool {
	if l.closed || len(l.waiting) >= backlog {
		return false
	}
	c.network = l.network
	l.host.conns[c] = true
	if l.mapped {
		c.local, c.remote = mapped(c.local), mapped(c.remote)
	}
	l.waiting = append(l.waiting, c)
	l.acceptable.Signal()
	return true
}

func mapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(ap.Addr().As16()), ap.Port())
}

// Accept is that of [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	l.host.n.mu.Lock()
	defer l.host.n.mu.Unlock()
	for {
		switch {
		case l.closed:
			return nil, l.fail("accept")
		case len(l.waiting) > 0:
			c := l.waiting[0]
			l.waiting[0] = nil
			l.waiting = l.waiting[1:]
			return c, nil
		}
		l.acceptable.Wait()
	}
}

// Close is that of [net.Listener]. Connections that nobody accepted are reset.
func (l *listener) Close() error {
	l.host.n.mu.Lock()
	defer l.host.n.mu.Unlock()
	if l.closed {
		return l.fail("close")
	}
	l.closed = true
	l.host.unbind("tcp", l.local.Port())
	for _, c := range l.waiting {
		c.reset()
	}
	l.waiting = nil
	l.acceptable.Broadcast()
	return nil
}

// Addr returns the *net.TCPAddr to which the listener is bound.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.local) }

func (l *listener) fail(op string) error {
	return &net.OpError{Op: op, Net: l.network, Addr: l.Addr(), Err: net.ErrClosed}
}
