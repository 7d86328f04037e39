package dialog

import "strings"

// ID tells a dialog from others, as one of its two sides sees it (RFC 3261
// section 12).
type ID struct {
	CallID    string
	LocalTag  string
	RemoteTag string
}

// noTag stands for the tag of who has none, as a peer of RFC 2543, where a Replaces or Join
// names a dialog (RFC 3891 section 6.1, RFC 3911 section 7.1), or a Target-Dialog, of which
// RFC 4538 does not say.
const noTag = "0"

// key returns what equal IDs share: tags are tokens, in which case means nothing, and a
// Call-ID is compared byte by byte (RFC 3261 sections 7.3.1 and 8.1.1.4).
func (id ID) key() ID { return ID{id.CallID, tagKey(id.LocalTag), tagKey(id.RemoteTag)} }

// tagKey returns what equal tags share. Those of our responses are lower-case already.
func tagKey(tag string) string {
	if !strings.ContainsFunc(tag, func(c rune) bool { return 'A' <= c && c <= 'Z' }) {
		return tag
	}
	return string(appendTagKey(nil, tag))
}

// appendTagKey appends that of a tag.
func appendTagKey(b []byte, tag string) []byte {
	for i := range len(tag) {
		c := tag[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}
