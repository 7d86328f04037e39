package sdp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fragments are the examples that the RFCs print in part or with a symbol for
// a number, with what is wrong with them.
var fragments = map[string]string{
	"rfc8839-02-s12.2-SP_rel_port.sdp": "not a port",
	"rfc8839-04-s12.2.sdp":             "not a port",
}

// samples returns the examples of the RFCs, by file name.
func samples(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.sdp")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	out := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f)] = string(b)
	}
	return out
}

func TestExamplesOfTheRFCs(t *testing.T) {
	for name, text := range samples(t) {
		s, err := Parse(text)
		if want := fragments[name]; want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := len(s.Media), strings.Count(text, "\nm="); got != want {
			t.Errorf("%s: %d m= sections, want %d", name, got, want)
		}
		var attributes int
		for _, m := range s.Media {
			attributes += len(m.Attributes)
			if m.Address == "" {
				t.Errorf("%s: no address for %s", name, m.Type)
			}
		}
		attributes += len(s.Attributes)
		want := strings.Count(text, "\na=")
		for _, d := range directions {
			want -= strings.Count(text, "\na="+d+"\r")
		}
		if attributes != want {
			t.Errorf("%s: %d attributes, want %d", name, attributes, want)
		}
		stable(t, name, s)
	}
}

// stable checks that a description reads back as it was written.
func stable(t *testing.T, name string, s *Session) {
	t.Helper()
	text := s.String()
	if text == "" {
		_, err := s.AppendText(nil)
		t.Errorf("%s: cannot be written: %v", name, err)
		return
	}
	again, err := Parse(text)
	if err != nil {
		t.Errorf("%s: cannot be read again: %v\n%s", name, err, text)
		return
	}
	if got := again.String(); got != text {
		t.Errorf("%s: second text\n%s\nwant the first\n%s", name, got, text)
	}
}
