package xmldoc

import (
	"strconv"
	"strings"
)

// content reads what stands between the tags of an element, up to its end tag.
func (p *parser) content(n *Node, depth int) error {
	var text run
	for {
		end := strings.IndexByte(p.s[p.pos:], '<')
		if end < 0 {
			return p.fail("document that ends within an element")
		}
		raw := p.s[p.pos : p.pos+end]
		if i := strings.Index(raw, "]]>"); i >= 0 {
			return at(p.pos+i, "]]> in text")
		}
		s, err := unescape(raw, p.pos, false)
		if err != nil {
			return err
		}
		text.add(s)
		p.pos += end
		switch {
		case p.has("</"):
			if len(n.Children) == 0 {
				n.Text = text.take()
				return nil
			}
			return p.addText(n, &text)
		case p.has("<![CDATA["):
			p.pos += len("<![CDATA[")
			end := strings.Index(p.s[p.pos:], "]]>")
			if end < 0 {
				return p.fail("CDATA that does not end")
			}
			text.add(lines(p.s[p.pos : p.pos+end]))
			p.pos += end + len("]]>")
		case p.has("<!--"), p.has("<?"):
			if _, err := p.aside(); err != nil {
				return err
			}
		default:
			if err := p.addText(n, &text); err != nil {
				return err
			}
			var child Node
			if err := p.element(&child, depth+1); err != nil {
				return err
			}
			n.Children = append(n.Children, child)
		}
	}
}

func (p *parser) addText(n *Node, text *run) error {
	s := text.take()
	if s == "" {
		return nil
	}
	n.Children = append(n.Children, Node{Text: s})
	return p.count()
}

// A run is text in pieces, which mostly is one piece.
type run struct {
	first string
	b     []byte // all of it, if there are more
}

func (r *run) add(s string) {
	switch {
	case s == "":
	case r.b != nil:
		r.b = append(r.b, s...)
	case r.first == "":
		r.first = s
	default:
		r.b = append(append(r.b, r.first...), s...)
	}
}

// take returns the text and begins another.
func (r *run) take() string {
	s := r.first
	if r.b != nil {
		s = string(r.b)
	}
	*r = run{}
	return s
}

// lines makes a line feed of each line end (XML 1.0 section 2.11).
func lines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// unescape returns the characters that raw stands for: references are replaced
// (XML 1.0 section 4.6), and line ends normalized; in the value of an attribute
// white space becomes spaces (section 3.3.3). raw begins at pos.
func unescape(raw string, pos int, value bool) (string, error) {
	odd := "&\r"
	if value {
		odd = "&\r\n\t"
	}
	i := strings.IndexAny(raw, odd)
	if i < 0 {
		return raw, nil
	}
	b := append(make([]byte, 0, len(raw)), raw[:i]...)
	for ; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '&':
			end := strings.IndexByte(raw[i:min(len(raw), i+16)], ';')
			if end < 0 {
				return "", at(pos+i, "& without a reference")
			}
			r, ok := reference(raw[i+1 : i+end])
			if !ok {
				return "", at(pos+i, "entity that there is not")
			}
			b = append(b, string(r)...)
			i += end
		case c == '\r' && i+1 < len(raw) && raw[i+1] == '\n':
			// The line feed follows.
		case c == '\r' && !value:
			b = append(b, '\n')
		case value && isSpace(c):
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), nil
}

// reference returns the character of a reference, without its & and ;.
func reference(s string) (rune, bool) {
	switch s {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(s, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n > 0x10FFFF || !isChar(rune(n)) {
		return 0, false
	}
	return rune(n), true
}
