package sip

import "strings"

// Identity is the Identity header field: a signature over who is calling whom
// (RFC 8224 section 4). A request may have several, a line each.
//
// The Identity of RFC 4474, which was in quotes and had its certificate in an
// Identity-Info, is refused. It signed other things, and nobody is known to send
// it (RFC 8224 section 10).
type Identity struct {
	Digest string // the PASSporT, "header.claims.signature"; "..signature" in the compact form
	Info   URI    // where the certificate is. Whoever sent the request chose it.
	Params Params // ";alg=ES256;ppt=shaken"
}

// HeaderName returns "Identity".
func (Identity) HeaderName() string { return "Identity" }

// ParseValue reads an Identity. The parameter called info may stand behind
// others, though the grammar has it first.
func (Identity) ParseValue(s string) (h Identity, err error) {
	c := scanner{s: s}
	for b := c.peek(); is(b, charToken) || b == '/' || b == '='; b = c.peek() {
		c.pos++
	}
	if h.Digest = s[:c.pos]; h.Digest == "" {
		return h, errorAt(0, "expected a PASSporT")
	}
	others := c.pos
	before, after := c.info(&h.Info)
	if c.err != nil {
		return Identity{}, c.err
	}
	c = scanner{s: s[:before], pos: others}
	h.Params = c.params()
	c = scanner{s: s, pos: after, err: c.err}
	if p := c.params(); h.Params == "" {
		h.Params = p
	} else {
		h.Params += p
	}
	if h.Params.Has("info") {
		c.fail("expected one info parameter")
	}
	return scanned(&c, h)
}

// info reads the URI of the parameter called info, which stands in angle
// brackets as no other parameter does, and returns where the parameter begins
// and ends.
func (c *scanner) info(uri *URI) (begin, end int) {
	lt := c.pos
	for ; lt < len(c.s) && c.s[lt] != '<'; lt++ {
		if c.s[lt] == '"' {
			n := quotedLen(c.s[lt:])
			if n == 0 {
				c.fail("expected the end of a quoted string")
				return 0, 0
			}
			lt += n - 1
		}
	}
	head, equal := strings.CutSuffix(trimWS(c.s[:lt]), "=")
	head = trimWS(head)
	name := len(head) - len("info")
	begin = len(trimWS(c.s[:max(name, 0)])) - 1
	length := strings.IndexByte(c.s[lt:], '>')
	if length < 0 || !equal || begin < c.pos || !equalFold(head[name:], "info") || c.s[begin] != ';' {
		c.fail("expected ;info=<URI>")
		return 0, 0
	}
	var err error
	if *uri, err = ParseURI(c.s[lt+1 : lt+length]); err != nil && c.err == nil {
		c.err = shifted(err, lt+1)
	}
	return begin, lt + length + 1
}

// AppendValue appends the value.
func (i Identity) AppendValue(b []byte) []byte {
	b = append(b, i.Digest...)
	b = append(b, ";info=<"...)
	b = i.Info.appendTo(b)
	b = append(b, '>')
	return append(b, i.Params...)
}

// Alg returns the algorithm of the signature, "ES256" if the value does not say
// (RFC 8224 section 4).
func (i Identity) Alg() string {
	if alg, _ := i.Params.Get("alg"); alg != "" {
		return alg
	}
	return "ES256"
}

// PPT returns the extension of PASSporT that the signature is of, such as
// "shaken" or "div", "" for none.
func (i Identity) PPT() string { ppt, _ := i.Params.Get("ppt"); return ppt }

func (i Identity) like(want Identity) bool {
	return i.Digest == want.Digest && likeURI(&i.Info, &want.Info) && i.Params == trimParams(want.Params)
}
