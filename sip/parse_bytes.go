package sip

import (
	"bytes"
	"unsafe"
)

// ParseBytes is Parse for bytes that are not the message's to keep, such as a
// buffer that the next datagram is read into: it copies b, once, and the
// message does not change when b does.
//
// Text and index are one allocation where the message is shorter than 2.8 kB, so
// a string taken from the message keeps both alive; clone what outlives it.
//
// The error is always a *SyntaxError.
func ParseBytes(b []byte) (Message, error) {
	for bytes.HasPrefix(b, crlf) {
		b = b[2:]
	}
	if len(b) >= 4 && equalFold(string(b[:4]), "SIP/") {
		r, text := alloc[Response](len(b))
		return parsed(&r.message, r, view(append(text, b...)))
	}
	r, text := alloc[Request](len(b))
	return parsed(&r.message, r, view(append(text, b...)))
}

// indexSize is the room that an index takes, and what the allocator puts before
// an object with pointers.
const indexSize = unsafe.Sizeof(Request{}) + 8

// alloc returns a new message and room for n bytes of text, in one allocation as
// far as there is a size for it. Fetching memory is about a third of what a
// message costs. The sizes are size classes of the allocator, far enough apart
// to be few; docs/design/006-parse-bytes.md has what was measured.
func alloc[M Request | Response, P pointer[M]](n int) (*M, []byte) {
	switch size := uintptr(n) + indexSize; {
	case size <= 512:
		x := new(struct {
			m    M
			text [512 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 640:
		x := new(struct {
			m    M
			text [640 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 768:
		x := new(struct {
			m    M
			text [768 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 896:
		x := new(struct {
			m    M
			text [896 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 1024:
		x := new(struct {
			m    M
			text [1024 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 1152:
		x := new(struct {
			m    M
			text [1152 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 1280:
		x := new(struct {
			m    M
			text [1280 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 1408:
		x := new(struct {
			m    M
			text [1408 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 1536:
		x := new(struct {
			m    M
			text [1536 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 1792:
		x := new(struct {
			m    M
			text [1792 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 2048:
		x := new(struct {
			m    M
			text [2048 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 2304:
		x := new(struct {
			m    M
			text [2304 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= 2688:
		x := new(struct {
			m    M
			text [2688 - indexSize]byte
		})
		return &x.m, x.text[:0]
	case size <= maxTogether:
		x := new(struct {
			m    M
			text [maxTogether - indexSize]byte
		})
		return &x.m, x.text[:0]
	}
	return newMessage[M, P](n), make([]byte, 0, n)
}

// newMessage returns a message for a text of n bytes. A long one is likely to
// have many header lines, so what these need comes with it.
func newMessage[M Request | Response, P pointer[M]](n int) *M {
	if n+int(indexSize) <= maxTogether {
		return new(M)
	}
	x := new(struct {
		m    M
		more moreIndex
	})
	P(&x.m).base().more = &x.more
	return &x.m
}

// maxTogether is up to how many bytes index and text are one allocation.
const maxTogether = 3072

// pointer is a *Request or a *Response.
type pointer[M any] interface {
	*M
	base() *message
}

// view returns the bytes as a string. They are never written again.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
