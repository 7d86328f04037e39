package file

import (
	"bytes"
	"slices"
)

// Matches reports whether a file is one that s selects: it has the name, the
// type, the size and the hashes that s has (RFC 5547 section 8.3.2). Of several
// hashes those count whose algorithm the file has, too, and there must be one.
// A selector that says nothing selects nothing.
func (s Selector) Matches(file Selector) bool {
	switch {
	case s.isZero(),
		s.Name != "" && s.Name != file.Name,
		s.Type != "" && !typeFits(s.Type, file.Type),
		s.Size != 0 && s.Size != file.Size:
		return false
	}
	same, other := s.compareHashes(file)
	return !other && (same || len(s.Hashes) == 0)
}

// contradicts reports whether s and t cannot be about one file: they differ in
// what both say.
func (s Selector) contradicts(t Selector) bool {
	_, other := s.compareHashes(t)
	return other ||
		s.Name != "" && t.Name != "" && s.Name != t.Name ||
		s.Type != "" && t.Type != "" && !typeFits(s.Type, t.Type) && !typeFits(t.Type, s.Type) ||
		s.Size != 0 && t.Size != 0 && s.Size != t.Size
}

// merge returns what s and t say together; s goes before t.
func (s Selector) merge(t Selector) Selector {
	if s.Name == "" {
		s.Name = t.Name
	}
	if s.Type == "" {
		s.Type = t.Type
	}
	if s.Size == 0 {
		s.Size = t.Size
	}
	s.Hashes = slices.Clone(s.Hashes)
	for _, h := range t.Hashes {
		s.add(h)
	}
	return s
}

// compareHashes reports whether s and t share an algorithm with the same hash,
// and one with another.
func (s Selector) compareHashes(t Selector) (same, other bool) {
	for _, h := range s.Hashes {
		if sum := t.hash(h.Algorithm); sum != nil {
			if bytes.Equal(sum, h.Sum) {
				same = true
			} else {
				other = true
			}
		}
	}
	return same, other
}

// hash returns the hash by an algorithm, nil if there is none.
func (s Selector) hash(algorithm string) []byte {
	for _, h := range s.Hashes {
		if h.Algorithm == algorithm {
			return h.Sum
		}
	}
	return nil
}
