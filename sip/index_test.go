package sip

import (
	"fmt"
	"strings"
	"testing"
)

// A name is not taken for a usual one that it begins with.
func TestNamesThatBeginLikeUsualOnes(t *testing.T) {
	for id := idVia; int(id) < len(headers); id++ {
		for _, name := range []string{headers[id].name + "x", headers[id].name + "-longer-by-far"} {
			m := mustParse(t, tweak("", name+": value"))
			if got, want := lookupHeader(name), m.base().fields(); want[len(want)-1].id != got {
				t.Errorf("%s is indexed as %d, want %d", name, want[len(want)-1].id, got)
			}
		}
	}
}

// Values that are too long for the index are read when they are asked for.
func TestLongValues(t *testing.T) {
	long := strings.Repeat("x", 300)
	spaces := strings.Repeat(" ", 300)
	m := mustParse(t, strings.Join([]string{
		"OPTIONS sip:" + long + "@b.example SIP/2.0",
		"Via: SIP/2.0/UDP a.example;branch=" + long,
		`From: "` + long + `" <sip:a@a.example>;tag=1`,
		"To:" + spaces + "<sip:b@b.example>",
		"Call-ID: 1",
		"CSeq: 1" + spaces + "OPTIONS\r\n\r\n",
	}, "\r\n")).(*Request)
	expect(t, "URI", m.URI(), URI{Scheme: "sip", User: long, Host: "b.example"})
	expect(t, "From", m.From(), From{Display: long, URI: URI{Scheme: "sip", User: "a", Host: "a.example"}, Params: ";tag=1"})
	expect(t, "Branch", m.Via().Branch(), long)
	expect(t, "To", m.To().URI.Host, "b.example")
	expect(t, "CSeq", m.CSeq(), CSeq{1, OPTIONS})
	out := m.With(MaxForwards(1))
	expect(t, "From of a copy", out.From(), m.From())
	expect(t, "To of a copy", out.To(), m.To())
}

// Values around the length from which on a byte does not tell each place in them
// are read like all others.
func TestValuesOfAByte(t *testing.T) { valuesOfAByte(t) }

func valuesOfAByte(t *testing.T) {
	t.Helper()
	address := func(display string, uri URI, params Params) string {
		return fmt.Sprintf("%q %q", display, uri.User) + " " + uri.Host + fmt.Sprintf(":%d", uri.Port) + string(uri.Params) + "?" + uri.Headers + " " + string(params)
	}
	readers := map[string]func(m *Request) string{
		"Request-URI": func(m *Request) string { return address("", m.URI(), "") },
		"From":        func(m *Request) string { f := m.From(); return address(f.Display, f.URI, f.Params) },
		"To":          func(m *Request) string { to := m.To(); return address(to.Display, to.URI, to.Params) },
		"Contact": func(m *Request) string {
			c, err := Get[Contact](m)
			if err != nil {
				return err.Error()
			}
			return address(c.Display, c.URI, c.Params)
		},
		"Via": func(m *Request) string {
			v := m.Via()
			return fmt.Sprintf("%s %s:%d", v.Transport, v.Host, v.Port) + string(v.Params) + " " + v.Branch()
		},
		"CSeq": func(m *Request) string { return fmt.Sprint(m.CSeq().Seq) + " " + string(m.CSeq().Method) },
	}
	// A run of "x" stands for "~", of which there are as many in what is read.
	for _, c := range []struct{ names, value, want string }{
		{"Request-URI", "sip:~@b.example", `"" "~" b.example:0? `},
		{"Request-URI", "sip:a@~", `"" "a" ~:0? `},
		{"Request-URI", "sip:~:5060", `"" "" ~:5060? `},
		{"Request-URI", "sip:b.example;p=~", `"" "" b.example:0;p=~? `},
		{"Request-URI", "sip:b.example;~", `"" "" b.example:0;~? `},
		{"Request-URI", "sip:b.example?a=~", `"" "" b.example:0?a=~ `},
		{"From To Contact", "<sip:~@b.example>", `"" "~" b.example:0? `},
		{"From To Contact", "<sip:a@~>", `"" "a" ~:0? `},
		{"From To Contact", "<sip:a@~:5060>", `"" "a" ~:5060? `},
		{"From To Contact", "<sip:a@b.example;p=~>", `"" "a" b.example:0;p=~? `},
		{"From To Contact", "<sip:a@~>;tag=1", `"" "a" ~:0? ;tag=1`},
		{"From To Contact", "<sip:a@b.example>;tag=~", `"" "a" b.example:0? ;tag=~`},
		{"From To Contact", "<sip:a@b.example>;tag=1;p=~", `"" "a" b.example:0? ;tag=1;p=~`},
		{"From To Contact", `"~" <sip:a@b.example>`, `"~" "a" b.example:0? `},
		{"From To Contact", `~ <sip:a@b.example>;tag=1`, `"~" "a" b.example:0? ;tag=1`},
		{"From To Contact", "sip:a@~", `"" "a" ~:0? `},
		{"From To Contact", "sip:a@~;tag=1", `"" "a" ~:0? ;tag=1`},
		{"Via", "SIP/2.0/UDP ~", "UDP ~:0 "},
		{"Via", "SIP/2.0/~ a.example;branch=1", "~ a.example:0;branch=1 1"},
		{"Via", "SIP/2.0/UDP ~:5060;branch=1", "UDP ~:5060;branch=1 1"},
		{"Via", "SIP/2.0/UDP a.example;branch=1;p=~", "UDP a.example:0;branch=1;p=~ 1"},
	} {
		for name := range strings.FieldsSeq(c.names) {
			for n := 250; n <= 261; n++ {
				run := strings.Repeat("x", n-len(c.value)+1)
				value, want := strings.Replace(c.value, "~", run, 1), strings.ReplaceAll(c.want, "~", run)
				text := tweak(name, name+": "+value)
				switch name {
				case "Request-URI":
					text = start("OPTIONS " + value + " SIP/2.0")
				case "Contact":
					text = tweak("", name+": "+value)
				}
				m := mustParse(t, text).(*Request)
				expect(t, fmt.Sprintf("%s of %d bytes", name, n), readers[name](m), want)
				out := m.With(Push(RecordRoute{URI: URI{Scheme: "sip", Host: "p.example"}}))
				expect(t, fmt.Sprintf("%s of %d bytes, in a copy", name, n), readers[name](out), want)
			}
		}
	}
	for n := 250; n <= 261; n++ {
		method := strings.Repeat("M", n-len("1 "))
		m := mustParse(t, strings.ReplaceAll(tweak(""), "OPTIONS", method)).(*Request)
		expect(t, fmt.Sprintf("CSeq of %d bytes", n), readers["CSeq"](m), "1 "+method)
	}
}

// What routing needs is found in each line, also where the number of the line is
// more than the index counts.
func TestFarLines(t *testing.T) {
	all := []string{
		"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1", "From: <sip:alice@example.com>;tag=1", "To: <sip:bob@example.com>;tag=2",
		"Call-ID: 1@a.example", "CSeq: 1 OPTIONS", "Max-Forwards: 69", "Content-Length: 0", "Contact: <sip:a@192.0.2.1>;expires=1",
		"Route: <sip:r.example;lr>", "Record-Route: <sip:rr.example;lr>", "Content-Type: text/plain",
	}
	if len(all) != int(numHot)-1 {
		t.Fatalf("%d header fields, want %d", len(all), numHot-1)
	}
	read := func(m Message) string {
		req := m.(*Request)
		contact, err1 := Get[Contact](m)
		route, err2 := Get[Route](m)
		recordRoute, err3 := Get[RecordRoute](m)
		contentType, err4 := Get[ContentType](m)
		length, err5 := Get[ContentLength](m)
		from, err6 := Get[From](m)
		s := fmt.Sprint(req.Via(), req.From(), req.To(), req.CallID(), req.CSeq(), req.MaxForwards(), contact, err1, route, err2,
			recordRoute, err3, contentType, err4, length, err5, from, err6)
		for id := idVia; id < numHot; id++ {
			value, ok := m.Value(headers[id].name)
			s += fmt.Sprintf(" %s %v", value, ok)
		}
		return s
	}
	message := func(lines ...string) string {
		return "OPTIONS sip:bob@example.com SIP/2.0\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	want := read(mustParse(t, message(all...)))
	for i, line := range all {
		for n := 250; n <= 258; n++ {
			lines := append(append([]string(nil), all[:i]...), all[i+1:]...)
			for len(lines) < n-1 {
				lines = append(lines, "X-A: y")
			}
			m := mustParse(t, message(append(lines, line)...))
			if got := read(m); got != want {
				t.Fatalf("%s in line %d:\n%s\nwant\n%s", line, n, got, want)
			}
			if got := read(with(m, Add(Field{"X-A", "z"}))); got != want {
				t.Fatalf("%s in line %d of a copy:\n%s\nwant\n%s", line, n, got, want)
			}
		}
	}
}
