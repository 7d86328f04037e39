package file

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sdp"
)

const (
	attrSelector    = "file-selector"
	attrID          = "file-transfer-id"
	attrDisposition = "file-disposition"
	attrDate        = "file-date"
	attrIcon        = "file-icon"
	attrRange       = "file-range"
)

// attributes are those of RFC 5547, in the order of its examples.
var attributes = []string{attrSelector, attrID, attrDisposition, attrDate, attrIcon, attrRange}

// maxID is the length of an identifier that is taken; 32 is recommended
// (RFC 5547 section 8.1).
const maxID = 255

// A Description is what a section says of a file and its transfer (RFC 5547
// section 6).
type Description struct {
	// Direction is that of the section: in an offer, sdp.SendOnly is a push and
	// sdp.RecvOnly a pull (RFC 5547 section 8).
	Direction sdp.Direction

	Selector Selector
	ID       string // of the transfer, new for each
	Range    Range  // the octets to transfer; zero: all

	// What a file sender may say beside it.
	Disposition string    // "render", at once, or "attachment", not before the user wants that; "": render (RFC 5547 section 7)
	Created     time.Time // in seconds, as the other two; zero: not said
	Modified    time.Time
	Read        time.Time
	Icon        string // cid URL of the body part beside the description that has a preview, for ua.FindID (RFC 5547 section 8.8); "": none
}

// newID returns a random identifier for a new transfer (RFC 5547 section 8.1).
// To resume a transfer that was broken off takes a new one, too.
func newID() string { return rand.Text() }

// set describes the file in a section: it sets the direction and replaces all
// attributes of RFC 5547. Port, path and types are left to others (RFC 4975
// section 8). What a section that ends a transfer says is the same, with port 0.
//
// The error is ErrNoSelector, also for a file that is sent and of which
// neither type, size nor hash is known (RFC 5547 section 8.2.1), ErrNoID or
// ErrDirection, or says what cannot be written. Then m is as it was.
func (d Description) set(m *sdp.Media) error {
	if d.Direction != sdp.SendOnly && d.Direction != sdp.RecvOnly {
		return ErrDirection
	}
	s := d.Selector
	if s.isZero() || d.Direction == sdp.SendOnly && s.Type == "" && s.Size == 0 && len(s.Hashes) == 0 {
		return ErrNoSelector
	}
	selector, err := s.text()
	if err != nil {
		return fmt.Errorf("file: write selector: %w", err)
	}
	if d.ID == "" {
		return ErrNoID
	}
	if !isToken(d.ID) || len(d.ID) > maxID {
		return fmt.Errorf("file: not a transfer identifier: %.80q", d.ID)
	}
	if d.Disposition != "" && !isToken(d.Disposition) {
		return fmt.Errorf("file: not a disposition: %.80q", d.Disposition)
	}
	if d.Icon != "" && !isCID(d.Icon) {
		return fmt.Errorf("file: not a cid URL: %.80q", d.Icon)
	}
	dates, err := d.dates()
	if err != nil {
		return err
	}
	if d.Range != (Range{}) && !d.Range.valid() {
		return fmt.Errorf("file: not a range: %v", d.Range)
	}
	list := without(m)
	for i, value := range []string{selector, d.ID, d.Disposition, dates, d.Icon, d.Range.String()} {
		if value != "" {
			list = append(list, sdp.Attribute{Name: attributes[i], Value: value})
		}
	}
	m.Attributes, m.Direction = list, d.Direction
	return nil
}

// describe reads what a section says, and with an error what could be read
// before that. The attributes that a transfer can do without are as if they
// were not there if they cannot be read.
func describe(m *sdp.Media) (Description, error) {
	d := Description{Direction: m.Direction}
	if id, ok := attribute(m, attrID); ok {
		if !isToken(id) || len(id) > maxID {
			return d, &SyntaxError{attrID, 0, "not a token of at most 255 bytes"}
		}
		d.ID = id
	}
	text, _ := attribute(m, attrSelector)
	var err error
	if d.Selector, err = parseSelector(text); err != nil {
		return d, err
	}
	if text, ok := attribute(m, attrRange); ok {
		if d.Range, ok = parseRange(text); !ok {
			return d, &SyntaxError{attrRange, 0, "not a range"}
		}
	}
	if text, _ := attribute(m, attrDisposition); isToken(text) {
		d.Disposition = text
	}
	if text, _ := attribute(m, attrIcon); isCID(text) {
		d.Icon = text
	}
	text, _ = attribute(m, attrDate)
	d.setDates(text)
	return d, nil
}

// attribute returns the value of the first attribute of a name: only one
// counts, and those of the session level are none (RFC 5547 section 6). It is a
// copy, which does not keep the whole description as long as a transfer lasts.
func attribute(m *sdp.Media, name string) (value string, ok bool) {
	for _, a := range m.Attributes {
		if a.Name == name {
			return strings.Clone(a.Value), true
		}
	}
	return "", false
}

// without returns the attributes of a section but those of RFC 5547.
func without(m *sdp.Media) []sdp.Attribute {
	return slices.DeleteFunc(slices.Clone(m.Attributes), func(a sdp.Attribute) bool {
		return slices.Contains(attributes, a.Name)
	})
}

// isCID reports whether s may be a cid URL (RFC 2392 section 2).
func isCID(s string) bool {
	return len(s) > 4 && strings.EqualFold(s[:4], "cid:") &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
