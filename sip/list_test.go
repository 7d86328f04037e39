package sip

import (
	"slices"
	"strings"
	"testing"
)

// Colour is a header field of another package, a comma list.
type Colour string

func (Colour) HeaderName() string                  { return "X-Colour" }
func (Colour) CommaList()                          {}
func (Colour) ParseValue(s string) (Colour, error) { return Colour(s), nil }
func (c Colour) AppendValue(b []byte) []byte       { return append(b, c...) }

// Of two values in one call the second one wins. List keeps both, written as
// the header field has them, and in the place of what was there.
func TestList(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request).With(Field{"X-Before", "1"}, Field{"Accept", "text/html"}, Field{"X-After", "2"})
	if got, _ := req.With(Accept{Type: "a/b"}, Accept{Type: "c/d"}).Value("Accept"); got != "c/d" {
		t.Errorf("two Accepts are %q, want the second", got)
	}
	a, b := URI{Scheme: "sip", Host: "a.example"}, URI{Scheme: "sip", Host: "b.example"}
	route := []Route{{Display: "A, B", URI: a}, {URI: b}}
	for _, test := range []struct {
		e    Edit
		want string
	}{
		{List(Accept{Type: "a/b"}, Accept{"c/d", ";q=0.5"}), "Accept: a/b, c/d;q=0.5"},
		{List(Accept{Type: "a/b"}), "Accept: a/b"},
		{List(Accept{}), "Accept: "},
		{List(&Accept{Type: "a/b"}, &Accept{Type: "c/d"}), "Accept: a/b, c/d"},
		{List(Field{"aCCept", "a/b, c/d"}, Field{"Accept", "e/f"}), "aCCept: a/b, c/d, e/f"},
		{List(Allow{INVITE, ACK}, Allow{BYE}), "Allow: INVITE, ACK, BYE"},
		{List(Field{"v", "SIP/2.0/UDP a"}, Field{"Via", "SIP/2.0/UDP b"}), "v: SIP/2.0/UDP a, SIP/2.0/UDP b"},
		{List(route...), "Route: \"A, B\" <sip:a.example>, <sip:b.example>"},
		{Push(List(route...)), "Route: \"A, B\" <sip:a.example>, <sip:b.example>"},
		{List(Colour("red"), Colour("green")), "X-Colour: red, green"},
		{List(Field{"X-Text", "red"}, Field{"X-Text", "green"}), "X-Text: red\r\nX-Text: green"},
		{Add(List(Field{"X-Text", "red"}, Field{"X-Text", "green"})), "X-Text: red\r\nX-Text: green"},
		{Push(List(Field{"X-Text", "red"}, Field{"X-Text", "green"})), "X-Text: red\r\nX-Text: green"},
		{List(WWWAuthenticate{"Digest", `realm="a"`}, WWWAuthenticate{"Digest", `realm="b"`}),
			"WWW-Authenticate: Digest realm=\"a\"\r\nWWW-Authenticate: Digest realm=\"b\""},
		{List(MaxForwards(7)), "Max-Forwards: 7"},
	} {
		out := req.With(test.e)
		if out.Err() != nil {
			t.Errorf("With(%v) has the error %v, want %q", test.e, out.Err(), test.want)
			continue
		}
		name, _, _ := strings.Cut(test.want, ":")
		var lines []string
		for f := range out.Fields() {
			if headerName(f.Name) == headerName(name) || equalFold(f.Name, name) {
				lines = append(lines, f.Name+": "+f.Value)
			}
		}
		if got := strings.Join(lines, "\r\n"); got != test.want {
			t.Errorf("With(%v) wrote\n%s\nwant\n%s", test.e, got, test.want)
		}
		if got, want := linesBut(out, name), linesBut(req, name); got != want {
			t.Errorf("With(%v) left of the others\n%s\nwant\n%s", test.e, got, want)
		}
	}
	for _, e := range []Edit{List[Accept](), List[*Accept](), List[Field]([]Field{}...)} {
		out := req.With(e)
		_, has := out.Value("Accept")
		if named := e.HeaderName() != ""; named && (has || out.Err() != nil) || !named && out.Err() == nil {
			t.Errorf("an empty list left %v, %v", has, out.Err())
		}
	}
	if out := req.With(Push(List[Route]()), Add(List[Accept]())); out.String() != req.String() || out.Err() != nil {
		t.Errorf("empty lists to push and add made, with the error %v,\n%s", out.Err(), out)
	}
}

// What one value may not be, no value of a list may be, and together they are
// what they are apart.
func TestListRefuses(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	uri := URI{Scheme: "sip", Host: "a.example"}
	many := make([]Accept, maxValues+1)
	for i := range many {
		many[i].Type = "a/b"
	}
	for _, e := range []Edit{
		List(Accept{Type: "a/b"}, Accept{Type: "a/b\r\nX: y"}),
		List(Accept{Type: "a/b"}, Accept{Type: "a/b, c/d"}),
		List(Accept{Type: "a/b"}, Accept{}),
		List(Accept{}, Accept{Type: "a/b"}),
		List(Contact{URI: uri}, Contact{URI: URI{Scheme: "sip", Host: `h>, "`}}),
		List(Contact{URI: uri}, Contact{Star: true, URI: uri}),
		List(Colour("red"), Colour(`"`), Colour("green")),
		List(Colour("<"), Colour("green")),
		List(Colour("red"), Colour("")),
		List(Field{"Accept", "a/b,"}, Field{"Accept", ""}),
		List(Field{"Route", `<sip:a>;x="`}, Field{"Route", `<sip:b>;y="`}),
		List(MaxForwards(1), MaxForwards(2)),
		List(Privacy{"id"}, Privacy{"user"}),
		List(Field{"X-A", "1"}, Field{"X-B", "1"}),
		List[Edit](Accept{Type: "a/b"}, AcceptEncoding{Coding: "gzip"}),
		List[Edit](), List[Field](), List[Edit](nil), List[Edit](Accept{}, nil),
		List[Edit](Push(Route{URI: uri})), List(Pop("Route")), List(List(Route{URI: uri})),
		List(Body{"text/plain", "x"}), List(ReasonPhrase("x")),
		List(many...),
		List(Field{"Accept", strings.Repeat("a/b,", maxValues) + "a/b"}, Field{"Accept", "a/b"}),
	} {
		for _, e := range []Edit{e, Push(e), Add(e)} {
			out := req.With(e)
			if out.Err() == nil {
				t.Errorf("With(%#v) wrote\n%s", e, out)
			}
			if out.String() != req.String() {
				t.Errorf("With(%#v) changed the message", e)
			}
		}
	}
}

// A list says what its values say one by one.
func TestListIsItsValues(t *testing.T) {
	for seed := range uint64(seedsOfProperties) {
		g := newGenerator(seed)
		m, other := mustParse(t, g.oddly(g.message())), g.message()
		for _, name := range other.names {
			if k := lookupKind(lookupHeader(name)); k == single || name == "Privacy" {
				continue
			}
			var fields []Field
			var want []string
			for _, v := range other.values[name] {
				fields = append(fields, Field{g.name(name), plainly(v)})
				want = append(want, listed(with(m, fields[len(fields)-1]), name)...)
			}
			out := with(m, List(fields...))
			if got := listed(out, name); out.Err() != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d: a list of %q is %q, %v", seed, want, got, out.Err())
			}
			if got, want := linesBut(out, name), linesBut(m, name); got != want {
				t.Fatalf("seed %d: a list of %s left of the others\n%q\nwant\n%q", seed, name, got, want)
			}
		}
	}
}

// FuzzList holds that no text runs from one value of a list into the next.
func FuzzList(f *testing.F) {
	f.Add("Route", "<sip:a>", "<sip:b>;x=\"a,b\"")
	f.Add("X-Colour", "\"", "\"")
	f.Add("Accept", "a/b,", ";q=1")
	f.Add("Supported", "", "path")
	f.Add("WWW-Authenticate", "Digest realm=\"", "\"")
	req, err := Parse(tweak(""))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, a, b string) {
		values := func(e Edit) (list []string) {
			out := with(req, e)
			if out.Err() != nil {
				return nil
			}
			if equalFold(name, "X-Colour") {
				for v := range All[Colour](out) {
					list = append(list, string(v))
				}
				return list
			}
			return listed(out, name)
		}
		check := func(list, one, other Edit) {
			if got, want := values(list), append(values(one), values(other)...); got != nil && !slices.Equal(got, want) {
				t.Fatalf("%#v is %q, want %q", list, got, want)
			}
		}
		check(List(Field{name, a}, Field{name, b}), Field{name, a}, Field{name, b})
		name = "X-Colour"
		check(List(Colour(a), Colour(b)), Colour(a), Colour(b))
	})
}
