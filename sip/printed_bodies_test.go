package sip

import (
	"strings"
	"testing"
)

// structure returns the media types of e and its parts, "!" for a part that is
// broken.
func structure(e Entity) string {
	t, err := MediaType(e)
	if err != nil {
		return "!"
	}
	var list []string
	for p, err := range Parts(e) {
		if err != nil {
			list = append(list, "!")
			continue
		}
		list = append(list, structure(p))
	}
	if list == nil {
		return t.Type
	}
	return strings.TrimPrefix(t.Type, "multipart/") + "(" + strings.Join(list, " ") + ")"
}

// printedBodies has the structure of every multipart body that the RFCs print,
// with their slips. A part whose empty line is missing is broken; one with an
// empty line too many has no header fields, so it is text.
var printedBodies = map[string]string{
	"rfc3261 23.4.2 INVITE": "signed(message/sip !)", // no empty line
	"rfc3261 23.4.3 INVITE": "signed(application/pkcs7-mime application/pkcs7-signature)",
	"rfc3892 7.1 F1 REFER":  "mixed(signed(message/sipfrag application/pkcs7-signature))",
	"rfc3892 7.1 F2 INVITE": "mixed(application/sdp signed(message/sipfrag application/pkcs7-signature))",
	"rfc3892 7.3 F5 REFER":  "mixed(!)", // printed without its body
	"rfc3892 7.3 F6 INVITE": "mixed(application/sdp signed(application/pkcs7-mime application/pkcs7-signature))",
	"rfc3892 7.4 F1 REFER":  "mixed(signed(message/sipfrag application/pkcs7-signature))",
	"rfc3892 7.4 F2 REFER":  "mixed(signed(message/sipfrag application/pkcs7-signature))",
	"rfc3892 7.4 F4 INVITE": "mixed(! signed(message/sipfrag application/pkcs7-signature))", // no empty line
	"rfc4662 6 NOTIFY":      "related(application/rlmi+xml application/pidf+xml application/pidf+xml)",
	"rfc4662 6 NOTIFY #3":   "signed(related(application/rlmi+xml application/pidf+xml application/pidf+xml) application/pkcs7-signature)",
	"rfc4662 6 NOTIFY #4":   "related(! signed(related(! application/pidf+xml application/pidf+xml) application/pkcs7-signature))", // no empty lines
	"rfc5589 8 F5 REFER":    "mixed(!)",                                                                                            // printed without its body
	"rfc5589 8 F6 INVITE":   "mixed(application/sdp signed(message/sipfrag application/pkcs-7-signature))",
	"rfc6086 12.2.2.1 INFO": "mixed(! application/foo-x)", // no empty line
	"rfc6086 12.2.2.2 INFO": "mixed(! application/foo-y)", // no empty line
	"rfc6086 12.2.2.3 INFO": "mixed(application/foo-x)",
	"rfc6442 5.1 INVITE":    "mixed(text/plain text/plain)", // empty lines too many
	"rfc6442 5.2 INVITE":    "mixed(text/plain text/plain)",
}

func TestPrintedBodies(t *testing.T) {
	multiparts, fragments := 0, 0
	for _, p := range printedMessages(t) {
		text, _ := p.mended(slipsIn(p.name)).whole()
		m, err := Parse(text)
		if err != nil {
			continue // TestPrintedMessages says so
		}
		mediaType, err := MediaType(m)
		switch {
		case err == nil && mediaType.multipart():
			multiparts++
			if got, want := structure(m), printedBodies[p.name]; got != want {
				t.Errorf("%s: %s, want %s", p.name, got, want)
			}
		case mediaType.Is("message/sipfrag"):
			fragments++
			f, err := ParseFragment(m.Body())
			if p.name == "rfc5359 2.4 F15 NOTIFY" { // its Content-Length is three dots
				if e, ok := err.(*SyntaxError); !ok || e.Where != "Content-Length" {
					t.Errorf("%s: ParseFragment() = %v, want an error in Content-Length", p.name, err)
				}
				continue
			}
			if err != nil || f.Status() == 0 || f.ReasonPhrase() == "" {
				t.Errorf("%s: ParseFragment(%q) = %v, %v", p.name, m.Body(), f, err)
			}
		}
	}
	if multiparts != len(printedBodies) || fragments != 21 {
		t.Errorf("%d multiparts and %d fragments, want %d and 21", multiparts, fragments, len(printedBodies))
	}
}
