package media

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// The digits of RFC 4733 section 3.2, by event code.
const dtmfDigits = "0123456789*#ABCD"

const (
	eventName     = "telephone-event"
	eventLength   = 4               // octets of an event report (RFC 4733 section 2.3)
	eventVolume   = 10              // of the tone, in -dBm0
	eventTone     = SampleRate / 10 // samples a digit sounds: 100 ms
	eventPause    = SampleRate / 10 // the fewest samples between digits, above the 93 ms cycle switches ask for
	eventLasts    = 3               // copies of the final report (section 2.5.1.4)
	eventMax      = 0xffff          // the longest duration a report can say
	eventMemory   = 10 * SampleRate // how far back a report is known as a late one
	digitsPending = 64              // digits kept for a program that does not read them
	maxDigits     = 256             // digits sent by one call of SendDigits
)

// parseDigits returns the event codes of digits.
func parseDigits(digits string) ([]byte, error) {
	if len(digits) > maxDigits {
		return nil, fmt.Errorf("media: %d digits, at most %d can be sent at once", len(digits), maxDigits)
	}
	codes := make([]byte, len(digits))
	for i, d := range []byte(strings.ToUpper(digits)) {
		code := strings.IndexByte(dtmfDigits, d)
		if code < 0 {
			return nil, fmt.Errorf("media: %q in %q is no DTMF digit (0-9, *, #, A-D)", d, digits)
		}
		codes[i] = byte(code)
	}
	return codes, nil
}

// allDigits is the set of all DTMF events.
const allDigits = 1<<len(dtmfDigits) - 1

// eventSet returns the DTMF events, a bit each, that the parameters of a
// format list as received (RFC 4733 section 2.4.1): "0-15,66". Without a list,
// or with one that makes no sense, they are all (section 2.5.1.1).
func eventSet(params string) (set uint16) {
	list, _, _ := strings.Cut(params, ";")
	list = strings.TrimPrefix(strings.TrimSpace(list), "events=")
	if list == "" {
		return allDigits
	}
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		low, err1 := strconv.ParseUint(strings.TrimSpace(first), 10, 8)
		high, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 8)
		if err1 != nil || err2 != nil {
			return allDigits
		}
		for code := low; code <= high && code < uint64(len(dtmfDigits)); code++ {
			set |= 1 << code
		}
	}
	return set
}

// refused returns an error that names the first of the digits that is not in
// the set: what the peer does not list must not be sent (RFC 4733 section
// 2.5.1.1).
func refused(codes []byte, set uint16) error {
	for _, code := range codes {
		if set&(1<<code) == 0 {
			return fmt.Errorf("%w for the digit %q", ErrNoDTMF, dtmfDigits[code])
		}
	}
	return nil
}

// An eventSender makes the packets for a row of digits (RFC 4733 section
// 2.5.1). It is stepped once a packet time and knows no clock.
type eventSender struct {
	codes    []byte
	start    uint32 // the timestamp of all reports of this digit
	duration uint32 // reported so far; 0: the digit has not begun
	lasts    int    // final reports sent
	pause    int    // samples until the next digit
}

// An event is one report to send.
type event struct {
	payload   [eventLength]byte
	timestamp uint32
	marker    bool // the first report of the digit
}

// step returns what to send at the timestamp now instead of frame samples of
// audio; false is nothing. Between digits audio is silent, not played.
func (s *eventSender) step(now uint32, frame int) (e event, ok bool) {
	if s.pause > 0 {
		s.pause -= frame
		return event{}, false
	}
	if len(s.codes) == 0 {
		return event{}, false
	}
	if s.duration == 0 {
		s.start, e.marker = now, true
	}
	if s.lasts == 0 {
		// A report says how long the digit has lasted when it arrives; the
		// digit need not end where a packet does.
		s.duration = min(now-s.start+uint32(frame), eventTone)
	}
	e.timestamp = s.start
	e.payload[0], e.payload[1] = s.codes[0], eventVolume
	if s.duration >= eventTone {
		e.payload[1] |= 0x80 // E
		s.lasts++
	}
	binary.BigEndian.PutUint16(e.payload[2:], uint16(s.duration))
	if s.lasts == eventLasts {
		since := int(now-s.start) + frame - eventTone // the end of the digit
		*s = eventSender{codes: s.codes[1:], pause: eventPause - since}
	}
	return e, true
}

// done reports whether the last digit and the pause after it are over.
func (s *eventSender) done() bool { return len(s.codes) == 0 && s.pause <= 0 }

// stop lets the digit that sounds come to its end, and drops the others.
func (s *eventSender) stop() {
	if s.duration == 0 {
		s.codes = nil
	} else {
		s.codes = s.codes[:1]
	}
}

// An eventReceiver finds the digits in the reports of one source. All reports
// with one timestamp are one digit, so that neither its first nor its last
// ones are needed (RFC 4733 section 2.5.2.2).
type eventReceiver struct {
	known     bool
	code      byte
	timestamp uint32
	duration  uint16
}

// report takes a report and returns the digit it begins.
func (r *eventReceiver) report(payload []byte, timestamp uint32, marker bool) (digit rune, begins bool) {
	if len(payload) < eventLength || int(payload[0]) >= len(dtmfDigits) {
		return 0, false // not a report, or not of DTMF (flash, modem tones)
	}
	code, duration := payload[0], binary.BigEndian.Uint16(payload[2:])
	if r.known {
		since := int32(timestamp - r.timestamp)
		if since == 0 && code == r.code {
			r.duration = max(r.duration, duration)
			return 0, false
		}
		if since <= 0 && since > -eventMemory {
			return 0, false // of a digit that is over
		}
		// A digit longer than a report can say goes on with a new timestamp
		// and no marker (section 2.5.1.3).
		goesOn := !marker && code == r.code && r.duration == eventMax && since == eventMax
		r.timestamp, r.duration = timestamp, duration
		if goesOn {
			return 0, false
		}
	}
	*r = eventReceiver{known: true, code: code, timestamp: timestamp, duration: duration}
	return rune(dtmfDigits[code]), true
}
