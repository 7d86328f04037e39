package file

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName = 255 // bytes of a name in common file systems
	maxExt  = 32  // bytes of what is taken for an extension, dot included
)

// SafeName returns a name for the local file system, of any system, from one
// that a peer gave (RFC 5547 sections 6 and 10). It is what follows the last
// slash or backslash, without control and format characters, such as those
// that turn the reading direction around, and without dots, dashes and spaces
// in front and dots and spaces at the end. What Windows gives a meaning to
// becomes "_", or gets one in front. It is UTF-8, of 1 to 255 bytes, and of a
// longer name the extension is kept. A name of which nothing is left is "file".
func SafeName(name string) string {
	name = strings.Map(safeRune, strings.ToValidUTF8(base(name), "_"))
	name = shorten(strings.TrimLeft(name, ".- "), "")
	if isDevice(name) {
		name = shorten("_"+name, "")
	}
	if name == "" {
		return "file"
	}
	return name
}

// base returns the last element of a path of any system.
func base(name string) string {
	name = strings.TrimRight(name, `/\`)
	return name[strings.LastIndexAny(name, `/\`)+1:]
}

func safeRune(r rune) rune {
	switch {
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return -1
	case unicode.IsSpace(r):
		return ' '
	case strings.ContainsRune(`<>:"|?*`, r):
		return '_'
	}
	return r
}

// shorten returns a name with something added before its extension, short
// enough and without dots and spaces at its end, which Windows drops.
func shorten(name, added string) string {
	name = strings.TrimRight(name, ". ")
	ext := path.Ext(name)
	if len(ext) > maxExt {
		ext = ""
	}
	stem := name[:len(name)-len(ext)]
	if room := maxName - len(ext) - len(added); len(stem) > room {
		for room > 0 && !utf8.RuneStart(stem[room]) {
			room--
		}
		stem = stem[:room]
	}
	return strings.TrimRight(stem+added+ext, ". ")
}

// isDevice reports whether Windows takes a name, of which what follows the
// first dot does not count, for a device.
func isDevice(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	port, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		port, ok = strings.CutPrefix(stem, "LPT")
	}
	// The digits may be superscript ones, too.
	return ok && utf8.RuneCountInString(port) == 1 && strings.Contains("0123456789\u00b9\u00b2\u00b3", port)
}
