package xmldoc

import "unicode/utf8"

// isChar reports whether a document may contain r, as it is or as a reference
// (XML 1.0 section 2.2).
func isChar(r rune) bool {
	return r >= ' ' && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// badChar returns where s has a byte that is no UTF-8, or a character that no
// document may contain; -1 if it has none.
func badChar(s string) int {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if n == 1 || !isChar(r) {
			return i
		}
		i += n
	}
	return -1
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isNameStart reports whether a name may begin with r (XML 1.0 section 2.3), but
// for the colon, which is between prefix and name.
func isNameStart(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
	case r <= 0x2FF:
		return r >= 0xC0 && r != 0xD7 && r != 0xF7
	case r <= 0x1FFF:
		return r >= 0x370 && r != 0x37E
	case r <= 0xD7FF:
		return r == 0x200C || r == 0x200D || r >= 0x2070 && r <= 0x218F || r >= 0x2C00 && r <= 0x2FEF || r >= 0x3001
	}
	return r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFFD || r >= 0x10000 && r <= 0xEFFFF
}

// isNamePart reports whether r may stand in a name after its first character.
func isNamePart(r rune) bool {
	return isNameStart(r) || r >= '0' && r <= '9' || r == '-' || r == '.' ||
		r == 0xB7 || r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}

// nameLen returns how long the name is that s begins with; 0: there is none.
func nameLen(s string) int {
	for i, r := range s {
		if r == utf8.RuneError || !(isNameStart(r) || i > 0 && isNamePart(r)) {
			return i
		}
	}
	return len(s)
}
