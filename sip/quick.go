package sip

import "strings"

// The methods called quick take what is spelled as usual: one space where white
// space must be and none where it may be, names that are compared in lower
// case, no escapes, no IPv6 addresses. They report false where they are not
// sure, and then nothing that they found counts. Values end at end, which has a
// mark.

// quickStart takes the request line at the start of the text.
func (r *Request) quickStart(k *marks) bool {
	const version = " SIP/2.0\r\n"
	c := k.at(&k.special, 0)
	n := c.pos()
	eol := k.at(&k.control, 0).pos()
	if n == 0 || n >= eol || k.s[n] != ' ' || eol > 255 {
		return false
	}
	c, ok := r.uri.quick(k, n+1, eol)
	end := c.pos()
	if !ok || len(k.s)-end < len(version) || k.s[end:end+len(version)] != version {
		r.uri = uriSpan[uint8]{}
		return false
	}
	r.methodEnd, r.uriEnd, r.head = uint16(n), uint16(end), uint16(end+len(version))
	return true
}

// quickStart takes the status line at the start of the text.
func (r *Response) quickStart(k *marks) bool {
	const version, code = "SIP/2.0 ", len("SIP/2.0 200")
	s := k.s
	if len(s) < code+3 || s[:len(version)] != version || s[code] != ' ' {
		return false
	}
	status, ok := number(s[len(version):code], 699)
	eol := k.at(&k.control, code).pos()
	if !ok || status < 100 || eol > 255 || eol+2 > len(s) || s[eol:eol+2] != "\r\n" {
		return false
	}
	r.status, r.head = Status(status), uint16(eol+2)
	return true
}

// quickLines takes header lines from pos on and adds them to fields, until there
// is one that is not usual. It returns where that one begins.
func (m *message) quickLines(k *marks, fields []field, pos int) ([]field, int) {
	s := k.s
	ends := k.at(&k.control, pos)
	for len(fields) < min(cap(fields), maxFields) {
		id, n := usualName(s, pos)
		value, eol := pos+n+2, ends.pos()
		if id == 0 || eol <= value || eol+2 >= len(s) || eol+2 > maxHead || s[eol:eol+2] != "\r\n" ||
			s[value-1] != ' ' || s[value] <= ' ' || s[eol-1] <= ' ' || isWS(s[eol+2]) {
			break
		}
		f := field{uint16(pos), uint8(n + 2), id}
		if id < numHot {
			if m.first[id] == 0 {
				m.quick(k, id, value, eol)
			}
			if m.note(f, len(fields)) != nil {
				break
			}
		}
		fields = append(fields, f)
		pos = eol + 2
		ends = k.next(&k.control, ends) // the line feed
		ends = k.next(&k.control, ends)
	}
	return fields, pos
}

// quick checks the value of a header field that routing needs.
func (m *message) quick(k *marks, id headerID, at, eol int) {
	ok := false
	switch {
	case eol-at > usualValue:
	case id == idVia:
		ok = m.via.quick(k, at, eol)
	case id == idFrom:
		ok = m.from.quick(k, at, eol, "tag")
	case id == idTo:
		ok = m.to.quick(k, at, eol, "tag")
	case id == idCallID:
		ok = quickCallID(k, at, eol)
	case id == idCSeq:
		ok = m.cseq.quick(k, at, eol)
	case id == idMaxForwards:
		_, ok = number(k.s[at:eol], 255)
	case id == idContact:
		if !m.contact.quick(k, at, eol, "") {
			m.contact = addressSpan[uint8]{}
		}
	}
	if ok {
		m.checked |= 1 << id
	}
}

// quick finds the parts of the URI that begins at pos. It returns a cursor at
// the first thing that does not belong to it.
func (x *uriSpan[O]) quick(k *marks, pos, end int) (cursor, bool) {
	s := k.s
	at := pos + len("sip:")
	x.scheme = schemeSIP
	if at >= end || s[pos:at] != "sip:" {
		if at++; at >= end || s[pos:at] != "sips:" {
			return cursor{}, false
		}
		x.scheme = schemeSIPS
	}

	c := k.at(&k.special, at)
	p := c.pos()
	more := false // a user of more than word characters
	for p < end && s[p] != '@' && s[p] != ':' && s[p] != ';' && is(s[p], charUser) {
		c = k.next(&k.special, c)
		p, more = c.pos(), true
	}
	x.userEnd = O(at - pos)
	switch {
	case p < end && s[p] == '@':
		if p == at {
			return c, false
		}
		x.userEnd = O(p - pos)
		at = p + 1
		c = k.next(&k.special, c)
		p = c.pos()
	case more:
		return c, false
	case p < end && s[p] != '>' && strings.IndexByte(s[p:end], '@') >= 0:
		return c, false // the ':' may be that of a password, the ';' part of a user
	}
	if p == at {
		return c, false
	}
	x.host, x.hostEnd = O(at-pos), O(p-pos)

	x.port = 0
	if p < end && s[p] == ':' {
		c = k.next(&k.special, c)
		port, ok := quickPort(s[p+1 : c.pos()])
		if !ok {
			return c, false
		}
		x.port, p = port, c.pos()
	}
	x.params = O(p - pos)
	for count := 0; p < end && s[p] == ';'; count++ {
		name := p + 1
		for c = k.next(&k.special, c); c.pos() < end && is(s[c.pos()], charParam); {
			c = k.next(&k.special, c)
		}
		if p = c.pos(); p == name || count == maxParams {
			return c, false
		}
		if p < end && s[p] == '=' {
			value := p + 1
			for c = k.next(&k.special, c); c.pos() < end && is(s[c.pos()], charParam); {
				c = k.next(&k.special, c)
			}
			if p = c.pos(); p == value {
				return c, false
			}
		}
	}
	x.headers = O(p - pos)
	return c, true
}

func quickPort(s string) (uint16, bool) {
	if len(s) == 0 || len(s) > 5 {
		return 0, false
	}
	port := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		port = port*10 + int(s[i]-'0')
	}
	return uint16(port), port > 0 && port <= 65535
}

// quick finds the parts of an address.
func (x *addressSpan[O]) quick(k *marks, pos, end int, key string) bool {
	s := k.s
	if pos == end {
		return false
	}
	lt := pos
	x.displayEnd = 0
	switch s[pos] {
	case '<':
	case '"':
		n := quotedLen(s[pos:end])
		x.displayEnd = O(n)
		if lt += n; n > 0 && lt < end && s[lt] == ' ' {
			lt++
		}
	default:
		c := k.at(&k.special, pos)
		for c.pos() < end && (s[c.pos()] == ' ' || is(s[c.pos()], charToken)) {
			c = k.next(&k.special, c)
		}
		lt = c.pos()
		name := strings.TrimSuffix(s[pos:lt], " ")
		if x.displayEnd = O(len(name)); strings.HasSuffix(name, " ") {
			return false
		}
	}
	if lt >= end || s[lt] != '<' {
		return false
	}
	x.uriStart = O(lt + 1 - pos)
	c, ok := x.uri.quick(k, lt+1, end)
	gt := c.pos()
	if !ok || gt >= end || s[gt] != '>' {
		return false
	}
	x.uriEnd, x.params = O(gt-pos), O(gt+1-pos)
	c = k.next(&k.special, c)
	return c.pos() == gt+1 && quickParams(k, c, end, key)
}

// usualValue is how long values are that are worth trying by their marks. A longer
// one may be all marks.
const usualValue = 255

// quickText finds the parts of an address that is a text of its own.
func (x *addressSpan[O]) quickText(s, key string) bool {
	k := marks{s: s}
	k.mark(0)
	return x.quick(&k, 0, len(s), key)
}

// quickParams reports whether what is between the cursor and end are header
// parameters, of which the one called key is there once at most.
func quickParams(k *marks, c cursor, end int, key string) bool {
	s := k.s
	seen := false
	for count := 0; c.pos() < end; count++ {
		name := c.pos() + 1
		if s[name-1] != ';' || count == maxParams {
			return false
		}
		for c = k.next(&k.special, c); c.pos() < end && is(s[c.pos()], charToken); {
			c = k.next(&k.special, c)
		}
		p := c.pos()
		if p == name {
			return false
		}
		isKey := p-name == len(key) && equalFold(s[name:p], key)
		if isKey && (seen || p == end) {
			return false
		}
		if p == end || s[p] == ';' && !isKey {
			continue
		}
		if s[p] != '=' {
			return false
		}
		seen = seen || isKey
		c = k.next(&k.special, c)
		value := p + 1
		if p = c.pos(); p == value && p < end && s[p] == '"' && !isKey {
			n := quotedLen(s[p:end])
			if c = k.at(&k.special, p+n); n == 0 || c.pos() != p+n {
				return false
			}
			continue
		}
		for p < end && is(s[p], charGenValue) {
			c = k.next(&k.special, c)
			p = c.pos()
		}
		if p == value {
			return false
		}
	}
	return c.pos() == end
}

// quick finds the parts of a Via.
func (x *viaSpan[O]) quick(k *marks, pos, end int) bool {
	const version = len("SIP/2.0/")
	s := k.s
	if end-pos <= version || s[pos:pos+version] != "SIP/2.0/" {
		return false
	}
	c := k.at(&k.special, pos+version)
	p := c.pos()
	if p == pos+version || p >= end || s[p] != ' ' {
		return false
	}
	x.transport, x.transportEnd, x.host = O(version), O(p-pos), O(p+1-pos)
	c = k.next(&k.special, c)
	host := p + 1
	if p = c.pos(); p == host {
		return false
	}
	x.hostEnd, x.port = O(p-pos), 0
	if p < end && s[p] == ':' {
		c = k.next(&k.special, c)
		port, ok := quickPort(s[p+1 : c.pos()])
		if !ok {
			return false
		}
		x.port, p = port, c.pos()
	}
	x.params, x.end = O(p-pos), O(end-pos)
	return quickParams(k, c, end, "branch")
}

// quickText finds the parts of a Via that is a text of its own.
func (x *viaSpan[O]) quickText(s string) bool {
	k := marks{s: s}
	k.mark(0)
	return x.quick(&k, 0, len(s))
}

// quick finds the parts of a CSeq.
func (x *cseqSpan[O]) quick(k *marks, pos, end int) bool {
	c := k.at(&k.special, pos)
	p := c.pos()
	if p >= end || k.s[p] != ' ' {
		return false
	}
	seq, ok := number(k.s[pos:p], 1<<31-1)
	x.seq, x.method = uint32(seq), O(p+1-pos)
	return ok && p+1 < end && k.next(&k.special, c).pos() == end
}

// quickCallID reports whether this is a Call-ID.
func quickCallID(k *marks, pos, end int) bool {
	for c := k.at(&k.special, pos); c.pos() < end; c = k.next(&k.special, c) {
		if !is(k.s[c.pos()], charCallID) {
			return false
		}
	}
	return pos < end
}
