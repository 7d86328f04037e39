package transport

import (
	"errors"
	"net/netip"
	"time"

	"github.com/goparley/parley/sip"
)

// Flow is a way to one peer: a UDP socket of ours, the peer's address and ours,
// or a connection. It is a value that may be kept and compared; the zero Flow
// leads nowhere. A flow over a connection ends with the connection.
type Flow struct {
	via    carrier
	local  netip.Addr // where via is bound to a wildcard: ours; zero: not known
	remote netip.AddrPort
}

// carrier is a UDP socket or a stream connection.
type carrier interface {
	endpoint() *Endpoint
	transport() string
	localAddr() netip.AddrPort
	// sendable returns the error that send would return now, if it is known.
	sendable(size int) error
	// send writes a message on a flow by this carrier. It does not wait for the
	// peer.
	send(text string, f Flow) error
}

// IsZero reports whether this is the zero Flow.
func (f Flow) IsZero() bool { return f.via == nil }

// Transport returns "UDP", "TCP", "TLS", "WS" or "WSS", as in a Via; "" for the
// zero Flow.
func (f Flow) Transport() string {
	if f.via == nil {
		return ""
	}
	return f.via.transport()
}

// Reliable reports whether the transport retransmits by itself.
func (f Flow) Reliable() bool { return f.via != nil && f.via.transport() != viaUDP }

// Secure reports whether the flow runs on TLS.
func (f Flow) Secure() bool { return isSecure(f.Transport()) }

// Identities returns the SIP domains that the peer has proved to be by its
// certificate (RFC 5922 section 7.1), in lower case; nil without TLS, and for a
// client that has shown no certificate. A WSS server that we have connected to
// has the one host that was asked for. It is not to be changed.
func (f Flow) Identities() []string {
	switch via := f.via.(type) {
	case *conn:
		return via.identities
	case *formerConn:
		return via.identities
	}
	return nil
}

// Err returns what has ended the flow: nil as long as it can be sent on, as far as
// is known here, and always for UDP; ErrNoFlow for the zero Flow.
func (f Flow) Err() error {
	switch via := f.via.(type) {
	case nil, *formerConn:
		return ErrNoFlow
	case *conn:
		return via.reason()
	}
	return nil
}

// Accepted reports whether the peer has made the connection, and so may make another
// one when it ends.
func (f Flow) Accepted() bool {
	c, ok := f.via.(*conn)
	return ok && c.accepted
}

// Opened returns when the connection was made; the zero time for UDP.
func (f Flow) Opened() time.Time {
	if c, ok := f.via.(*conn); ok {
		return c.opened
	}
	return time.Time{}
}

// LocalAddr returns our address. For a UDP socket that is bound to a wildcard it
// is the one that the peer has sent to or, for a flow to a target, the one that
// leads there: what is sent on the flow leaves from that. It is the wildcard
// where that is not known: on systems other than Linux, on a Network that has
// sockets of its own, and for a multicast or broadcast address. The system then
// chooses.
func (f Flow) LocalAddr() netip.AddrPort {
	switch {
	case f.via == nil:
		return netip.AddrPort{}
	case f.local.IsValid():
		return netip.AddrPortFrom(f.local, f.via.localAddr().Port())
	}
	return f.via.localAddr()
}

// RemoteAddr returns the address of the peer.
func (f Flow) RemoteAddr() netip.AddrPort { return f.remote }

// String returns the flow as "UDP 192.0.2.1:5060 to 192.0.2.2:5060".
func (f Flow) String() string {
	if f.via == nil {
		return "no flow"
	}
	return f.Transport() + " " + f.LocalAddr().String() + " to " + f.remote.String()
}

// Send writes a message on a flow as it is, but for a Content-Length that it
// lacks and a stream needs. A response belongs to Respond, the first
// transmission of a request to SendRequest.
//
// A nil error means that the message was handed to the socket or queued for the
// connection; a connection that fails later is reported to Config.Closed.
// ErrNoFlow means that the connection is gone, ErrBacklog that its peer does
// not read or that Config.MaxBytes is reached, and ErrClosed that the Endpoint is
// closed. What the network says of a datagram is a *net.OpError; an ICMP answer
// to it is not waited for.
func (e *Endpoint) Send(f Flow, m sip.Message) error {
	if isNil(m) {
		return errNoMessage
	}
	if err := m.Err(); err != nil {
		return err
	}
	if f.via == nil {
		return ErrNoFlow
	}
	if f.Reliable() {
		m = framed(m)
		if err := m.Err(); err != nil {
			return err
		}
	}
	text := m.String()
	err := f.via.sendable(len(text))
	if err == nil {
		e.traceSending(f, m) // before there can be an answer to it
		err = f.via.send(text, f)
	}
	if err == nil {
		e.count.sent.Add(1)
	} else if e.ctx.Err() != nil {
		err = ErrClosed
	}
	return err
}

// errNoMessage says that there is nothing to send.
var errNoMessage = errors.New("transport: message is nil")

func isNil(m sip.Message) bool {
	switch m := m.(type) {
	case *sip.Request:
		return m == nil
	case *sip.Response:
		return m == nil
	}
	return true
}

// framed returns a message as it goes on a stream, where Content-Length alone
// tells its end (RFC 3261 sections 18.3 and 20.14). One without, as UDP allows,
// would let whoever wrote its body write the next message too.
func framed(m sip.Message) sip.Message {
	length := sip.ContentLength(len(m.Body()))
	if has, err := sip.Get[sip.ContentLength](m); err == nil && has == length {
		return m
	}
	switch m := m.(type) {
	case *sip.Request:
		return m.With(length)
	case *sip.Response:
		return m.With(length)
	}
	return m
}
