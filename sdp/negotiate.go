package sdp

import "strings"

// Is reports whether f and g are the same codec: one name, clock rate and
// number of channels, whatever their payload types. Their Params may still be
// at odds; that is for the codec to say.
func (f Format) Is(g Format) bool {
	return f.ClockRate == g.ClockRate && max(f.Channels, 1) == max(g.Channels, 1) && strings.EqualFold(f.Name, g.Name)
}

// aux reports whether f only goes along with a codec of the same clock rate:
// named telephone events and tones (RFC 4733 section 2.1), comfort noise
// (RFC 3389).
func (f Format) aux() bool {
	return strings.EqualFold(f.Name, "telephone-event") || strings.EqualFold(f.Name, "tone") || strings.EqualFold(f.Name, "CN")
}

// AnswerFormats returns the formats to answer an offered section with: those
// of the offer that are supported, in the order of the offer and with its
// payload types, but with our own Params, which say what we receive
// (RFC 3264 section 6.1). It returns none if no codec is shared, and then the
// section is to be refused.
//
// Each supported format answers one offered format; of several of the same
// codec, the one with the Params of the offer. Telephone events and comfort
// noise are answered for clock rates that an answered codec has, or if
// nothing else was offered.
func AnswerFormats(offered, supported []Format) []Format {
	return common(offered, supported, func(theirs, ours Format) Format {
		ours.PayloadType = theirs.PayloadType
		return ours
	})
}

// SendFormats returns the formats we may send to a peer whose description
// lists remote, in its order of preference, by its payload types and with its
// Params, which say what it receives. Payload types belong to a direction:
// what arrives here has those of our own description (RFC 3264 sections 5.1
// and 6.1).
func SendFormats(remote, local []Format) []Format {
	return common(remote, local, func(theirs, _ Format) Format { return theirs })
}

// common joins the formats of both lists, in the order of theirs.
func common(theirs, ours []Format, join func(theirs, ours Format) Format) []Format {
	var out []Format
	used := make([]bool, len(ours))
	onlyAux := true
	for _, t := range theirs {
		onlyAux = onlyAux && t.aux()
		best := -1
		for i, o := range ours {
			if used[i] || !o.Is(t) {
				continue
			}
			if best < 0 || o.Params == t.Params && ours[best].Params != t.Params {
				best = i
			}
		}
		if best >= 0 {
			used[best] = true
			out = append(out, join(t, ours[best]))
		}
	}
	if onlyAux {
		return out
	}
	kept := out[:0]
	for _, f := range out {
		if !f.aux() || hasClock(out, f.ClockRate) {
			kept = append(kept, f)
		}
	}
	return kept
}

// hasClock reports whether a codec of the list has this clock rate.
func hasClock(list []Format, rate int) bool {
	for _, f := range list {
		if f.ClockRate == rate && !f.aux() {
			return true
		}
	}
	return false
}
