package sip

import (
	"fmt"
	"strings"
	"testing"
)

// ask makes the request that a URI asks for, and names what was refused.
func ask(t *testing.T, s string) (req *Request, refused string) {
	t.Helper()
	uri := mustURI(t, s)
	method, edits, fields := uri.Requested()
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return NewRequest(method, uri, edits...), strings.Join(names, " ")
}

// RFC 3261 section 19.1.5: what of a URI becomes which part of a request.
func TestURIRequested(t *testing.T) {
	for _, c := range []struct {
		rule    string
		uri     string
		want    string // start line and header fields
		refused string
	}{
		{"no wishes", "sip:bob@a.example",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", ""},
		{"transport, maddr, ttl and user stay in the Request-URI", "sip:bob@a.example;transport=udp;maddr=239.255.255.1;ttl=1;user=phone",
			"INVITE sip:bob@a.example;transport=udp;maddr=239.255.255.1;ttl=1;user=phone SIP/2.0|Content-Length: 0", ""},
		{"and so do parameters that nobody knows", "sip:bob@a.example;lr;x=%3B;gr",
			"INVITE sip:bob@a.example;lr;x=%3B;gr SIP/2.0|Content-Length: 0", ""},
		{"method is the method and not there", "sips:a.example;lr;METHOD=MESSAGE;x=1",
			"MESSAGE sips:a.example;lr;x=1 SIP/2.0|Content-Length: 0", ""},
		{"headers are header fields and not there", "sip:bob@a.example?Subject=project%20x&priority=urgent",
			"INVITE sip:bob@a.example SIP/2.0|Subject: project x|Priority: urgent|Content-Length: 0", ""},
		{"those of other RFCs that a URI may well ask for", "sip:bob@a.example?Join=1%3Bto-tag%3D1%3Bfrom-tag%3D2&In-Reply-To=1%40b&Accept-Contact=*%3Baudio&j=*%3Bvideo&d=fork&User-to-User=56%3Bencoding%3Dhex",
			"INVITE sip:bob@a.example SIP/2.0|Join: 1;to-tag=1;from-tag=2|In-Reply-To: 1@b|Accept-Contact: *;audio|Reject-Contact: *;video|Request-Disposition: fork|User-to-User: 56;encoding=hex|Content-Length: 0", ""},
		{"a subscription", "sip:bob@a.example;method=SUBSCRIBE?o=presence&Expires=60",
			"SUBSCRIBE sip:bob@a.example SIP/2.0|Event: presence|Expires: 60|Content-Length: 0", ""},
		{"a referral", "sip:bob@a.example;method=REFER?r=sip:carol%40a.example",
			"REFER sip:bob@a.example SIP/2.0|Refer-To: sip:carol@a.example|Content-Length: 0", ""},
		{"a To", "sip:a.example;method=REGISTER?to=%22%3Btag%22%20%3Csip:alice%40a.example%3Btag%3D1%3E%3Bx%3D1",
			"REGISTER sip:a.example SIP/2.0|To: \";tag\" <sip:alice@a.example;tag=1>;x=1|Content-Length: 0", ""},
		{"a To with a tag", "sip:bob@a.example?To=sip:bob%40a.example%3Btag%3D1&t=%3Csip:a%3E%3Btag",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "To To"},
		{"Replaces (RFC 3891 section 4), as in a transfer", "sip:bob@a.example;gr=1?Replaces=12%40a%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces",
			"INVITE sip:bob@a.example;gr=1 SIP/2.0|Replaces: 12@a;to-tag=1;from-tag=2|Require: replaces|Content-Length: 0", ""},
		{"compact names", "sip:bob@a.example?s=x&f=sip:eve%40evil.example&m=sip:eve%40evil.example",
			"INVITE sip:bob@a.example SIP/2.0|Subject: x|Content-Length: 0", "From Contact"},
		{"the obviously dangerous", "sip:bob@a.example?From=a&Call-ID=b&CSEQ=c&Via=d&Record-Route=e",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "From Call-ID CSeq Via Record-Route"},
		{"Route", "sip:bob@a.example?%52oute=%3Csip:evil.example%3Blr%3E",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "Route"},
		{"what falsifies location or capabilities", "sip:bob@a.example?Accept=a&Accept-Encoding=a&Accept-Language=a&Allow=a&Contact=a&Organization=a&Supported=a&User-Agent=a",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "Accept Accept-Encoding Accept-Language Allow Contact Organization Supported User-Agent"},
		{"what describes and is not verified", "sip:bob@a.example?Content-Disposition=a&Content-Encoding=a&Content-Language=a&Content-Length=1&Content-Type=a/b&Date=a&Mime-Version=1.0&Timestamp=1",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0",
			"Date MIME-Version Timestamp Content-Disposition Content-Encoding Content-Language Content-Length Content-Type"},
		{"what is not the writer's to claim", "sip:bob@a.example?Authorization=a&Proxy-Authorization=a&P-Asserted-Identity=a&p-any=a&Identity=a&Max-Forwards=1&Path=a&Referred-By=a&RAck=a",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "Authorization Proxy-Authorization P-Asserted-Identity p-any Identity Max-Forwards Path Referred-By RAck"},
		{"nor by other names", "sip:bob@a.example?Remote-Party-ID=a&Additional-Identity=a&Attestation-Info=a&Origination-Id=a&Priority-Verstat=a&y=a&n=a&b=a",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "Remote-Party-ID Additional-Identity Attestation-Info Origination-Id Priority-Verstat Identity Identity-Info Referred-By"},
		{"limits and privileges", "sip:bob@a.example?Max-Breadth=1&Resource-Priority=a.b&Accept-Resource-Priority=a.b&Feature-Caps=*&Session-Expires=90&Relayed-Charge=a&Target-Dialog=a&Proxy-Require=a",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "Max-Breadth Resource-Priority Accept-Resource-Priority Feature-Caps Session-Expires Relayed-Charge Target-Dialog Proxy-Require"},
		{"where the sender is", "sip:bob@a.example?Geolocation=a&Geolocation-Routing=yes&Cellular-Network-Info=a&Reply-To=a&History-Info=a&Reason=SIP",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "Geolocation Geolocation-Routing Cellular-Network-Info Reply-To History-Info Reason"},
		{"what acts at the other end", "sip:bob@a.example?Answer-Mode=Auto&Priv-Answer-Mode=Auto&Privacy=id&Call-Info=a&Alert-Info=a&Authentication-Info=a&SIP-If-Match=a",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "Answer-Mode Priv-Answer-Mode Privacy Call-Info Alert-Info Authentication-Info SIP-If-Match"},
		{"and what only servers of the sender may know", "sip:bob@a.example?X-Account=1&foo=2&Z=3",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "X-Account foo Z"},
		{"a second value where there is one", "sip:bob@a.example?Subject=1&Subject=2&Priority=a&Require=a&Require=b&PRIORITY=b",
			"INVITE sip:bob@a.example SIP/2.0|Subject: 1|Priority: a|Require: a|Require: b|Content-Length: 0", "Subject Priority"},
		{"a body and its type", "sip:bob@a.example;method=MESSAGE?body=a%20%26%0D%0Ab&Content-Type=text/plain",
			"MESSAGE sip:bob@a.example SIP/2.0|Content-Type: text/plain|Content-Length: 6||a &|b", ""},
		{"with the right length", "sip:bob@a.example?Content-Length=1&c=text/plain&BODY=a",
			"INVITE sip:bob@a.example SIP/2.0|Content-Type: text/plain|Content-Length: 1||a", ""},
		{"with a wrong one", "sip:bob@a.example?Content-Length=2&c=text/plain&body=a",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "Content-Length Content-Type body"},
		{"of no type", "sip:bob@a.example?body=a",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "body"},
		{"of two", "sip:bob@a.example?body=a&c=text/plain&c=text/html",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "body Content-Type Content-Type"},
		{"encoded", "sip:bob@a.example?body=a&c=text/plain&e=gzip",
			"INVITE sip:bob@a.example SIP/2.0|Content-Length: 0", "body Content-Type Content-Encoding"},
		{"a tel URI has no such parts", "tel:+1;method=BYE",
			"INVITE tel:+1;method=BYE SIP/2.0|Content-Length: 0", ""},
		{"nor have others", "urn:service:sos;method=BYE?a=b",
			"INVITE urn:service:sos;method=BYE?a=b SIP/2.0|Content-Length: 0", ""},
	} {
		req, refused := ask(t, c.uri)
		got := strings.TrimSuffix(strings.ReplaceAll(req.String(), "\r\n", "|"), "||")
		if req.Err() != nil || got != c.want || refused != c.refused {
			t.Errorf("%s: %v\n%s without %q, want\n%s without %q", c.rule, req.Err(), got, refused, c.want, c.refused)
		}
	}
}

// "If the request is not valid, the URI is invalid": it shows in Err, and
// nothing is sent.
func TestURIRequestedInvalid(t *testing.T) {
	for _, s := range []string{
		"sip:bob@a.example?Subject=a%0D%0ARoute:%20%3Csip:evil.example%3E",
		"sip:bob@a.example?Subject=%00",
		"sip:bob@a.example?to=alice", // no URI
		"sip:bob@a.example?Expires=never",
		"sip:bob@a.example?body=a&Content-Type=text",
		"sip:bob@a.example?body=a&Content-Type=text/plain%0D%0AVia:x",
		"sip:bob@a.example;method=IN%20VITE",
		"sip:bob@a.example;method",
	} {
		if req, _ := ask(t, s); req.Err() == nil {
			t.Errorf("%s makes\n%s", s, req)
		}
	}
	// What is no name is refused, and does not get in for a program that trusts it.
	uri := mustURI(t, "sip:bob@a.example?Subject%3A%20x%0D%0ARoute=x")
	_, edits, refused := uri.Requested()
	if len(edits) != 0 || len(refused) != 1 || NewRequest(INVITE, uri, Add(refused[0])).Err() == nil {
		t.Errorf("edits %v, refused %v, and taken all the same", edits, refused)
	}
	// As many as a URI may have are no more than a message may have.
	many := "sip:a.example?" + strings.TrimPrefix(strings.Repeat("&Require=a", maxURIHeaders), "&")
	if req, _ := ask(t, many); req.Err() != nil {
		t.Errorf("%d headers: %v", maxURIHeaders, req.Err())
	}
}

// What the caller sets comes later and wins.
func TestURIRequestedThenSet(t *testing.T) {
	uri := mustURI(t, "sip:bob@a.example?To=%3Csip:eve%40evil.example%3E&Subject=theirs&Require=replaces")
	method, edits, refused := uri.Requested()
	if len(refused) != 0 {
		t.Errorf("%v is refused", refused)
	}
	req := NewRequest(method, uri, append(edits, To{URI: inRequestLine(uri)}, Field{"Subject", "mine"}, Add(Require{"100rel"}))...)
	want := "INVITE sip:bob@a.example SIP/2.0\r\n" +
		"To: <sip:bob@a.example>\r\nSubject: mine\r\nRequire: replaces\r\nRequire: 100rel\r\nContent-Length: 0\r\n\r\n"
	if req.Err() != nil || req.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", req.Err(), req, want)
	}
}

// RFC 3261 section 19.1.1, table 1: no Request-URI has a method or headers,
// whoever sets it; a proxy takes them away when it retargets (section 16.6
// step 2). What came from another element is not touched.
func TestRequestURIComponents(t *testing.T) {
	contact := mustURI(t, "sip:bob@192.0.2.4:5070;method=INVITE;transport=tcp;ob?Route=%3Csip:evil.example%3E&Subject=x")
	const want = "sip:bob@192.0.2.4:5070;transport=tcp;ob"
	for what, req := range map[string]*Request{
		"NewRequest": NewRequest(BYE, contact),
		"WithURI":    mustParse(t, tweak("")).(*Request).WithURI(contact),
	} {
		if req.Err() != nil || req.URI().String() != want {
			t.Errorf("%s: %s, %v, want %s", what, req.URI(), req.Err(), want)
		}
	}
	odd := "OPTIONS sip:bob@example.com;method=BYE?Subject=x SIP/2.0"
	req := mustParse(t, start(odd)).(*Request).With(MaxForwards(1))
	if got, _, _ := strings.Cut(fmt.Sprint(req), "\r\n"); got != odd {
		t.Errorf("With() changed the start line to %s", got)
	}
}

// It makes no difference how the URI was set: its parts may be escaped, or in
// Opaque all of them. One without such parts stays as it is to the letter.
func TestRequestURIComponentsHidden(t *testing.T) {
	for _, c := range []struct {
		uri  URI
		want string
	}{
		{URI{Scheme: "sip", Opaque: "a@b;method=BYE?Route=%3Csip:evil.example%3E"}, "sip:a@b"},
		{URI{Scheme: "sip", Opaque: "a@b;x=1;METHOD=BYE;y"}, "sip:a@b;x=1;y"},
		{URI{Scheme: "sip", Opaque: "a@b;%6dethod=BYE"}, "sip:a@b"},
		{URI{Scheme: "sips", Opaque: "a@b?Route=x"}, "sips:a@b"},
		{URI{Scheme: "SIP", Opaque: "a@b;method=BYE?Route=x"}, "sip:a@b"},
		{URI{Scheme: "sip", Host: "b", Params: ";%6Dethod=BYE;lr"}, "sip:b;lr"},
		{URI{Scheme: "SIP", Host: "b", Params: ";method=A;lr;method=BYE"}, "SIP:b;lr"},
		{URI{Scheme: "sip", Opaque: "%61@B.example:05060;x=%41;maddr=h"}, "sip:%61@B.example:05060;x=%41;maddr=h"},
		{URI{Scheme: "SIP", Opaque: "a:@b;x;%6cr"}, "SIP:a:@b;x;%6cr"},
		{URI{Scheme: "sip", Opaque: "a;me?@b;mx;%6D"}, "sip:a;me?@b;mx;%6D"},
		{URI{Scheme: "tel", Opaque: "+1;method=BYE"}, "tel:+1;method=BYE"},
		{URI{Scheme: "TEL", Opaque: "+1;%61;method=BYE"}, "TEL:+1;%61;method=BYE"},
		{URI{Scheme: "urn", Opaque: "service:sos;method=BYE?a=b"}, "urn:service:sos;method=BYE?a=b"},
	} {
		for what, req := range map[string]*Request{
			"NewRequest": NewRequest(OPTIONS, c.uri),
			"WithURI":    mustParse(t, tweak("")).(*Request).WithURI(c.uri),
		} {
			_, got, _ := strings.Cut(req.String(), " ")
			got, _, _ = strings.Cut(got, " ")
			if req.Err() != nil || got != c.want {
				t.Errorf("%s(%#v): %s, %v, want %s", what, c.uri, got, req.Err(), c.want)
			}
		}
	}
	if method, _, refused := (URI{Scheme: "SIP", Opaque: "b;method=BYE?Route=x"}).Requested(); method != BYE || len(refused) != 1 {
		t.Errorf("Requested() = %s, refused %v", method, refused)
	}
}
