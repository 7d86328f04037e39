package file

import (
	"strings"
	"testing"
)

// RFC 5547 section 8.3.2: a file is selected that has all that is asked for.
func TestSelectorMatchesWhatHasAllOfIt(t *testing.T) {
	file := Selector{"a.txt", "text/plain; charset=utf-8", 7, []Hash{sha1Hash, sha256Hash}}
	other := Hash{SHA1, make([]byte, 20)}
	for _, tt := range []struct {
		name   string
		wanted Selector
		want   bool
	}{
		{"all", file, true},
		{"the hash", Selector{Hashes: []Hash{sha1Hash}}, true},
		{"the name", Selector{Name: "a.txt"}, true},
		{"the type", Selector{Type: "TEXT/plain"}, true},
		{"the type with its parameter", Selector{Type: `text/plain;charset="UTF-8"`}, true},
		{"a hash that the file has not, too", Selector{Hashes: []Hash{{"md9", []byte{1}}, sha1Hash}}, true},
		{"nothing", Selector{}, false},
		{"another name", Selector{Name: "A.txt", Size: 7}, false},
		{"another type", Selector{Type: "text/html"}, false},
		{"a parameter that the file has not", Selector{Type: "text/plain; format=flowed"}, false},
		{"another size", Selector{Size: 8, Hashes: []Hash{sha1Hash}}, false},
		{"another hash", Selector{Hashes: []Hash{other}}, false},
		{"one hash of two", Selector{Hashes: []Hash{other, sha256Hash}}, false},
		{"only a hash that the file has not", Selector{Name: "a.txt", Hashes: []Hash{{"md9", []byte{1}}}}, false},
	} {
		if got := tt.wanted.Matches(file); got != tt.want {
			t.Errorf("%s: Matches = %v, want %v", tt.name, got, tt.want)
		}
	}
	if (Selector{Size: 7}).Matches(Selector{Name: "a.txt"}) {
		t.Error("a size matches a file whose size is not known")
	}
}

func TestSelectorsAreMerged(t *testing.T) {
	asked := Selector{Name: "a", Hashes: []Hash{sha1Hash}}
	told := Selector{Name: "b", Type: "image/jpeg", Size: 7, Hashes: []Hash{sha1Hash, sha256Hash}}
	got := asked.merge(told).String()
	want := `name:"a" type:image/jpeg size:7 hash:sha-1:` + sha1Text + " hash:sha-256:" + strings.Repeat("AB:", 31) + "AB"
	if got != want {
		t.Errorf("merge = %s, want %s", got, want)
	}
	if len(asked.Hashes) != 1 {
		t.Errorf("merge has changed what it was given: %v", asked)
	}
}
