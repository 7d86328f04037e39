package file

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"mime"
	"path"
	"strings"
)

// Names of hash algorithms (RFC 5547 section 5, and the IANA registry of Hash
// Function Textual Names). A hash of another one is passed on and not checked.
const (
	SHA1   = "sha-1"
	SHA256 = "sha-256"
)

// A Hash is the hash of a whole file, also when only a part of it is
// transferred (RFC 5547 section 5).
type Hash struct {
	Algorithm string // in lower case: SHA1, SHA256 or another token
	Sum       []byte // 20 bytes for SHA1, 32 for SHA256
}

// String returns the hash as a hash-selector has it: "sha-1:72:24:...".
func (h Hash) String() string {
	return h.Algorithm + ":" + strings.ReplaceAll(fmt.Sprintf("% X", h.Sum), " ", ":")
}

func (h Hash) check() error {
	n := len(h.Sum)
	if !isToken(h.Algorithm) || h.Algorithm != strings.ToLower(h.Algorithm) || n == 0 ||
		h.Algorithm == SHA1 && n != sha1.Size || h.Algorithm == SHA256 && n != sha256.Size {
		return fmt.Errorf("not a hash: %.80q of %d bytes", h.Algorithm, n)
	}
	return nil
}

// parseHash reads algorithm:XX:XX:... in any case.
func parseHash(text string) (Hash, bool) {
	algorithm, value, ok := strings.Cut(text, ":")
	if !ok || len(value)%3 != 2 {
		return Hash{}, false
	}
	sum := make([]byte, 0, len(value)/3+1)
	for i := 0; i < len(value); i += 3 {
		hi, ok1 := hexDigit(value[i])
		lo, ok2 := hexDigit(value[i+1])
		if !ok1 || !ok2 || i > 0 && value[i-1] != ':' {
			return Hash{}, false
		}
		sum = append(sum, hi<<4|lo)
	}
	return Hash{strings.ToLower(algorithm), sum}, true
}

// Describe reads a file to its end and returns what selects it: its name
// without directories, its media type by the extension of that, its size and
// its hashes by SHA1 and SHA256. The error is that of the reader.
func Describe(name string, r io.Reader) (Selector, error) {
	h := newHashing(io.Discard)
	if _, err := io.Copy(h, r); err != nil {
		return Selector{}, fmt.Errorf("describe %s: %w", name, err)
	}
	name = base(name)
	return Selector{Name: name, Type: typeOf(name), Size: h.size, Hashes: h.hashes()}, nil
}

// typeOf returns the media type of a file by the extension of its name.
func typeOf(name string) string {
	if typ := mime.TypeByExtension(path.Ext(name)); typ != "" {
		return typ
	}
	return "application/octet-stream"
}

// A hashing writes a file from its first octet on and hashes what it has
// written.
type hashing struct {
	to     io.Writer
	sha1   hash.Hash
	sha256 hash.Hash
	size   int64 // of the file so far, in octets
}

func newHashing(to io.Writer) *hashing {
	return &hashing{to: to, sha1: sha1.New(), sha256: sha256.New()}
}

// hashFirst hashes the first octets of a file, which are there already, to go on
// behind them: a hash is that of the whole file. ErrRange says that there are
// fewer.
func hashFirst(ctx context.Context, file io.ReaderAt, octets int64) (*hashing, error) {
	h := newHashing(io.Discard)
	n, err := io.Copy(h, &reader{ctx, io.NewSectionReader(file, 0, octets)})
	if err == nil && n < octets {
		err = ErrRange
	}
	if err != nil {
		return nil, fmt.Errorf("hash what is there: %w", err)
	}
	return h, nil
}

func (h *hashing) Write(p []byte) (int, error) {
	n, err := h.to.Write(p)
	h.sha1.Write(p[:n])
	h.sha256.Write(p[:n])
	h.size += int64(n)
	return n, err
}

func (h *hashing) hashes() []Hash {
	return []Hash{{SHA1, h.sha1.Sum(nil)}, {SHA256, h.sha256.Sum(nil)}}
}

// check compares what was written with what was announced, in size and hashes:
// the transfer has failed if they differ (RFC 5547 sections 8.2.2 and 8.3.1).
// The error is ErrOtherFile, wrapped.
func (h *hashing) check(want Selector) error {
	if want.Size != 0 && want.Size != h.size {
		return fmt.Errorf("%w: %d octets, want %d", ErrOtherFile, h.size, want.Size)
	}
	for _, got := range h.hashes() {
		if sum := want.hash(got.Algorithm); sum != nil && string(sum) != string(got.Sum) {
			return fmt.Errorf("%w: hash %v, want %v", ErrOtherFile, got, Hash{got.Algorithm, sum})
		}
	}
	return nil
}
