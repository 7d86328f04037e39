package mediatype

import (
	"strings"
	"testing"
)

// What entries of a list match, whatever parameters they and the type have (RFC 4975
// section 8.6).
func TestIn(t *testing.T) {
	for _, c := range []struct {
		list, contentType string
		want              bool
	}{
		{"text/plain", "text/plain", true},
		{"text/plain", "Text/PLAIN", true},
		{"text/html text/plain", "text/plain; charset=utf-8", true},
		{"text/plain;charset=utf-8", "text/plain", true},
		{"text/plain;charset=utf-8", "text/plain;charset=us-ascii", true},
		{"text/plain;charset=utf-8", "text/html", false},
		{"text/*", "text/html;level=1", true},
		{"TEXT/*;charset=utf-8", "text/html", true},
		{"text/*", "text", false},
		{"text/*", "texts/plain", false},
		{"tex/*", "text/plain", false},
		{"image/*", "text/plain", false},
		{"text/html *", "video/mp4", true},
		{"text/plain", "text/plainer", false},
		{"", "text/plain", false},
	} {
		if got := In(strings.Fields(c.list), c.contentType); got != c.want {
			t.Errorf("In(%q, %q) = %v, want %v", c.list, c.contentType, got, c.want)
		}
	}
}
