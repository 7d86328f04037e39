package sip

import (
	"encoding/hex"
	"fmt"
)

// UserToUser is one value of a User-to-User header field: data of the callers'
// applications that goes with a call (RFC 7433 section 4.1). It is up to the
// package named by Purpose what may be in it. Octets are written like this:
//
//	sip.UserToUser{Data: hex.EncodeToString(octets), Params: ";encoding=hex"}
type UserToUser struct {
	Data   string // as it stands there, without quotes
	Params Params // ";encoding=hex;purpose=isdn-uui"
}

// HeaderName returns "User-to-User".
func (UserToUser) HeaderName() string { return "User-to-User" }

// ParseValue reads one value of a User-to-User. Data without quotes should be a
// token; contact centers put base64 there, which is taken, too.
func (UserToUser) ParseValue(s string) (h UserToUser, err error) {
	c := scanner{s: s}
	h.Data = c.genValue("data")
	h.Params = c.params("encoding", "purpose", "content")
	return scanned(&c, h)
}

// AppendValue appends the value.
func (u UserToUser) AppendValue(b []byte) []byte {
	return append(appendTokenOrQuoted(b, u.Data), u.Params...)
}

// Bytes returns the octets that Data stands for. Its encoding is hex, or is not
// said and is then hex in all packages so far (RFC 7433 section 4.2, RFC 7434);
// any other is an error.
func (u UserToUser) Bytes() ([]byte, error) {
	if encoding, ok := u.Params.Get("encoding"); ok && !equalFold(encoding, "hex") {
		return nil, fmt.Errorf("sip: User-to-User: encoding %q is not hex", encoding)
	}
	b, err := hex.DecodeString(u.Data)
	if err != nil {
		return nil, fmt.Errorf("sip: User-to-User: %w", err)
	}
	return b, nil
}

// Purpose returns the package that says what the data is for. It is "isdn-uui"
// if the value does not say (RFC 7433 section 4.1).
func (u UserToUser) Purpose() string {
	if purpose, _ := u.Params.Get("purpose"); purpose != "" {
		return purpose
	}
	return "isdn-uui"
}

// Content returns what the data is, as its package defines it, and "" for the
// package's default.
func (u UserToUser) Content() string { content, _ := u.Params.Get("content"); return content }

func (u UserToUser) like(want UserToUser) bool {
	want.Params = trimParams(want.Params)
	return u == want
}

// genValue takes a quoted string or what may stand without quotes as the value of
// a parameter; what says what it is.
func (c *scanner) genValue(what string) string {
	if c.peek() == '"' {
		return c.quoted(what)
	}
	v := c.span(charGenValue)
	if v == "" {
		c.fail("expected " + what)
	}
	return v
}

// tokenOrQuoted takes a token or a quoted string, which may not be empty; what
// says what it is.
func (c *scanner) tokenOrQuoted(what string) string {
	if c.peek() != '"' {
		return c.token(what)
	}
	from := c.pos
	t := c.quoted(what)
	if t == "" && c.err == nil {
		c.pos = from
		c.fail("expected " + what)
	}
	return t
}

// appendTokenOrQuoted appends s, in quotes if it is no token.
func appendTokenOrQuoted(b []byte, s string) []byte {
	if isToken(s) {
		return append(b, s...)
	}
	return appendQuoted(b, s)
}
