package ua

import (
	"strings"
	"testing"
)

// What is no reginfo document, or too much of one, is refused; what is of other
// namespaces is passed over.
func TestReadRegInfo(t *testing.T) {
	const head = `<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">`
	one := `<registration aor="sip:a@b" id="1" state="active"><contact id="2" state="active" event="registered" expires="5"><uri>sip:a@c</uri></contact></registration>`
	for _, test := range []struct {
		name, text string
		contacts   int
		ok         bool
	}{
		{"nothing", "", 0, true},
		{"none", head + `</reginfo>`, 0, true},
		{"one", head + one + `</reginfo>`, 1, true},
		{"two", head + one + one + `</reginfo>`, 2, true},
		{"another namespace", head + strings.ReplaceAll(one, "<contact", `<contact xmlns="x"`) + `</reginfo>`, 0, true},
		{"something inside", head + strings.ReplaceAll(one, "<uri>", `<x:y xmlns:x="x"><uri>z</uri></x:y><uri>`) + `</reginfo>`, 1, true},
		{"cut off", head + one[:80], 0, false},
		{"an entity", `<!DOCTYPE r [<!ENTITY e "x">]>` + head + strings.ReplaceAll(one, "sip:a@c", "&e;") + `</reginfo>`, 0, false},
		{"too deep", strings.Repeat("<a>", 100), 0, false},
		{"too many", head + strings.Repeat(one, maxRegContacts+1) + `</reginfo>`, 0, false},
		{"too large", strings.Repeat(" ", maxRegInfo+1), 0, false},
	} {
		info, err := readRegInfo(test.text)
		contacts := info.contacts
		if (err == nil) != test.ok || test.ok && len(contacts) != test.contacts {
			t.Errorf("%s: %d contacts, %v; want %d, %v", test.name, len(contacts), err, test.contacts, test.ok)
		}
		if test.contacts > 0 && len(contacts) > 0 && (contacts[0].URI != "sip:a@c" && test.name != "something inside" || contacts[0].Expires != 5) {
			t.Errorf("%s: %+v", test.name, contacts[0])
		}
	}
}

// A registration is closed just before it subscribes to its own state: nothing stays of that.
func TestSubscriptionClosedBeforeStart(t *testing.T) {
	a, err := New("sip:alice@a.example", &Config{Listen: []string{"udp:127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s, err := a.newSubscription("sip:alice@a.example", "reg", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.start(t.Context()); err != ErrClosed {
		t.Errorf("start() = %v, want ErrClosed", err)
	}
	if n := len(a.subs.list()); n != 0 {
		t.Errorf("the agent has %d subscriptions, want none", n)
	}
}
