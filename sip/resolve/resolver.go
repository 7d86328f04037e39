package resolve

import (
	"context"
	"net/netip"
	"strconv"
	"time"
)

// Resolver answers the questions of a Client; it is how a program brings its
// own DNS. It is called from many goroutines at once, 200 at most, and should
// return when ctx ends, which is after 20 seconds if not before.
//
// An answer without records says that there are none of that type, whether or
// not the name exists; so does a *net.DNSError with IsNotFound. Any other error
// says that it could not be found out; so does a panic, which is logged. Aliases
// (CNAME) are followed by the Resolver. Names have no dot at their end.
type Resolver interface {
	Lookup(ctx context.Context, name string, t Type) (*Answer, error)
}

// Type is the type of DNS records that a question is for.
type Type uint16

// The types that a Client asks for.
const (
	TypeA     Type = 1
	TypeAAAA  Type = 28
	TypeSRV   Type = 33
	TypeNAPTR Type = 35
)

// String returns the type as in a zone file.
func (t Type) String() string {
	switch t {
	case TypeA:
		return "A"
	case TypeAAAA:
		return "AAAA"
	case TypeSRV:
		return "SRV"
	case TypeNAPTR:
		return "NAPTR"
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// Answer holds the records of one name and the type that was asked for.
// Records of other types in it are passed over.
type Answer struct {
	Addrs []netip.Addr // A, AAAA
	SRV   []SRV
	NAPTR []NAPTR

	// TTL is how long the answer holds, also that of one without records. It
	// is kept for at least a second, and at most for a day, or an hour if it
	// has no records.
	TTL time.Duration
}

// SRV is a record that names a host of a service (RFC 2782).
type SRV struct {
	Priority, Weight, Port uint16
	Target                 string // host name; "." says that the service is not there
}

// NAPTR is a record that names a service of a domain (RFC 3403 section 4),
// without its regular expression.
type NAPTR struct {
	Order, Preference uint16
	Flags, Service    string
	Replacement       string // where the SRV records are, or with flag "a" the addresses
}
