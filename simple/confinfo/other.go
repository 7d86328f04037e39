package confinfo

import (
	"maps"
	"slices"
	"strings"

	"github.com/goparley/parley/internal/xmldoc"
)

// other is what an element has and its type has no field for. It is not changed in
// place, for conferences that Apply makes share it with those before.
type other struct {
	prefixes []xmldoc.Prefix
	attrs    []xmldoc.Attr
	nodes    []xmldoc.Node
	within   map[string]other // of the elements within that are fields
}

// What is kept of an element by way of many documents stays below what one document
// may have.
const maxOther = 32

// tag keeps the prefixes and attributes of an element, but for those of known names.
func (o *other) tag(n *xmldoc.Node, known ...xmldoc.Name) {
	for _, p := range n.Prefixes {
		same := func(q xmldoc.Prefix) bool { return p.Prefix == q.Prefix }
		if p.Prefix != "" && len(o.prefixes) < maxOther && !slices.ContainsFunc(o.prefixes, same) {
			o.prefixes = append(slices.Clip(o.prefixes), p.Clone())
		}
	}
	for _, a := range n.Attrs {
		if slices.Contains(known, a.Name) {
			continue
		}
		i := slices.IndexFunc(o.attrs, func(b xmldoc.Attr) bool { return a.Name == b.Name })
		if i >= 0 {
			o.attrs = slices.Clone(o.attrs)
			o.attrs[i] = a.Clone()
		} else if len(o.attrs) < maxOther {
			o.attrs = append(slices.Clip(o.attrs), a.Clone())
		}
	}
}

// put keeps elements, in place of those of the same names (section 4.6 step 3.2).
func (o *other) put(nodes []*xmldoc.Node) {
	if len(nodes) == 0 {
		return
	}
	names := make(map[xmldoc.Name]bool)
	for _, n := range nodes {
		names[n.Name] = true
	}
	var kept []xmldoc.Node
	for _, n := range o.nodes {
		if !names[n.Name] {
			kept = append(kept, n)
		}
	}
	for _, n := range nodes {
		kept = append(kept, n.Clone())
	}
	o.nodes = kept
}

// in keeps what an element that is a field has besides.
func (o *other) in(name string, in other) {
	_, there := o.within[name]
	empty := len(in.prefixes)+len(in.attrs)+len(in.nodes)+len(in.within) == 0
	if empty && !there {
		return
	}
	o.within = maps.Clone(o.within)
	if empty {
		delete(o.within, name)
		return
	}
	if o.within == nil {
		o.within = make(map[string]other)
	}
	o.within[strings.Clone(name)] = in // which is a piece of the document
}

// text reads an element of text.
func (o *other) text(n *xmldoc.Node) string {
	var in other
	in.tag(n)
	o.in(n.Name.Local, in)
	return strings.Clone(n.Content())
}

// token reads an element of a URI, a number or a word, around which white space
// means nothing.
func (o *other) token(n *xmldoc.Node) string { return strings.TrimSpace(o.text(n)) }

// list returns the elements of a name within an element that is a list of them.
// What else there is is kept; if the list is partial, with what was there.
func (o *other) list(n *xmldoc.Node, name string) (entries []*xmldoc.Node) {
	var in other
	if stateOf(n) == Partial {
		in = o.within[n.Name.Local]
	}
	in.tag(n, attrState)
	var unknown []*xmldoc.Node
	for e := range n.Elements() {
		if e.Name == own(name) {
			entries = append(entries, e)
		} else {
			unknown = append(unknown, e)
		}
	}
	in.put(unknown)
	o.in(n.Name.Local, in)
	return entries
}

// attributes and elements write what was kept.
func (o *other) attributes(w *xmldoc.Writer) {
	for _, a := range o.attrs {
		w.Attr(a.Name, a.Value)
	}
}

func (o *other) elements(w *xmldoc.Writer) {
	for i := range o.nodes {
		w.Node(&o.nodes[i])
	}
}

// start begins an element that is a field and has no attributes of its own.
func (o *other) start(w *xmldoc.Writer, name string) {
	in := o.within[name]
	w.Start(own(name), in.prefixes...)
	in.attributes(w)
}

// end ends what start has begun.
func (o *other) end(w *xmldoc.Writer, name string) {
	in := o.within[name]
	in.elements(w)
	w.End()
}

// leaf writes an element of text, if there is one.
func (o *other) leaf(w *xmldoc.Writer, name, text string) {
	if text != "" {
		o.start(w, name)
		w.Text(text)
		o.end(w, name)
	}
}
