package sip

import "strconv"

// CallID is the Call-ID header field (RFC 3261 section 20.8). It is
// case-sensitive.
type CallID string

// HeaderName returns "Call-ID".
func (CallID) HeaderName() string { return "Call-ID" }

// ParseValue reads a Call-ID. It may have more than one "@", or begin or end with
// one: a Call-ID is compared as a whole, and of what it is made counts for
// nothing.
func (CallID) ParseValue(s string) (CallID, error) {
	if s == "" {
		return "", valueError("expected a Call-ID")
	}
	if n := span(s, charCallID); n < len(s) {
		return "", errorAt(n, "expected a character that a Call-ID may have")
	}
	return CallID(s), nil
}

// AppendValue appends the value.
func (c CallID) AppendValue(b []byte) []byte { return append(b, c...) }

// CSeq is the CSeq header field (RFC 3261 section 20.16).
type CSeq struct {
	Seq    uint32 // below 2^31 (section 8.1.1.5)
	Method Method
}

// HeaderName returns "CSeq".
func (CSeq) HeaderName() string { return "CSeq" }

// ParseValue reads a CSeq.
func (CSeq) ParseValue(s string) (CSeq, error) {
	var x cseqSpan[uint16]
	if err := x.scan(s); err != nil {
		return CSeq{}, err
	}
	return x.cseq(s), nil
}

// cseqSpan says where the method is in the text of a CSeq, as uriSpan does for
// a URI.
type cseqSpan[O offset] struct {
	seq    uint32
	method O
}

func (x *cseqSpan[O]) cseq(s string) CSeq {
	if x.method == 0 {
		return CSeq{}
	}
	return CSeq{x.seq, Method(s[x.method:])}
}

func (x *cseqSpan[O]) scan(s string) error {
	if tooLong[O](s) {
		return valueError("expected up to 65535 bytes")
	}
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	seq, ok := number(s[:n], 1<<31-1)
	if !ok {
		return valueError("expected a number from 0 to 2147483647")
	}
	method := afterWS(s, n)
	if method == n || !isToken(s[method:]) {
		return errorAt(n, "expected white space and a method")
	}
	x.seq, x.method = uint32(seq), O(method)
	return nil
}

// AppendValue appends the value.
func (c CSeq) AppendValue(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(c.Seq), 10)
	b = append(b, ' ')
	return append(b, c.Method...)
}

// MaxForwards is the Max-Forwards header field, 0 to 255 (RFC 3261 section
// 20.22).
type MaxForwards int

// HeaderName returns "Max-Forwards".
func (MaxForwards) HeaderName() string { return "Max-Forwards" }

// ParseValue reads a Max-Forwards.
func (MaxForwards) ParseValue(s string) (MaxForwards, error) {
	n, ok := number(s, 255)
	if !ok {
		return 0, valueError("expected a number from 0 to 255")
	}
	return MaxForwards(n), nil
}

// AppendValue appends the value.
func (m MaxForwards) AppendValue(b []byte) []byte { return strconv.AppendInt(b, int64(m), 10) }

// MaxBreadth is the Max-Breadth header field, 1 to 2147483647: how many branches
// of a request may be open at once (RFC 5393 section 5.3.1).
type MaxBreadth int

// HeaderName returns "Max-Breadth".
func (MaxBreadth) HeaderName() string { return "Max-Breadth" }

// ParseValue reads a Max-Breadth.
func (MaxBreadth) ParseValue(s string) (MaxBreadth, error) {
	n, ok := number(s, 1<<31-1)
	if !ok || n == 0 {
		return 0, valueError("expected a number from 1 to 2147483647")
	}
	return MaxBreadth(n), nil
}

// AppendValue appends the value.
func (m MaxBreadth) AppendValue(b []byte) []byte { return strconv.AppendInt(b, int64(m), 10) }

// ContentLength is the Content-Length header field in bytes (RFC 3261 section
// 20.14). With keeps it right by itself.
type ContentLength int

// HeaderName returns "Content-Length".
func (ContentLength) HeaderName() string { return "Content-Length" }

// ParseValue reads a Content-Length.
func (ContentLength) ParseValue(s string) (ContentLength, error) {
	n, ok := number(s, 1<<31-1)
	if !ok {
		return 0, valueError("expected a number from 0 to 2147483647")
	}
	return ContentLength(n), nil
}

// AppendValue appends the value.
func (c ContentLength) AppendValue(b []byte) []byte { return strconv.AppendInt(b, int64(c), 10) }

// Expires is the Expires header field in seconds (RFC 3261 section 20.19).
type Expires uint32

// HeaderName returns "Expires".
func (Expires) HeaderName() string { return "Expires" }

// ParseValue reads an Expires.
func (Expires) ParseValue(s string) (Expires, error) {
	n, ok := number(s, 1<<32-1)
	if !ok {
		return 0, valueError("expected a number from 0 to 4294967295")
	}
	return Expires(n), nil
}

// AppendValue appends the value.
func (e Expires) AppendValue(b []byte) []byte { return strconv.AppendUint(b, uint64(e), 10) }

// MinExpires is the Min-Expires header field in seconds (RFC 3261 section
// 20.23).
type MinExpires uint32

// HeaderName returns "Min-Expires".
func (MinExpires) HeaderName() string { return "Min-Expires" }

// ParseValue reads a Min-Expires.
func (MinExpires) ParseValue(s string) (MinExpires, error) {
	e, err := Expires(0).ParseValue(s)
	return MinExpires(e), err
}

// AppendValue appends the value.
func (m MinExpires) AppendValue(b []byte) []byte { return Expires(m).AppendValue(b) }
