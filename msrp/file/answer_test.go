package file

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/sdp"
)

// RFC 5547 section 8.3.1: name, type, size, identifier and range are copied;
// icon, disposition and dates are not.
func TestAnswerToAPushRepeatsWhichFile(t *testing.T) {
	offer := push()
	offer.Range = Range{501, 1000}
	offer.Disposition, offer.Icon = "attachment", "cid:a@b"
	offer.Created, offer.Modified, offer.Read = time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0)
	want := Description{Direction: sdp.RecvOnly, Selector: offer.Selector, ID: offer.ID, Range: offer.Range}
	if got := offer.acceptPush(); !reflect.DeepEqual(got, want) {
		t.Errorf("acceptPush = %+v, want %+v", got, want)
	}

	offer.Selector.Hashes = []Hash{sha256Hash} // without SHA-1, which it must not be
	if err := offer.acceptPush().set(&sdp.Media{}); err != nil {
		t.Errorf("Set of the answer to an offer without SHA-1: %v", err)
	}
}

// RFC 5547 section 8.3.2.
func TestAnswerToAPullSaysTypeAndHashes(t *testing.T) {
	file := Selector{"a.jpg", "image/jpeg", 1000, []Hash{sha1Hash, sha256Hash}}
	offer := Description{Direction: sdp.RecvOnly, Selector: Selector{Name: "a.jpg"}, ID: "x", Range: Range{501, 0}}
	want := Description{Direction: sdp.SendOnly, Selector: Selector{Type: "image/jpeg", Hashes: file.Hashes}, ID: "x", Range: Range{501, 0}}
	got, err := offer.acceptPull(file)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("acceptPull = %+v, %v, want %+v", got, err, want)
	}
	// The offerer then knows what it asked for and what it was told.
	agreed, err := readAnswer(described(t, got), offer)
	wanted := Selector{"a.jpg", "image/jpeg", 0, file.Hashes}
	if err != nil || !reflect.DeepEqual(agreed.Selector, wanted) || agreed.Range != offer.Range {
		t.Errorf("readAnswer = %+v, %v, want %+v", agreed, err, wanted)
	}

	file.Size = 500
	if _, err := offer.acceptPull(file); !errors.Is(err, ErrRange) {
		t.Errorf("acceptPull of a file that is too short: %v, want ErrRange", err)
	}
	file.Size = 0 // of an empty one there is nothing but all of it
	for r, want := range map[Range]error{{}: nil, {1, 0}: nil, {1, 1}: ErrRange, {2, 0}: ErrRange, {100, 0}: ErrRange, {100, 200}: ErrRange} {
		offer.Range = r
		if _, err := offer.acceptPull(file); !errors.Is(err, want) {
			t.Errorf("acceptPull of %v of an empty file: %v, want %v", r, err, want)
		}
	}
	file.Name = "b.jpg"
	if _, err := offer.acceptPull(file); !errors.Is(err, ErrOtherFile) {
		t.Errorf("acceptPull of another file: %v, want ErrOtherFile", err)
	}
}

// RFC 5547 section 8.3: selector and identifier mirror the offer, to the letter.
func TestRefusalMirrorsTheOffer(t *testing.T) {
	m := described(t, push())
	m = with(m, "file-selector", `size:1 name:"%41" x:y`)
	m = with(m, "file-disposition", "attachment")
	got := refuse(m)
	want := []sdp.Attribute{{Name: "file-selector", Value: `size:1 name:"%41" x:y`}, {Name: "file-transfer-id", Value: "transfer1"}}
	if got.Port != 0 || got.Type != "message" || got.Proto != "TCP/MSRP" || !slices.Equal(got.Attributes, want) {
		t.Errorf("Refuse = %+v, want %q", got, want)
	}
	if kind, d, err := Read(got, nil); kind != KindEnded || d.ID != "transfer1" || err != nil {
		t.Errorf("Read of the refusal = %v, %+v, %v, want ended", kind, d, err)
	}
	if _, err := readAnswer(got, push()); !errors.Is(err, ErrRefused) {
		t.Errorf("readAnswer of the refusal: %v, want ErrRefused", err)
	}
}

func TestAnswerIsAboutTheOffer(t *testing.T) {
	offer := push()
	answer := described(t, offer.acceptPush())
	resumed := offer
	resumed.Range = Range{501, 0}
	pull := Description{Direction: sdp.RecvOnly, Selector: Selector{Name: "a.jpg"}, ID: "transfer1"}
	pullOpen := pull
	pullOpen.Range = Range{501, 0}
	plain := &sdp.Media{Type: "message", Port: 2855, Direction: sdp.RecvOnly}
	errSyntax := errors.New("a SyntaxError")
	for _, tt := range []struct {
		name  string
		m     *sdp.Media
		offer Description
		want  error // nil: none
	}{
		{"as it should be", answer, offer, nil},
		{"with all of the file as a range", with(answer, "file-range", "1-1000"), offer, nil},
		{"with another identifier", with(answer, "file-transfer-id", "other"), offer, ErrOtherFile},
		{"with no identifier", &sdp.Media{Port: 1, Attributes: answer.Attributes[:1]}, offer, ErrNoID},
		{"with another file", with(answer, "file-selector", "size:1001"), offer, ErrOtherFile},
		{"with a bad selector", with(answer, "file-selector", "size:x"), offer, errSyntax},
		{"with a range that nobody offered", with(answer, "file-range", "1-10"), offer, ErrRange},
		{"resumed", with(answer, "file-range", "501-*"), resumed, nil},
		{"resumed, with the last octet", with(answer, "file-range", "501-1000"), resumed, nil},
		{"resumed, but from elsewhere", with(answer, "file-range", "502-*"), resumed, ErrRange},
		{"resumed, but to elsewhere", with(answer, "file-range", "501-999"), resumed, ErrRange},
		{"resumed, but from the start", answer, resumed, ErrRange},
		{"of a sender who knows the end", with(answer, "file-range", "501-1000"), pullOpen, nil},
		{"of a sender who stops where he said nothing of a size",
			with(with(answer, "file-selector", "type:a/b"), "file-range", "501-600"), pullOpen, nil},
		{"of a peer that knows no transfers", plain, offer, nil}, // RFC 5547 section 4
		{"of one that would resume", plain, resumed, ErrNoID},
		{"of one that would send", plain, pull, ErrNoID},
	} {
		d, err := readAnswer(tt.m, tt.offer)
		if syntax := new(SyntaxError); errors.As(err, &syntax) {
			err = errSyntax
		}
		switch {
		case !errors.Is(err, tt.want):
			t.Errorf("%s: readAnswer: %v, want %v", tt.name, err, tt.want)
		case err == nil && (d.ID != tt.offer.ID || d.Selector.Name != "a.jpg" || d.Direction != tt.m.Direction):
			t.Errorf("%s: readAnswer = %+v", tt.name, d)
		}
	}
}
