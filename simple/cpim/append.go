package cpim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Append appends the message as text to b. If Content is nil it ends where the
// content begins, and the caller writes that behind it.
//
// What would not be read back as it is, such as a line break in a URI, is an error,
// and so is a message without a ContentType; b is returned as it was. In a Subject
// and in the Name of an Address every character is fine.
func (m *Message) Append(b []byte) ([]byte, error) {
	w := writer{b: b}
	if m.From != (Address{}) {
		w.address("From: ", m.From)
	}
	for _, a := range m.To {
		w.address("To: ", a)
	}
	for _, a := range m.CC {
		w.address("cc: ", a)
	}
	if !m.DateTime.IsZero() {
		w.dateTime(m.DateTime)
	}
	for _, s := range m.Subject {
		w.text("Subject:")
		w.lang(s.Lang)
		w.b = escape(append(w.b, ' '), strings.TrimRight(s.Text, " "), false)
		w.text("\r\n")
	}
	w.extensions(m)
	w.text("\r\n")
	w.content(m)
	if w.err != nil {
		return b, fmt.Errorf("cpim: %w", w.err)
	}
	return append(w.b, m.Content...), nil
}

// A writer appends to b, until it has an error.
type writer struct {
	b        []byte
	prefixes []prefix
	err      error
}

func (w *writer) text(s string) { w.b = append(w.b, s...) }

func (w *writer) fail(what, value string) {
	if w.err == nil {
		w.err = fmt.Errorf("%s cannot be written: %q", what, value)
	}
}

func (w *writer) address(header string, a Address) {
	if !isURI(a.URI) || !utf8.ValidString(a.URI) {
		w.fail("URI", a.URI)
	}
	w.text(header)
	w.b = a.append(w.b)
	w.text("\r\n")
}

func (w *writer) dateTime(t time.Time) {
	w.text("DateTime: ")
	b, err := t.AppendText(w.b) // RFC 3339, or an error
	if err != nil {
		w.fail("DateTime", t.String())
		return
	}
	w.b = append(b, "\r\n"...)
}

func (w *writer) lang(tag string) {
	if tag == "" {
		return
	}
	if !isLang(tag) {
		w.fail("language", tag)
	}
	w.text(";lang=")
	w.text(tag)
}

// extensions writes NS, Require and the extension headers, in an order in which each
// prefix is declared before it is used (RFC 3862 section 3.4).
func (w *writer) extensions(m *Message) {
	for _, n := range m.Require {
		w.declare(n)
	}
	for _, h := range m.Headers {
		w.declare(h.Name)
	}
	for i, n := range m.Require {
		w.text([]string{"Require: ", ","}[min(i, 1)])
		w.name(n)
	}
	if len(m.Require) > 0 {
		w.text("\r\n")
	}
	for _, h := range m.Headers {
		// Of our own, only a DateTime that could not be read is among Headers. What
		// begins with Content- would be taken for a MIME header.
		if h.Namespace == Namespace && (isOwn(h.Local) && (h.Local != "DateTime" || !m.DateTime.IsZero()) ||
			h.Local == "Required" || beginsContent(h.Local)) {
			w.fail("header", h.Local)
		}
		if hasControl(h.Value) || !utf8.ValidString(h.Value) {
			w.fail(h.Local, h.Value)
		}
		w.name(h.Name)
		w.text(":")
		w.lang(h.Lang)
		w.text(" ")
		w.text(h.Value)
		w.text("\r\n")
	}
}

// declare writes an NS header for a namespace that has none yet. Its prefix is that
// of the name, unless that means another namespace.
func (w *writer) declare(n Name) {
	if n.Namespace == Namespace || w.prefix(n.Namespace) != "" {
		return
	}
	if !isURI(n.Namespace) || !utf8.ValidString(n.Namespace) {
		w.fail("namespace", n.Namespace)
	}
	name := n.Prefix
	taken := func(p prefix) bool { return p.name == name }
	if !isName(name) || beginsContent(name) {
		name = "ns"
	}
	for base, i := name, 2; slices.ContainsFunc(w.prefixes, taken); i++ {
		name = base + strconv.Itoa(i)
	}
	w.prefixes = append(w.prefixes, prefix{name, n.Namespace})
	w.text("NS: ")
	w.text(name)
	w.text(" <")
	w.text(n.Namespace)
	w.text(">\r\n")
}

// prefix returns the prefix that is declared for a namespace, or "".
func (w *writer) prefix(namespace string) string {
	for _, p := range w.prefixes {
		if p.uri == namespace {
			return p.name
		}
	}
	return ""
}

func (w *writer) name(n Name) {
	if !isName(n.Local) {
		w.fail("name", n.Local)
	}
	if n.Namespace != Namespace {
		w.text(w.prefix(n.Namespace))
		w.text(".")
	}
	w.text(n.Local)
}

// content writes the MIME headers and the blank line behind them.
func (w *writer) content(m *Message) {
	w.field(Field{"Content-Type", m.ContentType})
	if m.ContentType == "" {
		w.fail("message without ContentType", "")
	}
	for _, f := range m.ContentHeaders {
		if strings.EqualFold(f.Name, "Content-Type") || !isToken(f.Name) {
			w.fail("MIME header", f.Name)
		}
		w.field(f)
	}
	w.text("\r\n")
}

func (w *writer) field(f Field) {
	if strings.ContainsAny(f.Value, "\r\n\x00") {
		w.fail(f.Name, f.Value)
	}
	w.text(f.Name)
	w.text(": ")
	w.text(f.Value)
	w.text("\r\n")
}
