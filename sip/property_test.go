package sip

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The properties hold for whatever a generator makes of good parts. Its seeds
// are fixed: a failure names the one that shows it again.
const seedsOfProperties = 500

// A message says the same in any layout, and says it again when its text is
// read again.
func TestLayoutDoesNotMatter(t *testing.T) {
	for seed := range uint64(seedsOfProperties) {
		g := newGenerator(seed)
		made := g.message()
		plain, errPlain := Parse(made.plain())
		m, err := Parse(g.oddly(made))
		if err != nil || errPlain != nil {
			t.Fatalf("seed %d: %v\n%q\nand plainly %v\n%q", seed, err, m, errPlain, made.plain())
		}
		if got, want := show(m), show(plain); got != want {
			t.Fatalf("seed %d: in an odd layout it says\n%s\nwant\n%s\nof\n%q", seed, got, want, m)
		}
		for _, name := range made.names {
			if got, want := texts(m, name), texts(plain, name); !slices.Equal(got, want) && textual(name) {
				t.Fatalf("seed %d: %s = %q, want %q", seed, name, got, want)
			}
		}
		if again := mustParse(t, m.String()); !sameFields(again, m) || show(again) != show(m) {
			t.Fatalf("seed %d: read again\n%q\nis another message", seed, m)
		}
		if errs := checkValues(m); errs != nil {
			t.Fatalf("seed %d: %v in\n%q", seed, errs, m)
		}
		if out := with(m); out.Err() != nil || out.String() != m.String() {
			t.Fatalf("seed %d: With() = %q, %v, want %q", seed, out, out.Err(), m)
		}
	}
}

// White space around every slash of a Via, where it was once not taken behind
// "SIP/2.0/" (RFC 3261 section 25.1, SLASH).
func TestViaSlashes(t *testing.T) {
	for _, value := range []string{
		"SIP/2.0/UDP a.example", "SIP/2.0/ UDP a.example", "SIP/2.0 /UDP a.example", "SIP/ 2.0/UDP a.example", "SIP /2.0/UDP a.example",
		"SIP/2.0/\tUDP a.example", "sip / 2.0 / UDP a.example",
	} {
		if via, err := (Via{}).ParseValue(value); via != (Via{Transport: "UDP", Host: "a.example"}) || err != nil {
			t.Errorf("ParseValue(%q) = %#v, %v", value, via, err)
		}
	}
}

// textual reports whether white space in the values of a header field counts.
func textual(name string) bool {
	return lookupHeader(name) == 0 || name == "Subject" || name == "User-Agent" || name == "Call-ID"
}

// texts returns the values of all lines with that name as text.
func texts(m Message, name string) (list []string) {
	for f := range m.Fields() {
		if sameName(f.Name, name) {
			list = append(list, f.Value)
		}
	}
	return list
}

func sameName(a, b string) bool {
	return equalFold(a, b) || lookupHeader(a) != 0 && lookupHeader(a) == lookupHeader(b)
}

// show says all that the getters and the types of a message say.
func show(m Message) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	switch r := m.(type) {
	case *Request:
		say("%s %s, %d hops", r.Method(), r.URI(), r.MaxForwards())
	case *Response:
		say("%d %s", r.Status(), r.ReasonPhrase())
	}
	say("Via %s, Call-ID %s, CSeq %v, body %q", showVia(m.Via()), m.CallID(), m.CSeq(), m.Body())
	say("From %s, tag %s", showAddress(Address(m.From())), m.From().Tag())
	say("To %s, tag %s", showAddress(Address(m.To())), m.To().Tag())
	showAll(say, m, showVia)
	showAll(say, m, func(c Contact) string { return showAddress(Address{c.Display, c.URI, c.Params}) })
	showAll(say, m, func(r Route) string { return showAddress(Address(r)) })
	showAll(say, m, func(r RecordRoute) string { return showAddress(Address(r)) })
	showAll(say, m, func(c ContentType) string { return c.Type + showParams(c.Params) })
	showAll(say, m, func(r RetryAfter) string { return fmt.Sprint(r.Seconds) + showParams(r.Params) })
	showAll(say, m, func(c WWWAuthenticate) string {
		s := c.Scheme
		for name, value := range c.Params.All() {
			s += fmt.Sprintf(" %s=%q", name, value)
		}
		return s
	})
	showAll(say, m, func(h Supported) string { return fmt.Sprint(h) })
	showAll(say, m, func(h Require) string { return fmt.Sprint(h) })
	showAll(say, m, func(h ProxyRequire) string { return fmt.Sprint(h) })
	showAll(say, m, func(h Unsupported) string { return fmt.Sprint(h) })
	showAll(say, m, func(h Allow) string { return fmt.Sprint(h) })
	showAll(say, m, func(h Expires) string { return fmt.Sprint(h) })
	showAll(say, m, func(h MinExpires) string { return fmt.Sprint(h) })
	showAll(say, m, func(h ContentLength) string { return fmt.Sprint(h) })
	return b.String()
}

func showAll[H Parser[H]](say func(string, ...any), m Message, show func(H) string) {
	for h, err := range All[H](m) {
		say("%s %s, %v", h.HeaderName(), show(h), err)
	}
}

func showVia(v Via) string { return v.Transport + " " + v.SentBy() + showParams(v.Params) }

func showAddress(a Address) string {
	return fmt.Sprintf("%q %s", a.Display, a.URI) + showParams(a.Params)
}

func showParams(p Params) (s string) {
	for name, value := range p.All() {
		s += fmt.Sprintf(";%s=%q", name, value)
	}
	return s
}

// An edit of one header field leaves the lines of all others as they were, to
// the byte and in order, and changes the values of its own as it says.
func TestEditsLeaveTheOthers(t *testing.T) {
	for seed := range uint64(seedsOfProperties) {
		g := newGenerator(seed)
		made := g.message()
		m := mustParse(t, g.oddly(made))
		for range 5 {
			name, e, want := g.edit(m)
			out := with(m, e)
			if out.Err() != nil {
				// What there may be one of is not pushed or added.
				if len(want) < 2 || lookupKind(lookupHeader(name)) != single || out.String() != m.String() {
					t.Fatalf("seed %d: With(%#v) has the error %v and is\n%q", seed, e, out.Err(), out)
				}
				continue
			}
			if got, want := linesBut(out, name), linesBut(m, name); got != want {
				t.Fatalf("seed %d: With(%#v) left of the others\n%q\nwant\n%q", seed, e, got, want)
			}
			if got := listed(out, name); !slices.Equal(got, want) {
				t.Fatalf("seed %d: With(%#v) made of %s\n%q\nwant\n%q", seed, e, name, got, want)
			}
			if out.Body() != m.Body() {
				t.Fatalf("seed %d: With(%#v) changed the body", seed, e)
			}
			if again, err := Parse(out.String()); err == nil && !sameFields(again, out) {
				t.Fatalf("seed %d: With(%#v) is read again as\n%q", seed, e, again)
			}
			m = out
		}
	}
}

// edit makes an edit of a header field that m has, or may have, and says what
// its values are then.
func (g generator) edit(m Message) (name string, e Edit, want []string) {
	other := g.message()
	name = pick(g, other.names...)
	for name == "Content-Length" || name == "CSeq" {
		name = pick(g, other.names...) // they follow from the body and the method
	}
	value := plainly(other.values[name][0])
	field := Field{g.name(name), value}
	old := listed(m, name)
	switch g.IntN(5) {
	case 0:
		return name, field, []string{value}
	case 1:
		return name, Push(field), append([]string{value}, old...)
	case 2:
		return name, Add(field), append(old, value)
	case 3:
		return name, Pop(field.Name), old[min(1, len(old)):]
	}
	return name, Del(field.Name), nil
}

// listed returns the values of a header field as text, comma lists split.
func listed(m Message, name string) (list []string) {
	k := lookupKind(lookupHeader(name))
	for _, v := range texts(m, name) {
		for more := true; more; more = v != "" {
			first := v
			if v = ""; k == kind(1) || k == tokens {
				first, v = splitList(first)
			}
			list = append(list, first)
		}
	}
	return list
}

// linesBut returns the start line and all header lines, folds and all, but
// those with that name.
func linesBut(m Message, name string) string {
	head, _, _ := strings.Cut(m.String(), "\r\n\r\n")
	var b strings.Builder
	others := true
	for i, line := range strings.Split(head, "\r\n") {
		if i > 0 && line != "" && !isWS(line[0]) {
			own, _, _ := strings.Cut(line, ":")
			others = !sameName(trimWS(own), name)
		}
		if others {
			b.WriteString(line + "\r\n")
		}
	}
	return b.String()
}

// RFC 3261 section 19.1.4: a URI equals itself however it is written, and is
// equal to another one if that is equal to it.
func TestURIEqualIsSymmetric(t *testing.T) {
	g := newGenerator(1)
	var all []string
	for range 100 {
		u := g.uri()
		all = append(all, u, g.sameURI(u), g.otherURI(u))
		if a, b := mustURI(t, u), mustURI(t, all[len(all)-2]); !a.Equal(b) || !b.Equal(a) {
			t.Errorf("%s and %s are not equal", a, b)
		}
	}
	for _, s := range all {
		u := mustURI(t, s)
		if again := mustURI(t, u.String()); again != u || !u.Equal(u) || !u.Equal(again) || !again.Equal(u) {
			t.Errorf("%s is written as %s, which is another URI", s, u)
		}
		for _, o := range all {
			if v := mustURI(t, o); u.Equal(v) != v.Equal(u) {
				t.Errorf("%s equals %s: %v, and the other way round: %v", u, v, u.Equal(v), v.Equal(u))
			}
		}
	}
}

// sameURI writes a sip URI in another way.
func (g generator) sameURI(u string) string {
	scheme, rest, _ := strings.Cut(u, ":")
	if !strings.HasPrefix(strings.ToLower(scheme), "sip") {
		return u
	}
	user, rest, hasUser := strings.Cut(rest, "@")
	if !hasUser {
		user, rest = "", user
	}
	rest, headers, hasHeaders := strings.Cut(rest, "?")
	parts := strings.Split(rest, ";")
	g.Shuffle(len(parts)-1, func(i, j int) { parts[i+1], parts[j+1] = parts[j+1], parts[i+1] })
	for i := range parts {
		if g.chance(50) && !strings.Contains(parts[i], "%") {
			parts[i] = strings.ToUpper(parts[i])
		}
	}
	if hasUser && isAlpha(user[0]) {
		user = fmt.Sprintf("%%%02x", user[0]) + user[1:]
	}
	s := strings.ToUpper(scheme) + ":"
	if hasUser {
		s += user + "@"
	}
	if s += strings.Join(parts, ";"); hasHeaders {
		list := strings.Split(headers, "&")
		slices.Reverse(list)
		s += "?" + strings.Join(list, "&")
	}
	return s
}

// otherURI changes something in a URI, which may then be another one.
func (g generator) otherURI(u string) string {
	if strings.Contains(u, "?") || !strings.HasPrefix(strings.ToLower(u), "sip") {
		return u
	}
	return u + pick(g, ";transport=udp", ";user=ip", ";unknown", ";lr=1", ";maddr=192.0.2.1", "?Subject=x", ";method=BYE")
}
