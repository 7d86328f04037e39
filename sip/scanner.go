package sip

// scanner takes the value of a header field apart, from left to right. The
// first thing that is not as expected is its error; whatever is asked for after
// that is not found, so a parser looks at the error once, at its end.
type scanner struct {
	s   string
	pos int
	err error
}

// scanned returns h if the scanner came to the end of its text without an
// error, and the zero H otherwise.
func scanned[H any](c *scanner, h H) (H, error) {
	if c.pos < len(c.s) {
		c.fail("expected the end of the value")
	}
	if c.err != nil {
		var zero H
		return zero, c.err
	}
	return h, nil
}

// fail makes msg the error at this place, unless there is one already.
func (c *scanner) fail(msg string) {
	if c.err == nil {
		c.err = errorAt(c.pos, msg)
	}
}

// peek returns the next byte, 0 at the end and after an error.
func (c *scanner) peek() byte {
	if c.err != nil || c.pos == len(c.s) {
		return 0
	}
	return c.s[c.pos]
}

// separator takes the byte b with the white space around it, as SLASH, EQUAL,
// COMMA and so on are defined (RFC 3261 section 25.1), if it comes next.
func (c *scanner) separator(b byte) bool {
	at := afterWS(c.s, c.pos)
	if c.err != nil || at == len(c.s) || c.s[at] != b {
		return false
	}
	c.pos = afterWS(c.s, at+1)
	return true
}

// span takes what is of a character class, which may be nothing.
func (c *scanner) span(class uint16) string {
	if c.err != nil {
		return ""
	}
	from := c.pos
	c.pos += span(c.s[from:], class)
	return c.s[from:c.pos]
}

// token takes a token; what says what it is.
func (c *scanner) token(what string) string {
	t := c.span(charToken)
	if t == "" {
		c.fail("expected " + what)
	}
	return t
}

// number takes decimal digits that make a number up to limit; what says what
// it is.
func (c *scanner) number(limit uint64, what string) uint64 {
	from := c.pos
	for c.err == nil && c.pos < len(c.s) && isDigit(c.s[c.pos]) {
		c.pos++
	}
	n, ok := number(c.s[from:c.pos], limit)
	if !ok {
		c.pos = from
		c.fail("expected " + what)
	}
	return n
}

// quoted takes a quoted string and returns what it says; what says what it is.
func (c *scanner) quoted(what string) string {
	n := 0
	if c.peek() == '"' {
		n = quotedLen(c.s[c.pos:])
	}
	if n == 0 {
		c.fail("expected " + what + " in quotes")
		return ""
	}
	c.pos += n
	return unquote(c.s[c.pos-n : c.pos])
}

// params takes header parameters to the end of the text. Those that are named
// may be there once (RFC 3261 section 7.3.1): so much hangs on what they say that
// it is better not read than read as what somebody else does not.
func (c *scanner) params(once ...string) Params {
	if c.err != nil {
		return ""
	}
	c.pos = afterWS(c.s, c.pos)
	p, err := parseParams(c.s[c.pos:])
	if err != nil {
		c.err = shifted(err, c.pos)
		return ""
	}
	for _, name := range once {
		if at := p.repeated(name); at >= 0 {
			c.pos += at
			c.fail("expected no second " + name)
			return ""
		}
	}
	c.pos = len(c.s)
	return p
}

// space takes white space, of which there must be some before what comes next.
func (c *scanner) space(before string) {
	at := afterWS(c.s, c.pos)
	if at == c.pos {
		c.fail("expected white space before " + before)
	}
	if c.err == nil {
		c.pos = at
	}
}

// digits takes decimal digits, which may be none.
func (c *scanner) digits() string {
	from := c.pos
	for isDigit(c.peek()) {
		c.pos++
	}
	return c.s[from:c.pos]
}

// comment takes comments, which may have others in them, and the white space
// around them (RFC 3261 section 25.1). It returns what is between the first
// parenthesis and the last, escapes and all.
func (c *scanner) comment() string {
	depth, end, last := 0, afterWS(c.s, c.pos), 0
	from := end + 1
	for ; c.err == nil && end < len(c.s) && (depth > 0 || c.s[end] == '('); end++ {
		switch c.s[end] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				last = end
				end = afterWS(c.s, end+1) - 1
			}
		case '\\':
			end++
		}
	}
	if depth > 0 {
		c.fail("expected the end of a comment")
	}
	if c.err != nil {
		return ""
	}
	c.pos = min(end, len(c.s))
	if last == 0 {
		return ""
	}
	return c.s[from:last]
}
