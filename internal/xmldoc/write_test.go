package xmldoc

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// What is kept is written so that it means the same, with the prefixes that are
// declared and others where none are.
func TestWriter(t *testing.T) {
	for _, tt := range []struct{ name, doc, want string }{
		{"an element", `<a></a>`, `<a/>`},
		{"attributes and text", `<a b='1'  c="&quot;'">x&gt;y</a>`, `<a b="1" c="&quot;'">x&gt;y</a>`},
		{"white space that a reader would change", "<a b='&#9;&#10;&#13;'>&#13;\n\t</a>", "<a b=\"&#9;&#10;&#13;\">&#13;\n\t</a>"},
		{"CDATA", `<a><![CDATA[<&]]></a>`, `<a>&lt;&amp;</a>`},
		{"white space between elements", `<a><b>1</b> <b>2</b></a>`, `<a><b>1</b> <b>2</b></a>`},
		{"a default namespace", `<a xmlns="n"><b/></a>`, `<a xmlns="n"><b/></a>`},
		{"no namespace within one", `<a xmlns="n"><b xmlns=""><c/></b></a>`, `<a xmlns="n"><b xmlns=""><c/></b></a>`},
		{"a prefix", `<p:a xmlns:p="n" p:b="1"><p:c/></p:a>`, `<p:a xmlns:p="n" p:b="1"><p:c/></p:a>`},
		{"an attribute of the default namespace", `<a xmlns="n" xmlns:p="n" p:b="1"/>`, `<p:a xmlns:p="n" p:b="1"/>`},
		{"a prefix for a name in a value", `<a xmlns:p="n"><b t="p:x"/></a>`, `<a xmlns:p="n"><b t="p:x"/></a>`},
		{"a prefix that is declared again", `<p:a xmlns:p="n"><p:b xmlns:p="m"><c xmlns="n"/></p:b></p:a>`,
			`<p:a xmlns:p="n"><p:b xmlns:p="m"><c xmlns="n"/></p:b></p:a>`},
		{"the prefix xml", `<a xml:lang="de"/>`, `<a xml:lang="de"/>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Parse(tt.doc)
			if err != nil {
				t.Fatal(err)
			}
			if got := write(n); got != tt.want {
				t.Errorf("wrote %s, want %s", got, tt.want)
			}
		})
	}
}

func write(n *Node) string {
	w := NewWriter(nil)
	w.Node(n)
	return string(w.Bytes())
}

// A node that is taken from its document, without the elements that declare its
// prefixes, is declared anew.
func TestWriterDeclares(t *testing.T) {
	root, err := Parse(`<a xmlns:p="n" xmlns:q="m"><p:b q:c="1" p:d="2"/></a>`)
	if err != nil {
		t.Fatal(err)
	}
	b := root.Children[0].Clone()
	if got, want := write(&b), `<b xmlns="n" xmlns:ns1="m" ns1:c="1" xmlns:ns2="n" ns2:d="2"/>`; got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
}

// Text of a program that no document may contain does not spoil the document.
func TestWriterReplacesWhatXMLDoesNotHave(t *testing.T) {
	w := NewWriter(nil)
	w.Document()
	w.Start(Name{Local: "a"})
	w.Attr(Name{Local: "b"}, "x\x00\xff\uFFFEy")
	w.Text("]]>\x1b</a>")
	w.End()
	n, err := Parse(string(w.Bytes()))
	if err != nil {
		t.Fatalf("%v: %s", err, w.Bytes())
	}
	if got, want := tree(n), `a(@b="x\ufffd\ufffd\ufffdy""]]>\ufffd</a>")`; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
}

// What Parse takes is written, reads back the same, and is the same document to the
// reader of the standard library.
func FuzzParse(f *testing.F) {
	for _, doc := range []string{
		`<?xml version="1.0" encoding="UTF-8"?><a xmlns="n" xmlns:p="m" p:b="1"> <c>&lt;&#65;</c><![CDATA[<]]><p:d xmlns=""><e/></p:d></a>`,
		"\uFEFF<a b='&#10;\r\n\t'>\r\n\r<!-- x --><?y z?></a>",
		`<p:a xmlns:p="n"><p:b xmlns:p="m"><c xmlns="n"/></p:b></p:a>`,
		`<a xml:lang="x" xmlns:ns1="q"><b xmlns:r="s" r:t=""/></a>`,
		`<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>`,
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		n, err := Parse(doc)
		if err != nil {
			return
		}
		written := write(n)
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", doc, written, err)
		}
		if got, want := tree(again), tree(n); got != want {
			t.Errorf("%q is written as %q, which is %s, want %s", doc, written, got, want)
		}
		if got := write(again); got != written {
			t.Errorf("written again: %q, want %q", got, written)
		}
		clone := n.Clone()
		if got, want := tree(&clone), tree(n); got != want {
			t.Errorf("Clone = %s, want %s", got, want)
		}
		for _, doc := range []string{doc, written} {
			got, err := shape(doc)
			// It has the names of older editions, and leaves white space in values.
			if err != nil && strings.Contains(err.Error(), "invalid XML name") || strings.ContainsAny(doc, "\t\r\n") {
				continue
			}
			if want := shapeOf(n); got != want || err != nil {
				t.Errorf("encoding/xml reads %s, %v in %q, want %s", got, err, doc, want)
			}
		}
	})
}

// shape is what encoding/xml reads: names, attributes and text.
func shape(doc string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(doc, "\uFEFF")))
	var b strings.Builder
	depth := 0
	for {
		token, err := d.Token()
		switch e := token.(type) {
		case xml.StartElement:
			depth++
			b.WriteString("<" + e.Name.Space + " " + e.Name.Local)
			for _, a := range e.Attr {
				if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
					b.WriteString(" " + a.Name.Space + " " + a.Name.Local + "=" + a.Value)
				}
			}
			b.WriteString(">")
		case xml.EndElement:
			depth--
			b.WriteString("</>")
		case xml.CharData:
			if depth > 0 {
				b.Write(e)
			}
		}
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
}

func shapeOf(n *Node) string {
	if n.Name.Local == "" {
		return n.Text
	}
	var b strings.Builder
	b.WriteString("<" + n.Name.Space + " " + n.Name.Local)
	for _, a := range n.Attrs {
		b.WriteString(" " + a.Name.Space + " " + a.Name.Local + "=" + a.Value)
	}
	b.WriteString(">" + n.Text)
	for i := range n.Children {
		b.WriteString(shapeOf(&n.Children[i]))
	}
	return b.String() + "</>"
}
