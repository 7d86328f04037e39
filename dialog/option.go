package dialog

import (
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// lists reports whether an option tag is among those of a message, which are those
// of a sip.Supported or sip.Require. Case does not matter (RFC 3261 section 7.3.1).
func lists[T interface {
	~[]string
	sip.Parser[T]
}](m sip.Message, option string) bool {
	tags, err := sip.Get[T](m)
	return err == nil && slices.ContainsFunc(tags, func(tag string) bool { return strings.EqualFold(tag, option) })
}

// including returns the option tags of a message and one more.
func including[T interface {
	~[]string
	sip.Parser[T]
}](m sip.Message, option string) T {
	tags, _ := sip.Get[T](m)
	if lists[T](m, option) {
		return tags
	}
	return append(slices.Clip(tags), option)
}
