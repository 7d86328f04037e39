package ua

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// DTMF returns the body of an INFO that says that a key was pressed, and for how long,
// in whole milliseconds: application/dtmf-relay, as gateways and phones have it who
// know no RTP for that (RFC 4733), and no Info Package. digit is one of 0 to 9, *, #, A
// to D, or ! for a flash; Info does not send another. So digits are sent with
//
//	for _, digit := range "123#" {
//		err := call.Info(ctx, "", ua.DTMF(digit, 160*time.Millisecond))
//	}
func DTMF(digit rune, d time.Duration) sip.Body {
	return sip.Body{
		Type:    dtmfRelay,
		Content: fmt.Sprintf("Signal=%c\r\nDuration=%d\r\n", digit, d.Milliseconds()),
	}
}

const dtmfRelay = "application/dtmf-relay"

// checkDTMF says what is wrong with a body that DTMF has made of what is no digit.
func checkDTMF(body sip.Body) error {
	if body.Type != dtmfRelay {
		return nil
	}
	line, _, _ := strings.Cut(body.Content, "\r\n")
	signal, ok := strings.CutPrefix(line, "Signal=")
	if _, is := parseDigit(signal); ok && !is {
		return fmt.Errorf("ua: %q is no DTMF digit (0-9, *, #, A-D, !)", signal)
	}
	return nil
}

// maxDigit bounds how long a peer may say that a key was pressed.
const maxDigit = time.Minute

// Digit returns the key that an INFO says was pressed, as DTMF writes it, and for how
// long, up to a minute; 0 if it does not say. It reads application/dtmf-relay and
// application/dtmf, which is the digit alone, and the numbers 10 to 16 that some write
// for *, #, A to D and a flash. ok is false for what is no digit.
func (i Info) Digit() (digit rune, d time.Duration, ok bool) {
	switch strings.ToLower(i.ContentType) {
	case "application/dtmf":
		digit, ok = parseDigit(strings.TrimSpace(i.Body))
		return digit, 0, ok
	case dtmfRelay:
		for line := range strings.Lines(i.Body) {
			name, value, _ := strings.Cut(line, "=")
			value = strings.TrimSpace(value)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "signal":
				digit, ok = parseDigit(value)
			case "duration":
				if ms, err := strconv.ParseUint(value, 10, 32); err == nil {
					d = min(time.Duration(ms)*time.Millisecond, maxDigit)
				}
			}
		}
	}
	return digit, d, ok
}

func parseDigit(s string) (digit rune, ok bool) {
	const digits = "0123456789*#ABCD!"
	if n, err := strconv.Atoi(s); err == nil && len(s) <= 2 && n >= 0 && n < len(digits) {
		return rune(digits[n]), true
	}
	s = strings.ToUpper(s)
	if len(s) != 1 || !strings.Contains(digits, s) {
		return 0, false
	}
	return rune(s[0]), true
}
