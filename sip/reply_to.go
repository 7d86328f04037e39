package sip

// ReplyTo is the Reply-To header field: where to call back, if that is not the
// address of From (RFC 3261 section 20.31).
type ReplyTo Address

// HeaderName returns "Reply-To".
func (ReplyTo) HeaderName() string { return "Reply-To" }

// ParseValue reads a Reply-To.
func (ReplyTo) ParseValue(s string) (ReplyTo, error) {
	a, err := ParseAddress(s)
	return ReplyTo(a), err
}

// AppendValue appends the value.
func (r ReplyTo) AppendValue(b []byte) []byte { return Address(r).AppendValue(b) }

func (r ReplyTo) like(want ReplyTo) bool { return likeAddress(Address(r), Address(want)) }

// InReplyTo is one value of an In-Reply-To header field: the Call-ID of a call
// that this one returns (RFC 3261 section 20.21).
type InReplyTo CallID

// HeaderName returns "In-Reply-To".
func (InReplyTo) HeaderName() string { return "In-Reply-To" }

// ParseValue reads one Call-ID.
func (InReplyTo) ParseValue(s string) (InReplyTo, error) {
	id, err := CallID("").ParseValue(s)
	return InReplyTo(id), err
}

// AppendValue appends the value.
func (r InReplyTo) AppendValue(b []byte) []byte { return append(b, r...) }
