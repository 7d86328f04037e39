package cpim

import (
	"errors"
	"fmt"
	"strings"
)

// ErrTooLarge tells that the header of a message, the part before its content,
// has more than 16 KiB or 256 lines.
var ErrTooLarge = errors.New("cpim: header is too large")

// A SyntaxError tells what is wrong with a message and where.
type SyntaxError struct {
	Offset int // in bytes from the start of the message, to the line
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("cpim: line at byte %d: %s", e.Offset, e.Msg)
}

// A RequireError tells what a message requires of its recipient that is not
// understood (RFC 3862 section 3.5). Such a message is not to be shown: it is
// refused, in MSRP and in SIP with 415.
type RequireError struct {
	Names []Name
}

func (e *RequireError) Error() string {
	var b strings.Builder
	b.WriteString("cpim: required and not understood:")
	for i, n := range e.Names {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s of %q", n.Local, n.Namespace)
	}
	return b.String()
}
