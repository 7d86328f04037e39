package sip

import (
	"strings"
	"testing"
)

// What older stacks crashed on, let through, or took for something else, beyond
// the groups.
var hostileLessons = []hostile{
	// Names that are nearly the one that is looked for: a proxy that does not
	// see them lets them through to one that does.
	{"Content-Length with a space", tweak("Content-Length", "Content-Length \t : 0"), "ok"},
	{"Content-Length cut by a fold", tweak("Content-Length", "Content-\r\n Length: 0"), "400 header section"},
	{"Via in lower case", tweak("Via", "vIA: SIP/2.0/UDP a.example;branch=z9hG4bK1"), "ok"},
	{"form feeds for white space", tweak("Call-ID", "Call-ID:\f1@a.example"), "400 header section"},
	{"control byte in a Call-ID", tweak("Call-ID", "Call-ID: 1\x1f@a.example"), "400 header section"},
	{"white space in a Call-ID", tweak("Call-ID", "Call-ID: 1 @a.example"), "400 Call-ID"},
	{"comma in a Call-ID", tweak("Call-ID", "Call-ID: 1,2@a.example"), "400 Call-ID"},

	// Texts that are shorter than code that takes them apart expects.
	{"URI of a scheme", start("OPTIONS sip: SIP/2.0"), "400 Request-URI"},
	{"URI of a letter", start("OPTIONS s SIP/2.0"), "400 Request-URI"},
	{"URI of a colon", start("OPTIONS : SIP/2.0"), "400 Request-URI"},
	{"URI of a bracket", start("OPTIONS sip:[ SIP/2.0"), "400 Request-URI"},
	{"URI of an escape", start("OPTIONS sip:%@a SIP/2.0"), "400 Request-URI"},
	{"To of a bracket", tweak("To", "To: <"), "400 To"},
	{"To of a quote", tweak("To", `To: "`), "400 To"},
	{"To of a semicolon", tweak("To", "To: ;"), "400 To"},
	{"Via of a slash", tweak("Via", "Via: SIP/"), "400 Via, unanswered"},
	{"Via of a protocol", tweak("Via", "Via: SIP/2.0/UDP"), "400 Via, unanswered"},
	{"CSeq of a digit", tweak("CSeq", "CSeq: 1"), "400 CSeq"},
	{"line of a colon", tweak("", ":"), "400 header section"},
	{"line of a letter and a colon", tweak("", "q:"), "ok"},
	{"start line of a letter", start("O"), "400 start line"},
	{"status line cut behind the version", start("SIP/2.0"), "dropped, start line"},
	{"status line cut in the version", start("SIP/"), "dropped, start line"},
	{"status line cut in the code", start("SIP/2.0 20"), "dropped, start line"},

	// A response that lacks what every message has.
	{"response without Via", strings.Replace(tweak("Via"), plain[0], "SIP/2.0 200 OK", 1), "dropped, Via"},
	{"response without From", strings.Replace(tweak("From"), plain[0], "SIP/2.0 200 OK", 1), "dropped, From"},
	{"response without To", strings.Replace(tweak("To"), plain[0], "SIP/2.0 200 OK", 1), "dropped, To"},
	{"response without Call-ID", strings.Replace(tweak("Call-ID"), plain[0], "SIP/2.0 200 OK", 1), "dropped, Call-ID"},
	{"response without CSeq", strings.Replace(tweak("CSeq"), plain[0], "SIP/2.0 200 OK", 1), "dropped, CSeq"},
	{"response with a CSeq of 2^31", strings.Replace(tweak("CSeq", "CSeq: 2147483648 OPTIONS"), plain[0], "SIP/2.0 200 OK", 1), "dropped, CSeq"},
	{"response with a broken Max-Forwards", strings.Replace(tweak("Max-Forwards", "Max-Forwards: x"), plain[0], "SIP/2.0 200 OK", 1), "dropped, Max-Forwards"},
}

func TestHostileLessons(t *testing.T) {
	for _, h := range hostileLessons {
		h.run(t)
	}
}

// A message may be cut off anywhere.
func TestMessagesCutOff(t *testing.T) {
	for _, name := range []string{"invite.sip", "ok.sip", "notify.sip", "register.sip"} {
		text := readFile(t, "messages/"+name)
		for n := range len(text) {
			m, err := Parse(text[:n])
			if got := verdictOf(t, m, err); got == "ok" {
				t.Errorf("%d of %d bytes of %s are taken for all of it", n, len(text), name)
			}
		}
	}
}

// An ACK is never answered, whatever is wrong with it (RFC 3261 section 17).
func TestACKIsNeverAnswered(t *testing.T) {
	ack := strings.NewReplacer("OPTIONS sip", "ACK sip", " OPTIONS\r\n", " ACK\r\n")
	for _, h := range hostiles() {
		text := ack.Replace(h.text)
		if _, err := Parse(text); err != nil && strings.HasPrefix(text, "ACK ") {
			if resp := err.(*SyntaxError).Reply(); resp != nil {
				t.Errorf("%s: an ACK is answered with\n%s", h.name, resp)
			}
		}
	}
}

// The tables of names and of their compact forms do not depend on case, and
// what is found by one name is found by the other (RFC 3261 section 7.3.3).
func TestCompactForms(t *testing.T) {
	for _, h := range headers {
		if h.compact == 0 || h.kind == single && lookupHeader(h.name) < numHot {
			continue
		}
		for _, name := range []string{string(h.compact), strings.ToUpper(string(h.compact)), h.name, strings.ToUpper(h.name), strings.ToLower(h.name)} {
			m := mustParse(t, tweak("", name+" : value"))
			for _, asked := range []string{string(h.compact), strings.ToUpper(string(h.compact)), h.name, strings.ToLower(h.name)} {
				if _, ok := m.Value(asked); !ok {
					t.Errorf("%s was not found in a message with %s", asked, name)
				}
			}
			if _, ok := with(m, Del(h.name)).Value(name); ok {
				t.Errorf("Del(%s) left %s", h.name, name)
			}
		}
	}
}

// What is told apart by case stays apart: methods and Call-IDs (RFC 3261
// sections 7.1 and 20.8). Names of header fields and of parameters do not.
func TestCase(t *testing.T) {
	m := mustParse(t, tweak("From", "FROM: <SIP:alice@EXAMPLE.com>;TAG=Ab"))
	expect(t, "tag", m.From().Tag(), "Ab")
	expect(t, "scheme", m.From().URI.Scheme, "sip")
	expect(t, "host", m.From().URI.Host, "EXAMPLE.com")
	other := mustParse(t, strings.Replace(tweak("Call-ID", "Call-ID: 1@A.example"), "OPTIONS", "Options", 2))
	expect(t, "method", other.CSeq().Method, Method("Options"))
	if other.CSeq().Method == OPTIONS || other.CallID() == m.CallID() {
		t.Errorf("%s and %s are the same as %s and %s", other.CSeq().Method, other.CallID(), OPTIONS, m.CallID())
	}
}
