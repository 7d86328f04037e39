package sip

import (
	"strings"
	"testing"
)

// Each name of the table has a slot of its own in the hash.
func TestHeaderTable(t *testing.T) {
	slots := map[uint8]string{}
	padding := "                "
	for id := idVia; int(id) < len(headers); id++ {
		h := headers[id]
		if other, taken := slots[headerHash(h.name)]; taken {
			t.Errorf("%s and %s share slot %d", h.name, other, headerHash(h.name))
		}
		slots[headerHash(h.name)] = h.name
		if got := lookupHeader(h.name); got != id {
			t.Errorf("lookupHeader(%q) = %d, want %d", h.name, got, id)
		}
		if got, n := usualName(h.name+":"+padding, 0); len(h.name) < 16 && (got != id || n != len(h.name)) {
			t.Errorf("usualName(%q) = %d, %d, want %d", h.name, got, n, id)
		}
		if h.compact != 0 {
			if got := lookupHeader(string(h.compact)); got != id {
				t.Errorf("lookupHeader(%q) = %d, want %d", h.compact, got, id)
			}
		}
	}
}

// The compact forms of the registry, and what is split at commas, also of
// header fields that have no type here.
func TestNamesAndKinds(t *testing.T) {
	for compact, full := range map[string]string{
		"a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
		"f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact",
		"n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
		"x": "Session-Expires", "y": "Identity",
	} {
		if a, b := lookupHeader(compact), lookupHeader(full); a != b || a == 0 {
			t.Errorf("%s and %s are different header fields", compact, full)
		}
	}
	m := mustParse(t, "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"+
		"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nx: 1800\r\nCall-Info: <http://a>;purpose=icon, <http://b>\r\n\r\n").(*Request)
	if got, _ := m.Value("Session-Expires"); got != "1800" {
		t.Errorf("Session-Expires = %q, want 1800", got)
	}
	out := m.With(Field{"Session-Expires", "90"}, Pop("Call-Info"))
	if _, ok := out.Value("x"); !ok || strings.Contains(out.String(), "1800") {
		t.Errorf("a compact form was left behind:\n%s", out)
	}
	if got, _ := out.Value("Call-Info"); got != "<http://b>" {
		t.Errorf("Call-Info = %q after Pop, want <http://b>", got)
	}
}
