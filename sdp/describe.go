package sdp

import (
	"fmt"
	"strings"
)

// own returns a section of ours as the engine keeps it.
func (e *Engine) own(m *Media) *Media {
	m = m.Clone()
	m.Inherited = nil
	if m.Port != 0 {
		m.Address = or(m.Address, e.address)
	}
	return m
}

// wish returns the direction we would like for a section of ours.
func (e *Engine) wish(m *Media) Direction {
	if m.Port == 0 || !m.isRTP() {
		return m.Direction & 3
	}
	return m.Direction&3 | e.hold
}

// write makes the text of our next description. Its version is that of the
// one before if it says the same, and one more if not (RFC 3264 section 8).
func (e *Engine) write(media []*Media, start, stop uint64) (string, error) {
	s := Session{Origin: e.origin, Name: e.name, Address: e.address, Media: media, Start: start, Stop: stop}
	for i, m := range media {
		if m.Port != 0 && m.Address == "" && m.isRTP() {
			return "", fmt.Errorf("sdp: m= section %d has no address", i)
		}
		// With no Config.Address the session has that of its first section.
		if s.Address == "" {
			s.Address, s.Origin.Address = m.Address, m.Address
		}
	}
	next := s
	next.Address = or(s.Address, "0.0.0.0") // nothing is in use, but c= is wanted
	next.Origin.Version++
	b, err := next.AppendText(nil)
	if err != nil {
		return "", err
	}
	text := string(b)
	if afterOrigin(text) == afterOrigin(e.text) {
		return e.text, nil
	}
	e.text = text
	e.origin, e.address = next.Origin, s.Address
	return text, nil
}

// afterOrigin returns what follows the v= and o= lines of a text of ours.
func afterOrigin(text string) string {
	_, text, _ = strings.Cut(text, "\r\n")
	_, text, _ = strings.Cut(text, "\r\n")
	return text
}
