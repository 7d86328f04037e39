package sip

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// worstShapes are header sections that are meant to cost more than their length
// says. Each is repeated up to the length that is asked for: first what begins
// the line, then what fills it, then what ends it. A shape without a header name
// fills with whole lines.
var worstShapes = []struct{ name, begin, fill, end string }{
	// One character, for ever.
	{"semicolons", "Contact: <sip:a.example>", ";", ""},
	{"semicolons of a To", "To: <sip:a.example>", ";", ""},
	{"semicolons in quotes", `Contact: <sip:a.example>;x="`, ";", `"`},
	{"commas", "Contact: ", ",", "<sip:a.example>"},
	{"commas of tokens", "Supported: ", ",", "a"},
	{"commas in quotes", `Contact: "`, ",", `" <sip:a.example>`},
	{"commas in brackets", "Contact: <", ",", ">"},
	{"commas of a challenge", "WWW-Authenticate: Digest a=1", ",", ""},
	{"quotes", "Contact: ", `"`, ""},
	{"pairs of quotes", "Contact: a,", `""`, ""},
	{"quotes that do not end", "Contact: a,", `",`, `"`},
	{"backslashes", `Contact: "`, `\`, `" <sip:a.example>`},
	{"backslashes and quotes", `Contact: "`, `\"`, `" <sip:a.example>`},
	{"backslashes and quotes of an Identity", `Identity: a;x="`, `\"`, ""},
	{"backslashes and quotes of no Identity", `Identity: "`, `\"`, ""},
	{"brackets", "Contact: ", "<", ""},
	{"brackets behind commas", "Contact: ", "<,", ""},
	{"pairs of brackets", "Contact: ", "<>", ""},
	{"parentheses", "Retry-After: 1 ", "(", ""},
	{"white space", "Contact:", " ", "<sip:a.example>"},
	{"white space behind", "Contact: <sip:a.example>", " ", ""},
	{"white space in a list", "Contact: a", " ,", ""},
	{"white space in parameters", "Contact: <sip:a.example>", "; ", "a"},
	{"percent signs", "Contact: <sip:", "%", ">"},
	{"escapes", "Contact: <sip:", "%41", "@a.example>"},
	{"escapes of a parameter", "Contact: <sip:a.example;x=", "%41", ">"},
	{"colons of an IPv6 address", "Contact: <sip:[", ":", "]>"},
	{"digits of a port", "Contact: <sip:a.example:", "0", "1>"},
	{"at signs", "Contact: <sip:", "a@", "a>"},
	{"digits of a number", "Expires: ", "0", "1"},
	{"a display name of tokens", "Contact: ", "a ", "<sip:a.example>"},
	{"tabs", "Subject: x", "\t", "x"},
	{"tabs of a To", `To: "`, "\t", `"`},
	{"tabs of a Max-Forwards", "Max-Forwards:", "\t", "x"},
	{"carriage returns", "Subject: x", "\r", "x"},
	{"quotes of a CSeq", `CSeq: 1"`, "\t", "; x"},
	{"controls in quotes", `Subject: "`, "\\\x01", `"`},

	// Many short values.
	{"short Vias", "Via: SIP/2.0/UDP a", ",SIP/2.0/UDP a", ""},
	{"short Contacts", "Contact: <a:b>", ",<a:b>", ""},
	{"broken Contacts", "Contact: a", ",a", ""},
	{"short Routes", "Route: <a:b>", ",<a:b>", ""},
	{"short tokens", "Supported: a", ",a", ""},
	{"short parameters of a challenge", "WWW-Authenticate: Digest a=1", ",a=1", ""},
	{"challenges", "WWW-Authenticate: a b", ", a b", ""},
	{"broken challenges", "WWW-Authenticate: Digest b", ", Digest b", ""},
	{"parameters of another scheme", "WWW-Authenticate: Other a=1", ",a=1", ""},

	// Many parameters, as many as there may be and again.
	{"Contacts with 200 parameters", "Contact: <a:b>", ",<a:b>" + strings.Repeat(";a", maxParams), ""},
	{"Contacts with 201 parameters", "Contact: <a:b>", ",<a:b>" + strings.Repeat(";a", maxParams+1), ""},
	{"Contacts with 200 parameters of the URI", "Contact: <a:b>", ",<sip:a" + strings.Repeat(";a", maxParams) + ">", ""},
	{"Contacts with 100 headers of the URI", "Contact: <a:b>", ",<sip:a?a=" + strings.Repeat("&a=", maxURIHeaders-1) + ">", ""},
	{"Contacts with 200 quoted parameters", "Contact: <a:b>", ",<a:b>" + strings.Repeat(`;a="\\"`, maxParams), ""},
	{"Vias with 200 parameters", "Via: SIP/2.0/UDP a", ",SIP/2.0/UDP a" + strings.Repeat(";a", maxParams), ""},

	// Many lines.
	{"lines of one byte", "", "a:\r\n", ""},
	{"lines of a compact Contact", "", "m:a\r\n", ""},
	{"lines of Supported", "", "k:a\r\n", ""},
	{"lines of Authorization", "", "Authorization:\r\n", ""},
	{"lines of one long name", "", strings.Repeat("a", 127) + ":\r\n", ""},
	{"lines of quotes", "", "X: \"" + strings.Repeat("\\\x01", 60) + "\"\r\n", ""},
	{"folds", "Subject: x", "\r\n ", "x"},
	{"folds of a Contact", "Contact: <a:b>", "\r\n ,<a:b>", ""},
	{"folds of a From", "From: <sip:a.example>", "\r\n ;a", ""},
	{"folds of a Via", "Via: SIP/2.0/UDP a", "\r\n ,SIP/2.0/UDP a", ""},
	{"folds of a Call-ID", "Call-ID: a", "\r\n a", ""},
	{"folds of a CSeq", "CSeq: 1", "\r\n  a", ""},
	{"folds of a Max-Forwards", "Max-Forwards: 1", ")\t:\r\n ", ""},
	{"folds of the Content-Length", "Content-Length: ", "\r\n ", "0"},
	{"folds behind white space", "Subject: x", " \r\n ", "x"},
	{"lines beyond the limit", "Subject: x", "\r\na:", ""},
	{"one fold", "", "X: y\r\n z\r\n", ""},
	{"a control in the last line", "", "X: \"abcdefgh\"\r\n", "Y: \x01"},

	// What a random search among pieces of messages found to be worst, each of
	// another kind.
	{"slashes of a user", "To: <sip:", "/", ">"},
	{"stars of the headers of a URI", "To: <sip:a?", "**", ">"},
	{"equals signs of a host", "Contact: <sip:a", "=", ">"},
	{"white space of both kinds", "To: ", " \t", ">"},
	{"folds in a quoted parameter", "Via: SIP/2.0/UDP a;x=\"", "\r\n\t&", "\""},
	{"lines of Via", "", "v:\r\n", ""},
	{"lines of Via and no colon", "Call-ID: a", "\r\nv:\r\na", ">"},
	{"folded lines of Via", "From: a", "\r\nVia:\r\n\tk:", "\r\na"},
	{"lines of Route", "", "Route: <sip:a>\r\n", ""},
	{"lines with white space before the colon", "", "a :\r\n", ""},
	{"lines with other characters in the name", "", "a!:\r\n", ""},
	{"lines with a tab", "", "aa:\tb\r\n", ""},
}

// worstCase returns a message of about size bytes, which has the line of a shape
// instead of the one with the same name, or the lines of a shape at its end, as
// many as there may be.
func worstCase(begin, fill, end string, size int) string {
	name, _, one := strings.Cut(begin, ":")
	text := ""
	for _, line := range plain {
		if !one || !strings.HasPrefix(line, name+":") {
			text += line + "\r\n"
		}
	}
	if one || end != "" {
		end += "\r\n"
	}
	n := max(0, size-len(text)-len(begin)-len(end)-len("\r\n")) / len(fill)
	if !one {
		n = min(n, maxFields-len(plain)-1)
	}
	return text + begin + strings.Repeat(fill, n) + end + "\r\n"
}

// usual returns a message as it comes through a large network, of about size
// bytes but no more than the 500 lines that there may be: the lines of large.sip
// whose values have 20 to 130 bytes, those of which there may be more than one
// again and again, and a small body.
func usual(t testing.TB, size int) string {
	head, _, _ := strings.Cut(readFile(t, "messages/large.sip"), "\r\n\r\n")
	start, head, _ := strings.Cut(head, "\r\n")
	_, body, _ := strings.Cut(readFile(t, "messages/invite.sip"), "\r\n\r\n")
	body = body[:200]
	text := start + "\r\n"
	end := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	lines := 1
	var more []string
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		id := lookupHeader(name)
		switch {
		case id == idContentLength:
		case id != 0 && lookupKind(id) == single:
			text += line + "\r\n"
			lines++
		case len(value) >= 20 && len(value) <= 130:
			more = append(more, line+"\r\n")
		}
	}
	for i := 0; lines < maxFields && len(text)+len(more[i%len(more)])+len(end) < size; i++ {
		text += more[i%len(more)]
		lines++
	}
	return text + end
}

// worstWork is what is done with a message.
var worstWork = []struct {
	name string
	do   func(text string)
}{
	{"parse", func(text string) { Parse(text) }},
	{"answer", answer},
	{"forward", forward},
	{"read", func(text string) {
		if m, err := Parse(text); err == nil {
			readDeep(m)
		}
	}},
}

// answer does what a server does with every request: parse it, read what
// transaction, dialog and method need of it, and answer, also to one that is
// refused.
func answer(text string) {
	m, err := Parse(text)
	if err != nil {
		err.(*SyntaxError).Reply()
		return
	}
	r := m.(*Request)
	via, to := r.Via(), r.To()
	via.RPort()
	r.URI()
	Get[Contact](r)
	Get[Expires](r)
	Get[ContentType](r)
	Get[Require](r)
	Get[Supported](r)
	Get[Allow](r)
	for range All[RecordRoute](r) {
	}
	if via.Branch() != "" && r.From().Tag() != "" && to.Tag() == "" && r.CSeq().Method == r.Method() && r.CallID() != "" {
		r.Reply(StatusTrying)
	}
	r.Reply(StatusOK)
}

// forward does what a proxy does.
func forward(text string) {
	m, err := Parse(text)
	if err != nil {
		err.(*SyntaxError).Reply()
		return
	}
	r := m.(*Request)
	r.Via()
	r.URI()
	r.To()
	Get[ProxyRequire](r)
	Get[Route](r)
	r.With(MaxForwards(r.MaxForwards()-1), Pop("Route"), Push(Via{Transport: "UDP", Host: "p.example", Params: ";branch=z9hG4bKp"}),
		Push(RecordRoute{URI: URI{Scheme: "sip", Host: "p.example", Params: ";lr"}}))
}

// readDeep reads every value of every type, and of addresses, Vias and
// challenges every part.
func readDeep(m Message) {
	params := func(p Params) {
		p.Get("nothing")
		for range p.All() {
		}
	}
	uri := func(u URI) {
		params(u.Params)
		u.Username()
		for range u.Header() {
		}
	}
	for range m.Fields() {
	}
	for _, h := range typedHeaders {
		h.read(m)
	}
	for v := range All[Via](m) {
		params(v.Params)
	}
	for c := range All[Contact](m) {
		params(c.Params)
		uri(c.URI)
	}
	for r := range All[Route](m) {
		params(r.Params)
		uri(r.URI)
	}
	for c := range All[WWWAuthenticate](m) {
		c.Params.Get("nothing")
		for range c.Params.All() {
		}
	}
}

// fastest is the least time that do takes of many times, what other programs
// take of the machine left out as far as can be.
func fastest(do func()) time.Duration {
	least := time.Hour
	times := 1
	end := time.Now().Add(20 * time.Millisecond)
	for n := 0; n < 20 || time.Now().Before(end); n++ {
		start := time.Now()
		for range times {
			do()
		}
		took := time.Since(start)
		least = min(least, took/time.Duration(times))
		if took < 20*time.Microsecond {
			times *= 2
		}
	}
	return least
}

// BenchmarkWorst compares what a byte of a hostile message costs with what one of
// a usual message of the same length does. "x" is how many times more it is. It
// is to be 3 at most for what a program does, which is to read a message and to
// answer it or pass it on. Parsing alone takes a usual message 64 bytes at a
// time, and has no such bound: a header line costs the same when it has 4 bytes.
func BenchmarkWorst(b *testing.B) {
	for _, work := range worstWork {
		for _, size := range []int{4 << 10, 16 << 10, 64<<10 - 16} {
			for _, s := range worstShapes {
				text := worstCase(s.begin, s.fill, s.end, size)
				normal := usual(b, len(text))
				mustParse(b, normal)
				b.Run(fmt.Sprintf("%s/%dkB/%s", work.name, (size+1023)>>10, strings.ReplaceAll(s.name, " ", "-")), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						work.do(text)
					}
					worst := float64(fastest(func() { work.do(text) })) / float64(len(text))
					b.ReportMetric(worst, "ns/byte")
					b.ReportMetric(worst/(float64(fastest(func() { work.do(normal) }))/float64(len(normal))), "x")
				})
			}
		}
	}
}

// What a message makes its reader fetch from memory is bounded: two objects for
// each header line that there may be, and no more bytes than 16 copies of it,
// whatever is in it.
func TestWorstAllocations(t *testing.T) {
	for _, work := range worstWork {
		for _, s := range worstShapes {
			for _, size := range []int{8 << 10, 64<<10 - 16} {
				text := worstCase(s.begin, s.fill, s.end, size)
				objects, bytes := allocated(func() { work.do(text) })
				if limit := uint64(2 * maxFields); objects > limit {
					t.Errorf("%s %s: %d objects, want at most %d", work.name, s.name, objects, limit)
				}
				if limit := uint64(16*len(text) + 32<<10); bytes > limit {
					t.Errorf("%s %s: %d bytes for a message of %d, want at most %d", work.name, s.name, bytes, len(text), limit)
				}
			}
		}
	}
}

// allocated returns how many objects, and how many bytes, do allocates.
func allocated(do func()) (objects, bytes uint64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	do() // pools fill, tables are made
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// A stream is not copied for each fold of the length that it is looked through for.
func TestWorstContentLengthOfStream(t *testing.T) {
	text := tweak("Content-Length", "Content-Length:"+strings.Repeat("\r\n ", 20000)+"0")
	objects, bytes := allocated(func() {
		if _, err := NewReader(strings.NewReader(text), nil).ReadMessage(); !strings.Contains(fmt.Sprint(err), "header section") {
			t.Errorf("ReadMessage() = %v, want an error of the header section", err)
		}
	})
	if limit := uint64(16 * len(text)); objects > 100 || bytes > limit {
		t.Errorf("%d objects of %d bytes, want at most 100 of %d", objects, bytes, limit)
	}
}
