package cpim

import "strings"

// contentLine reads a MIME header of the content (RFC 2045 section 3), and returns
// what is wrong with it, or "".
func (p *parser) contentLine(s string) string {
	m := p.m
	if strings.ContainsAny(s, "\r\x00") {
		return "control character"
	}
	if s[0] == ' ' || s[0] == '\t' { // the header above goes on
		if p.field == nil {
			return "white space before a MIME header"
		}
		*p.field = strings.Trim(*p.field+" "+strings.Trim(s, " \t"), " ")
		return ""
	}
	if !p.blank && !beginsContent(s) {
		return "header of the message behind one of its content"
	}
	name, value, ok := strings.Cut(s, ":")
	if name = strings.TrimRight(name, " \t"); !ok || !isToken(name) {
		return "not a MIME header"
	}
	value = strings.Trim(value, " \t")
	if strings.EqualFold(name, "Content-Type") {
		if p.field == &m.ContentType || m.ContentType != "" {
			return "second Content-Type"
		}
		m.ContentType, p.field = value, &m.ContentType
		return ""
	}
	m.ContentHeaders = append(m.ContentHeaders, Field{name, value})
	p.field = &m.ContentHeaders[len(m.ContentHeaders)-1].Value
	return ""
}

// isToken reports whether s can be the name of a MIME header: what is visible in
// ASCII, without a colon (RFC 5322 section 3.6.8).
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}
