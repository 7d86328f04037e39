package stun

import (
	"encoding/binary"
	"net/netip"
)

const (
	// unknownAttribute is the one error that we answer with: 420.
	unknownAttribute = 420

	// maxUnknown is how many attributes an answer with 420 lists, so that a
	// large request does not make a large answer.
	maxUnknown = 32
)

// Respond returns the answer to the Binding request in a datagram that came
// from an address, to be sent back to that address from the socket at which the
// request arrived (RFC 8489 section 6.3.1). It returns nil if none is due: for
// responses, indications and other methods, and for what is malformed or has a
// wrong FINGERPRINT.
//
// A request with an attribute that has to be understood and is not gets a 420
// that lists it. Credentials are left unread: nothing is asked for any. The
// answer has a FINGERPRINT if the request had one.
//
// An answer is at most 1.6 times as long as its request over IPv4 and 2.2 times
// over IPv6, and never longer than 104 bytes: who forges the address of a
// request gains little.
func Respond(b []byte, from netip.AddrPort) []byte {
	m, ok := read(b)
	if from = plain(from); !ok || m.kind != bindingRequest || !from.IsValid() {
		return nil
	}
	var list [2 * maxUnknown]byte
	unknown := list[:0]
	for a := range m.attributes() {
		if a.unknown() && len(unknown) < len(list) {
			unknown = binary.BigEndian.AppendUint16(unknown, a.kind)
		}
	}
	answer := make([]byte, 0, 64)
	if len(unknown) == 0 {
		answer = appendHeader(answer, bindingSuccess, m.id)
		answer = appendXORMapped(answer, m.id, from)
	} else {
		// Without a reason phrase, which would be most of the answer.
		answer = appendHeader(answer, bindingError, m.id)
		answer = appendAttribute(answer, errorCode, []byte{0, 0, unknownAttribute / 100, unknownAttribute % 100})
		answer = appendAttribute(answer, unknownAttributes, unknown)
	}
	return finish(answer, m.fingerprinted)
}
