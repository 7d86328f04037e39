package file

import (
	"fmt"

	"github.com/goparley/parley/sdp"
)

// acceptPush returns what the answer to an offered push says: the selector,
// identifier and range of the offer (RFC 5547 section 8.3.1).
func (d Description) acceptPush() Description {
	s := d.Selector
	// An offer should have said SHA1 (RFC 5547 section 5), and to repeat the
	// others is no duty of ours.
	if s.hash(SHA1) == nil {
		s.Hashes = nil
	}
	return Description{Direction: sdp.RecvOnly, Selector: s, ID: d.ID, Range: d.Range}
}

// acceptPull returns what the answer to an offered pull says of the file that
// was chosen: its type and hashes (RFC 5547 section 8.3.2). Its name and size
// go with the file itself. The caller may add a disposition and an icon.
//
// The error is ErrOtherFile if the file is none that the offer selects, or
// ErrRange if it has no such octets.
func (d Description) acceptPull(file Selector) (Description, error) {
	if !d.Selector.Matches(file) {
		return Description{}, ErrOtherFile
	}
	if !d.Range.in(file.Size) {
		return Description{}, ErrRange
	}
	s := Selector{Type: file.Type, Hashes: file.Hashes}
	return Description{Direction: sdp.SendOnly, Selector: s, ID: d.ID, Range: d.Range}, nil
}

// refuse returns the section that refuses an offered one: port 0, and the
// selector and identifier as they came (RFC 5547 section 8.3).
func refuse(m *sdp.Media) *sdp.Media {
	r := &sdp.Media{Type: m.Type, Proto: m.Proto, Formats: m.Formats}
	for _, name := range []string{attrSelector, attrID} {
		if value, ok := attribute(m, name); ok {
			r.Attributes = append(r.Attributes, sdp.Attribute{Name: name, Value: value})
		}
	}
	return r
}

// readAnswer returns what both sides have said of the file after an answer to
// offer: all that is known to select it, and the rest as in the answer. A peer
// that knows nothing of RFC 5547 can be sent a file, too, as its section 4
// says: then it is as in the offer. The direction is that of the answer.
//
// The error is ErrRefused; ErrNoID, ErrOtherFile or ErrRange if the answer is
// not about what was offered; or a [*SyntaxError].
func readAnswer(m *sdp.Media, offer Description) (Description, error) {
	if m.Port == 0 {
		return Description{}, ErrRefused
	}
	_, has := attribute(m, attrSelector)
	_, hasID := attribute(m, attrID)
	// What is resumed takes a peer that knows where it goes.
	if !has && !hasID && offer.Direction == sdp.SendOnly && offer.Range.Start <= 1 {
		d := offer
		d.Direction = m.Direction
		return d, nil
	}
	d, err := describe(m)
	switch {
	case err != nil:
		return Description{}, err
	case d.ID == "":
		return Description{}, ErrNoID
	case d.ID != offer.ID:
		return Description{}, fmt.Errorf("file: transfer %.80q in the answer to %s: %w", d.ID, offer.ID, ErrOtherFile)
	case d.Selector.contradicts(offer.Selector):
		return Description{}, ErrOtherFile
	}
	d.Selector = offer.Selector.merge(d.Selector)
	if !d.Range.agrees(offer.Range, d.Selector.Size) || !d.Range.fits(d.Selector.Size) {
		return Description{}, ErrRange
	}
	return d, nil
}
