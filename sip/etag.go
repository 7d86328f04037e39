package sip

// SIPETag is the SIP-ETag header field: what a published state is called from
// now on (RFC 3903 section 11.3.1).
type SIPETag string

// HeaderName returns "SIP-ETag".
func (SIPETag) HeaderName() string { return "SIP-ETag" }

// ParseValue reads an entity-tag.
func (SIPETag) ParseValue(s string) (SIPETag, error) { return parseToken[SIPETag](s, "an entity-tag") }

// AppendValue appends the value.
func (t SIPETag) AppendValue(b []byte) []byte { return append(b, t...) }

// SIPIfMatch is the SIP-If-Match header field: which published state a PUBLISH
// refreshes, changes or removes (RFC 3903 section 11.3.2).
type SIPIfMatch string

// HeaderName returns "SIP-If-Match".
func (SIPIfMatch) HeaderName() string { return "SIP-If-Match" }

// ParseValue reads an entity-tag.
func (SIPIfMatch) ParseValue(s string) (SIPIfMatch, error) {
	return parseToken[SIPIfMatch](s, "an entity-tag")
}

// AppendValue appends the value.
func (t SIPIfMatch) AppendValue(b []byte) []byte { return append(b, t...) }

// SuppressIfMatch is the Suppress-If-Match header field of a SUBSCRIBE: the state
// that the subscriber has and need not be told of again, or "*" for whatever
// state there is (RFC 5839 section 7.2).
type SuppressIfMatch string

// HeaderName returns "Suppress-If-Match".
func (SuppressIfMatch) HeaderName() string { return "Suppress-If-Match" }

// ParseValue reads an entity-tag or "*".
func (SuppressIfMatch) ParseValue(s string) (SuppressIfMatch, error) {
	return parseToken[SuppressIfMatch](s, "an entity-tag or '*'")
}

// AppendValue appends the value.
func (t SuppressIfMatch) AppendValue(b []byte) []byte { return append(b, t...) }
