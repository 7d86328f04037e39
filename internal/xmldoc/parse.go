package xmldoc

import (
	"errors"
	"fmt"
	"strings"
)

// What Parse takes. Beyond these a document is refused whole.
const (
	maxSize  = 1 << 20 // bytes of the document
	maxNodes = 1 << 16 // elements, and texts between them
	maxDepth = 32      // elements within each other
	maxAttrs = 64      // of one element, declarations of prefixes included
	maxScope = 64      // prefixes that are declared at one place
	maxName  = 1024    // bytes of a name and its prefix
)

// The namespaces that every document has (Namespaces in XML 1.0 section 3).
const (
	xmlSpace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsSpace = "http://www.w3.org/2000/xmlns/"
)

// ErrEncoding is the error for a document that is not in UTF-8: RFC 4575
// section 4.1 and others ask for it.
var ErrEncoding = errors.New("xmldoc: not UTF-8")

// A SyntaxError is what is wrong with a document.
type SyntaxError struct {
	Offset int // in bytes
	Msg    string
}

// Error returns what is wrong, and at which byte.
func (e *SyntaxError) Error() string { return fmt.Sprintf("xmldoc: %s (byte %d)", e.Msg, e.Offset) }

// Parse reads a document and returns its element. What it returns shares memory
// with doc. An error is a [*SyntaxError] or wraps [ErrEncoding].
//
// It takes 1 MiB, 65,536 elements and pieces of text, 32 elements within
// each other, 64 attributes of an element and 64 prefixes at one place. It takes
// no document type declaration (RFC 3470 section 4.11), and so no entities but the
// five. White space before the XML declaration is passed over, which is more than
// XML allows: bodies of SIP begin with a line end now and then.
func Parse(doc string) (root *Node, err error) {
	if len(doc) > maxSize {
		return nil, &SyntaxError{maxSize, fmt.Sprintf("longer than %d bytes", maxSize)}
	}
	p := parser{s: doc, scope: append(make([]Prefix, 0, 8), Prefix{"xml", xmlSpace})}
	if err := p.prolog(); err != nil {
		return nil, err
	}
	root = new(Node)
	if err := p.element(root, 1); err != nil {
		return nil, err
	}
	if err := p.misc(); err != nil {
		return nil, err
	}
	if p.pos < len(doc) {
		return nil, p.fail("text after the end of the document")
	}
	return root, nil
}

// A parser is a document being read.
type parser struct {
	s     string
	pos   int
	nodes int
	scope []Prefix // that are declared where it reads, those of outer elements first
	attrs []attr   // of the start tag that is read
}

func (p *parser) fail(msg string) error { return &SyntaxError{p.pos, msg} }

// at returns a fault at another place.
func at(pos int, msg string) error { return &SyntaxError{pos, msg} }

func (p *parser) has(prefix string) bool { return strings.HasPrefix(p.s[p.pos:], prefix) }

func (p *parser) skipSpace() {
	for p.pos < len(p.s) && isSpace(p.s[p.pos]) {
		p.pos++
	}
}

// prolog reads what comes before the root (XML 1.0 section 2.8).
func (p *parser) prolog() error {
	for _, mark := range []string{"\xFE\xFF", "\xFF\xFE", "\x00<", "<\x00"} {
		if p.has(mark) {
			return fmt.Errorf("%w, but UTF-16", ErrEncoding)
		}
	}
	if p.has("\uFEFF") {
		p.pos += len("\uFEFF")
	}
	if i := badChar(p.s); i >= 0 {
		return at(i, "no UTF-8, or no character of XML")
	}
	p.skipSpace()
	if p.has("<?xml") && p.pos+5 < len(p.s) && isSpace(p.s[p.pos+5]) {
		if err := p.declaration(); err != nil {
			return err
		}
	}
	if err := p.misc(); err != nil {
		return err
	}
	if p.has("<!") {
		return p.fail("document type declaration")
	}
	return nil
}

// declaration reads the XML declaration: version, encoding and standalone, in this
// order.
func (p *parser) declaration() error {
	p.pos += len("<?xml")
	p.attrs = p.attrs[:0]
	for {
		start := p.pos
		if p.skipSpace(); p.has("?>") {
			break
		}
		if p.pos == start {
			return p.fail("expected white space in the XML declaration")
		}
		if err := p.attribute(); err != nil {
			return err
		}
	}
	p.pos += len("?>")
	rest := p.attrs
	next := func(name string) (value string, ok bool) {
		if len(rest) == 0 || rest[0].prefix != "" || rest[0].local != name {
			return "", false
		}
		value, rest = rest[0].value, rest[1:]
		return value, true
	}
	if version, _ := next("version"); version != "1.0" {
		return p.fail("expected version 1.0 in the XML declaration")
	}
	if encoding, ok := next("encoding"); ok && !strings.EqualFold(encoding, "UTF-8") {
		return fmt.Errorf("%w, but %.40q", ErrEncoding, encoding)
	}
	if alone, ok := next("standalone"); ok && alone != "yes" && alone != "no" || len(rest) > 0 {
		return p.fail("expected version, encoding and standalone in the XML declaration")
	}
	return nil
}

// misc passes over white space, comments and processing instructions.
func (p *parser) misc() error {
	for {
		p.skipSpace()
		if skipped, err := p.aside(); !skipped || err != nil {
			return err
		}
	}
}

// aside passes over a comment or a processing instruction (XML 1.0 sections 2.5
// and 2.6), if there is one.
func (p *parser) aside() (bool, error) {
	switch {
	case p.has("<!--"):
		n := strings.Index(p.s[p.pos+4:], "--")
		if n < 0 || !strings.HasPrefix(p.s[p.pos+4+n:], "-->") {
			return false, p.fail("comment that does not end")
		}
		p.pos += 4 + n + len("-->")
	case p.has("<?"):
		name := p.s[p.pos+2:]
		name = name[:nameLen(name)]
		rest := p.s[p.pos+2+len(name):]
		n := strings.Index(rest, "?>")
		if name == "" || strings.EqualFold(name, "xml") || n < 0 || n > 0 && !isSpace(rest[0]) {
			return false, p.fail("expected a processing instruction")
		}
		p.pos += 2 + len(name) + n + len("?>")
	default:
		return false, nil
	}
	return true, nil
}

// element reads an element with all that is in it. depth is how deep it is.
func (p *parser) element(n *Node, depth int) error {
	switch {
	case depth > maxDepth:
		return p.fail(fmt.Sprintf("more than %d elements within each other", maxDepth))
	case !p.has("<"):
		return p.fail("expected an element")
	}
	if err := p.count(); err != nil {
		return err
	}
	outer := len(p.scope)
	start := p.pos
	p.pos++
	prefix, local, err := p.name()
	if err != nil {
		return err
	}
	tag := p.s[start+1 : p.pos]
	empty, err := p.startTag(n)
	if err != nil {
		return err
	}
	space, ok := p.space(prefix)
	if !ok || prefix == "xmlns" {
		return at(start, "prefix that is not declared")
	}
	n.Name = Name{space, local}
	if !empty {
		if err := p.content(n, depth); err != nil {
			return err
		}
		p.pos += len("</")
		if !p.has(tag) {
			return p.fail(fmt.Sprintf("expected the end of %.80q", tag))
		}
		p.pos += len(tag)
		if p.skipSpace(); !p.has(">") {
			return p.fail("expected > after the name")
		}
		p.pos++
	}
	p.scope = p.scope[:outer]
	return nil
}

func (p *parser) count() error {
	if p.nodes++; p.nodes > maxNodes {
		return p.fail(fmt.Sprintf("more than %d elements and texts", maxNodes))
	}
	return nil
}
