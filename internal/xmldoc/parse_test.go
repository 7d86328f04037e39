package xmldoc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// tree writes a node so that a test can compare it: names as {space}local.
func tree(n *Node) string {
	name := func(n Name) string {
		if n.Space == "" {
			return n.Local
		}
		return "{" + n.Space + "}" + n.Local
	}
	if n.Name.Local == "" {
		return fmt.Sprintf("%+q", n.Text)
	}
	var b strings.Builder
	b.WriteString(name(n.Name) + "(")
	for _, a := range n.Attrs {
		fmt.Fprintf(&b, "@%s=%+q", name(a.Name), a.Value)
	}
	if n.Text != "" {
		fmt.Fprintf(&b, "%+q", n.Text)
	}
	for i := range n.Children {
		b.WriteString(tree(&n.Children[i]))
	}
	return b.String() + ")"
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, doc, want string }{
		{"an element", `<a/>`, `a()`},
		{"text", `<a>x</a>`, `a("x")`},
		{"an XML declaration", `<?xml version="1.0" encoding="utf-8" standalone='no' ?><a/>`, `a()`},
		{"a byte order mark", "\uFEFF<?xml version='1.0'?>\n<a/>\n", `a()`},
		{"a line end before the declaration", "\r\n<?xml version='1.0'?><a/>", `a()`},
		{"comments and instructions", `<?x y?><!-- <b> --><a>1<!-- & -->2<?php ?>3</a><!----><?z?>`, `a("123")`},
		{"the five entities", `<a b="&lt;&gt;&amp;&quot;&apos;">&lt;&gt;&amp;&quot;&apos;</a>`, `a(@b="<>&\"'""<>&\"'")`},
		{"references", `<a>&#65;&#x42;&#x1F600;</a>`, `a("AB\U0001f600")`},
		{"CDATA", `<a>1<![CDATA[<&]]]]><![CDATA[>]]></a>`, `a("1<&]]>")`},
		{"text between elements", "<a> <b/>x<b/></a>", `a(" "b()"x"b())`},
		{"line ends", "<a b='1\r\n2\t3\r4'>1\r\n2\r3</a>", `a(@b="1 2 3 4""1\n2\n3")`},
		{"white space by reference", "<a b='&#10;&#9;&#13;'>&#13;</a>", `a(@b="\n\t\r""\r")`},
		{"a default namespace", `<a xmlns="n" b="1"><c/><d xmlns=""/></a>`, `{n}a(@b="1"{n}c()d())`},
		{"prefixes", `<p:a xmlns:p="n" p:b="1"><q:c xmlns:q="n" xmlns:p="m"><p:d/></q:c><p:e/></p:a>`,
			`{n}a(@{n}b="1"{n}c({m}d()){n}e())`},
		{"the prefix xml", `<a xml:lang="de"/>`, `a(@{http://www.w3.org/XML/1998/namespace}lang="de")`},
		{"the same name in two namespaces", `<a xmlns:p="n" b="1" p:b="2"/>`, `a(@b="1"@{n}b="2")`},
		{"names beyond ASCII", "<\u00e9\u00b7/>", "\u00e9\u00b7()"},
		{"a document that is 32 deep", strings.Repeat("<a>", 32) + strings.Repeat("</a>", 32), strings.Repeat("a(", 32) + strings.Repeat(")", 32)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Parse(tt.doc)
			if err != nil {
				t.Fatal(err)
			}
			if got := tree(n); got != tt.want {
				t.Errorf("Parse = %s, want %s", got, tt.want)
			}
		})
	}
}

// What is no document, or more than a protocol has use for, is refused with an
// error that says where.
func TestParseRefuses(t *testing.T) {
	attrs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ` a%d=""`, i)
		}
		return b.String()
	}
	for _, tt := range []struct{ name, doc, want string }{
		{"nothing", "", "expected an element"},
		{"text", "hello", "expected an element"},
		{"only a declaration", "<?xml version='1.0'?>", "expected an element"},
		{"a declaration without a version", "<?xml encoding='UTF-8'?><a/>", "expected version 1.0"},
		{"another version", "<?xml version='1.1'?><a/>", "expected version 1.0"},
		{"something else in the declaration", "<?xml version='1.0' x='1'?><a/>", "expected version, encoding"},
		{"a declaration in the middle", "<a><?xml version='1.0'?></a>", "processing instruction"},
		{"a document type", "<!DOCTYPE a><a/>", "document type"},
		{"entity expansion", `<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>`, "document type"},
		{"an external document type", `<?xml version="1.0"?><!-- --><!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`, "document type"},
		{"another entity", "<a>&nbsp;</a>", "entity"},
		{"a bare ampersand", "<a>a & b</a>", "without a reference"},
		{"a reference to no character", "<a>&#0;</a>", "entity"},
		{"a reference to a surrogate", "<a>&#xD800;</a>", "entity"},
		{"a reference beyond Unicode", "<a>&#x110000;</a>", "entity"},
		{"a reference with a sign", "<a>&#+65;</a>", "entity"},
		{"NUL", "<a>\x00</a>", "no UTF-8"},
		{"a control character", "<a b='\x1b'/>", "no UTF-8"},
		{"no UTF-8", "<a>\xff</a>", "no UTF-8"},
		{"U+FFFE", "<a>\uFFFE</a>", "no UTF-8"},
		{"no end", "<a>", "ends within"},
		{"a start tag without an end", "<a b='1'", "expected white space"},
		{"another end", "<a></b>", "expected the end"},
		{"an end with more", "<a></ab>", "expected >"},
		{"crossed", "<a><b></a></b>", "expected the end"},
		{"two roots", "<a/><b/>", "after the end"},
		{"text after the root", "<a/>x", "after the end"},
		{"< in a value", "<a b='<'/>", "< in a value"},
		{"]]> in text", "<a>]]></a>", "]]> in text"},
		{"an attribute without quotes", "<a b=1/>", "in quotes"},
		{"an attribute without a value", "<a b/>", "expected ="},
		{"attributes without space", "<a b='1'c='2'/>", "expected white space"},
		{"an attribute twice", "<a b='1' b='2'/>", "twice"},
		{"an attribute twice by two prefixes", "<a xmlns:p='n' xmlns:q='n' p:b='1' q:b='2'/>", "twice"},
		{"a prefix twice", "<a xmlns:p='n' xmlns:p='m'/>", "twice"},
		{"a prefix that is not declared", "<p:a/>", "not declared"},
		{"a prefix of an attribute that is not declared", "<a p:b='1'/>", "not declared"},
		{"a prefix that is no longer declared", "<a><b xmlns:p='n'/><p:c/></a>", "not declared"},
		{"a prefix for nothing", "<a xmlns:p=''/>", "without a namespace"},
		{"the prefix xml for another", "<a xmlns:xml='n'/>", "nobody may declare"},
		{"another prefix for xml", "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "nobody may declare"},
		{"the prefix xmlns", "<a xmlns:xmlns='n'/>", "nobody may declare"},
		{"an element of xmlns", "<xmlns:a/>", "not declared"},
		{"two colons", "<a:b:c xmlns:a='n'/>", "expected white space"},
		{"a name that begins with a digit", "<1/>", "expected a name"},
		{"a comment that does not end", "<a><!-- </a>", "comment"},
		{"-- in a comment", "<a><!-- -- --></a>", "comment"},
		{"CDATA that does not end", "<a><![CDATA[</a>", "CDATA"},
		{"33 deep", strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33), "more than 32"},
		{"a million deep", strings.Repeat("<a>", 300_000), "more than 32"},
		{"65 attributes", "<a" + attrs(65) + "/>", "more than 64 attributes"},
		{"65 prefixes", prefixes(65), "more than 64 prefixes"},
		{"65536 elements in another", "<a>" + strings.Repeat("<b/>", 1<<16) + "</a>", "more than 65536"},
		{"a name of 2 kB", "<" + strings.Repeat("a", 2048) + "/>", "expected a name"},
		{"more than a MiB", "<a>" + strings.Repeat(" ", maxSize) + "</a>", "longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Parse(tt.doc)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || !strings.Contains(syntax.Msg, tt.want) {
				t.Fatalf("Parse = %v, %v, want an error that says %q", n, err, tt.want)
			}
			if syntax.Offset < 0 || syntax.Offset > len(tt.doc) {
				t.Errorf("Offset = %d, want one within %d bytes", syntax.Offset, len(tt.doc))
			}
			if len(err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// prefixes returns a document with n prefixes at one place, which is n-1 of its own.
func prefixes(n int) string {
	var b strings.Builder
	b.WriteString("<a")
	for i := range 40 {
		fmt.Fprintf(&b, ` xmlns:p%d="n"`, i)
	}
	b.WriteString("><a")
	for i := 40; i < n-1; i++ {
		fmt.Fprintf(&b, ` xmlns:p%d="n"`, i)
	}
	b.WriteString("/></a>")
	return b.String()
}

// UTF-16 is told by its first bytes, other encodings by the XML declaration
// (XML 1.0 appendix F).
func TestParseTakesUTF8Only(t *testing.T) {
	for _, doc := range []string{
		"\xFE\xFF\x00<\x00a\x00/\x00>",
		"\xFF\xFE<\x00a\x00/\x00>\x00",
		"\x00<\x00a\x00/\x00>",
		"<\x00a\x00/\x00>\x00",
		"<?xml version='1.0' encoding='UTF-16'?><a/>",
		"<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
		"<?xml version='1.0' encoding=''?><a/>",
	} {
		if n, err := Parse(doc); !errors.Is(err, ErrEncoding) {
			t.Errorf("Parse(%q) = %v, %v, want %v", doc, n, err, ErrEncoding)
		}
	}
}

// Text in a great many pieces is not copied for each of them.
func TestParseTextInPieces(t *testing.T) {
	const n = 100_000
	root, err := Parse("<a>" + strings.Repeat("x<!---->", n) + "</a>")
	if err != nil {
		t.Fatal(err)
	}
	if len(root.Text) != n {
		t.Errorf("%d bytes of text, want %d", len(root.Text), n)
	}
}
