package sip

import "strconv"

// CallID is the Call-ID header field (RFC 3261 section 20.8). It is
// case-sensitive.
type CallID string

// HeaderName returns "Call-ID".
func (CallID) HeaderName() string { return "Call-ID" }

// ParseValue reads a Call-ID.
func (CallID) ParseValue(s string) (CallID, error) {
	if s == "" {
		return "", valueError("empty")
	}
	if span(s, charCallID) < len(s) {
		return "", valueError("bad character")
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
		return valueError("too long")
	}
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	seq, ok := number(s[:n], 1<<31-1)
	if !ok {
		return valueError("number is not 0 to 2147483647")
	}
	method := afterWS(s, n)
	if method == n || !isToken(s[method:]) {
		return valueError("no method")
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
		return 0, valueError("not 0 to 255")
	}
	return MaxForwards(n), nil
}

// AppendValue appends the value.
func (m MaxForwards) AppendValue(b []byte) []byte { return strconv.AppendInt(b, int64(m), 10) }

// ContentLength is the Content-Length header field in bytes (RFC 3261 section
// 20.14). With keeps it right by itself.
type ContentLength int

// HeaderName returns "Content-Length".
func (ContentLength) HeaderName() string { return "Content-Length" }

// ParseValue reads a Content-Length.
func (ContentLength) ParseValue(s string) (ContentLength, error) {
	n, ok := number(s, 1<<31-1)
	if !ok {
		return 0, valueError("not 0 to 2147483647")
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
		return 0, valueError("not 0 to 4294967295")
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

// RetryAfter is the Retry-After header field (RFC 3261 section 20.33), without
// its comment.
type RetryAfter struct {
	Seconds uint32
	Params  Params // ";duration=3600"
}

// HeaderName returns "Retry-After".
func (RetryAfter) HeaderName() string { return "Retry-After" }

// ParseValue reads a Retry-After.
func (RetryAfter) ParseValue(s string) (h RetryAfter, err error) {
	c := scanner{s: s}
	h.Seconds = uint32(c.number(1<<32-1, "a number of seconds"))
	c.comment()
	h.Params = c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (r RetryAfter) AppendValue(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(r.Seconds), 10)
	return append(b, r.Params...)
}

// ContentType is the Content-Type header field (RFC 3261 section 20.15).
type ContentType struct {
	Type   string // "application/sdp"
	Params Params
}

// HeaderName returns "Content-Type".
func (ContentType) HeaderName() string { return "Content-Type" }

// ParseValue reads a Content-Type.
func (ContentType) ParseValue(s string) (h ContentType, err error) {
	c := scanner{s: s}
	mediaType := c.token("a media type")
	if !c.separator('/') {
		c.fail("expected '/' and a subtype")
	}
	subtype := c.token("a subtype")
	if h.Type = s[:c.pos]; len(h.Type) != len(mediaType)+1+len(subtype) {
		h.Type = mediaType + "/" + subtype
	}
	h.Params = c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (c ContentType) AppendValue(b []byte) []byte {
	b = append(b, c.Type...)
	return append(b, c.Params...)
}

// Is reports whether the media type is this one, in any case.
func (c ContentType) Is(mediaType string) bool { return equalFold(c.Type, mediaType) }

// UserAgent is the User-Agent header field (RFC 3261 section 20.41).
type UserAgent string

// HeaderName returns "User-Agent".
func (UserAgent) HeaderName() string { return "User-Agent" }

// ParseValue takes any text.
func (UserAgent) ParseValue(s string) (UserAgent, error) { return UserAgent(s), nil }

// AppendValue appends the value.
func (u UserAgent) AppendValue(b []byte) []byte { return append(b, u...) }
