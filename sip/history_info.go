package sip

import "strings"

// HistoryInfo is one value of a History-Info header field: a URI that a request
// was sent to on its way here (RFC 7044 section 5). Its reason and its privacy
// are header fields of the URI, which WithHeader of the URI adds.
type HistoryInfo Address

// HeaderName returns "History-Info".
func (HistoryInfo) HeaderName() string { return "History-Info" }

// ParseValue reads one value of a History-Info. Elements of RFC 4244 do not
// always escape the Reason in the URI ("?Reason=SIP;cause=408"); that is mended.
func (HistoryInfo) ParseValue(s string) (HistoryInfo, error) {
	a, err := parseNameAddr(s)
	if err != nil {
		if mended, ok := escapeURIHeaders(s); ok {
			if b, err := parseNameAddr(mended); err == nil {
				return HistoryInfo(b), nil
			}
		}
	}
	return HistoryInfo(a), err
}

// AppendValue appends the value.
func (h HistoryInfo) AppendValue(b []byte) []byte { return Address(h).AppendValue(b) }

// Index returns the place of the value in the tree of the request's history:
// "1", and "1.2" for the second branch from there. It is "" if there is none,
// which only RFC 4244 allows.
func (h HistoryInfo) Index() string { index, _ := h.Params.Get("index"); return index }

// Target returns how the URI came about, and the index of the value that it was
// made from: "rc" for the same user elsewhere, "mp" for another user, "np" for
// no change. Both are "" if the value does not say.
func (h HistoryInfo) Target() (param, index string) {
	for _, param := range [...]string{"rc", "mp", "np"} {
		if index, ok := h.Params.Get(param); ok {
			return param, index
		}
	}
	return "", ""
}

// Reason returns why the request went on from here, such as "SIP;cause=302":
// the Reason header field that stands in the URI, for the parser of Reason to
// read. It is "" if there is none.
func (h HistoryInfo) Reason() string { return h.header("Reason") }

// Private reports whether this value must not leave the domain of its URI as it
// is: its URI has the privacy value "history" (RFC 7044 section 10.1). One in
// the Privacy header field of the request covers all values.
func (h HistoryInfo) Private() bool {
	p, err := Privacy(nil).ParseValue(h.header("Privacy"))
	return err == nil && p.Has("history")
}

// header returns the value of a header field that the URI has.
func (h HistoryInfo) header(name string) string {
	for n, value := range h.URI.Header() {
		if equalFold(n, name) {
			return value
		}
	}
	return ""
}

func (h HistoryInfo) like(want HistoryInfo) bool { return likeAddress(Address(h), Address(want)) }

// escapeURIHeaders escapes what stands in the header fields of the URI in angle
// brackets and may not. ok is false if there are none.
func escapeURIHeaders(s string) (escaped string, ok bool) {
	start := 0
	if s != "" && s[0] == '"' {
		start = quotedLen(s)
	}
	lt := strings.IndexByte(s[start:], '<')
	if lt < 0 {
		return "", false
	}
	start += lt
	end := strings.IndexByte(s[start:], '>')
	if end < 0 {
		return "", false
	}
	uri, rest := s[start:start+end], s[start+end:]
	uri, fields, ok := strings.Cut(uri, "?")
	if !ok {
		return "", false
	}
	b := append([]byte(s[:start]), uri...)
	sep := byte('?')
	for field := range strings.SplitSeq(fields, "&") {
		name, value, _ := strings.Cut(field, "=")
		b = append(b, sep)
		b = append(b, name...)
		b = append(b, '=')
		b = appendEscaped(b, value, charHeader)
		sep = '&'
	}
	return string(append(b, rest...)), true
}
