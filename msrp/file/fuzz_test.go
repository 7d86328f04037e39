package file

import (
	"errors"
	"reflect"
	"testing"

	"github.com/goparley/parley/sdp"
)

// FuzzSelector checks that what is read can be written and reads back the same.
func FuzzSelector(f *testing.F) {
	for _, m := range printed(f) {
		text, _ := attribute(m, attrSelector)
		f.Add(text)
	}
	f.Add(`name:"%22%0D%25%zz" TYPE:a/b;c="%C3%A9";d=e hash:x:00 color:"a b" size:0`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSelector(text)
		if err != nil {
			if syntax := new(SyntaxError); !errors.As(err, &syntax) || syntax.Offset > len(text) {
				t.Errorf("parseSelector(%q): %v", text, err)
			}
			return
		}
		if len(s.Hashes) > 0 && s.hash(SHA1) == nil {
			s.Hashes = nil
		}
		written, err := s.text()
		if err != nil {
			if len(text) < maxSelector/8 { // what is written may be longer
				t.Errorf("%q is read as %+v and cannot be written: %v", text, s, err)
			}
			return
		}
		if again, err := parseSelector(written); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%q is read as %+v, written as %q and read as %+v, %v", text, s, written, again, err)
		}
		if s.Matches(s) == s.isZero() || s.contradicts(s) {
			t.Errorf("%+v does not match itself", s)
		}
	})
}

// FuzzDescription checks that what a section says can be said in a section of
// ours, and then says the same.
func FuzzDescription(f *testing.F) {
	for _, m := range printed(f) {
		text, err := (&sdp.Session{Media: []*sdp.Media{m}}).AppendText(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := sdp.Parse(text)
		if err != nil {
			return
		}
		for _, m := range s.Media {
			if refuse(m).Port != 0 {
				t.Error("Refuse left a port")
			}
			readAnswer(m, push())
			kind, d, err := Read(m, []Description{push()})
			if err != nil || kind != KindPush && kind != KindPull {
				continue
			}
			if len(d.Selector.Hashes) > 0 && d.Selector.hash(SHA1) == nil {
				continue
			}
			ours := &sdp.Media{Type: "message", Port: 1, Proto: "TCP/MSRP", Formats: []string{"*"}}
			if err := d.set(ours); err != nil {
				if len(text) < maxSelector/8 && !errors.Is(err, ErrNoSelector) { // a push of a name alone
					t.Errorf("%+v cannot be written: %v", d, err)
				}
				continue
			}
			sent, err := sdp.Parse((&sdp.Session{Media: []*sdp.Media{ours}}).String())
			if err != nil {
				t.Errorf("%+v is written as %q: %v", d, ours.Attributes, err)
				continue
			}
			again, d2, err := Read(sent.Media[0], nil)
			if again != kind || err != nil || !sameDescription(d, d2) {
				t.Errorf("%v %+v is %v %+v then, %v", kind, d, again, d2, err)
			}
			if same, _, err := Read(sent.Media[0], []Description{d}); same != KindSame || err != nil {
				t.Errorf("%+v again is %v, %v", d, same, err)
			}
		}
	})
}
