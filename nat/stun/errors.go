package stun

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	// ErrTimeout means that a server did not answer.
	ErrTimeout = errors.New("stun: no answer")

	// ErrBadAnswer means that a server answered with what cannot be used: it
	// tells no address, or has an attribute that must be understood and is not.
	ErrBadAnswer = errors.New("stun: answer cannot be used")
)

// Error is an error response (RFC 8489 section 6.3.4).
type Error struct {
	Code    int      // 300 to 699; 420: an attribute was not understood
	Reason  string   // the server's words, up to 763 bytes of anything; may be empty
	Unknown []uint16 // with 420: the attributes that the server does not know
}

func (e *Error) Error() string {
	s := fmt.Sprintf("stun: refused with %d", e.Code)
	if e.Reason != "" {
		s += fmt.Sprintf(" %q", e.Reason) // quoted: it is a stranger's
	}
	if len(e.Unknown) > 0 {
		s += fmt.Sprintf(", unknown attributes %#04x", e.Unknown)
	}
	return s
}

// readError returns what an error response says, or nil if it does not say.
func readError(m *message) *Error {
	var e *Error
	var unknown []uint16
	for a := range m.attributes() {
		switch {
		case a.kind == errorCode && e == nil:
			if len(a.value) < 4 || len(a.value) > 4+maxText {
				return nil
			}
			class, number := int(a.value[2]&7), int(a.value[3])
			if class < 3 || class > 6 || number > 99 {
				return nil
			}
			e = &Error{Code: class*100 + number, Reason: string(a.value[4:])}
		case a.kind == unknownAttributes && unknown == nil:
			for list := a.value[:min(len(a.value), 2*maxUnknown)]; len(list) >= 2; list = list[2:] {
				unknown = append(unknown, binary.BigEndian.Uint16(list))
			}
		}
	}
	if e != nil && e.Code == unknownAttribute {
		e.Unknown = unknown
	}
	return e
}
