package frame

import (
	"errors"
	"fmt"
)

// A SyntaxError says what is wrong with a text. The whole frame is known nevertheless if it
// comes in Head.Err; one that comes from a Reader says that what follows cannot be told apart.
type SyntaxError struct {
	Where string // "start line", "URI", "Byte-Range" ...
	Text  string // what stands there, cut after 80 bytes
	Msg   string
}

func (e *SyntaxError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("frame: %s: %s", e.Where, e.Msg)
	}
	return fmt.Sprintf("frame: %s: %s: %q", e.Where, e.Msg, e.Text)
}

// ErrTooLong says that a head, or the body of what is no SEND, is longer than any has reason
// to be. After the body the Reader goes on.
var ErrTooLong = errors.New("frame: too long")
