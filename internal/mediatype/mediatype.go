// Package mediatype tells whether a media type is one of a list, in the one way in
// which sessions and chat rooms do.
package mediatype

import "strings"

// In reports whether a media type is among those of a list, which may have "*" and
// "image/*". Parameters do not count, on either side (RFC 4975 section 8.6).
func In(list []string, contentType string) bool {
	contentType = bare(contentType)
	for _, t := range list {
		t = bare(t)
		if t == "*" || strings.EqualFold(t, contentType) {
			return true
		}
		if major, ok := strings.CutSuffix(t, "/*"); ok && len(contentType) > len(major) && contentType[len(major)] == '/' && strings.EqualFold(contentType[:len(major)], major) {
			return true
		}
	}
	return false
}

// bare returns a media type without its parameters.
func bare(t string) string {
	t, _, _ = strings.Cut(t, ";")
	return strings.TrimSpace(t)
}
