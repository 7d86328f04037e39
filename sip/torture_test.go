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
	above  string // who judges a message that is accepted: its answer, "-" for none, "drop"
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
	"escruri.dat":    {above: "who acts on the Request-URI: -"}, // and not on its headers
	"baddate.dat":    {above: "who reads the Date: 400"},
	"regbadct.dat":   {above: "the registrar, which reads the Contact: 400"},
	"badaspec.dat":   {400, "To", ""},
	"baddn.dat":      {400, "header section", ""}, // the file has no empty line, too
	"badvers.dat":    {505, "start line", ""},
	"mismatch01.dat": {400, "CSeq", ""},
	"mismatch02.dat": {400, "CSeq", ""},
	"bigcode.dat":    {0, "start line", ""},

	// Sections 3.2 to 3.4.
	"badbranch.dat": {above: "the transaction layer: 400"}, // the branch is the cookie alone
	"insuf.dat":     {400, "From", ""},
	"unkscm.dat":    {above: "who routes: 416"},
	"novelsc.dat":   {above: "who routes: 416"},
	"unksm2.dat":    {above: "the registrar: 400"},
	"bext01.dat":    {above: "the user agent: 420"},
	"invut.dat":     {above: "the user agent: 415"},
	"regaut01.dat":  {above: "the registrar: 401"},
	"multi01.dat":   {400, "CSeq", ""},
	"mcl01.dat":     {400, "Content-Length", ""},
	"bcast.dat":     {above: "the transport: drop"}, // the topmost Via is not ours
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
			var who string
			who, allowed, _ = strings.Cut(want.above, ": ")
			if who == "a proxy" && strings.Contains(row[4], "proxy "+allowed) {
				continue // the column of answers is that of a user agent
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
