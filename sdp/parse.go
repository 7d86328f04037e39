package sdp

import (
	"fmt"
	"strconv"
	"strings"
)

// What Parse takes. A description beyond these is refused whole, before
// anything is built from it.
const (
	maxText    = 64 << 10 // bytes
	maxLine    = 8 << 10  // bytes of one line: a=identity and key-mgmt are the long ones
	maxLines   = 2048     // a hundred ICE candidates for each of twenty sections
	maxMedia   = 128      // m= sections
	maxFormats = 128      // of one m= line: as many as there are RTP payload types
)

// A SyntaxError is what is wrong with a session description.
type SyntaxError struct {
	Line int    // counted from 1; 0: the whole text
	Text string // the line, cut after 80 bytes
	Msg  string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return "sdp: " + e.Msg
	}
	return fmt.Sprintf("sdp: line %d %q: %s", e.Line, e.Text, e.Msg)
}

// Parse reads a session description (RFC 8866 section 5). The result shares
// no memory with text. Errors are of type [*SyntaxError].
//
// It takes at most 64 KiB of text, 8 KiB a line, 2048 lines, 128 m= sections
// and 128 formats a section.
//
// It is liberal, as the field is not: lines may end in LF or CR alone, s=, t=
// and o= may be missing or out of order, blank lines, unknown types, b= lines
// with no number and lines RFC 8866 calls obsolete (k=) are passed over, any
// media type and protocol is taken as it comes. An address of another network
// than the Internet leaves Address empty. RTP for c=0.0.0.0, which is how
// RFC 2543 put a call on hold, is no longer received, so it leaves at most
// SendOnly (RFC 3264 section 8.4), unless ICE will find the address.
func Parse(text string) (*Session, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{Msg: "longer than 64 KiB"}
	}
	return parse(strings.Clone(text))
}

// parse is Parse for a text that is the caller's own to keep.
func parse(text string) (*Session, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{Msg: "longer than 64 KiB"}
	}
	p := parser{rest: text}
	if err := p.count(); err != nil {
		return nil, err
	}
	for p.next() {
		if err := p.take(); err != nil {
			return nil, err
		}
	}
	if !p.version {
		return nil, &SyntaxError{Msg: "no v= line"}
	}
	p.endSection()
	return &p.s, nil
}

// A parser is a Session being read, line by line.
type parser struct {
	rest   string // not yet read
	line   string // being read, without its end
	number int    // of line

	s       Session
	version bool        // v= was seen, so each line is read as what it is
	origin  bool        // o= was seen
	timing  bool        // t= was seen
	session Direction   // of the session level
	attrs   []Attribute // of all levels, one after the other, in one piece of memory
	start   int         // in attrs, of the level being read
	media   []Media     // in one piece of memory
	cur     *Media      // the section being read; nil at the session level
	ownAddr bool        // the level being read had its c=
}

// next reads the next line that is not blank.
func (p *parser) next() bool {
	for p.rest != "" {
		p.number++
		i := strings.IndexAny(p.rest, "\r\n")
		if i < 0 {
			p.line, p.rest = p.rest, ""
		} else {
			p.line = p.rest[:i]
			if strings.HasPrefix(p.rest[i:], "\r\n") {
				i++
			}
			p.rest = p.rest[i+1:]
		}
		if p.line = trim(p.line); p.line != "" {
			return true
		}
	}
	return false
}

// count holds the text to its limits and makes room for what is in it.
func (p *parser) count() error {
	var attrs, media int
	for q := (parser{rest: p.rest}); q.next(); {
		switch {
		case q.number > maxLines:
			return &SyntaxError{Line: q.number, Msg: "more than 2048 lines"}
		case len(q.line) > maxLine:
			return q.fail("longer than 8 KiB")
		case strings.HasPrefix(q.line, "a="):
			attrs++
		case strings.HasPrefix(q.line, "m="):
			media++
		}
		if media > maxMedia {
			return q.fail("more than 128 m= sections")
		}
	}
	if strings.IndexByte(p.rest, 0) >= 0 {
		return &SyntaxError{Msg: "a NUL byte"}
	}
	if attrs > 0 {
		p.attrs = make([]Attribute, 0, attrs)
	}
	if media > 0 {
		p.media = make([]Media, 0, media)
		p.s.Media = make([]*Media, 0, media)
	}
	return nil
}

func (p *parser) fail(msg string) error {
	text := p.line
	if len(text) > 80 {
		text = text[:80]
	}
	return &SyntaxError{Line: p.number, Text: strings.Clone(text), Msg: msg}
}

// take reads one line.
func (p *parser) take() error {
	if len(p.line) < 2 || p.line[1] != '=' {
		return p.fail("not a type=value line")
	}
	kind, value := p.line[0], trim(p.line[2:])
	if first := !p.version; first || kind == 'v' {
		if !first || kind != 'v' {
			return p.fail("want one v= line, and it first")
		}
		if value != "0" {
			return p.fail("not version 0")
		}
		p.version = true
		return nil
	}
	switch kind {
	case 'o':
		return p.takeOrigin(value)
	case 's':
		set(&p.s.Name, value)
	case 'u':
		set(&p.s.URI, value)
	case 'e':
		set(&p.s.Email, value)
	case 'p':
		set(&p.s.Phone, value)
	case 't':
		return p.takeTime(value)
	case 'i':
		if p.cur != nil {
			set(&p.cur.Title, value)
		} else {
			set(&p.s.Info, value)
		}
	case 'c':
		return p.takeAddress(value)
	case 'b':
		p.takeBandwidth(value)
	case 'a':
		p.takeAttribute(value)
	case 'm':
		return p.takeMedia(value)
	}
	return nil
}

// takeOrigin reads o=user id version IN IP4 address. Some users have a space
// in their name; only the first word of it is kept. An id or a version that
// is not a number below 2^64 reads as 0.
func (p *parser) takeOrigin(value string) error {
	f := fields(value)
	if len(f) < 6 {
		return p.fail("not <username> <sess-id> <sess-version> <nettype> <addrtype> <address>")
	}
	if p.origin {
		return nil
	}
	p.origin = true
	n := len(f)
	id, _ := number(f[n-5])
	version, _ := number(f[n-4])
	p.s.Origin = Origin{Username: f[0], SessionID: id, Version: version, Address: f[n-1]}
	return nil
}

// takeTime reads t=start stop; the first one counts.
func (p *parser) takeTime(value string) error {
	start, stop := word(value)
	from, ok1 := number(start)
	to, ok2 := number(stop)
	if !ok1 || !ok2 {
		return p.fail("not <start-time> <stop-time>")
	}
	if !p.timing {
		p.timing, p.s.Start, p.s.Stop = true, from, to
	}
	return nil
}

// takeAddress reads c=IN IP4 address, where a multicast address goes on with
// /ttl/count (RFC 8866 section 5.7). The first of a level counts.
func (p *parser) takeAddress(value string) error {
	net, rest := word(value)
	kind, address := word(rest)
	if kind == "" || address == "" || strings.ContainsAny(address, " \t") {
		return p.fail("not <nettype> <addrtype> <address>")
	}
	if !strings.EqualFold(net, "IN") {
		address = ""
	}
	host, multicast, ok := strings.Cut(address, "/")
	if ok {
		ttl, count, ok := strings.Cut(multicast, "/")
		n, ok1 := number(ttl)
		m, ok2 := number(count)
		if host == "" || !ok1 || n > 65535 || ok && (!ok2 || m > 65535) {
			return p.fail("not a multicast address/ttl/count")
		}
	}
	switch {
	case p.ownAddr:
	case p.cur != nil:
		p.cur.Address = address
	default:
		p.s.Address = address
	}
	p.ownAddr = true
	return nil
}

// takeBandwidth reads b=type:number.
func (p *parser) takeBandwidth(value string) {
	kind, amount, _ := strings.Cut(value, ":")
	kind = trim(kind)
	n, ok := number(trim(amount))
	if !ok || kind == "" || strings.ContainsAny(kind, " \t") {
		return
	}
	list := &p.s.Bandwidths
	if p.cur != nil {
		list = &p.cur.Bandwidths
	}
	*list = append(*list, Bandwidth{kind, n})
}

// takeAttribute reads a=name or a=name:value.
func (p *parser) takeAttribute(value string) {
	name, v, _ := strings.Cut(value, ":")
	name = trim(name)
	if name == "" {
		return
	}
	if d, ok := direction(name); ok && v == "" {
		if p.cur != nil {
			p.cur.Direction = d
		} else {
			p.session = d
		}
		return
	}
	p.attrs = append(p.attrs, Attribute{name, v})
}

// takeMedia reads m=type port/count proto format ..., the start of a section.
func (p *parser) takeMedia(value string) error {
	f := fields(value)
	if len(f) < 3 {
		return p.fail("not <media> <port> <proto> <fmt> ...")
	}
	if len(f)-3 > maxFormats {
		return p.fail("more than 128 formats")
	}
	first, count, many := strings.Cut(f[1], "/")
	port, ok := number(first)
	if !ok || port > 65535 {
		return p.fail("not a port from 0 to 65535")
	}
	n, ok := number(count)
	if many && (!ok || port+n > 65536) {
		return p.fail("not a number of ports")
	}
	// A refused section needs no format, and some peers leave it out.
	if len(f) == 3 && port != 0 {
		return p.fail("no format")
	}
	p.endSection()
	p.media = append(p.media, Media{
		Type: f[0], Port: int(port), NumPorts: int(n), Proto: f[2], Formats: f[3:],
		Address: p.s.Address, Direction: p.session, Inherited: p.s.Attributes,
	})
	p.cur = &p.media[len(p.media)-1]
	p.s.Media = append(p.s.Media, p.cur)
	return nil
}

// endSection gives the level that ends here its attributes.
func (p *parser) endSection() {
	attrs := p.attrs[p.start:len(p.attrs):len(p.attrs)]
	p.start, p.ownAddr = len(p.attrs), false
	if p.cur == nil {
		p.s.Attributes = attrs
		return
	}
	p.cur.Attributes = attrs
	if p.cur.isRTP() && (p.cur.Address == "0.0.0.0" || p.cur.Address == "::") {
		// With ICE this address says that candidates follow (RFC 8840 section 4.1.1).
		if _, ice := p.cur.Attribute("ice-ufrag"); !ice {
			p.cur.Direction |= SendOnly
		}
	}
}

// direction returns the direction that the attribute a is the name of.
func direction(a string) (Direction, bool) {
	if len(a) != len("sendrecv") {
		return 0, false
	}
	for i, name := range directions {
		if strings.EqualFold(a, name) {
			return Direction(i), true
		}
	}
	return 0, false
}

// number reads an unsigned decimal number.
func number(s string) (uint64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

func set(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// word splits s after its first word.
func word(s string) (first, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], trim(s[i:])
}

func trim(s string) string { return strings.Trim(s, " \t") }

func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' })
}
