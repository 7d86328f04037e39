package sip

import (
	"errors"
	"strings"
	"testing"
)

// What the torture messages of RFC 4475 say, by section.

// Section 3.1.1.1: white space wherever it may stand.
func TestTortureWhitespace(t *testing.T) {
	m := parseFile(t, "rfc4475/wsinv.dat").(*Request)
	expect(t, "Method", m.Method(), INVITE)
	expect(t, "user", m.URI().User, "vivekg")
	expect(t, "host", m.URI().Host, "chair-dnrc.example.com")
	expect(t, "Call-ID", m.CallID(), "wsinv.ndaksdj@192.0.2.1")
	expect(t, "From tag", m.From().Tag(), "98asjd8")
	expect(t, "CSeq", m.CSeq(), CSeq{9, INVITE})
	expect(t, "Max-Forwards", m.MaxForwards(), 68)
	expect(t, "To tag", m.To().Tag(), "1918181833n")
	expect(t, "From display", m.From().Display, `J Rosenberg \"`)
	vias := values[Via](t, m)
	if len(vias) != 3 {
		t.Fatalf("%d Vias, want 3", len(vias))
	}
	expect(t, "Via 1", vias[0].SentBy()+" "+vias[0].Branch(), "192.0.2.2 390skdjuw")
	expect(t, "Via 2", vias[1].Transport+" "+vias[1].Host+" "+vias[1].Branch(), "TCP spindle.example.com z9hG4bK9ikj8")
	expect(t, "Via 3", vias[2].Transport+" "+vias[2].Host+" "+vias[2].Branch(), "UDP 192.168.255.111 z9hG4bK30239")
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
	expect(t, "Route host", route.URI.Host, "services.example.com")
	expect(t, "Route parameters", route.URI.Params, Params(";lr;unknownwith=value;unknown-no-value"))
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
	expect(t, "user", m.URI().User, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
	expect(t, "password", m.URI().Password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
	expect(t, "host", m.URI().Host, "example.com")
	expect(t, "branch", m.Via().Branch(), "z9hG4bK-.!%66*_+`'~")
	expect(t, "To user", m.To().URI.User, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
	expect(t, "From tag", m.From().Tag(), "_token~1'+`*%!-.")
	param, _ := m.From().Params.Get("fromParam''~+*_!.-%")
	expect(t, "From parameter", param, "\u0440\u0430\u0431\u043e\u0442\u0430\u044e\u0449\u0438\u0439")
	expect(t, "Call-ID", m.CallID(), `intmeth.word%ZK-!.*_+'@word`+"`"+`~)(><:\/"][?}{`)
	expect(t, "CSeq", m.CSeq(), CSeq{139122385, m.Method()})
	expect(t, "Max-Forwards", m.MaxForwards(), 255)
	extension, _ := m.Value("extensionHeader-!.%*+_`'~")
	expect(t, "extension header", extension, "\ufeff\u5927\u505c\u96fb")
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
	expect(t, "To equals sip:user@example.com", m.To().URI.Equal(mustURI(t, "sip:user@example.com")), true)
	contact, _ := Get[Contact](m)
	expect(t, "Contact user", contact.URI.Username(), "caller")
	expect(t, "lr", contact.URI.Params.Has("lr"), true)
	value, _ := contact.URI.Params.Get("name")
	expect(t, "name, undone once", unescape(value), "value%41")

	m = parseFile(t, "rfc4475/escnull.dat").(*Request)
	expect(t, "To user", m.To().URI.Username(), "null-\x00-null")
	expect(t, "From user", m.From().URI.Username(), "null-\x00-null")
	expect(t, "To equals sip:null-@example.com", m.To().URI.Equal(mustURI(t, "sip:null-@example.com")), false)
	contacts := values[Contact](t, m)
	if len(contacts) != 2 || contacts[0].URI.Equal(contacts[1].URI) {
		t.Errorf("Contacts = %v, want two that differ", contacts)
	}

	m = parseFile(t, "rfc4475/esc02.dat").(*Request)
	expect(t, "Method", m.Method(), Method("RE%47IST%45R"))
	expect(t, "From display", m.From().Display, "%Z%45")
	expect(t, "To display", m.To().Display, "%Z%45")
	contacts = values[Contact](t, m)
	if len(contacts) != 2 || contacts[0].URI.User != "alias1" || contacts[1].URI.User != "alias3" {
		t.Errorf("Contacts = %v, want alias1 and alias3", contacts)
	}
	unknown, _ := m.Value("C%6Fntact")
	expect(t, "the header with an escape", unknown, "<sip:alias2@host2.example.com>")
}

// Sections 3.1.1.6 to 3.1.1.13.
func TestTortureValid(t *testing.T) {
	from := parseFile(t, "rfc4475/lwsdisp.dat").From()
	expect(t, "display name before '<'", from.Display, "caller")
	expect(t, "user behind it", from.URI.User, "caller")
	expect(t, "tag behind it", from.Tag(), "323")

	long := parseFile(t, "rfc4475/longreq.dat")
	expect(t, "the long request", len(long.String()), len(readFile(t, "rfc4475/longreq.dat")))
	expect(t, "length of its body", len(long.Body()), 150)
	vias := values[Via](t, long)
	if len(vias) != 34 {
		t.Fatalf("%d Vias, want 34", len(vias))
	}
	expect(t, "first Via", vias[0].Host, "sip33.example.com")
	expect(t, "last Via", vias[33].Host, "host.example.com")
	expect(t, "To display", long.To().Display, "I have a user name of "+strings.Repeat("extreme", 10)+" proportion")
	expect(t, "To port", long.To().URI.Port, 6000)
	expect(t, "From user", long.From().URI.User, strings.Repeat("amazinglylongcallername", 5))
	expect(t, "From tag", long.From().Tag(), "12"+strings.Repeat("982", 50)+"424")

	// In a datagram the second request is nothing, in a stream it is the next.
	double := parseFile(t, "rfc4475/dblreq.dat").(*Request)
	expect(t, "first of two requests", double.Method(), REGISTER)
	expect(t, "its body", double.Body(), "")
	r := NewReader(strings.NewReader(readFile(t, "rfc4475/dblreq.dat")), nil)
	for _, want := range []Method{REGISTER, INVITE} {
		m, err := r.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "method in the stream", m.CSeq().Method, want)
	}

	semi := parseFile(t, "rfc4475/semiuri.dat").(*Request).URI()
	expect(t, "user", semi.User, "user;par=u%40example.net")
	expect(t, "user without escapes", semi.Username(), "user;par=u@example.net")
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
	expect(t, "Content-Type", typ.Type, "multipart/mixed")
	boundary, _ := typ.Params.Get("boundary")
	expect(t, "boundary", boundary, "7a9cbec02ceef655")
	expect(t, "length of the body", len(part.Body()), 553)
	if !strings.HasSuffix(readFile(t, "rfc4475/mpart01.dat"), part.Body()) || strings.IndexByte(part.Body(), 0) < 0 {
		t.Error("the body is not the end of the file, NULs and all")
	}

	unusual := parseFile(t, "rfc4475/unreason.dat").(*Response)
	expect(t, "Status", unusual.Status(), StatusOK)
	expect(t, "phrase", unusual.ReasonPhrase(),
		"= 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e \u0434\u0435\u0432\u044f\u043d\u043e\u0441\u0442\u043e \u0434\u0435\u0432\u044f\u0442\u044c - \u043f\u0440\u043e\u0441\u0442\u043e\u0435")
	none := parseFile(t, "rfc4475/noreason.dat").(*Response)
	expect(t, "Status", none.Status(), StatusTrying)
	expect(t, "no phrase", none.ReasonPhrase(), "")
}

// What Parse lets through, and what a layer above reads of it to say no.
func TestTortureForTheLayersAbove(t *testing.T) {
	// 3.1.2.11: the headers of a Request-URI are apart from the request's own.
	escaped := parseFile(t, "rfc4475/escruri.dat").(*Request)
	expect(t, "headers of the Request-URI", escaped.URI().Headers, "Route=%3Csip:example.com%3E")
	if _, err := Get[Route](escaped); err != ErrMissing {
		t.Errorf("Get[Route]() = %v, want %v", err, ErrMissing)
	}
	// 3.1.2.12: a Date of no GMT.
	date, _ := parseFile(t, "rfc4475/baddate.dat").Value("Date")
	expect(t, "Date", date, "Fri, 01 Jan 2010 16:00:00 EST")
	// 3.1.2.13: a Contact with '?' outside brackets, and what to answer.
	_, err := Get[Contact](parseFile(t, "rfc4475/regbadct.dat"))
	var bad *SyntaxError
	if !errors.As(err, &bad) || bad.Where != "Contact" || bad.Reply().Status() != StatusBadRequest {
		t.Errorf("Get[Contact]() = %v, want an error that is answered with 400", err)
	}
	// 3.1.2.15 with the empty line that the file lacks.
	judge(t, readFile(t, "rfc4475/baddn.dat")+"\r\n", verdict{400, "From", ""})
	// 3.2.1: nothing behind the magic cookie.
	expect(t, "branch", parseFile(t, "rfc4475/badbranch.dat").Via().Branch(), "z9hG4bK")

	// 3.3.2, 3.3.3: 416 for a scheme.
	uri := parseFile(t, "rfc4475/unkscm.dat").(*Request).URI()
	expect(t, "scheme", uri.Scheme, "nobodyknowsthisscheme")
	expect(t, "what follows it", uri.Opaque, "totallyopaquecontent")
	uri = parseFile(t, "rfc4475/novelsc.dat").(*Request).URI()
	expect(t, "scheme", uri.Scheme, "soap.beep")
	expect(t, "what follows it", uri.Opaque, "//192.0.2.103:3002")
	// 3.3.4: no registrar has a binding for a book.
	book := parseFile(t, "rfc4475/unksm2.dat")
	expect(t, "To", book.To().URI.String(), "isbn:2983792873")
	expect(t, "From", book.From().URI.String(), "http://www.example.com")
	expect(t, "From tag", book.From().Tag(), "3234233")
	contact, err := Get[Contact](book)
	expect(t, "Contact error", err, nil)
	expect(t, "Contact", contact.URI.String(), "name:John_Smith")
	// 3.3.5: 420 with what nobody supports.
	extensions := parseFile(t, "rfc4475/bext01.dat")
	require, _ := Get[Require](extensions)
	expect(t, "Require", strings.Join(require, " "), "nothingSupportsThis nothingSupportsThisEither")
	proxies, _ := Get[ProxyRequire](extensions)
	expect(t, "Proxy-Require", strings.Join(proxies, " "), "noProxiesSupportThis norDoAnyProxiesSupportThis")
	// 3.3.6: 415.
	typ, err := Get[ContentType](parseFile(t, "rfc4475/invut.dat"))
	expect(t, "Content-Type error", err, nil)
	expect(t, "Content-Type", typ.Type, "application/unknownformat")
	// 3.3.7: 401, for these credentials are none.
	credentials, err := Get[Authorization](parseFile(t, "rfc4475/regaut01.dat"))
	expect(t, "Authorization error", err, nil)
	expect(t, "scheme", credentials.Scheme, "NoOneKnowsThisScheme")
	expect(t, "what follows it", credentials.Params, AuthParams("opaque-data=here"))
	// 3.3.10: a response to someone else, who is everyone.
	vias := values[Via](t, parseFile(t, "rfc4475/bcast.dat"))
	if len(vias) != 2 || vias[0].Host != "192.0.2.198" || vias[1].Host != "255.255.255.255" {
		t.Errorf("Vias = %v", vias)
	}
	// 3.3.11: 483.
	expect(t, "Max-Forwards", parseFile(t, "rfc4475/zeromf.dat").(*Request).MaxForwards(), 0)
	// 3.3.15: 406, for the body would be an application/sdp.
	accept, _ := parseFile(t, "rfc4475/sdp01.dat").Value("Accept")
	expect(t, "Accept", accept, "text/nobodyKnowsThis")
}

// Sections 3.3.12 to 3.3.14: what is kept with a binding.
func TestTortureContacts(t *testing.T) {
	plain, _ := Get[Contact](parseFile(t, "rfc4475/cparam01.dat"))
	expect(t, "parameter of the Contact", plain.Params, Params(";unknownparam"))
	expect(t, "URI", plain.URI.String(), "sip:+19725552222@gw1.example.net")
	bracket, _ := Get[Contact](parseFile(t, "rfc4475/cparam02.dat"))
	expect(t, "parameter of the Contact", bracket.Params, Params(""))
	expect(t, "URI", bracket.URI.String(), "sip:+19725552222@gw1.example.net;unknownparam")
	route, _ := Get[Contact](parseFile(t, "rfc4475/regescrt.dat"))
	expect(t, "URI", route.URI.String(), "sip:user@example.com?Route=%3Csip:sip.example.com%3E")
	for name, value := range route.URI.Header() {
		expect(t, "header of the URI", name+": "+value, "Route: <sip:sip.example.com>")
	}
}

// Section 3.4.1: a request of RFC 2543.
func TestTortureOldRequest(t *testing.T) {
	old := parseFile(t, "rfc4475/inv2543.dat").(*Request)
	expect(t, "length of the body without Content-Length", len(old.Body()), 105)
	expect(t, "Max-Forwards that is not there", old.MaxForwards(), 70)
	expect(t, "branch", old.Via().Branch(), "")
	expect(t, "From tag", old.From().Tag(), "")
	expect(t, "To parameter", old.To().Params, Params(";user=phone"))
	route, err := Get[RecordRoute](old)
	expect(t, "Record-Route error", err, nil)
	expect(t, "Record-Route", route.URI.String(), "sip:UserB@example.com;maddr=ss1.example.com")
}
