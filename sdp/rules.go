package sdp

import (
	"fmt"
	"slices"
	"strings"
)

// addressed checks that every RTP section in use says where to send to
// (RFC 8866 section 5.7). Others may have their address elsewhere, as MSRP
// has in a=path.
func (s *Session) addressed() error {
	for i, m := range s.Media {
		if m.Port != 0 && m.Address == "" && m.isRTP() {
			return &SyntaxError{Msg: fmt.Sprintf("m= section %d has no c= line", i)}
		}
	}
	return nil
}

// securedBy reports whether an answer has TLS where the offer has none, as messages by a relay may have (RFC 4976
// section 11, whose answers RFC 3264 does not know). The other way round it would be a downgrade.
func (m *Media) securedBy(answer *Media) bool {
	return m.Proto == "TCP/MSRP" && answer.Proto == "TCP/TLS/MSRP"
}

// mismatch says what is wrong with the answer to an offered section, or "".
func (m *Media) mismatch(answer *Media) string {
	// The transport must be the same, or media asked to be encrypted might
	// not be. With or without early feedback is a matter of taste: both
	// occur in answers to both.
	if strings.TrimSuffix(m.Proto, "F") != strings.TrimSuffix(answer.Proto, "F") && !m.securedBy(answer) {
		return fmt.Sprintf("protocol %.80q to an offer of %s", answer.Proto, m.Proto)
	}
	if !m.isRTP() {
		return ""
	}
	offered := m.RTP()
	for _, f := range answer.RTP() {
		if slices.ContainsFunc(offered, f.Is) {
			return ""
		}
	}
	return "none of the offered formats"
}

// remapped checks that no payload type of the section i means another codec
// than before: packets still on their way could not be told apart
// (RFC 3264 section 8.3.2).
func (e *Engine) remapped(i int, m *Media) error {
	if i >= len(e.known) || i >= len(e.agreed) || !e.agreed[i].Active() {
		return nil // a new stream
	}
	for _, f := range m.RTP() {
		for _, k := range e.known[i] {
			if f.PayloadType == k.PayloadType && !f.Is(k) {
				return fmt.Errorf("payload type %d was %s/%d and cannot become %s/%d",
					f.PayloadType, k.Name, k.ClockRate, f.Name, f.ClockRate)
			}
		}
	}
	return nil
}

// learn remembers what the dynamic payload types of our sections mean; the
// numbers below 35 mean what RFC 3551 section 6 says. A peer that
// changes its own meanings, and we with it by answering in its numbers, is
// followed.
func (e *Engine) learn(media []*Media) {
	for len(e.known) < len(media) {
		e.known = append(e.known, nil)
	}
	for i, m := range media {
		if m.Port == 0 || i < len(e.agreed) && !e.agreed[i].Active() {
			e.known[i] = nil
		}
		if m.Port == 0 {
			continue
		}
		for _, f := range m.RTP() {
			if f.PayloadType < 35 {
				continue
			}
			at := slices.IndexFunc(e.known[i], func(k Format) bool { return k.PayloadType == f.PayloadType })
			switch {
			case at < 0:
				e.known[i] = append(e.known[i], f)
			case !e.known[i][at].Is(f):
				e.known[i] = slices.Clone(e.known[i])
				e.known[i][at] = f
			}
		}
	}
}
