package sdp

// A Direction says which way media flows, seen by the side whose description
// it is in (RFC 8866 section 6.7). The zero value is SendRecv.
type Direction uint8

// The low bit takes away receiving, the next bit sending: what two sides both
// agree to is the bitwise or of their directions.
const (
	SendRecv Direction = iota // both ways
	SendOnly                  // we only send: the peer is on hold
	RecvOnly                  // we only receive: we are on hold
	Inactive                  // neither
)

var directions = [...]string{"sendrecv", "sendonly", "recvonly", "inactive"}

// String returns the attribute's name: "sendrecv", "sendonly", "recvonly" or
// "inactive".
func (d Direction) String() string { return directions[d&3] }

// Sends reports whether the describing side sends.
func (d Direction) Sends() bool { return d&2 == 0 }

// Receives reports whether the describing side wants to receive.
func (d Direction) Receives() bool { return d&1 == 0 }

// Reverse returns the same flow seen by the other side: SendOnly becomes
// RecvOnly and the other way around.
func (d Direction) Reverse() Direction { return d&1<<1 | d>>1&1 }

// Answer returns the direction to answer an offered direction d with, by a
// side that would itself like own: never more than both want
// (RFC 3264 section 6.1). A side that is offered SendOnly while it holds the
// offerer itself (own is SendOnly) answers Inactive.
func (d Direction) Answer(own Direction) Direction { return d.Reverse() | own&3 }
