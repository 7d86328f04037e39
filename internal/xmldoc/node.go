// Package xmldoc reads and writes the XML documents of SIP's event packages.
//
// [Parse] makes a tree of a document that is small enough and plain enough:
// UTF-8, no document type, no entities but the five, names with the namespaces
// that they belong to. A package of a format walks over the tree and takes what
// it knows; what it does not know it keeps as a [Node] and gives it to the
// [Writer] again, who writes it so that it means the same.
//
//	root, err := xmldoc.Parse(body)
//	for e := range root.Elements() {
//		switch e.Name {
//		case xmldoc.Name{Space: space, Local: "note"}:
//			note = e.Content()
//
// It follows XML 1.0 (fifth edition) and Namespaces in XML 1.0, as far as
// RFC 3470 section 4 wants them in protocols.
//
// It knows no schema. Comments and processing instructions are passed over and
// not kept. Of names within values, as in xsi:type, it knows nothing: they keep
// their meaning because elements keep the prefixes that they declare.
package xmldoc

import (
	"iter"
	"strings"
)

// A Name is that of an element or of an attribute.
type Name struct {
	Space string // the name of the namespace; empty: none
	Local string
}

// An Attr is an attribute.
type Attr struct {
	Name  Name
	Value string
}

// A Prefix is what stands for a namespace in an element and in those within it.
type Prefix struct {
	Prefix string // empty: that of elements without one
	Space  string
}

// A Node is an element, or if it has no name a piece of text between elements.
type Node struct {
	Name     Name
	Prefixes []Prefix // those that the element declares
	Attrs    []Attr
	Text     string // of a piece of text, and of an element without elements
	Children []Node // elements, with the text between them, white space included
}

// Elements yields the elements within an element.
func (n *Node) Elements() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for i := range n.Children {
			if c := &n.Children[i]; c.Name.Local != "" && !yield(c) {
				return
			}
		}
	}
}

// Content returns the text of an element, without that of elements within it.
func (n *Node) Content() string {
	if len(n.Children) == 0 {
		return n.Text
	}
	var b strings.Builder
	for i := range n.Children {
		if n.Children[i].Name.Local == "" {
			b.WriteString(n.Children[i].Text)
		}
	}
	return b.String()
}

// Attr returns the value of an attribute, and whether it is there.
func (n *Node) Attr(name Name) (string, bool) {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// Clone returns a copy that shares no memory with the document.
func (n *Node) Clone() Node {
	c := Node{Name: n.Name.Clone(), Text: strings.Clone(n.Text)}
	for _, p := range n.Prefixes {
		c.Prefixes = append(c.Prefixes, p.Clone())
	}
	for _, a := range n.Attrs {
		c.Attrs = append(c.Attrs, a.Clone())
	}
	if len(n.Children) > 0 {
		c.Children = make([]Node, len(n.Children))
		for i := range n.Children {
			c.Children[i] = n.Children[i].Clone()
		}
	}
	return c
}

// Clone returns a copy that shares no memory with the document.
func (n Name) Clone() Name { return Name{strings.Clone(n.Space), strings.Clone(n.Local)} }

// Clone returns a copy that shares no memory with the document.
func (a Attr) Clone() Attr { return Attr{a.Name.Clone(), strings.Clone(a.Value)} }

// Clone returns a copy that shares no memory with the document.
func (p Prefix) Clone() Prefix { return Prefix{strings.Clone(p.Prefix), strings.Clone(p.Space)} }
