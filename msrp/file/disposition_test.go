package file

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The sender of section 9.2 says with the file what its answer did not
// (RFC 5547 section 8.3.2, figure 17).
func TestContentDispositionOfFigure17(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc5547-05-s9.2-SEND.msrp")
	if err != nil {
		t.Fatal(err)
	}
	_, value, ok := strings.Cut(string(text), "\r\nContent-Disposition: ")
	value, _, ok2 := strings.Cut(value, "\r\nContent-Type")
	if !ok || !ok2 {
		t.Fatalf("no Content-Disposition in %s", text)
	}
	value = strings.Join(strings.Fields(value), " ") // folded for print
	var d Description
	d.addContentDisposition(value)
	want := Description{
		Selector:    Selector{Name: "My cool photo.jpg", Size: 1931},
		Disposition: "render",
		Created:     time.Date(2006, 5, 15, 15, 1, 31, 0, east3),
		Modified:    time.Date(2006, 5, 15, 16, 4, 53, 0, east3),
		Read:        time.Date(2006, 5, 16, 9, 12, 27, 0, east3),
	}
	if !sameDescription(d, want) {
		t.Errorf("addContentDisposition = %+v, want %+v", d, want)
	}

	written, err := d.contentDisposition()
	var again Description
	again.addContentDisposition(written)
	if err != nil || !sameDescription(again, want) {
		t.Errorf("contentDisposition = %s, %v, which is %+v", written, err, again)
	}
	// But for the order of the parameters, and Mon, 16 May 2006, which was a
	// Tuesday.
	if len(written) != len(value) || !strings.HasPrefix(written, "render; ") {
		t.Errorf("contentDisposition = %s, want %s", written, value)
	}
}

func TestContentDispositionSaysNoMoreThanTheSection(t *testing.T) {
	d := push()
	d.Disposition = "attachment"
	d.Created = time.Unix(1, 0).UTC()
	want := d
	d.addContentDisposition(`render; filename="b"; size=7; creation-date="Mon, 15 May 2006 15:01:31 +0300"`)
	if !reflect.DeepEqual(d, want) {
		t.Errorf("addContentDisposition has changed it to %+v, want %+v", d, want)
	}
	d = Description{}
	d.addContentDisposition(`render; size=-1; read-date="soon"`)
	if !reflect.DeepEqual(d, Description{Disposition: "render"}) {
		t.Errorf("addContentDisposition of what cannot be read = %+v", d)
	}
	d.addContentDisposition(`;;`)
}

func TestContentDispositionOfAnyName(t *testing.T) {
	for _, name := range []string{"a", "a b", `a"b\c`, "a\r\nb\x00", "\u00e9", "a%41", "\xff"} {
		value, err := Description{Selector: Selector{Name: name}}.contentDisposition()
		var got Description
		got.addContentDisposition(value)
		if err != nil || got.Selector.Name != name || strings.ContainsAny(value, "\r\n\x00") {
			t.Errorf("name %q goes as %q, %v, and is %q then", name, value, err, got.Selector.Name)
		}
	}
	d := Description{Created: time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC)}
	if value, err := d.contentDisposition(); err == nil {
		t.Errorf("contentDisposition of the year 1 = %s", value)
	}
}

// sameDescription compares but for the names of zones.
func sameDescription(a, b Description) bool {
	same := a.Created.Equal(b.Created) && a.Modified.Equal(b.Modified) && a.Read.Equal(b.Read)
	var none time.Time
	a.Created, a.Modified, a.Read = none, none, none
	b.Created, b.Modified, b.Read = none, none, none
	return same && reflect.DeepEqual(a, b)
}

// The chunks of figures 10 and 21 have less of it.
func TestContentDispositionOfThePushes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.msrp")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d chunks, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, value, _ := strings.Cut(string(text), "\r\nContent-Disposition: ")
		value, _, _ = strings.Cut(value, "\r\nContent-Type")
		var d Description
		d.addContentDisposition(strings.Join(strings.Fields(value), " "))
		if d.Selector.Name == "" || d.Selector.Size == 0 || d.Created.IsZero() {
			t.Errorf("%s: %+v", f, d)
		}
	}
}
