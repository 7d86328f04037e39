package file

import (
	"errors"
	"fmt"
)

// What is wrong with a section that can be read, and why it is to be refused.
var (
	// ErrNoSelector tells that no file is selected (RFC 5547 section 6).
	ErrNoSelector = errors.New("file: no selector")

	// ErrNoID tells that the transfer has no identifier (RFC 5547 section 8.1).
	ErrNoID = errors.New("file: no transfer identifier")

	// ErrDirection tells that a new transfer does not go one way (RFC 5547
	// section 8).
	ErrDirection = errors.New("file: neither sendonly nor recvonly")

	// ErrRange tells that the file has no such octets, or that the answer is
	// about others than the offer (RFC 5547 sections 8.3.1 and 8.3.2).
	ErrRange = errors.New("file: not the range of the file")

	// ErrOtherFile tells that this is another file than the one selected: an
	// identifier comes again with another selector (RFC 5547 section 8.1), an
	// answer is about another file, or a file is not what its selector said.
	ErrOtherFile = errors.New("file: another file")

	// ErrRefused tells that the answerer has refused the transfer.
	ErrRefused = errors.New("file: refused")
)

// A SyntaxError is what is wrong with an attribute of a section.
type SyntaxError struct {
	Attribute string // its name, "file-selector" say
	Offset    int    // in its value, in bytes, of the word that is wrong
	Msg       string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("file: a=%s: offset %d: %s", e.Attribute, e.Offset, e.Msg)
}
