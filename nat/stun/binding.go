package stun

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"time"
)

// Timing over UDP (RFC 8489 section 6.2.1).
const (
	rto         = 500 * time.Millisecond // to the first retransmission; doubles from there
	maxRequests = 7                      // Rc
	lastWait    = 16 * rto               // Rm: after the last request
)

// A Binding is the client's side of one Binding transaction: a question to a
// server, from when it is first sent to the answer or to giving up. It does no
// I/O and reads no clock. It is not safe for use by several goroutines at once.
//
// Call [Binding.Step] to begin and whenever it asks to be called again, and give
// [Binding.Answer] what arrives.
type Binding struct {
	server  netip.AddrPort
	request [headerSize]byte
	sent    int       // requests so far
	next    time.Time // when the next is due, or the end
	ended   bool      // answered
}

// NewBinding returns a transaction with a server that has not begun. Its
// request has no attributes, as RFC 5626 section 8 has it, and a transaction
// ID that nobody can guess.
func NewBinding(server netip.AddrPort) *Binding {
	b := &Binding{server: plain(server)}
	appendHeader(b.request[:0], bindingRequest, [idSize]byte{})
	rand.Read(b.request[headerSize-idSize:])
	return b
}

// Server returns the address that the request goes to.
func (b *Binding) Server() netip.AddrPort { return b.server }

// Request returns the request, 20 bytes that must not be changed. Each
// retransmission is the same.
func (b *Binding) Request() []byte { return b.request[:] }

// Step takes the transaction to a point in time. It reports whether the request
// is to be sent now, and when to call Step again, unless there is an answer
// before; a call that comes early changes nothing. Requests go out at 0, 0.5,
// 1.5, 3.5, 7.5, 15.5 and 31.5 seconds, and at 39.5 seconds Step returns
// ErrTimeout. After an answer it returns the zero time.
func (b *Binding) Step(now time.Time) (send bool, next time.Time, err error) {
	switch {
	case b.ended:
		return false, time.Time{}, nil
	case b.sent > 0 && now.Before(b.next):
		return false, b.next, nil
	case b.sent == maxRequests:
		return false, time.Time{}, ErrTimeout
	}
	wait := rto << b.sent
	if b.sent++; b.sent == maxRequests {
		wait = lastWait
	}
	b.next = now.Add(wait)
	return true, b.next, nil
}

// Answer reads a datagram that came from an address. It is not ok, and changes
// nothing, unless it is a well-formed answer to this request from its server,
// and the first. If it is, the transaction has ended, with the address at which
// the server sees us or with an error: an *Error that tells what the server
// refused, or ErrBadAnswer.
//
// The address can be of another family than the server's. It is never
// unspecified or multicast, and its port is not 0.
func (b *Binding) Answer(msg []byte, from netip.AddrPort) (mapped netip.AddrPort, ok bool, err error) {
	if b.sent == 0 || b.ended || plain(from) != b.server {
		return netip.AddrPort{}, false, nil
	}
	m, ok := read(msg)
	if !ok || m.kind != bindingSuccess && m.kind != bindingError || string(m.id[:]) != string(b.request[8:]) {
		return netip.AddrPort{}, false, nil
	}
	b.ended = true
	mapped, err = m.answer()
	return mapped, true, err
}

// answer returns what a response says (RFC 8489 sections 6.3.3 and 6.3.4).
func (m *message) answer() (netip.AddrPort, error) {
	for a := range m.attributes() {
		if a.unknown() {
			return netip.AddrPort{}, fmt.Errorf("%w: unknown attribute %#04x", ErrBadAnswer, a.kind)
		}
	}
	if m.kind == bindingError {
		if e := readError(m); e != nil {
			return netip.AddrPort{}, e
		}
		return netip.AddrPort{}, fmt.Errorf("%w: refused without an error code", ErrBadAnswer)
	}
	for a := range m.attributes() {
		if a.kind != xorMappedAddress {
			continue
		}
		if mapped, ok := xorMapped(a.value, m.id); ok {
			return mapped, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%w: no XOR-MAPPED-ADDRESS to be reached at", ErrBadAnswer)
}
