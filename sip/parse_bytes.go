package sip

import (
	"bytes"
	"unsafe"
)

// ParseBytes is Parse for bytes that are not the message's to keep, such as a
// buffer that the next datagram is read into: it copies b, once, and the
// message does not change when b does.
//
// Text and index are one allocation where the message is smaller than 4 kB, so
// a string taken from the message keeps both alive; clone what outlives it.
//
// The error is always a *SyntaxError.
func ParseBytes(b []byte) (Message, error) {
	for bytes.HasPrefix(b, crlf) {
		b = b[2:]
	}
	if len(b) >= 4 && equalFold(string(b[:4]), "SIP/") {
		r, text := own[Response](b)
		return parseCopied(&r.message, r, b, text)
	}
	r, text := own[Request](b)
	return parseCopied(&r.message, r, b, text)
}

// parseCopied reads b, which is in the processor's cache, while the writes to
// its copy are still on their way to memory.
func parseCopied(m *message, msg Message, b []byte, text string) (Message, error) {
	if err := parse(m, msg, view(b)); err != nil {
		err.text = text
		return nil, err
	}
	m.text = text[:len(m.text)]
	return msg, nil
}

// indexSize is the room that an index takes, and what the allocator puts before
// an object with pointers.
const indexSize = unsafe.Sizeof(Request{}) + 8

// own returns a new message and a copy of b for its text, in one allocation as
// far as there is a size for it: fetching memory is the larger part of what a
// message costs, and two objects take more of it, and more often.
//
// The sizes are size classes of the allocator. Those that are left out pack
// badly into its spans, which costs more than the bytes they would save.
func own[M Request | Response](b []byte) (*M, string) {
	switch size := uintptr(len(b)) + indexSize; {
	case size <= 512:
		x := new(struct {
			m    M
			text [512 - indexSize]byte
		})
		return &x.m, view(x.text[:copy(x.text[:], b)])
	case size <= 768:
		x := new(struct {
			m    M
			text [768 - indexSize]byte
		})
		return &x.m, view(x.text[:copy(x.text[:], b)])
	case size <= 1024:
		x := new(struct {
			m    M
			text [1024 - indexSize]byte
		})
		return &x.m, view(x.text[:copy(x.text[:], b)])
	case size <= 1408:
		x := new(struct {
			m    M
			text [1408 - indexSize]byte
		})
		return &x.m, view(x.text[:copy(x.text[:], b)])
	case size <= 1792:
		x := new(struct {
			m    M
			text [1792 - indexSize]byte
		})
		return &x.m, view(x.text[:copy(x.text[:], b)])
	case size <= 2304:
		x := new(struct {
			m    M
			text [2304 - indexSize]byte
		})
		return &x.m, view(x.text[:copy(x.text[:], b)])
	case size <= 3072:
		x := new(struct {
			m    M
			text [3072 - indexSize]byte
		})
		return &x.m, view(x.text[:copy(x.text[:], b)])
	}
	return new(M), string(b)
}

// view returns the bytes as a string, which is good for as long as nobody writes
// to them.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
