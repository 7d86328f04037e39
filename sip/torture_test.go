package sip

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// verdict of a torture message: what Parse makes of it.
type verdict struct {
	status Status // what the SyntaxError answers; 0: nothing, for it is a response
	where  string // of the error, "" for a message that is accepted
	above  string // who judges a message that is accepted, and what it answers
}

var tortureVerdicts = map[string]verdict{
	// RFC 4475 section 3.1.1, valid messages.
	"wsinv.dat": {}, "intmeth.dat": {}, "esc01.dat": {}, "escnull.dat": {}, "esc02.dat": {},
	"lwsdisp.dat": {}, "longreq.dat": {}, "dblreq.dat": {}, "semiuri.dat": {}, "transports.dat": {},
	"mpart01.dat": {}, "unreason.dat": {}, "noreason.dat": {},

	// Section 3.1.2, invalid messages.
	"badinv01.dat":   {400, "Via", ""},
	"clerr.dat":      {400, "Content-Length", ""},
	"ncl.dat":        {400, "Content-Length", ""},
	"scalar02.dat":   {400, "CSeq", ""},
	"scalarlg.dat":   {0, "CSeq", ""},
	"quotbal.dat":    {400, "To", ""},
	"ltgtruri.dat":   {400, "Request-URI", ""},
	"lwsruri.dat":    {400, "start line", ""},
	"lwsstart.dat":   {400, "start line", ""},
	"trws.dat":       {400, "start line", ""},
	"escruri.dat":    {above: "who acts on the Request-URI: its headers are ignored"},
	"baddate.dat":    {above: "who reads the Date"},
	"regbadct.dat":   {above: "the registrar, which reads the Contact: 400"},
	"badaspec.dat":   {400, "To", ""},
	"baddn.dat":      {400, "header section", ""}, // the file has no empty line, too
	"badvers.dat":    {505, "start line", ""},
	"mismatch01.dat": {400, "CSeq", ""},
	"mismatch02.dat": {400, "CSeq", ""},
	"bigcode.dat":    {0, "start line", ""},

	// Sections 3.2 to 3.4.
	"badbranch.dat": {above: "the transaction layer: the branch is the cookie alone"},
	"insuf.dat":     {400, "From", ""},
	"unkscm.dat":    {above: "who routes: 416"},
	"novelsc.dat":   {above: "who routes: 416"},
	"unksm2.dat":    {above: "the registrar: 400"},
	"bext01.dat":    {above: "the user agent: 420"},
	"invut.dat":     {above: "the user agent: 415"},
	"regaut01.dat":  {above: "the registrar: 401"},
	"multi01.dat":   {400, "CSeq", ""},
	"mcl01.dat":     {400, "Content-Length", ""},
	"bcast.dat":     {above: "the transport: the topmost Via is not ours"},
	"zeromf.dat":    {above: "a proxy: 483"},
	"cparam01.dat":  {}, "cparam02.dat": {}, "regescrt.dat": {},
	"sdp01.dat":   {above: "the user agent: 406"},
	"inv2543.dat": {},
}

// TestTortureMessages holds Parse to the verdicts of RFC 4475. Where the fault
// is not one of syntax, the message is accepted here and whoever stands above
// says no.
func TestTortureMessages(t *testing.T) {
	rows := expectations(t, "rfc4475")
	if len(rows) != 49 || len(tortureVerdicts) != 49 {
		t.Fatalf("%d verdicts for %d messages, want 49", len(tortureVerdicts), len(rows))
	}
	for _, row := range rows {
		name, class, accept := row[0], row[2], strings.Split(row[3], ",")
		want, ok := tortureVerdicts[name]
		if !ok {
			t.Errorf("%s: no verdict", name)
			continue
		}
		t.Run(name, func(t *testing.T) { judge(t, readFile(t, "rfc4475/"+name), want) })

		// The verdict is one that the RFC leaves to a compliant element.
		allowed := strconv.Itoa(int(want.status))
		switch {
		case want.above != "":
			_, allowed, _ = strings.Cut(want.above, ": ")
			if _, err := strconv.Atoi(allowed); err != nil || want.above == "a proxy: 483" {
				continue // an end that is no proxy goes on
			}
		case want.where == "":
			allowed = "-"
			if class == "V" || slices.Contains(accept, "200") {
				continue
			}
		case want.status == 0:
			allowed = "drop"
		}
		if !slices.Contains(accept, allowed) {
			t.Errorf("%s: %s is none of %q", name, allowed, accept)
		}
	}
}

// expectations reads the table that stands beside the messages of an RFC.
func expectations(t *testing.T, rfc string) (rows [][]string) {
	t.Helper()
	for line := range strings.Lines(readFile(t, rfc+"/expectations.tsv")) {
		if !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		}
	}
	return rows
}

// judge parses a message, and answers it if it is refused.
func judge(t *testing.T, text string, want verdict) {
	t.Helper()
	m, err := Parse(text)
	if want.where == "" {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, m.String()) {
			t.Errorf("the text of the message is not what was parsed")
		}
		readAll(m)
		return
	}
	if err == nil {
		t.Fatal("accepted")
	}
	e := err.(*SyntaxError)
	if e.Where != want.where || e.Status != want.status {
		t.Errorf("Parse() = %d in %s (%v), want %d in %s", e.Status, e.Where, err, want.status, want.where)
	}
	resp := e.Reply()
	if want.status == 0 || want.where == "Via" {
		// Responses are not answered, nor what does not say where to.
		if resp != nil {
			t.Errorf("Reply() =\n%s\nwant none", resp)
		}
		return
	}
	if resp == nil || resp.Err() != nil || resp.Status() != want.status || resp.Via().Host == "" {
		t.Fatalf("Reply() =\n%v\nwant a %d with a Via", resp, want.status)
	}
	if want.status == 400 && resp.ReasonPhrase() != "Bad "+want.where {
		t.Errorf("ReasonPhrase() = %q, want what is bad", resp.ReasonPhrase())
	}
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readAll calls every getter and reads every type of header field.
func readAll(m Message) {
	m.Via()
	m.From().Tag()
	m.To().Tag()
	m.CSeq()
	m.Body()
	for f := range m.Fields() {
		m.Value(f.Name)
	}
	if r, ok := m.(*Request); ok {
		r.URI().Equal(r.From().URI)
		r.MaxForwards()
	}
	for range All[Via](m) {
	}
	for c := range All[Contact](m) {
		c.Expires()
	}
	for range All[Route](m) {
	}
	for range All[RecordRoute](m) {
	}
	for c := range All[WWWAuthenticate](m) {
		c.Params.Get("realm")
	}
	for range All[ProxyAuthenticate](m) {
	}
	for range All[Authorization](m) {
	}
	for range All[ProxyAuthorization](m) {
	}
	Get[From](m)
	Get[To](m)
	Get[CallID](m)
	Get[CSeq](m)
	Get[MaxForwards](m)
	Get[ContentLength](m)
	Get[ContentType](m)
	Get[Expires](m)
	Get[MinExpires](m)
	Get[RetryAfter](m)
	Get[Allow](m)
	Get[Supported](m)
	Get[Require](m)
	Get[ProxyRequire](m)
	Get[Unsupported](m)
	Get[UserAgent](m)
}

// with edits requests and responses alike.
func with(m Message, edits ...Edit) Message {
	if r, ok := m.(*Request); ok {
		return r.With(edits...)
	}
	return m.(*Response).With(edits...)
}

func parseFile(t *testing.T, name string) Message { return mustParse(t, readFile(t, name)) }

func values[H Parser[H]](t *testing.T, m Message) (list []H) {
	t.Helper()
	for h, err := range All[H](m) {
		if err != nil {
			t.Error(err)
		}
		list = append(list, h)
	}
	return list
}

// expect compares what was read with what should have been.
func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %#v, want %#v", what, got, want)
	}
}

// Section 3.1.1.1: white space wherever it may stand.
func TestTortureWhitespace(t *testing.T) {
	m := parseFile(t, "rfc4475/wsinv.dat").(*Request)
	expect(t, "CSeq", m.CSeq(), CSeq{9, INVITE})
	expect(t, "Max-Forwards", m.MaxForwards(), 68)
	expect(t, "To tag", m.To().Tag(), "1918181833n")
	expect(t, "From display", m.From().Display, `J Rosenberg \"`)
	vias := values[Via](t, m)
	if len(vias) != 3 {
		t.Fatalf("%d Vias, want 3", len(vias))
	}
	expect(t, "Via 1", vias[0].SentBy()+" "+vias[0].Branch(), "192.0.2.2 390skdjuw")
	expect(t, "Via 2", vias[1].Transport+" "+vias[1].Host, "TCP spindle.example.com")
	expect(t, "Via 3", vias[2].Transport+" "+vias[2].Host, "UDP 192.168.255.111")
	expect(t, "top Via", m.Via(), vias[0])
	subject, ok := m.Value("Subject")
	expect(t, "Subject", subject, "")
	expect(t, "Subject is there", ok, true)
	odd, _ := m.Value("UnknownHeaderWithUnusualValue")
	expect(t, "unusual value", odd, ";;,,;;,;")
	folded, _ := m.Value("newfangledheader")
	expect(t, "folded value", folded, "newfangled value continued newfangled value")
	route, err := Get[Route](m)
	expect(t, "Route error", err, nil)
	expect(t, "Route lr", route.URI.Params.Has("lr"), true)
	unknown, ok := m.URI().Params.Get("unknownparam")
	expect(t, "unknownparam", unknown, "")
	expect(t, "unknownparam is there", ok, true)
	contact, err := Get[Contact](m)
	expect(t, "Contact error", err, nil)
	expect(t, "Contact display", contact.Display, `Quoted string ""`)
	param, _ := contact.Params.Get("newparam")
	expect(t, "newparam", param, "newvalue")
	q, _ := contact.Params.Get("q")
	expect(t, "q", q, "0.33")
	expect(t, "secondparam", contact.Params.Has("secondparam"), true)
	expect(t, "length of the body", len(m.Body()), 150)
}

// Section 3.1.1.2: every character that may stand there.
func TestTortureIntenseMethod(t *testing.T) {
	m := parseFile(t, "rfc4475/intmeth.dat").(*Request)
	expect(t, "Method", m.Method(), Method("!interesting-Method0123456789_*+`.%indeed'~"))
	expect(t, "To display", m.To().Display, "BEL:\a NUL:\x00 DEL:\x7f")
	expect(t, "From display", m.From().Display, "token1~` token2'+_ token3*%!.-")
	if _, ok := m.Value("extensionHeader-!.%*+_`'~"); !ok {
		t.Error("the extension header is not there")
	}
	// What is written must still not carry a NUL.
	if got := m.With(m.To()).Err(); got == nil {
		t.Error("With wrote a NUL")
	}
}

// Sections 3.1.1.3 to 3.1.1.5: escapes.
func TestTortureEscapes(t *testing.T) {
	m := parseFile(t, "rfc4475/esc01.dat").(*Request)
	expect(t, "host", m.URI().Host, "example.net")
	expect(t, "scheme", m.URI().Scheme, "sip")
	expect(t, "user", m.URI().Username(), "sips:user@example.com")
	expect(t, "From user", m.From().URI.Username(), "I have spaces")
	expect(t, "To user", m.To().URI.Username(), "user")
	contact, _ := Get[Contact](m)
	expect(t, "lr", contact.URI.Params.Has("lr"), true)
	value, _ := contact.URI.Params.Get("name")
	expect(t, "name, undone once", unescape(value), "value%41")

	m = parseFile(t, "rfc4475/escnull.dat").(*Request)
	expect(t, "To user", m.To().URI.Username(), "null-\x00-null")
	contacts := values[Contact](t, m)
	if len(contacts) != 2 || contacts[0].URI.Equal(contacts[1].URI) {
		t.Errorf("Contacts = %v, want two that differ", contacts)
	}

	m = parseFile(t, "rfc4475/esc02.dat").(*Request)
	expect(t, "Method", m.Method(), Method("RE%47IST%45R"))
	expect(t, "From display", m.From().Display, "%Z%45")
	expect(t, "Contacts", len(values[Contact](t, m)), 2)
}

// Sections 3.1.1.6 to 3.1.1.13.
func TestTortureValid(t *testing.T) {
	expect(t, "display name before '<'", parseFile(t, "rfc4475/lwsdisp.dat").From().Display, "caller")
	expect(t, "Vias of the long request", len(values[Via](t, parseFile(t, "rfc4475/longreq.dat"))), 34)

	double := parseFile(t, "rfc4475/dblreq.dat").(*Request)
	expect(t, "first of two requests", double.Method(), REGISTER)
	expect(t, "its body", double.Body(), "")

	semi := parseFile(t, "rfc4475/semiuri.dat").(*Request).URI()
	expect(t, "user", semi.User, "user;par=u%40example.net")
	expect(t, "host", semi.Host, "example.com")
	expect(t, "parameters", semi.Params, Params(""))

	var transports []string
	for _, v := range values[Via](t, parseFile(t, "rfc4475/transports.dat")) {
		transports = append(transports, v.Transport)
	}
	expect(t, "transports", strings.Join(transports, " "), "UDP SCTP TLS UNKNOWN TCP")

	part := parseFile(t, "rfc4475/mpart01.dat")
	typ, err := Get[ContentType](part)
	expect(t, "Content-Type error", err, nil)
	boundary, _ := typ.Params.Get("boundary")
	expect(t, "boundary", boundary, "7a9cbec02ceef655")
	if !strings.HasSuffix(readFile(t, "rfc4475/mpart01.dat"), part.Body()) || part.Body() == "" {
		t.Error("the body is not the end of the file")
	}

	expect(t, "phrase", parseFile(t, "rfc4475/unreason.dat").(*Response).ReasonPhrase(),
		"= 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e \u0434\u0435\u0432\u044f\u043d\u043e\u0441\u0442\u043e \u0434\u0435\u0432\u044f\u0442\u044c - \u043f\u0440\u043e\u0441\u0442\u043e\u0435")
	expect(t, "no phrase", parseFile(t, "rfc4475/noreason.dat").(*Response).ReasonPhrase(), "")
}

// What Parse leaves alone is found when it is asked for.
func TestTortureOnDemand(t *testing.T) {
	if _, err := Get[Contact](parseFile(t, "rfc4475/regbadct.dat")); err == nil {
		t.Error("regbadct.dat: Contact with '?' outside brackets was accepted")
	}
	plain, _ := Get[Contact](parseFile(t, "rfc4475/cparam01.dat"))
	expect(t, "parameter of the Contact", plain.Params.Has("unknownparam"), true)
	bracket, _ := Get[Contact](parseFile(t, "rfc4475/cparam02.dat"))
	expect(t, "parameter of the URI", bracket.URI.Params.Has("unknownparam"), true)
	route, _ := Get[Contact](parseFile(t, "rfc4475/regescrt.dat"))
	expect(t, "headers of the URI", route.URI.Headers, "Route=%3Csip:sip.example.com%3E")
	branch := parseFile(t, "rfc4475/badbranch.dat").Via().Branch()
	expect(t, "branch", branch, "z9hG4bK")
	old := parseFile(t, "rfc4475/inv2543.dat").(*Request)
	expect(t, "length of the body without Content-Length", len(old.Body()), 105)
	expect(t, "Max-Forwards that is not there", old.MaxForwards(), 70)
	expect(t, "scheme", parseFile(t, "rfc4475/unkscm.dat").(*Request).URI().Scheme, "nobodyknowsthisscheme")

	// The file of section 3.1.2.15 with the empty line that it lacks.
	judge(t, readFile(t, "rfc4475/baddn.dat")+"\r\n", verdict{400, "From", ""})
}

// TestTortureIPv6 holds Parse to RFC 5118.
func TestTortureIPv6(t *testing.T) {
	judge(t, readFile(t, "rfc5118/ipv6-bad.sip"), verdict{400, "Request-URI", ""})

	m := parseFile(t, "rfc5118/ipv6-good.sip").(*Request)
	expect(t, "host", m.URI().Host, "[2001:db8::10]")
	expect(t, "sent-by", m.Via().SentBy(), "[2001:db8::9:1]")

	u := parseFile(t, "rfc5118/port-ambiguous.sip").(*Request).URI()
	expect(t, "port in the brackets", u.HostPort(), "[2001:db8::10:5070]")
	expect(t, "port", u.Port, 0)
	u = parseFile(t, "rfc5118/port-unambiguous.sip").(*Request).URI()
	expect(t, "host", u.Host, "[2001:db8::10]")
	expect(t, "port", u.Port, 5070)

	for _, name := range []string{"rfc5118/via-received-param-with-delim.sip", "rfc5118/via-received-param-no-delim.sip"} {
		expect(t, name, parseFile(t, name).Via().Received().String(), "2001:db8::9:255")
	}
	vias := values[Via](t, parseFile(t, "rfc5118/mult-ip-in-header.sip"))
	if len(vias) != 3 {
		t.Fatalf("%d Vias, want 3", len(vias))
	}
	expect(t, "Via 1", vias[0].SentBy(), "[2001:db8::9:1]:6050")
	expect(t, "Via 2", vias[1].SentBy(), "192.0.2.1")
	expect(t, "Via 3", vias[2].Received().String(), "192.0.2.200")

	mapped := parseFile(t, "rfc5118/ipv4-mapped-ipv6.sip")
	expect(t, "mapped sent-by", mapped.Via().SentBy(), "[::ffff:192.0.2.10]:19823")
	contact, _ := Get[Contact](mapped)
	expect(t, "mapped host", contact.URI.Host, "[::ffff:192.0.2.2]")
	// The grammar's slip is tolerated and means what was meant.
	bug := parseFile(t, "rfc5118/ipv6-bug-abnf-3-colons.sip").(*Request).URI()
	good := parseFile(t, "rfc5118/ipv6-correct-abnf-2-colons.sip").(*Request).URI()
	expect(t, "host", good.Host, "[2001:db8::192.0.2.1]")
	expect(t, "both are equal", bug.Equal(good), true)
	for _, name := range []string{"rfc5118/ipv6-in-sdp.sip", "rfc5118/mult-ip-in-sdp.sip"} {
		readAll(parseFile(t, name))
	}
}

