package file

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// A line of a session description has at most 8 KiB, this attribute's name
	// included.
	maxSelector = 8<<10 - len("a=file-selector:")
	maxHashes   = 8
)

// A Selector says which file is meant (RFC 5547 section 5). What is not known
// is left zero.
type Selector struct {
	Name   string // as the file's owner has it, in UTF-8 as a rule; not for the local file system, see [SafeName]
	Type   string // media type and parameters, as in a Content-Type header field: "image/jpeg", "text/plain; charset=utf-8"
	Size   int64  // in octets; 0: not said, as the grammar has no 0
	Hashes []Hash // of the whole file, at most 8; if there are any, SHA1 is among them
}

func (s Selector) isZero() bool {
	return s.Name == "" && s.Type == "" && s.Size == 0 && len(s.Hashes) == 0
}

// String returns the value of a=file-selector (RFC 5547 section 6), or "" if
// the selector is empty or cannot be written: with a Type or a Hash that is none, a
// Size below 0, hashes without SHA1 or more than 8, or if it is longer than 8 KiB.
func (s Selector) String() string {
	text, err := s.text()
	if err != nil {
		return ""
	}
	return text
}

func (s Selector) text() (string, error) {
	var words []string
	if s.Name != "" {
		words = append(words, "name:"+quote(s.Name, `/\`))
	}
	if s.Type != "" {
		typ, err := typeText(s.Type)
		if err != nil {
			return "", err
		}
		words = append(words, "type:"+typ)
	}
	if s.Size < 0 {
		return "", fmt.Errorf("size %d", s.Size)
	}
	if s.Size > 0 {
		words = append(words, "size:"+strconv.FormatInt(s.Size, 10))
	}
	if len(s.Hashes) > maxHashes {
		return "", fmt.Errorf("%d hashes, want at most %d", len(s.Hashes), maxHashes)
	}
	// SHA-1 is what everyone has (RFC 5547 section 5).
	if len(s.Hashes) > 0 && s.hash(SHA1) == nil {
		return "", errors.New("hashes without " + SHA1)
	}
	for _, h := range s.Hashes {
		if err := h.check(); err != nil {
			return "", err
		}
		words = append(words, "hash:"+h.String())
	}
	text := strings.Join(words, " ")
	if len(text) > maxSelector {
		return "", fmt.Errorf("selector of %d bytes, want at most %d", len(text), maxSelector)
	}
	return text, nil
}

// parseSelector reads the value of a=file-selector. Selectors that are not
// known are passed over; of two names, types or sizes the first counts, and
// an empty name and a size of 0, which the grammar lacks, say nothing. Errors
// are of type [*SyntaxError].
func parseSelector(text string) (Selector, error) {
	var s Selector
	if len(text) > maxSelector {
		return s, &SyntaxError{"file-selector", 0, "longer than a line of 8 KiB"}
	}
	for i := 0; i < len(text); {
		if text[i] == ' ' {
			i++
			continue
		}
		n, ok := wordLen(text[i:])
		if !ok {
			return Selector{}, &SyntaxError{"file-selector", i, "a quoted string that does not end"}
		}
		if msg := s.take(text[i : i+n]); msg != "" {
			return Selector{}, &SyntaxError{"file-selector", i, msg}
		}
		i += n
	}
	return s, nil
}

// take reads one selector and returns what is wrong with it, or "".
func (s *Selector) take(word string) string {
	kind, value, _ := strings.Cut(word, ":")
	switch strings.ToLower(kind) {
	case "name":
		name, rest, ok := unquote(value)
		if !ok || rest != "" {
			return "not a quoted name"
		}
		if s.Name == "" {
			s.Name = name
		}
	case "type":
		typ, ok := parseType(value)
		if !ok {
			return "not a media type"
		}
		if s.Type == "" {
			s.Type = typ
		}
	case "size":
		size, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return "not a size"
		}
		if s.Size == 0 {
			s.Size = int64(size)
		}
	case "hash":
		h, ok := parseHash(value)
		if !ok || h.check() != nil {
			return "not a hash"
		}
		return s.add(h)
	}
	return ""
}

// add adds a hash and returns what is wrong with that, or "".
func (s *Selector) add(h Hash) string {
	switch sum := s.hash(h.Algorithm); {
	case sum != nil && string(sum) != string(h.Sum):
		return "two hashes of one algorithm"
	case sum != nil:
		return ""
	case len(s.Hashes) == maxHashes:
		return "more than 8 hashes"
	}
	s.Hashes = append(s.Hashes, h)
	return ""
}

// wordLen returns the length of the word that text begins with: up to a space
// that is not between quotes. A quote within quotes is percent-encoded.
func wordLen(text string) (n int, ok bool) {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ' ' && !quoted:
			return i, true
		}
	}
	return len(text), !quoted
}
