package sip

import "strings"

// ContentType is the Content-Type header field (RFC 3261 section 20.15).
type ContentType struct {
	Type   string // "application/sdp"
	Params Params
}

// HeaderName returns "Content-Type".
func (ContentType) HeaderName() string { return "Content-Type" }

// ParseValue reads a Content-Type. The parameters boundary and start, which say
// what the parts are, may be there once. A parameter may lack its value.
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
	h.Params = c.params("boundary", "start")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (c ContentType) AppendValue(b []byte) []byte {
	b = append(b, c.Type...)
	return append(b, c.Params...)
}

// Is reports whether the media type is this one, in any case.
func (c ContentType) Is(mediaType string) bool { return equalFold(c.Type, mediaType) }

// multipart reports whether the body is made of parts.
func (c ContentType) multipart() bool {
	const prefix = "multipart/"
	return len(c.Type) > len(prefix) && equalFold(c.Type[:len(prefix)], prefix)
}

// ContentDisposition is the Content-Disposition header field: what a body is
// for (RFC 3261 section 20.11, RFC 5621 section 8). Disposition has the
// defaults of bodies that do not say.
type ContentDisposition struct {
	Type   string // "session", "render", "by-reference" and so on
	Params Params // ";handling=optional"
}

// HeaderName returns "Content-Disposition".
func (ContentDisposition) HeaderName() string { return "Content-Disposition" }

// ParseValue reads a Content-Disposition. Its handling may be there once.
func (ContentDisposition) ParseValue(s string) (h ContentDisposition, err error) {
	c := scanner{s: s}
	h.Type = c.token("a disposition type")
	h.Params = c.params("handling")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (c ContentDisposition) AppendValue(b []byte) []byte {
	b = append(b, c.Type...)
	return append(b, c.Params...)
}

// Is reports whether the disposition type is this one, in any case.
func (c ContentDisposition) Is(dispositionType string) bool {
	return equalFold(c.Type, dispositionType)
}

// Required reports whether a request is to be refused, with 415, by whoever
// does not understand this body. It is unless the handling parameter says
// "optional".
func (c ContentDisposition) Required() bool {
	handling, _ := c.Params.Get("handling")
	return !equalFold(handling, "optional")
}

// ContentID is the Content-ID header field: the name by which other parts and
// header fields refer to a body (RFC 2045 section 7, RFC 8262). It has no angle
// brackets here: "alice@example.com".
type ContentID string

// HeaderName returns "Content-ID".
func (ContentID) HeaderName() string { return "Content-ID" }

// ParseValue reads a Content-ID. Some senders forget the angle brackets.
func (ContentID) ParseValue(s string) (ContentID, error) {
	if len(s) >= 2 && s[0] == '<' && s[len(s)-1] == '>' {
		s = s[1 : len(s)-1]
	}
	if s == "" || strings.ContainsAny(s, "<> \t") || hasControl(s) {
		return "", valueError("expected <id@host>")
	}
	return ContentID(s), nil
}

// AppendValue appends the value.
func (c ContentID) AppendValue(b []byte) []byte {
	b = append(b, '<')
	b = append(b, c...)
	return append(b, '>')
}

// URI returns the cid URI that refers to the body (RFC 2392 section 2).
func (c ContentID) URI() URI {
	escaped := strings.ReplaceAll(string(c), "%", "%25")
	return URI{Scheme: "cid", Opaque: string(appendEscaped(nil, escaped, charURI))}
}

// parseReference reads what refers to a body: a cid URI, a Content-ID, or what
// stands in a Content-ID.
func parseReference(s string) ContentID {
	if len(s) > len("cid:") && equalFold(s[:len("cid:")], "cid:") {
		return ContentID(unescape(s[len("cid:"):]))
	}
	id, _ := ContentID("").ParseValue(s)
	return id
}

// ContentTransferEncoding is the Content-Transfer-Encoding header field of a
// part (RFC 2045 section 6). In SIP it is "binary", which is also what its
// absence means, and rarely "base64" (RFC 5621 section 3.2). Content undoes it.
type ContentTransferEncoding string

// HeaderName returns "Content-Transfer-Encoding".
func (ContentTransferEncoding) HeaderName() string { return "Content-Transfer-Encoding" }

// ParseValue reads a Content-Transfer-Encoding.
func (ContentTransferEncoding) ParseValue(s string) (ContentTransferEncoding, error) {
	if !isToken(s) {
		return "", valueError("expected an encoding")
	}
	return ContentTransferEncoding(s), nil
}

// AppendValue appends the value.
func (c ContentTransferEncoding) AppendValue(b []byte) []byte { return append(b, c...) }

// ContentEncoding is the Content-Encoding header field: what was done to a
// body, such as "gzip", in the order in which it was (RFC 3261 section 20.12).
type ContentEncoding []string

// HeaderName returns "Content-Encoding".
func (ContentEncoding) HeaderName() string { return "Content-Encoding" }

// ParseValue reads the content codings.
func (ContentEncoding) ParseValue(s string) (ContentEncoding, error) {
	return parseTokens[ContentEncoding](s)
}

// AppendValue appends the value.
func (c ContentEncoding) AppendValue(b []byte) []byte { return appendTokens(b, c) }

// MIMEVersion is the MIME-Version header field, "1.0" (RFC 3261 section 20.24).
type MIMEVersion string

// HeaderName returns "MIME-Version".
func (MIMEVersion) HeaderName() string { return "MIME-Version" }

// ParseValue reads a MIME-Version.
func (MIMEVersion) ParseValue(s string) (MIMEVersion, error) {
	if !isVersion(s) {
		return "", valueError("expected a version such as 1.0")
	}
	return MIMEVersion(s), nil
}

// AppendValue appends the value.
func (m MIMEVersion) AppendValue(b []byte) []byte { return append(b, m...) }
