package file

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sdp"
)

// push returns the description of an offered push.
func push() Description {
	return Description{
		Direction: sdp.SendOnly,
		Selector:  Selector{Name: "a.jpg", Type: "image/jpeg", Size: 1000, Hashes: []Hash{sha1Hash}},
		ID:        "transfer1",
	}
}

// described returns a section with a description in it.
func described(t testing.TB, d Description) *sdp.Media {
	t.Helper()
	m := &sdp.Media{Type: "message", Port: 2855, Proto: "TCP/MSRP", Formats: []string{"*"}}
	if err := d.set(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// with returns the section with an attribute of another value.
func with(m *sdp.Media, name, value string) *sdp.Media {
	m = m.Clone()
	m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool { return a.Name == name })
	m.Attributes = append(m.Attributes, sdp.Attribute{Name: name, Value: value})
	return m
}

func TestSetReplacesOnlyWhatIsOfRFC5547(t *testing.T) {
	m := &sdp.Media{Attributes: []sdp.Attribute{
		{Name: "file-selector", Value: "size:1"}, {Name: "path", Value: "msrp://a.example:1/x;tcp"},
		{Name: "file-icon", Value: "cid:a@b"}, {Name: "accept-types", Value: "*"}, {Name: "file-selector", Value: "size:2"},
	}}
	before := slices.Clone(m.Attributes)
	list := m.Attributes
	d := push()
	d.Range = Range{Start: 501}
	if err := d.set(m); err != nil {
		t.Fatal(err)
	}
	want := []sdp.Attribute{
		{Name: "path", Value: "msrp://a.example:1/x;tcp"},
		{Name: "accept-types", Value: "*"},
		{Name: "file-selector", Value: `name:"a.jpg" type:image/jpeg size:1000 hash:sha-1:` + sha1Text},
		{Name: "file-transfer-id", Value: "transfer1"},
		{Name: "file-range", Value: "501-*"},
	}
	if !slices.Equal(m.Attributes, want) || m.Direction != sdp.SendOnly {
		t.Errorf("Set: %v %q, want %q", m.Direction, m.Attributes, want)
	}
	if !slices.Equal(list, before) {
		t.Errorf("Set has changed a list that others may have: %q", list)
	}
}

func TestSetRefusesWhatIsNoTransfer(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(d *Description)
		want error // nil: any
	}{
		{"both ways", func(d *Description) { d.Direction = sdp.SendRecv }, ErrDirection},
		{"neither way", func(d *Description) { d.Direction = sdp.Inactive }, ErrDirection},
		{"no selector", func(d *Description) { d.Selector = Selector{} }, ErrNoSelector},
		{"push of a name alone", func(d *Description) { d.Selector = Selector{Name: "a"} }, ErrNoSelector}, // section 8.2.1
		{"selector that cannot be written", func(d *Description) { d.Selector.Type = "x" }, nil},
		{"no identifier", func(d *Description) { d.ID = "" }, ErrNoID},
		{"identifier of two words", func(d *Description) { d.ID = "a b" }, nil},
		{"identifier of 256 bytes", func(d *Description) { d.ID = strings.Repeat("a", 256) }, nil},
		{"disposition of two words", func(d *Description) { d.Disposition = "a b" }, nil},
		{"icon of another scheme", func(d *Description) { d.Icon = "http://a.example/" }, nil},
		{"icon and more", func(d *Description) { d.Icon = "cid:a@b\r\na=x" }, nil},
		{"range from 0", func(d *Description) { d.Range = Range{0, 5} }, nil},
		{"range backwards", func(d *Description) { d.Range = Range{5, 4} }, nil},
		{"year 10000", func(d *Description) { d.Created = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, nil},
	} {
		d, m := push(), described(t, push())
		before := m.Clone()
		tt.edit(&d)
		if err := d.set(m); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: Set = %v, want %v", tt.name, err, tt.want)
		}
		if !reflect.DeepEqual(m, before) {
			t.Errorf("%s: Set has changed the section: %+v", tt.name, m)
		}
	}
}

func TestPullMayHaveNothingButAName(t *testing.T) {
	d := Description{Direction: sdp.RecvOnly, Selector: Selector{Name: "a.jpg"}, ID: "x"}
	kind, got, err := Read(described(t, d), nil)
	if kind != KindPull || err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("Read = %v, %+v, %v, want pull, %+v", kind, got, err, d)
	}
}

// RFC 5547 section 6: dates are those of RFC 5322 with numeric zones.
func TestDatesAreReadAndWritten(t *testing.T) {
	created := time.Date(2006, 5, 15, 15, 1, 31, 0, east3)
	read := time.Date(2006, 5, 16, 9, 12, 27, 0, time.UTC)
	for _, tt := range []struct {
		name, text string
		want       Description
		again      string // as it is written; "": as it was read
	}{
		{"all", `creation:"Mon, 15 May 2006 15:01:31 +0300" modification:"Mon, 15 May 2006 15:01:31 +0300" read:"Tue, 16 May 2006 09:12:27 +0000"`,
			Description{Created: created, Modified: created, Read: read}, ""},
		{"in any order", `read:"Tue, 16 May 2006 09:12:27 +0000" Creation:"Mon, 15 May 2006 15:01:31 +0300"`,
			Description{Created: created, Read: read},
			`creation:"Mon, 15 May 2006 15:01:31 +0300" read:"Tue, 16 May 2006 09:12:27 +0000"`},
		{"of the first of two", `creation:"Mon, 15 May 2006 15:01:31 +0300" creation:"Tue, 16 May 2006 09:12:27 +0000"`,
			Description{Created: created}, `creation:"Mon, 15 May 2006 15:01:31 +0300"`},
		{"without a day and with an old zone", `read:"16 May 2006 09:12:27 GMT"`,
			Description{Read: read}, `read:"Tue, 16 May 2006 09:12:27 +0000"`},
		{"beside others", `touched:"x" creation:"yesterday" read:"Tue, 16 May 2006 09:12:27 +0000" x`,
			Description{Read: read}, `read:"Tue, 16 May 2006 09:12:27 +0000"`},
		{"before 1900", `read:"Mon, 15 May 1806 15:01:31 +0300"`, Description{}, `-`},
		{"not quoted", `read:16 May 2006`, Description{}, "-"},
		{"not closed", `read:"16 May 2006`, Description{}, "-"},
	} {
		m := with(described(t, push()), "file-date", tt.text)
		_, got, err := Read(m, nil)
		if err != nil || !got.Created.Equal(tt.want.Created) || !got.Modified.Equal(tt.want.Modified) || !got.Read.Equal(tt.want.Read) {
			t.Errorf("%s: %v, %v, %v, %v, want %v", tt.name, got.Created, got.Modified, got.Read, err, tt.want)
		}
		want := strings.TrimPrefix(tt.again, "-")
		if tt.again == "" {
			want = tt.text
		}
		if again, _ := attribute(described(t, got), "file-date"); again != want {
			t.Errorf("%s: written as %s, want %s", tt.name, again, want)
		}
	}
}

// The zone of Amsterdam was once 19 minutes and 32 seconds east, which +HHMM
// cannot say.
func TestDateOfAnOddZoneIsThatInstant(t *testing.T) {
	d := push()
	d.Created = time.Date(1930, 1, 1, 12, 0, 0, 0, time.FixedZone("AMT", 19*60+32))
	if _, got, _ := Read(described(t, d), nil); !got.Created.Equal(d.Created) {
		t.Errorf("Created = %v, want %v", got.Created, d.Created)
	}
}

func TestRangeIsRead(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Range // zero: refused
	}{
		{"1-32349", Range{1, 32349}},
		{"2049-*", Range{2049, 0}},
		{"1-*", Range{1, 0}},
		{"7-7", Range{7, 7}},
		{"7-6", Range{}},
		{"0-6", Range{}},
		{"1-0", Range{}},
		{"*-6", Range{}},
		{"5", Range{}},
		{"-5", Range{}},
		{"5-", Range{}},
		{"1-5-9", Range{}},
		{"1 - 5", Range{}},
		{"1-9223372036854775808", Range{}},
		{"", Range{}},
	} {
		if got, ok := parseRange(tt.text); got != tt.want || ok != (tt.want != Range{}) || ok && got.String() != tt.text {
			t.Errorf("parseRange(%q) = %v, %v, want %v", tt.text, got, ok, tt.want)
		}
	}
}

// What a transfer can do without does not stop it.
func TestWhatOnlyDescribesMayBeOdd(t *testing.T) {
	m := with(described(t, push()), "file-disposition", "a b")
	m = with(m, "file-icon", "icon")
	m = with(m, "file-date", "today")
	m = with(m, "x-file-offset", "17")
	kind, d, err := Read(m, nil)
	if kind != KindPush || err != nil || !reflect.DeepEqual(d, push()) {
		t.Errorf("Read = %v, %+v, %v, want push, %+v", kind, d, err, push())
	}
}

func TestOnlyTheFirstLineOfTheSectionCounts(t *testing.T) {
	m := described(t, push())
	m.Attributes = append(m.Attributes, sdp.Attribute{Name: "file-selector", Value: "size:!"}, sdp.Attribute{Name: "file-transfer-id", Value: "other"})
	if _, d, err := Read(m, nil); err != nil || !reflect.DeepEqual(d, push()) {
		t.Errorf("Read = %+v, %v, want %+v", d, err, push())
	}
	// The attributes are at the media level only (RFC 5547 section 6).
	chat := &sdp.Media{Type: "message", Port: 2855, Inherited: m.Attributes}
	if kind, _, err := Read(chat, nil); kind != KindNone || err != nil {
		t.Errorf("Read of a section beside session attributes = %v, %v, want none", kind, err)
	}
}

func TestIdentifiersAreLongAndNew(t *testing.T) {
	a, b := newID(), newID()
	if a == b || len(a) < 26 || !isToken(a) {
		t.Errorf("newID = %q, %q", a, b)
	}
}
