package xmldoc

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Writer writes a document, element by element. It declares the namespaces that
// nothing declares, and replaces characters that no document may contain by
// U+FFFD, so that what it writes is well-formed whatever the text is. The names
// are to be names.
type Writer struct {
	b     []byte
	scope []Prefix
	open  []open
	tag   bool // the start tag of the last element is not closed
	auto  int  // prefixes that were made up
}

// An open element is one that has not ended.
type open struct {
	prefix, local string
	scope         int // of Writer.scope, outside of it
}

// NewWriter makes a Writer that appends to b.
func NewWriter(b []byte) *Writer { return &Writer{b: b} }

// Reset makes the Writer as new, with nothing written, in the same memory.
func (w *Writer) Reset() { *w = Writer{b: w.b[:0], scope: w.scope[:0], open: w.open[:0]} }

// Document begins a document with an XML declaration.
func (w *Writer) Document() { w.b = append(w.b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...) }

// Bytes returns what is written.
func (w *Writer) Bytes() []byte { return w.b }

// Start begins an element that declares prefixes. Those that are declared so
// already are not declared again, nor is the empty one, which is the Writer's own.
// Attr, and then Text, Node and Start say what the element has.
func (w *Writer) Start(name Name, prefixes ...Prefix) {
	w.closeTag()
	o := open{local: name.Local, scope: len(w.scope)}
	for _, p := range prefixes {
		if p.Prefix != "" && p.Prefix != "xml" && !w.declared(p, o.scope) {
			w.scope = append(w.scope, p)
		}
	}
	var ok bool
	if o.prefix, ok = w.lookup(name.Space, true); !ok {
		w.scope = append(w.scope, Prefix{"", name.Space})
	}
	w.open = append(w.open, o)
	w.b = append(w.b, '<')
	w.name(o.prefix, o.local)
	for _, p := range w.scope[o.scope:] {
		w.declare(p)
	}
	w.tag = true
}

// declared reports whether p holds here, or the element whose prefixes begin at outer
// declares another one of its name: what comes first there stays.
func (w *Writer) declared(p Prefix, outer int) bool {
	for i := len(w.scope) - 1; i >= 0; i-- {
		if w.scope[i].Prefix == p.Prefix {
			return w.scope[i].Space == p.Space || i >= outer
		}
	}
	return false
}

// Attr writes an attribute of an element that has begun.
func (w *Writer) Attr(name Name, value string) {
	prefix := ""
	if name.Space != "" {
		var ok bool
		if prefix, ok = w.lookup(name.Space, false); !ok {
			prefix = w.free()
			w.scope = append(w.scope, Prefix{prefix, name.Space})
			w.declare(Prefix{prefix, name.Space})
		}
	}
	w.b = append(w.b, ' ')
	w.name(prefix, name.Local)
	w.value(value)
}

// Text writes text.
func (w *Writer) Text(s string) {
	if s != "" {
		w.closeTag()
		w.escape(s, false)
	}
}

// End ends the last element that has begun.
func (w *Writer) End() {
	o := w.open[len(w.open)-1]
	if w.tag {
		w.b = append(w.b, "/>"...)
		w.tag = false
	} else {
		w.b = append(w.b, "</"...)
		w.name(o.prefix, o.local)
		w.b = append(w.b, '>')
	}
	w.open, w.scope = w.open[:len(w.open)-1], w.scope[:o.scope]
}

// Node writes an element with all that is in it, or a text.
func (w *Writer) Node(n *Node) {
	if n.Name.Local == "" {
		w.Text(n.Text)
		return
	}
	w.Start(n.Name, n.Prefixes...)
	for _, a := range n.Attrs {
		w.Attr(a.Name, a.Value)
	}
	w.Text(n.Text)
	for i := range n.Children {
		w.Node(&n.Children[i])
	}
	w.End()
}

// lookup returns a prefix that stands for a namespace here, the one that was
// declared last. An attribute needs one that is not empty.
func (w *Writer) lookup(space string, element bool) (string, bool) {
	if space == xmlSpace {
		return "xml", true
	}
	for i := len(w.scope) - 1; i >= 0; i-- {
		p := w.scope[i]
		if p.Space != space || p.Prefix == "" && !element || w.hidden(i) {
			continue
		}
		return p.Prefix, true
	}
	if space != "" {
		return "", false
	}
	for _, p := range w.scope {
		if p.Prefix == "" {
			return "", false // another one is in its place
		}
	}
	return "", true
}

// hidden reports whether the prefix of w.scope[i] stands for another namespace by
// now.
func (w *Writer) hidden(i int) bool {
	for _, p := range w.scope[i+1:] {
		if p.Prefix == w.scope[i].Prefix {
			return true
		}
	}
	return false
}

// free returns a prefix that stands for nothing here.
func (w *Writer) free() string {
next:
	for {
		w.auto++
		prefix := "ns" + strconv.Itoa(w.auto)
		for _, p := range w.scope {
			if p.Prefix == prefix {
				continue next
			}
		}
		return prefix
	}
}

func (w *Writer) declare(p Prefix) {
	w.b = append(w.b, " xmlns"...)
	if p.Prefix != "" {
		w.b = append(append(w.b, ':'), p.Prefix...)
	}
	w.value(p.Space)
}

func (w *Writer) name(prefix, local string) {
	if prefix != "" {
		w.b = append(append(w.b, prefix...), ':')
	}
	w.b = append(w.b, local...)
}

func (w *Writer) value(s string) {
	w.b = append(w.b, `="`...)
	w.escape(s, true)
	w.b = append(w.b, '"')
}

func (w *Writer) closeTag() {
	if w.tag {
		w.b = append(w.b, '>')
		w.tag = false
	}
}

// escape writes text so that it is read as it is (XML 1.0 section 2.4), in the
// value of an attribute with white space that a reader would make spaces of.
func (w *Writer) escape(s string, value bool) {
	for s != "" {
		i := 0
		for i < len(s) && s[i] >= ' ' && s[i] < utf8.RuneSelf && strings.IndexByte(`&<>"`, s[i]) < 0 {
			i++
		}
		w.b = append(w.b, s[:i]...)
		if s = s[i:]; s == "" {
			return
		}
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '&':
			w.b = append(w.b, "&amp;"...)
		case r == '<':
			w.b = append(w.b, "&lt;"...)
		case r == '>':
			w.b = append(w.b, "&gt;"...)
		case r == '"' && value:
			w.b = append(w.b, "&quot;"...)
		case r == '\r':
			w.b = append(w.b, "&#13;"...)
		case r == '\n' && value:
			w.b = append(w.b, "&#10;"...)
		case r == '\t' && value:
			w.b = append(w.b, "&#9;"...)
		case !isChar(r):
			w.b = utf8.AppendRune(w.b, utf8.RuneError)
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
		s = s[n:]
	}
}
