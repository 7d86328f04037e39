package msrp

import "strings"

// accepts reports whether a media type is among those of a list, which may have "*" and "image/*" (RFC
// 4975 section 8.6). Parameters do not count.
func accepts(list []string, contentType string) bool {
	contentType, _, _ = strings.Cut(contentType, ";")
	contentType = strings.TrimSpace(contentType)
	for _, t := range list {
		t, _, _ = strings.Cut(t, ";")
		if t == "*" || strings.EqualFold(t, contentType) {
			return true
		}
		if major, ok := strings.CutSuffix(t, "/*"); ok && len(contentType) > len(major) && contentType[len(major)] == '/' && strings.EqualFold(contentType[:len(major)], major) {
			return true
		}
	}
	return false
}
