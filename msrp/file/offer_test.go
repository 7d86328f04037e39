package file

import (
	"errors"
	"reflect"
	"testing"

	"github.com/goparley/parley/sdp"
)

func TestOfferIsWhatItsDirectionSays(t *testing.T) {
	for _, tt := range []struct {
		way  sdp.Direction
		want Kind
		err  error
	}{
		{sdp.SendOnly, KindPush, nil},
		{sdp.RecvOnly, KindPull, nil},
		{sdp.SendRecv, KindNone, ErrDirection},
		{sdp.Inactive, KindNone, ErrDirection},
	} {
		m := described(t, push())
		m.Direction = tt.way
		if kind, _, err := Read(m, nil); kind != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Read of %v = %v, %v, want %v, %v", tt.way, kind, err, tt.want, tt.err)
		}
	}
}

// RFC 5547 section 8.1, figure 3.
func TestIdentifierAndSelectorSayWhetherATransferIsNew(t *testing.T) {
	first := push()
	known := []Description{{ID: "another", Selector: Selector{Size: 5}}, first}
	newID := func(d *Description) { d.ID = "transfer2" }
	newFile := func(d *Description) { d.Selector = Selector{Name: "b.jpg", Size: 9} }
	for _, tt := range []struct {
		name  string
		edits []func(*Description)
		want  Kind
		err   error
	}{
		{"changed, different file", []func(*Description){newID, newFile}, KindPush, nil},
		{"changed, same file", []func(*Description){newID}, KindPush, nil},
		{"unchanged, different file", []func(*Description){newFile}, KindNone, ErrOtherFile},
		{"unchanged, same file", nil, KindSame, nil},
		{"unchanged, with another name", []func(*Description){func(d *Description) { d.Selector.Name = "c.jpg" }}, KindNone, ErrOtherFile},
		{"unchanged, with another type", []func(*Description){func(d *Description) { d.Selector.Type = "image/png" }}, KindNone, ErrOtherFile},
		{"unchanged, with another size", []func(*Description){func(d *Description) { d.Selector.Size++ }}, KindNone, ErrOtherFile},
		{"unchanged, with another hash", []func(*Description){func(d *Description) {
			d.Selector.Hashes = []Hash{{SHA1, make([]byte, 20)}}
		}}, KindNone, ErrOtherFile},
		{"unchanged, with a hash more", []func(*Description){func(d *Description) {
			d.Selector.Hashes = []Hash{sha1Hash, sha256Hash}
		}}, KindSame, nil},
		{"unchanged, with a selector less", []func(*Description){func(d *Description) { d.Selector.Name = "" }}, KindSame, nil},
		{"unchanged, offered by the side that receives", []func(*Description){func(d *Description) { d.Direction = sdp.RecvOnly }}, KindSame, nil},
	} {
		d := first
		for _, edit := range tt.edits {
			edit(&d)
		}
		if kind, _, err := Read(described(t, d), known); kind != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: Read = %v, %v, want %v, %v", tt.name, kind, err, tt.want, tt.err)
		}
	}
}

func TestTransferOnHoldIsTheSame(t *testing.T) {
	m := described(t, push())
	m.Direction = sdp.Inactive
	if kind, _, err := Read(m, []Description{push()}); kind != KindSame || err != nil {
		t.Errorf("Read = %v, %v, want same", kind, err)
	}
}

// RFC 5547 section 8.1: port 0 goes before all that an identifier can say.
func TestPort0EndsATransferWhateverElseItSays(t *testing.T) {
	m := described(t, push())
	m.Port = 0
	if kind, d, err := Read(m, nil); kind != KindEnded || err != nil || !reflect.DeepEqual(d, push()) {
		t.Errorf("Read = %v, %+v, %v, want ended, %+v", kind, d, err, push())
	}
	m = with(m, "file-selector", "size:!")
	m.Direction = sdp.SendRecv
	if kind, d, err := Read(m, nil); kind != KindEnded || err != nil || d.ID != "transfer1" {
		t.Errorf("Read with a bad selector = %v, %+v, %v, want ended", kind, d, err)
	}
}

func TestResumedTransferHasItsRangeInTheFile(t *testing.T) {
	for _, tt := range []struct {
		text string
		err  error
	}{
		{"1-1000", nil},
		{"501-*", nil},
		{"1000-1000", nil},
		{"1001-*", ErrRange},
		{"1-1001", ErrRange},
	} {
		kind, d, err := Read(with(described(t, push()), "file-range", tt.text), nil)
		if !errors.Is(err, tt.err) || err == nil && (kind != KindPush || d.Range.String() != tt.text) {
			t.Errorf("Read with a range of %s = %v, %v, %v, want %v", tt.text, kind, d.Range, err, tt.err)
		}
	}
	// Of a file whose size is not said any range may be there.
	d := Description{Direction: sdp.RecvOnly, Selector: Selector{Name: "a"}, ID: "x", Range: Range{1 << 40, 0}}
	if kind, _, err := Read(described(t, d), nil); kind != KindPull || err != nil {
		t.Errorf("Read = %v, %v, want pull", kind, err)
	}
}

func TestWhatOfferIsRefused(t *testing.T) {
	ok := described(t, push())
	for _, tt := range []struct {
		name string
		m    *sdp.Media
		want error // nil: a SyntaxError
	}{
		{"no identifier", &sdp.Media{Port: 1, Attributes: ok.Attributes[:1]}, ErrNoID},
		{"no selector", &sdp.Media{Port: 1, Attributes: ok.Attributes[1:]}, ErrNoSelector},
		{"empty selector", with(ok, "file-selector", ""), ErrNoSelector},
		{"unknown selectors alone", with(ok, "file-selector", "color:red"), ErrNoSelector},
		{"bad selector", with(ok, "file-selector", "size:x"), nil},
		{"bad identifier", with(ok, "file-transfer-id", "a b"), nil},
		{"empty identifier", with(ok, "file-transfer-id", ""), nil},
		{"bad range", with(ok, "file-range", "7-6"), nil},
	} {
		kind, d, err := Read(tt.m, nil)
		var syntax *SyntaxError
		if kind != KindNone || !reflect.DeepEqual(d, Description{}) ||
			tt.want == nil && !errors.As(err, &syntax) || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: Read = %v, %+v, %v, want %v", tt.name, kind, d, err, tt.want)
		}
	}
}

func TestOrdinaryChatIsNoTransfer(t *testing.T) {
	m := &sdp.Media{Type: "message", Port: 2855, Attributes: []sdp.Attribute{{Name: "accept-types", Value: "*"}}}
	if kind, _, err := Read(m, nil); kind != KindNone || err != nil {
		t.Errorf("Read = %v, %v, want none", kind, err)
	}
}

// RFC 5547 section 8.5: an empty selector and nothing else.
func TestCapabilityIsAnEmptySelector(t *testing.T) {
	m := described(t, push())
	SetCapability(m)
	if len(m.Attributes) != 1 || m.Attributes[0] != (sdp.Attribute{Name: "file-selector"}) {
		t.Errorf("SetCapability: %q", m.Attributes)
	}
	for _, port := range []int{0, 2855} {
		m.Port = port
		if kind, _, err := Read(m, nil); kind != KindCapability || err != nil {
			t.Errorf("Read with port %d = %v, %v, want capability", port, kind, err)
		}
	}
}
