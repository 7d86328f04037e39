package file

import (
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
)

// parseType reads a filetype-selector and returns it as a Content-Type header
// field has it, where values are encoded in another way (RFC 5547 section 6).
// Values that have no quotes are taken, too.
func parseType(text string) (string, bool) {
	base, rest, more := strings.Cut(text, ";")
	params := map[string]string{}
	for more {
		var name, value string
		name, rest, more = strings.Cut(rest, "=")
		if !more {
			return "", false
		}
		if strings.HasPrefix(rest, `"`) {
			if value, rest, more = unquote(rest); !more || rest != "" && rest[0] != ';' {
				return "", false
			}
			_, rest, more = strings.Cut(rest, ";")
		} else {
			value, rest, more = strings.Cut(rest, ";")
		}
		// In a Content-Type an asterisk says that the value is encoded or goes
		// on (RFC 2231), so a name with one would not come back as it is.
		if strings.Contains(name, "*") {
			return "", false
		}
		name = strings.ToLower(name)
		if _, twice := params[name]; !twice && value != "" {
			params[name] = value
		}
	}
	if !strings.Contains(base, "/") {
		return "", false
	}
	typ := mime.FormatMediaType(base, params)
	return typ, typ != ""
}

// typeText is the reverse of parseType.
func typeText(contentType string) (string, error) {
	base, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.Contains(base, "/") {
		return "", fmt.Errorf("not a media type: %.80q", contentType)
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if value := params[name]; value != "" {
			base += ";" + name + "=" + quote(value, "")
		}
	}
	return base, nil
}

// typeFits reports whether a file of the media type is one of those that the
// type wanted stands for: it may have further parameters.
func typeFits(want, file string) bool {
	base, params, err := mime.ParseMediaType(want)
	fileBase, fileParams, fileErr := mime.ParseMediaType(file)
	if err != nil || fileErr != nil {
		return strings.EqualFold(want, file)
	}
	for name, value := range params {
		// The values that matter here, names of character sets, are the same in
		// any case.
		if !strings.EqualFold(fileParams[name], value) {
			return false
		}
	}
	return base == fileBase
}
