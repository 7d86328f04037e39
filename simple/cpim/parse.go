package cpim

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// What the header of a message may have at most, its MIME headers included. There should
// be no limits (RFC 3862 section 2.2), but it is all in memory.
const (
	maxHead  = 16 << 10 // bytes
	maxLines = 256
)

// Parse reads a message. Its Content is a part of text, all else is a copy.
//
// The error is a *SyntaxError, ErrTooLarge, or wraps io.ErrUnexpectedEOF if text
// ends before the content begins.
//
// Lines may end with LF alone. Missing headers are no error, nor is Required for
// Require, as SIP SIMPLE clients of AG Projects have it. A header whose name
// begins with Content- begins the MIME headers, though the blank line before them
// is missing, as it is in the examples of RFC 4975 section 11.4, RFC 5438, RFC 5547
// and RFC 7701. Then all of them begin so: who goes by the blank line takes what is
// between for headers of the message (RFC 3862 section 2), and is to find none there.
func Parse(text []byte) (*Message, error) {
	var mime bool
	end := 0
	for done := false; !done; {
		i := bytes.IndexByte(text[end:], '\n')
		if end+i+1 > maxHead || i < 0 && len(text) > maxHead {
			return nil, ErrTooLarge
		}
		if i < 0 {
			return nil, errShort()
		}
		done = lastLine(text[end:end+i+1], &mime)
		end += i + 1
	}
	m, err := parseHead(string(text[:end]))
	if err != nil {
		return nil, err
	}
	m.Content = slices.Clip(text[end:])
	return m, nil
}

// ReadHeader reads a message up to its content, which is what the returned Reader
// reads. So a file need not be in memory. Of r it may have read ahead.
//
// Errors are those of Parse and of r. It reads 16 KiB at most before it gives up.
func ReadHeader(r io.Reader) (*Message, io.Reader, error) {
	var mime bool
	var head []byte
	start := 0 // of the line in head
	content := bufio.NewReader(r)
	for done := false; !done; {
		part, err := content.ReadSlice('\n')
		if len(head)+len(part) > maxHead {
			return nil, nil, ErrTooLarge
		}
		head = append(head, part...)
		switch err {
		case nil:
			done = lastLine(head[start:], &mime)
			start = len(head)
		case bufio.ErrBufferFull:
		case io.EOF:
			return nil, nil, errShort()
		default:
			return nil, nil, fmt.Errorf("cpim: header: %w", err)
		}
	}
	m, err := parseHead(string(head))
	if err != nil {
		return nil, nil, err
	}
	return m, content, nil
}

func errShort() error { return fmt.Errorf("cpim: header: %w", io.ErrUnexpectedEOF) }

// lastLine reports whether a line is the blank one between the MIME headers and the
// content. The first line is looked at with mime false, and mime says after each
// whether the MIME headers have begun.
func lastLine[T string | []byte](line T, mime *bool) bool {
	blank := len(line) == 1 || len(line) == 2 && line[0] == '\r'
	last := blank && *mime
	*mime = *mime || blank || beginsContent(line)
	return last
}

// beginsContent reports whether a header is one of those that MIME has for content.
func beginsContent[T string | []byte](name T) bool {
	const content = "content-"
	return len(name) > len(content) && strings.EqualFold(string(name[:len(content)]), content)
}

// A parser reads the lines of a header.
type parser struct {
	m         *Message
	prefixes  []prefix
	offset    int     // of the line
	from, day bool    // there was a From, a DateTime
	blank     bool    // there was a blank line
	field     *string // the value of the last MIME header, which may go on; nil: there is none yet
}

// A prefix is a declared one: NS (RFC 3862 section 4.6).
type prefix struct{ name, uri string }

// parseHead reads all that is before the content, up to the blank line that ends it.
func parseHead(head string) (*Message, error) {
	var few [4]prefix
	p := parser{m: new(Message), prefixes: few[:0]}
	var mime bool
	for lines := 0; p.offset < len(head); lines++ {
		if lines == maxLines {
			return nil, ErrTooLarge
		}
		line := head[p.offset : p.offset+strings.IndexByte(head[p.offset:], '\n')+1]
		lastLine(line, &mime)
		text := strings.TrimSuffix(line[:len(line)-1], "\r")
		var msg string
		switch {
		case text == "":
			p.blank = true
		case mime:
			msg = p.contentLine(text)
		default:
			msg = p.line(text)
		}
		if msg != "" {
			return nil, &SyntaxError{Offset: p.offset, Msg: msg}
		}
		p.offset += len(line)
	}
	return p.m, nil
}

// line reads a message header, and returns what is wrong with it, or "".
func (p *parser) line(s string) string {
	if hasControl(s) {
		return "control character"
	}
	if !utf8.ValidString(s) {
		return "not in UTF-8"
	}
	key, value, ok := strings.Cut(s, ":")
	if !ok {
		return "no colon"
	}
	name, ok := p.name(key)
	if !ok {
		return "not the name of a header"
	}
	lang, value, ok := cutParams(value)
	if !ok {
		return "no space behind the colon"
	}
	value = strings.TrimRight(value, " ")
	switch name.Namespace {
	case Namespace:
		return p.known(name, lang, value)
	case "":
		return "" // nobody can know what it means: it is ignored (RFC 3862 section 2.2)
	}
	p.add(name, lang, value)
	return ""
}

// known reads a header of RFC 3862 section 4.
func (p *parser) known(name Name, lang, value string) string {
	var address Address
	var msg string
	switch name.Local {
	case "From", "To", "cc", "NS":
		if address, msg = parseAddress(value); msg != "" {
			return msg
		}
	}
	m := p.m
	switch name.Local {
	case "From":
		if p.from {
			return "second From"
		}
		p.from, m.From = true, address
	case "To":
		m.To = append(m.To, address)
	case "cc":
		m.CC = append(m.CC, address)
	case "DateTime":
		if p.day {
			return "second DateTime"
		}
		p.day = true
		// The T and the Z may be small (RFC 3339 section 5.6).
		t, err := time.Parse(time.RFC3339, strings.ToUpper(value))
		if err != nil || t.IsZero() {
			p.add(name, lang, value)
			break
		}
		m.DateTime = t
	case "Subject":
		m.Subject = append(m.Subject, Subject{Lang: lang, Text: unescape(value)})
	case "NS":
		if address.Name != "" && !isName(address.Name) {
			return "not a prefix"
		}
		p.prefixes = append(p.prefixes, prefix{address.Name, address.URI})
	case "Require", "Required":
		for key := range strings.SplitSeq(value, ",") {
			name, ok := p.name(strings.Trim(key, " "))
			if !ok {
				return "not the name of a header"
			}
			m.Require = append(m.Require, name)
		}
	default:
		p.add(name, lang, value)
	}
	return ""
}

func (p *parser) add(name Name, lang, value string) {
	if p.m.Headers == nil {
		p.m.Headers = make([]Header, 0, 4)
	}
	p.m.Headers = append(p.m.Headers, Header{Name: name, Lang: lang, Value: value})
}

// name finds the namespace of a header by what is declared so far.
func (p *parser) name(key string) (Name, bool) {
	n := Name{Local: key}
	if before, after, ok := strings.Cut(key, "."); ok {
		n.Prefix, n.Local = before, after
		if !isName(n.Prefix) {
			return n, false
		}
	} else {
		n.Namespace = Namespace
	}
	for _, d := range slices.Backward(p.prefixes) {
		if d.name == n.Prefix {
			n.Namespace = d.uri
			break
		}
	}
	return n, isName(n.Local)
}

// cutParams cuts what follows the colon into parameters, of which lang is the one
// that counts, and the value behind one space (RFC 3862 section 3.6).
func cutParams(s string) (lang, value string, ok bool) {
	for strings.HasPrefix(s, ";") {
		key, rest, ok := strings.Cut(s[1:], "=")
		if !ok || !isName(key) {
			return "", "", false
		}
		end := strings.IndexAny(rest, "; ")
		if strings.HasPrefix(rest, `"`) {
			end = quoteEnd(rest) + 1
			if end == 0 {
				return "", "", false
			}
		}
		if end < 0 {
			end = len(rest)
		}
		if key == "lang" {
			if lang = rest[:end]; !isLang(lang) {
				return "", "", false
			}
		}
		s = rest[end:]
	}
	if s == "" {
		return lang, "", true // the space was cut off at the end of the line, where none may be (RFC 3862 section 2.2)
	}
	value, ok = strings.CutPrefix(s, " ")
	return lang, value, ok
}
