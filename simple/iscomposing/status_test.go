package iscomposing

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// RFC 3994 section 5.
func TestPrintedStatusesAreRead(t *testing.T) {
	for name, want := range map[string]Status{
		"active": {Active: true, ContentType: "text/plain", Refresh: 90 * time.Second},
		"idle":   {LastActive: time.Date(2003, 1, 27, 10, 43, 0, 0, time.UTC), ContentType: "audio"},
	} {
		text, err := os.ReadFile("testdata/rfc3994-s5-" + name + ".xml")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: Parse() = %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func doc(elements string) string {
	return `<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">` + elements + `</isComposing>`
}

// RFC 3994 section 3.5.
func TestUnknownStatesAreIdle(t *testing.T) {
	for state, want := range map[string]bool{"active": true, " active\n": true, "idle": false, "Active": false, "thinking": false} {
		if got, err := Parse([]byte(doc("<state>" + state + "</state>"))); err != nil || got.Active != want {
			t.Errorf("Parse() = %+v, %v for %q, want active: %v", got, err, state, want)
		}
	}
}

// RFC 3994 section 3.5: extensions are of their own namespaces, and ignored.
func TestExtensionsAreIgnored(t *testing.T) {
	text := doc(`<state>idle</state><x:state xmlns:x="urn:x">active<x:refresh>1</x:refresh></x:state><mood xmlns="urn:y">active</mood>`)
	if got, err := Parse([]byte(text)); err != nil || got != (Status{}) {
		t.Errorf("Parse() = %+v, %v, want idle", got, err)
	}
}

func TestWhatIsOptionalAndCannotBeRead(t *testing.T) {
	for refresh, want := range map[string]time.Duration{
		"90": 90 * time.Second, " +90 ": 90 * time.Second, "0": 0, "-1": 0, "1.5": 0, "soon": 0, "": 0,
		"86401": maxRefresh, "99999999999999999999999": maxRefresh,
	} {
		text := doc("<state>active</state><lastactive>now</lastactive><refresh>" + refresh + "</refresh>")
		if got, err := Parse([]byte(text)); err != nil || got != (Status{Active: true, Refresh: want}) {
			t.Errorf("Parse() = %+v, %v for %q, want %v", got, err, refresh, want)
		}
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	state := "<state>active</state>"
	for name, text := range map[string]string{
		"nothing":           "",
		"not XML":           "hello",
		"no namespace":      "<isComposing>" + state + "</isComposing>",
		"another namespace": `<isComposing xmlns="urn:x">` + state + "</isComposing>",
		"no state":          doc("<refresh>90</refresh>"),
		"cut off":           doc(state)[:90],
		"ends otherwise":    doc("<state><x>active</state></x>"),
		"second document":   doc(state) + doc(state),
		"text behind":       doc(state) + "x",
		"junk behind":       doc(state) + "<",
		"document type":     `<!DOCTYPE x [<!ENTITY a "active">]>` + doc(state),
		"entity":            doc("<state>&a;</state>"),
		"another charset":   `<?xml version="1.0" encoding="ISO-8859-1"?>` + doc(state),
		"too deep":          doc(state + strings.Repeat("<x>", 32) + strings.Repeat("</x>", 32)),
		"too large":         doc(state) + strings.Repeat(" ", maxText),
	} {
		if got, err := Parse([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: Parse() = %+v, %v, want ErrMalformed", name, got, err)
		}
	}
	deep := doc(state + strings.Repeat("<x>", 31) + strings.Repeat("</x>", 31))
	if _, err := Parse([]byte(deep + strings.Repeat(" ", maxText-len(deep)))); err != nil {
		t.Errorf("Parse() = %v at the limits", err)
	}
}

func TestDocumentIsWritten(t *testing.T) {
	const head = `<?xml version="1.0" encoding="UTF-8"?>
<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">
`
	for _, c := range []struct {
		status Status
		want   string
	}{
		{Status{}, "  <state>idle</state>\n"},
		{Status{LastActive: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), Refresh: -1}, "  <state>idle</state>\n"},
		{Status{Active: true, LastActive: begin, ContentType: "a/b;c=<", Refresh: 89*time.Second + 1},
			"  <state>active</state>\n  <lastactive>2026-01-27T10:43:00Z</lastactive>\n  <contenttype>a/b;c=&lt;</contenttype>\n  <refresh>90</refresh>\n"},
	} {
		if got, want := string(c.status.Append([]byte(">"))), ">"+head+c.want+"</isComposing>\n"; got != want {
			t.Errorf("Append() = %s, want %s", got, want)
		}
	}
}

// What the user composes is said in both states (RFC 3994 section 3.5).
func TestContentTypeIsSaid(t *testing.T) {
	s := Sender{ContentType: "audio"}
	for _, out := range []Output{s.Typed(begin), s.Tick(begin.Add(defaultIdle))} {
		if out.Send == nil || out.Send.ContentType != "audio" {
			t.Errorf("Send = %+v, want a status about audio", out.Send)
		}
	}
}

// FuzzParse checks that what is read is written, and read back the same.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"active", "idle"} {
		text, err := os.ReadFile("testdata/rfc3994-s5-" + name + ".xml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		written := s.Append(nil)
		if len(written) > maxText {
			return // it has grown by what had to be escaped
		}
		again, err := Parse(written)
		if err != nil || !again.LastActive.Equal(s.LastActive) {
			t.Fatalf("Parse(%s) = %+v, %v, want %+v", written, again, err, s)
		}
		if again.LastActive = s.LastActive; again != s {
			t.Errorf("read %+v, want %+v", again, s)
		}
	})
}
