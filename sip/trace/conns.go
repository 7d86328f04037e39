package trace

import "net/netip"

// maxConns is how many connections are remembered. One that is forgotten, and
// then has another message, begins anew.
const maxConns = 4096

// conn counts the bytes of a connection, by the end that sends them.
type conn struct {
	client netip.AddrPort // the end that was first seen to send
	seq    [2]uint32      // next of the client, next of the server
}

// ends returns the sequence numbers of one end and of the other.
func (c *conn) ends(from netip.AddrPort) (own, other *uint32) {
	if from == c.client {
		return &c.seq[0], &c.seq[1]
	}
	return &c.seq[1], &c.seq[0]
}

// endpoints is a connection by its ends, the lesser first.
type endpoints struct{ a, b netip.AddrPort }

// conns is the connections that were seen.
type conns struct {
	open  map[endpoints]*conn
	order []endpoints // oldest first
	count uint32      // of all that there have been
}

func newConns() conns { return conns{open: map[endpoints]*conn{}} }

// key returns the ends of a connection that a packet is of.
func (o packetTo) key() endpoints {
	if o.to.Compare(o.from) < 0 {
		return endpoints{o.to, o.from}
	}
	return endpoints{o.from, o.to}
}

// forget ends a connection. The next packet with its addresses begins another.
func (t *conns) forget(o packetTo) { delete(t.open, o.key()) }

// between returns the connection of a packet. One that is new begins with a
// handshake (RFC 9293 section 3.5).
func (t *conns) between(o packetTo) *conn {
	key := o.key()
	if c := t.open[key]; c != nil {
		return c
	}
	if len(t.order) == maxConns {
		delete(t.open, t.order[0])
		t.order = t.order[1:]
	}
	// The initial numbers differ, lest a connection that begins anew be taken
	// for the one before.
	t.count++
	client, server := t.count<<20, t.count<<20+1<<19
	c := &conn{client: o.from, seq: [2]uint32{client + 1, server + 1}}
	t.open[key] = c
	t.order = append(t.order, key)

	o = o.uncommented()
	back := o
	back.from, back.to, back.dir = o.to, o.from, inbound+outbound-o.dir
	o.segment(flagSYN, client, 0, "")
	back.segment(flagSYN|flagACK, server, client+1, "")
	o.segment(flagACK, client+1, server+1, "")
	return c
}
