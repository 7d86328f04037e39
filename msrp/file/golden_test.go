package file

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/sdp"
)

// printed are the sections that RFC 5547 prints in sections 6 and 9, with the
// lines joined that it splits for print, by file name.
func printed(t testing.TB) map[string]*sdp.Media {
	t.Helper()
	files, err := filepath.Glob("testdata/*.sdp")
	if err != nil || len(files) != 8 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	out := map[string]*sdp.Media{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sdp.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[filepath.Base(f)] = s.Media[0]
	}
	return out
}

func section(t testing.TB, name string) *sdp.Media {
	t.Helper()
	m := printed(t)[name]
	if m == nil {
		t.Fatalf("no example %s", name)
	}
	return m
}

var east3 = time.FixedZone("", 3*60*60)

// Figure 2 of RFC 5547 has every attribute.
func TestFigure2SaysAllOfAFile(t *testing.T) {
	kind, d, err := Read(section(t, "rfc5547-01-s6.sdp"), nil)
	if kind != KindPush || err != nil {
		t.Fatalf("Read = %v, %v, want push", kind, err)
	}
	s := d.Selector
	if s.Name != "My cool picture.jpg" || s.Type != "image/jpeg" || s.Size != 32349 ||
		len(s.Hashes) != 1 || s.Hashes[0].Algorithm != SHA1 || !bytes.Equal(s.Hashes[0].Sum, sha1Hash.Sum) {
		t.Errorf("Selector = %+v", s)
	}
	if d.ID != "vBnG916bdberum2fFEABR1FR3ExZMUrd" || d.Disposition != "attachment" ||
		d.Icon != "cid:id2@alicepc.example.com" || d.Range != (Range{1, 32349}) {
		t.Errorf("Description = %+v", d)
	}
	if want := time.Date(2006, 5, 15, 15, 1, 31, 0, east3); !d.Created.Equal(want) || !d.Modified.IsZero() || !d.Read.IsZero() {
		t.Errorf("dates = %v, %v, %v, want %v alone", d.Created, d.Modified, d.Read, want)
	}
}

// What the RFC prints is read, and written again to the letter.
func TestWhatTheRFCPrintsIsWrittenTheSame(t *testing.T) {
	want := map[string]Kind{
		"rfc5547-01-s6.sdp":                 KindPush,
		"rfc5547-02-s9.1-offer.sdp":         KindPush,
		"rfc5547-03-s9.1-answer.sdp":        KindPull, // as an answer it is none
		"rfc5547-04-s9.2-offer.sdp":         KindPull,
		"rfc5547-05-s9.2-answer.sdp":        KindPush,
		"rfc5547-06-s9.2-second_offer.sdp":  KindPush,
		"rfc5547-07-s9.2-second_answer.sdp": KindPull,
		"rfc5547-08-s9.3-options.sdp":       KindCapability,
	}
	for name, m := range printed(t) {
		kind, d, err := Read(m, nil)
		if kind != want[name] || err != nil {
			t.Errorf("%s: Read = %v, %v, want %v", name, kind, err, want[name])
			continue
		}
		again := m.Clone()
		again.Attributes = without(m)
		again.Direction = sdp.SendRecv
		if kind == KindCapability {
			SetCapability(again)
			again.Direction = m.Direction
		} else if err := d.set(again); err != nil {
			t.Errorf("%s: Set: %v", name, err)
			continue
		}
		if !slices.Equal(again.Attributes, m.Attributes) || again.Direction != m.Direction {
			t.Errorf("%s: written as %v %q, want %v %q", name, again.Direction, again.Attributes, m.Direction, m.Attributes)
		}
	}
}

// Section 9.1: Alice sends a picture, and Bob's answer is that of figure 9.
func TestSection9_1IsAPush(t *testing.T) {
	offer, answer := section(t, "rfc5547-02-s9.1-offer.sdp"), section(t, "rfc5547-03-s9.1-answer.sdp")
	kind, offered, err := Read(offer, nil)
	if kind != KindPush || err != nil {
		t.Fatalf("Read = %v, %v, want push", kind, err)
	}
	m := &sdp.Media{Attributes: without(answer)}
	if err := offered.acceptPush().set(m); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Attributes, answer.Attributes) || m.Direction != sdp.RecvOnly {
		t.Errorf("answer = %v %q, want %q", m.Direction, m.Attributes, answer.Attributes)
	}
	agreed, err := readAnswer(answer, offered)
	if err != nil || agreed.Selector.String() != offered.Selector.String() || agreed.Direction != sdp.RecvOnly {
		t.Errorf("readAnswer = %+v, %v", agreed, err)
	}
}

// Section 9.2: Alice gets a picture of which she knows the hash, and then sends
// one in the same section, as a new transfer.
func TestSection9_2IsAPullAndThenAPush(t *testing.T) {
	offer, answer := section(t, "rfc5547-04-s9.2-offer.sdp"), section(t, "rfc5547-05-s9.2-answer.sdp")
	kind, offered, err := Read(offer, nil)
	if kind != KindPull || err != nil {
		t.Fatalf("Read = %v, %v, want pull", kind, err)
	}
	photo := Selector{Name: "My cool photo.jpg", Type: "image/jpeg", Size: 1931, Hashes: []Hash{{SHA1, sha1Hash.Sum}}}
	accepted, err := offered.acceptPull(photo)
	if err != nil {
		t.Fatal(err)
	}
	m := &sdp.Media{Attributes: without(answer)}
	if err := accepted.set(m); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Attributes, answer.Attributes) || m.Direction != sdp.SendOnly {
		t.Errorf("answer = %v %q, want %q", m.Direction, m.Attributes, answer.Attributes)
	}
	agreed, err := readAnswer(answer, offered)
	if err != nil || agreed.Selector.Type != "image/jpeg" {
		t.Errorf("readAnswer = %+v, %v", agreed, err)
	}

	known := []Description{agreed}
	kind, second, err := Read(section(t, "rfc5547-06-s9.2-second_offer.sdp"), known)
	if kind != KindPush || err != nil {
		t.Fatalf("Read of the second offer = %v, %v, want push", kind, err)
	}
	// Figure 20 has a disposition, which section 8.3.1 has an answer not say.
	if _, err := readAnswer(section(t, "rfc5547-07-s9.2-second_answer.sdp"), second); err != nil {
		t.Errorf("readAnswer of figure 20: %v", err)
	}
	if kind, _, err := Read(section(t, "rfc5547-04-s9.2-offer.sdp"), known); kind != KindSame || err != nil {
		t.Errorf("Read of the first offer again = %v, %v, want same", kind, err)
	}
}
