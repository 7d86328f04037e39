package xmldoc

import (
	"fmt"
	"slices"
	"strings"
)

// An attr is an attribute whose prefix is not looked up yet.
type attr struct {
	prefix, local, value string
	pos                  int
}

// startTag reads what follows the name of an element, and reports whether the
// element ends with it. Prefixes that it declares are in scope then.
func (p *parser) startTag(n *Node) (empty bool, err error) {
	p.attrs = p.attrs[:0]
	for {
		start := p.pos
		p.skipSpace()
		switch {
		case p.has("/>"):
			p.pos += 2
			return true, p.resolve(n)
		case p.has(">"):
			p.pos++
			return false, p.resolve(n)
		case p.pos == start:
			return false, p.fail("expected white space, > or />")
		case len(p.attrs) == maxAttrs:
			return false, p.fail(fmt.Sprintf("more than %d attributes", maxAttrs))
		}
		if err := p.attribute(); err != nil {
			return false, err
		}
	}
}

// resolve makes declarations and attributes of n of those that were read.
func (p *parser) resolve(n *Node) error {
	outer := len(p.scope)
	for _, a := range p.attrs {
		prefix, declares := "", a.prefix == "" && a.local == "xmlns"
		if a.prefix == "xmlns" {
			prefix, declares = a.local, true
		}
		if !declares {
			continue
		}
		switch {
		case prefix == "xmlns", (prefix == "xml") != (a.value == xmlSpace), a.value == xmlnsSpace:
			return at(a.pos, "prefix that nobody may declare")
		case prefix != "" && a.value == "":
			return at(a.pos, "prefix without a namespace")
		case slices.ContainsFunc(p.scope[outer:], func(d Prefix) bool { return d.Prefix == prefix }):
			return at(a.pos, "prefix that is declared twice")
		case len(p.scope) == maxScope:
			return at(a.pos, fmt.Sprintf("more than %d prefixes", maxScope))
		}
		p.scope = append(p.scope, Prefix{prefix, a.value})
	}
	n.Prefixes = slices.Clone(p.scope[outer:])
	if others := len(p.attrs) - len(n.Prefixes); others > 0 {
		n.Attrs = make([]Attr, 0, others)
	}
	for _, a := range p.attrs {
		if a.prefix == "xmlns" || a.prefix == "" && a.local == "xmlns" {
			continue
		}
		name := Name{Local: a.local}
		if a.prefix != "" { // one without a prefix is in no namespace (section 6.2)
			space, ok := p.space(a.prefix)
			if !ok {
				return at(a.pos, "prefix that is not declared")
			}
			name.Space = space
		}
		if _, twice := n.Attr(name); twice {
			return at(a.pos, "attribute that is there twice")
		}
		n.Attrs = append(n.Attrs, Attr{name, a.value})
	}
	return nil
}

// space returns the namespace that a prefix stands for.
func (p *parser) space(prefix string) (string, bool) {
	for i := len(p.scope) - 1; i >= 0; i-- {
		if p.scope[i].Prefix == prefix {
			return p.scope[i].Space, true
		}
	}
	return "", prefix == ""
}

// name reads a name and its prefix.
func (p *parser) name() (prefix, local string, err error) {
	rest := p.s[p.pos:]
	n := nameLen(rest)
	if n > 0 && n < len(rest) && rest[n] == ':' {
		prefix, rest = rest[:n], rest[n+1:]
		p.pos += n + 1
		n = nameLen(rest)
	}
	if n == 0 || len(prefix)+n > maxName {
		return "", "", p.fail("expected a name")
	}
	p.pos += n
	return prefix, rest[:n], nil
}

// attribute reads an attribute into p.attrs.
func (p *parser) attribute() error {
	a := attr{pos: p.pos}
	var err error
	if a.prefix, a.local, err = p.name(); err != nil {
		return err
	}
	if p.skipSpace(); !p.has("=") {
		return p.fail("expected = and a value")
	}
	p.pos++
	if p.skipSpace(); !p.has(`"`) && !p.has("'") {
		return p.fail("expected a value in quotes")
	}
	quote := p.s[p.pos]
	p.pos++
	n := strings.IndexByte(p.s[p.pos:], quote)
	if n < 0 {
		return p.fail("value that does not end")
	}
	raw := p.s[p.pos : p.pos+n]
	if i := strings.IndexByte(raw, '<'); i >= 0 {
		return at(p.pos+i, "< in a value")
	}
	if a.value, err = unescape(raw, p.pos, true); err != nil {
		return err
	}
	p.pos += n + 1
	p.attrs = append(p.attrs, a)
	return nil
}
