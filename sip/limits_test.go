package sip

import (
	"strings"
	"testing"
)

// A value may have 200 parameters and no more: in a header field, in a URI and
// in a challenge.
func TestParamsLimit(t *testing.T) {
	for name, read := range map[string]func(n int) error{
		"header field": func(n int) error {
			_, err := Get[Contact](mustParse(t, tweak("", "Contact: <sip:a@192.0.2.1>"+strings.Repeat(";p=1", n))))
			return err
		},
		"Via": func(n int) error {
			line := "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1" + strings.Repeat(";p", n-1)
			m, err := Parse(tweak("Via", line))
			if err == nil {
				_, err = Get[Via](m)
			}
			return err
		},
		"URI": func(n int) error {
			_, err := ParseURI("sip:a@192.0.2.1" + strings.Repeat(";p=1", n))
			return err
		},
		"challenge": func(n int) error {
			line := "WWW-Authenticate: Digest " + strings.Repeat("p=1, ", n-1) + "p=1"
			_, err := Get[WWWAuthenticate](mustParse(t, tweak("", line)))
			return err
		},
	} {
		if err := read(200); err != nil {
			t.Errorf("%s: 200 parameters: %v", name, err)
		}
		if err := read(201); err == nil || !strings.Contains(err.Error(), "too many") {
			t.Errorf("%s: 201 parameters: error %v, want too many", name, err)
		}
	}
}
