package file

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// The vectors of FIPS 180 for "abc", as the text of a hash-selector.
const (
	abcSHA1   = "sha-1:A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D"
	abcSHA256 = "sha-256:BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
)

func TestDescribeReadsAFile(t *testing.T) {
	s, err := Describe("/home/alice/abc.png", strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), `name:"abc.png" type:image/png size:3 hash:`+abcSHA1+" hash:"+abcSHA256; got != want {
		t.Errorf("Describe = %s, want %s", got, want)
	}
	if !(Selector{Name: "abc.png", Size: 3}).Matches(s) {
		t.Error("a file does not match its own name and size")
	}
	s, err = Describe("abc", strings.NewReader(""))
	if err != nil || s.Type != "application/octet-stream" || s.Size != 0 {
		t.Errorf("Describe of an empty file = %+v, %v", s, err)
	}
	broken := errors.New("broken")
	if _, err = Describe("abc", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("Describe of what cannot be read: %v", err)
	}
}

// A transfer breaks off after 2500 of 6000 octets and is resumed: the hash is
// that of the whole file (RFC 5547 section 5).
func TestResumedFileIsHashedFromItsStart(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 600)
	sum1, sum256 := sha1.Sum(content), sha256.Sum256(content)
	want := Selector{Size: 6000, Hashes: []Hash{{SHA1, sum1[:]}, {SHA256, sum256[:]}}}

	root, _ := openRoot(t)
	f, err := create(root, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	first, err := (&part{f: f}).write(t.Context(), 0) // nothing is there
	if err != nil || first.size != 0 {
		t.Fatalf("write to an empty file: %d octets, %v", first.size, err)
	}
	for _, part := range [][]byte{content[:2000], content[2000:2500]} {
		if n, err := first.Write(part); n != len(part) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if err := first.check(want); !errors.Is(err, ErrOtherFile) {
		t.Errorf("check of a part: %v, want ErrOtherFile", err)
	}

	again, err := root.OpenFile("a", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	p := &part{f: again}
	if _, err := p.write(t.Context(), 2501); !errors.Is(err, ErrRange) {
		t.Errorf("write behind what is not there: %v, want ErrRange", err)
	}
	second, err := p.write(t.Context(), 2500)
	if err != nil || second.size != 2500 {
		t.Fatalf("write: %d octets, %v, want 2500", second.size, err)
	}
	if _, err := second.Write(content[2500:]); err != nil {
		t.Fatal(err)
	}
	if err := second.check(want); err != nil {
		t.Errorf("check of the whole: %v", err)
	}
	if got, err := root.ReadFile("a"); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file has %d octets, %v", len(got), err)
	}
}

func TestReceivedFileIsWhatItsSelectorSaid(t *testing.T) {
	h := newHashing(io.Discard)
	io.WriteString(h, "abc")
	wrong1, wrong256 := Hash{SHA1, make([]byte, 20)}, Hash{SHA256, make([]byte, 32)}
	right, _ := parseHash(abcSHA1)
	for _, tt := range []struct {
		want Selector
		err  error
	}{
		{Selector{}, nil},
		{Selector{Name: "any", Type: "a/b", Size: 3, Hashes: []Hash{right}}, nil},
		{Selector{Hashes: []Hash{{"md9", []byte{1}}}}, nil},
		{Selector{Size: 4, Hashes: []Hash{right}}, ErrOtherFile},
		{Selector{Hashes: []Hash{wrong1}}, ErrOtherFile},
		{Selector{Hashes: []Hash{right, wrong256}}, ErrOtherFile},
	} {
		if err := h.check(tt.want); !errors.Is(err, tt.err) {
			t.Errorf("check(%v) = %v, want %v", tt.want, err, tt.err)
		}
	}
}

// short takes two octets and then fails, as a full disk does.
type short struct{ bytes.Buffer }

func (s *short) Write(p []byte) (int, error) {
	n, _ := s.Buffer.Write(p[:2])
	return n, io.ErrShortWrite
}

func TestOnlyWhatWasWrittenIsHashed(t *testing.T) {
	h := newHashing(&short{})
	if n, err := h.Write([]byte("abc")); n != 2 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Write = %d, %v", n, err)
	}
	if sum := sha1.Sum([]byte("ab")); h.size != 2 || !bytes.Equal(h.hashes()[0].Sum, sum[:]) {
		t.Errorf("%d octets of hash %v", h.size, h.hashes()[0])
	}
}
