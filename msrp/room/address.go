package room

import (
	"strings"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
)

// addressOf returns the address that a header of an envelope has.
func addressOf(text string) (key string, ok bool) {
	u, err := sip.ParseURI(text)
	if err != nil {
		return "", false
	}
	return address(u), true
}

// address returns what tells URIs of participants, and of rooms, apart. As in all addresses of
// record of this module the port does not count, nor do parameters: a room that was called without
// any is written to with ";transport=tcp" (RFC 7701 section 9.3). Numbers are compared by RFC 3966
// section 4, with the parameters that belong to them.
func address(u sip.URI) string {
	switch u.Scheme {
	case "sip", "sips":
		return "sip:" + u.Username() + "@" + hostname.Canonical(u.Host)
	case "tel":
		u = number(u)
		var key strings.Builder
		key.WriteString("tel:" + digits(u.User))
		for name, value := range u.Params.All() {
			switch {
			case name == "ext", name == "phone-context" && strings.HasPrefix(value, "+"):
				value = digits(value)
			case name == "phone-context":
				value = hostname.Canonical(value)
			}
			key.WriteString(";" + name + "=" + value)
		}
		return key.String()
	}
	return u.String()
}

// number returns a tel URI with those of its parameters that make it another number, in one order and
// in lower case (RFC 3966 sections 3 and 4). Others are optional, and may be ignored (section 5.4):
// networks add what they know of a call, such as verstat.
func number(u sip.URI) sip.URI {
	tel, ok := u.SIP("invalid").Tel() // which sorts them
	if !ok {
		return u
	}
	var kept strings.Builder
	for name, value := range tel.Params.All() {
		if name != "ext" && name != "isub" && name != "phone-context" && !strings.HasPrefix(name, "m-") {
			continue
		}
		kept.WriteString(";" + name)
		if value != "" {
			kept.WriteString("=" + value)
		}
	}
	tel.Params = sip.Params(kept.String())
	return tel
}

// digits returns a number without its visual separators (RFC 3966 section 5.1.1).
func digits(text string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("-.()", c) {
			return -1
		}
		return c
	}, text)
}
