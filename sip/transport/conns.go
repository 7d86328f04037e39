package transport

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/goparley/parley/sip/resolve"
)

// connKey is what a connection is found by: the address at the far end and,
// where the transport knows names, the name that the peer has proved or was
// asked for. An address alone says nothing about who is there (RFC 5923 section
// 8.1).
type connKey struct {
	kind string
	addr netip.AddrPort
	host string // as domainName writes it; "" for TCP
}

func keyOf(to resolve.Target) connKey {
	return connKey{to.Transport, to.Addr, hostKey(to.Transport, to.Host, to.Addr)}
}

// hostKey returns the host of a connKey, in the form that identities have.
func hostKey(kind, host string, addr netip.AddrPort) string {
	if kind == viaTCP {
		return ""
	}
	if host == "" {
		host = addr.Addr().WithZone("").String()
	}
	return cmp.Or(domainName(host), strings.ToLower(host))
}

// connEntry is a place in the table of connections (RFC 3261 section 18). It is
// there from the moment that the first sender dials, so that others wait
// instead of dialling too.
type connEntry struct {
	ready chan struct{} // closed when conn or err is final
	conn  *conn         // Endpoint.mu guards it until then
	err   error
	brief bool // opened for no request; Endpoint.mu guards it
}

func (entry *connEntry) isReady() bool {
	select {
	case <-entry.ready:
		return true
	default:
		return false
	}
}

// connected reports whether a connection to a target is there.
func (e *Endpoint) connected(to resolve.Target) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	entry := e.conns[keyOf(to)]
	return entry != nil && entry.isReady()
}

// takeConn takes a connection that a peer made. Without TLS, requests to that
// very address use it, which is how a client without a listener is reached.
// With TLS an address is no reason to send anything: see alias.
func (e *Endpoint) takeConn(c *conn) {
	c.accepted = true
	if !e.startConn(c) || isSecure(c.kind) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.live[c]; open && c.remote.IsValid() {
		e.list(c, connKey{c.kind, c.remote, hostKey(c.kind, "", c.remote)})
	}
}

// startConn begins to read from a connection, unless the Endpoint is closed:
// then it closes it and returns false.
func (e *Endpoint) startConn(c *conn) bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		c.sock.Close()
		return false
	}
	defer e.mu.Unlock()
	c.sock.shaken.Store(true)
	e.lastConn++
	c.id = e.lastConn
	e.live[c] = struct{}{}
	e.byID[c.id] = c
	e.clockIn(&c.shift)
	go c.read() // ends when the connection is closed, by either side
	return true
}

// publish has a connection that was opened found by all the names that its peer
// has proved, beside the one that was asked for.
func (e *Endpoint) publish(c *conn, asked connKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.keys = append(c.keys, asked)
	e.listNames(c, asked.addr)
	if isWebSocket(c.kind) {
		e.listWebSocket(c, asked)
	}
	if _, open := e.live[c]; !open {
		e.unlist(c) // over already
	}
}

// list has a connection found by a further key. e.mu is held.
func (e *Endpoint) list(c *conn, key connKey) {
	if old := e.conns[key]; old != nil {
		switch {
		case old.conn == c, !old.isReady():
			return
		case c.accepted && !old.conn.accepted && !isSecure(c.kind):
			// Nobody has proved anything, but there is whom we have asked for.
			return
		}
		// A peer that connects once more from the same port, or as the same
		// domain, has lost the older connection, whatever that looks like from
		// here.
	}
	entry := &connEntry{ready: make(chan struct{}), conn: c}
	close(entry.ready)
	e.conns[key] = entry
	c.keys = append(c.keys, key)
}

// maxNames bounds the names of a peer that a connection is found by.
const maxNames = 16

// listNames has a connection found by the names that its peer has proved. e.mu
// is held.
func (e *Endpoint) listNames(c *conn, addr netip.AddrPort) {
	for _, name := range c.identities[:min(len(c.identities), maxNames)] {
		e.list(c, connKey{c.kind, addr, name})
	}
}

// listWebSocket has a WebSocket that we have opened found by what its server
// calls itself in a Record-Route: in a sip URI transport=ws also stands for WSS
// (RFC 7118 sections 5.2 and 8.2), and a number for whoever is there. Who asks
// for that has asked for no proof. e.mu is held.
func (e *Endpoint) listWebSocket(c *conn, asked connKey) {
	for _, host := range append([]string{asked.host, hostKey(viaWS, "", asked.addr)}, c.identities[:min(len(c.identities), maxNames)]...) {
		if key := (connKey{viaWS, asked.addr, host}); e.conns[key] == nil {
			e.list(c, key)
		}
	}
}

// alias has a connection of TLS that a peer made used for requests to that peer
// (RFC 5923 section 8.2): if it has asked for that in the Via of a request, and
// has proved by a certificate who it is. Port is that of the sent-by, 0: none.
func (e *Endpoint) alias(c *conn, port int) {
	if !c.accepted || c.kind != viaTLS || len(c.identities) == 0 {
		return
	}
	addr := netip.AddrPortFrom(c.remote.Addr(), uint16(cmp.Or(port, defaultPort(viaTLS))))
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.live[c]; !open || slices.ContainsFunc(c.keys, func(k connKey) bool { return k.addr != addr }) {
		return // gone, or the alias of another port already: one is enough
	}
	e.listNames(c, addr)
}

// Retire has requests no longer sent by the connection of a flow unless it is
// named: new ones open another. It is for one on which nothing comes back, as
// when a NAT in between has forgotten it.
func (e *Endpoint) Retire(f Flow) {
	if c, ok := f.via.(*conn); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.unlist(c)
	}
}

// Hold keeps the connection of a flow from being closed because it is idle
// (Config.Idle), until Release is called as often: something is to come by it, or
// to go, however long that takes, as the answer to a call that rings. For another
// flow it does nothing.
func (e *Endpoint) Hold(f Flow) {
	if c, ok := f.via.(*conn); ok {
		c.awaited.Add(1)
	}
}

// Release undoes one Hold of the same flow. From the last one on the connection
// may be idle.
func (e *Endpoint) Release(f Flow) {
	if c, ok := f.via.(*conn); ok {
		c.touch() // first, see expiry
		c.awaited.Add(-1)
	}
}

// unlist has a connection found no more. e.mu is held.
func (e *Endpoint) unlist(c *conn) {
	for _, key := range c.keys {
		if entry := e.conns[key]; entry != nil && entry.conn == c {
			delete(e.conns, key)
		}
	}
	c.keys = nil
}

// dropConn forgets a connection that is over.
func (e *Endpoint) dropConn(c *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.live[c]; !open {
		return
	}
	delete(e.live, c)
	delete(e.byID, c.id)
	e.unlist(c)
}
