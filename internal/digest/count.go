package digest

import "strconv"

// CountText writes a nonce count: eight hex digits (RFC 7616 section 3.4, RFC 4976
// section 7).
func CountText(n uint32) string {
	var room [16]byte
	b := strconv.AppendUint(room[:0], 1<<32|uint64(n), 16) // one digit too many
	return string(b[1:])
}

// ReadCount reads a nonce count. It fails for zero: the first one is 1.
func ReadCount(text string) (n uint32, ok bool) {
	count, err := strconv.ParseUint(text, 16, 32)
	return uint32(count), err == nil && count != 0 && len(text) == 8
}
