package websocket

import (
	"errors"
	"fmt"
	"net/http"
)

var (
	// ErrProtocol means that the peer broke the rules of RFC 6455.
	ErrProtocol = errors.New("websocket: protocol error")

	// ErrTooLong means that a message was longer than Config.Limit.
	ErrTooLong = errors.New("websocket: message too long")

	// ErrFlood means that the peer sent more pings and pongs than any has reason
	// to, 100 in ten seconds.
	ErrFlood = errors.New("websocket: flood of pings")
)

// Close codes of RFC 6455 section 7.4.1, and of its registry.
const (
	CodeNormal    = 1000
	CodeGoingAway = 1001
	CodeProtocol  = 1002
	CodeNone      = 1005 // a close frame without a code; cannot be sent
	CodePolicy    = 1008
	CodeTooLong   = 1009
	CodeTryLater  = 1013 // registered with IANA
)

// holdError carries what Config.Hold has said.
type holdError struct{ error }

// CloseError means that the peer closed the connection with a close frame.
type CloseError struct {
	Code   int    // CodeNone if the frame had none
	Reason string // what the peer says, at most 123 bytes of anything
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: closed by the peer: %d %q", e.Code, e.Reason)
}

// StatusError means that a server answered the handshake with something else
// than 101, such as a 401 with its challenge (RFC 7118 section 7).
type StatusError struct {
	Code   int
	Header http.Header
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("websocket: handshake answered with %d %s", e.Code, http.StatusText(e.Code))
}
