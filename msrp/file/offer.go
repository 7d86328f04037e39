package file

import (
	"strings"

	"github.com/goparley/parley/sdp"
)

// A Kind is what an offered section asks for.
type Kind int

const (
	KindNone       Kind = iota // nothing about files
	KindCapability             // nothing yet; but the peer could transfer files (RFC 5547 section 8.5)
	KindPush                   // to receive a file
	KindPull                   // to send a file
	KindSame                   // nothing new: the transfer is known, be it under way or over
	KindEnded                  // port 0: to end a transfer, or that it was refused
)

var kinds = [...]string{"none", "capability", "push", "pull", "same", "ended"}

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kinds) {
		return "unknown"
	}
	return kinds[k]
}

// Read returns what an offered section is, and what it says of the file.
// known are the transfers of this session so far, which both sides began: an
// identifier that one of them has is no new transfer (RFC 5547 section 8.1).
// A push or a pull whose Range begins beyond octet 1 resumes one that was
// broken off.
//
// For the answer to an OPTIONS request Read tells the capability as well; it
// has no section but with port 0.
//
// What comes with an error is to be refused, and ended if it
// was going on. The error is ErrNoSelector, ErrNoID, ErrDirection, ErrRange,
// ErrOtherFile or a [*SyntaxError]. A section with port 0 has none: it ends the
// transfer whatever else it says.
func Read(m *sdp.Media, known []Description) (Kind, Description, error) {
	selector, has := attribute(m, attrSelector)
	_, hasID := attribute(m, attrID)
	switch {
	case !has && !hasID:
		return KindNone, Description{}, nil
	case strings.Trim(selector, " ") == "" && !hasID:
		return KindCapability, Description{}, nil
	}
	d, err := describe(m)
	switch {
	case m.Port == 0:
		return KindEnded, d, nil
	case err != nil:
		return KindNone, Description{}, err
	case d.Selector.isZero():
		return KindNone, Description{}, ErrNoSelector
	case d.ID == "":
		return KindNone, Description{}, ErrNoID
	}
	kind, err := d.kind(known)
	if err != nil {
		return KindNone, Description{}, err
	}
	return kind, d, nil
}

func (d Description) kind(known []Description) (Kind, error) {
	same := false
	for _, k := range known {
		if k.ID != d.ID {
			continue
		}
		if d.Selector.contradicts(k.Selector) {
			return KindNone, ErrOtherFile
		}
		same = true
	}
	// Sections in use may be put on hold, so their direction says nothing.
	switch {
	case same:
		return KindSame, nil
	case !d.Range.fits(d.Selector.Size):
		return KindNone, ErrRange
	case d.Direction == sdp.SendOnly:
		return KindPush, nil
	case d.Direction == sdp.RecvOnly:
		return KindPull, nil
	}
	return KindNone, ErrDirection
}

// SetCapability makes a section of an answer to OPTIONS say that files can be
// transferred (RFC 5547 section 8.5): it has an empty a=file-selector, and no
// other attribute of RFC 5547.
func SetCapability(m *sdp.Media) {
	m.Attributes = append(without(m), sdp.Attribute{Name: attrSelector})
}
