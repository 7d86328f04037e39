package transport

import (
	"net"
	"net/netip"
	"time"
)

// admitLocked takes a place among the connections that peers cause. e.mu is
// held.
func (e *Endpoint) admitLocked(from netip.Addr) bool {
	if e.caused >= e.cfg.MaxConns || !e.sources.admit(from) {
		e.count.refusedConns.Add(1)
		return false
	}
	e.caused++
	return true
}

// admit is admitLocked for a connection that has been accepted.
func (e *Endpoint) admit(from netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.admitLocked(from)
}

// enter admits a connection that a peer has made. If there are too many it is
// closed, and the socket is nil.
func (e *Endpoint) enter(nc net.Conn) *socket {
	from := addrPort(nc.RemoteAddr()).Addr()
	if !e.admit(from) {
		nc.Close()
		return nil
	}
	return &socket{Conn: nc, opened: time.Now(), release: func() { e.release(from) }}
}

// release gives back what admit took.
func (e *Endpoint) release(from netip.Addr) {
	e.sources.release(from)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.caused--
}
