package sip

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// A user's text in a typed value must not become another part of the message.
func TestEditsSayWhatTheyAre(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	host := func(h string) URI { return URI{Scheme: "sip", User: "a", Host: h} }
	for _, e := range []Edit{
		Contact{URI: host("h>, <sip:evil@x")},
		Contact{URI: host("h"), Params: ";a, <sip:evil@x>"},
		Contact{URI: host("h"), Params: ";a=<"},
		Contact{URI: URI{Scheme: "sip", Host: "h", Params: ";a?Route=x"}},
		Contact{URI: URI{Scheme: "sip", Host: "evil@h"}},
		Contact{URI: URI{Scheme: "sip", Host: "h:5070"}},
		Contact{URI: URI{Scheme: "sip", Host: "h;lr"}},
		Contact{URI: URI{Scheme: "sip", Password: "p", Host: "h"}},
		Contact{URI: URI{Scheme: "s p", Host: "h"}},
		Contact{URI: URI{Scheme: "urn", Opaque: "x", Host: "h"}},
		Contact{URI: host("h"), Star: true},
		Contact{},
		RecordRoute{},
		Route{URI: host("h>, <sip:evil@x")},
		Add(&Route{URI: host("h>, <sip:evil@x")}),
		Push(Push(Route{URI: host("h>, <sip:evil@x")})),
		Push(Via{Transport: "UDP", Host: "a, SIP/2.0/UDP evil"}),
		Push(&Via{Transport: "UDP", Host: "a;received=192.0.2.9"}),
		Push(Via{Transport: "UDP h, SIP/2.0/UDP", Host: "evil"}),
		Push(Via{Transport: "UDP", Host: "a", Port: -1}),
		From{URI: host("h>;tag=evil;x=<"), Params: ";tag=1"},
		To{URI: host("h"), Params: Params(";tag=1").With("x;tag2=3", "y")},
		To{URI: host("h"), Params: Params(";tag=1").With("", "y")},
		Allow{"INVITE, BAD METHOD"},
		Allow{"INVITE, BYE"},
		Require{"a\tb c"},
		Supported{""},
		ContentType{Type: "garbage"},
		ContentType{Type: "text/plain;charset=x"},
		Body{Type: "garbage here", Content: "x"},
		RetryAfter{Seconds: 1, Params: "8;duration=1"},
		RetryAfter{Seconds: 1, Comment: "a);x=(b"},
		Warning{300, "h \"a\", 301 h", "b"},
		Warning{1300, "h", "b"},
		Reason{Protocol: "SIP;cause=200", Cause: 16},
		Reason{Protocol: "SIP", Params: ";cause=200"},
		SessionExpires{Seconds: 90, Params: "0;refresher=uac"},
		SubscriptionState{State: "active;expires=1"},
		SubscriptionState{},
		Event{Package: "a, b"},
		Accept{Type: "text/plain, */*"},
		AcceptLanguage{Language: "a, b"},
		RecvInfo{Name: "a, b"},
		SecurityVerify{Name: "tls, digest"},
		InfoPackage{Name: "a, b"},
		SuppressIfMatch("a b"),
		ResourcePriority{"ets.0, wps.1"},
		MaxBreadth(0),
		RSeq(0),
		RAck{RSeq: 1, CSeq: CSeq{1 << 31, INVITE}},
		Timestamp{Time: "54 1"},
		Timestamp{Time: "54", Delay: -time.Second / 5},
		Date(time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)),
		SIPETag("a b"),
		Priority(""),
		AllowEvents{"presence, dialog"},
		WWWAuthenticate{Scheme: "Dig est", Params: `realm="x"`},
		Authorization{Scheme: "Digest", Params: `realm="x`},
		CSeq{1, "OPTIONS x"},
		UserAgent("\x1b[2J"),
		Field{"Contact", "garbage"},
		Field{"m", "<sip:a@h>, garbage"},
		Field{"Expires", "garbage"},
		Field{"Require", "a b"},
		Field{"Subject", "a\x01"},
		Field{"Subject", "a\\\x01"},
	} {
		if got := req.With(e); got.Err() == nil {
			t.Errorf("With(%#v) wrote\n%s", e, got)
		}
	}
	for _, uri := range []URI{{}, host("h SIP/2.0 x"), host("h;lr"), host("h:5070"), {Scheme: "sip", Host: "evil@h"}} {
		if NewRequest(OPTIONS, uri).Err() == nil || req.WithURI(uri).Err() == nil {
			t.Errorf("a request to %#v was made", uri)
		}
	}
	if NewRequest("OPTIONS sip:evil", host("h")).Err() == nil {
		t.Error("a method with a URI in it was taken")
	}
}

// What is well-formed, or can be written so, goes through as it was.
func TestEditsThatNeedEscapes(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	uri := URI{Scheme: "sip", User: "a b@c", Password: "p:q", Host: "h", Params: Params("").With("x", "a b>").With("a/b", "c/d")}
	out := req.With(Contact{Display: "a\"\\\x01<sip:x>\x7f", URI: uri, Params: ";q=\"a,b\""},
		Field{"Route", "<sip:a;lr>, <sip:b;lr>"}, Field{"X-Any", "\"\\\x01\""}, Allow{},
		Body{Type: "text/plain; charset=utf-8", Content: "x"})
	if out.Err() != nil {
		t.Fatal(out.Err())
	}
	again := mustParse(t, out.String())
	c, err := Get[Contact](again)
	if want := "sip:a%20b%40c:p%3Aq@h;x=a%20b%3E;a/b=c/d"; err != nil || c.URI.String() != want || c.Display != "a\"\\\x01<sip:x>\x7f" {
		t.Errorf("Contact = %#v, %v, want %s", c, err, want)
	}
	if n := len(values[Route](t, again)); n != 2 {
		t.Errorf("%d Routes, want 2", n)
	}
	// A pair of quotes that does not close is no value.
	uri.Params = `;x="a`
	if got := req.With(Contact{URI: uri}); got.Err() == nil {
		t.Errorf("With wrote\n%s", got)
	}
	if p := Params(";tag=1").With("x;tag2=3", "y"); p.Has("tag2") {
		t.Errorf("With put another parameter into %s", p)
	}
}

// Many controls in quoted-pairs are looked at once.
func TestEditOfManyControls(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	if err := req.With(Field{"Subject", `"` + strings.Repeat("\\\x01", 30000) + `"`}).Err(); err != nil {
		t.Error(err)
	}
}

// FuzzEdits puts any text into every field of every typed value. Either With
// refuses, or the message parses back to exactly one such value that says the
// same.
func FuzzEdits(f *testing.F) {
	f.Add("sip", "a", "", "h", ";tag=1", "", 0)
	f.Add("sip", "a@b", "p", "h>, <sip:evil", ";x=\"a b\"", "a=b", 5060)
	f.Add("UDP", "a", "x", "a, SIP/2.0/UDP evil", ";branch=z", "INVITE, BYE", 1)
	f.Add("Digest", "text/plain", "INVITE", `realm="x", nonce="y"`, ";duration=1", "100rel", 9)
	f.Add("tel", "+1-2", "", "", ";ext=3", "", 0)
	f.Add("urn", "", "", "", "", "", 0)
	f.Add("sip", "a", "0", "h", "", "subject=x", 146)
	f.Add("Active", "ets", "INVITE", "h:5060", ";q=0.5;text=x ", "a) ;b=(c", 300)
	f.Add("id", "a@b", "1", "2", ";to-tag=3", "user", 1)
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g string, n int) {
		req := NewRequest(OPTIONS, URI{Scheme: "sip", Host: "h"})
		p := Params(e)
		uri := URI{a, b, c, d, n, p, g, ""}
		if g == "" && n == 0 && d == "" {
			uri = URI{Scheme: a, User: b, Params: p, Opaque: c}
		}
		address := Address{b, uri, p}
		one(t, req, Via{a, d, n, p})
		one(t, req, From(address))
		one(t, req, To(address))
		one(t, req, Route(address))
		one(t, req, RecordRoute(address))
		one(t, req, Contact{Display: g, URI: uri, Params: p})
		one(t, req, CallID(b))
		one(t, req, CSeq{uint32(n), Method(c)})
		one(t, req, RetryAfter{uint32(n), g, p})
		one(t, req, ContentType{b, p})
		one(t, req, UserAgent(g))
		one(t, req, WWWAuthenticate{a, AuthParams(d)})
		one(t, req, ProxyAuthorization{a, AuthParams(d)})
		one(t, req, MaxBreadth(n))
		one(t, req, Accept{a, p})
		one(t, req, AcceptEncoding{b, p})
		one(t, req, AcceptLanguage{c, p})
		one(t, req, Date(time.Unix(int64(n), int64(n))))
		one(t, req, Timestamp{a, time.Duration(n)})
		one(t, req, Warning{n, d, b})
		one(t, req, RSeq(n))
		one(t, req, RAck{RSeq(n), CSeq{uint32(n), Method(c)}})
		one(t, req, Reason{a, n, b, p})
		one(t, req, SecurityVerify{a, p})
		one(t, req, SessionExpires{uint32(n), p})
		one(t, req, MinSE(n))
		one(t, req, Event{a, p})
		one(t, req, SubscriptionState{a, p})
		one(t, req, SIPETag(a))
		one(t, req, SuppressIfMatch(c))
		one(t, req, InfoPackage{a, p})
		one(t, req, RecvInfo{b, p})
		one(t, req, Subject(g))
		one(t, req, Server(c))
		one(t, req, Organization(d))
		one(t, req, Priority(a))
		some(t, req, AllowEvents{a, b})
		some(t, req, ContentLanguage{c})
		some(t, req, ResourcePriority{a, d})
		some(t, req, AcceptResourcePriority{d, a})
		one(t, req, ReplyTo(address))
		one(t, req, ReferTo(address))
		one(t, req, Path(address))
		one(t, req, HistoryInfo(address))
		one(t, req, PAssertedIdentity(address))
		one(t, req, InReplyTo(b))
		one(t, req, AlertInfo{uri, p})
		one(t, req, Geolocation{uri, p})
		one(t, req, Replaces{CallID(b), c, d, n > 0, p})
		one(t, req, Join{CallID(b), c, d, p})
		one(t, req, AcceptContact{p})
		one(t, req, ReferSub{n > 0, p})
		one(t, req, TargetDialog{CallID(b), c, d, p})
		one(t, req, GeolocationError{n, p})
		one(t, req, AnswerMode{a, p})
		one(t, req, FeatureCaps{p})
		one(t, req, FlowTimer(n))
		one(t, req, GeolocationRouting(n > 0))
		one(t, req, Authorization(DigestCredentials{Username: a, Realm: b, Nonce: c, URI: d, Response: e, QOP: g, NC: e}.Challenge()))
		one(t, req, AuthenticationInfo{a, b, c, d, g})
		one(t, req, Identity{c, uri, p})
		one(t, req, UserToUser{d, p})
		one(t, req, PAccessNetworkInfo{a, p})
		one(t, req, PAssertedService(b))
		one(t, req, PCalledPartyID(address))
		one(t, req, PAssociatedURI(address))
		one(t, req, PChargingVector{c, p})
		one(t, req, PChargingFunctionAddresses{p})
		one(t, req, PPrivateNetworkIndication{d, p})
		one(t, req, PUserDatabase{uri, p})
		one(t, req, PVisitedNetworkID{b, p})
		some(t, req, PEarlyMedia{a, g})
		some(t, req, Privacy{a, g})
		some(t, req, RequestDisposition{a, g})
		some(t, req, Allow{Method(a), Method(b)})
		some(t, req, Require{c, d})
		some(t, req, Supported{g})
		if out := NewRequest(Method(c), uri); out.Err() == nil {
			want := inRequestLine(uri)
			if m, u := out.Method(), out.URI(); m != Method(c) || !likeURI(&u, &want) {
				t.Fatalf("NewRequest(%q, %#v) = %s", c, uri, out)
			}
		}
		if p.With(a, b).Without(a).Has("tag") != p.Without(a).Has("tag") && checkParams(e, "") == nil {
			t.Fatalf("Params(%q).With(%q, %q) = %q", p, a, b, p.With(a, b))
		}
	})
}

func one[H value[H]](t *testing.T, req *Request, want H) {
	out := req.With(want)
	if out.Err() != nil {
		return
	}
	again := reindex(t, out)
	n := 0
	for got, err := range All[H](again) {
		if n++; err != nil || !same(any(got), any(want)) {
			t.Fatalf("With(%#v) wrote %#v, %v:\n%q", want, got, err, out)
		}
	}
	if lines := strings.Count(out.String(), "\n"); n != 1 || lines != 4 && (lines != 3 || want.HeaderName() != "Content-Length") {
		t.Fatalf("With(%#v) wrote %d values:\n%q", want, n, out)
	}
}

func some[H interface {
	~[]E
	Parser[H]
	Edit
}, E ~string](t *testing.T, req *Request, want H) {
	out := req.With(want)
	if out.Err() != nil {
		return
	}
	got, err := Get[H](reindex(t, out))
	if err != nil || len(got) != len(want) {
		t.Fatalf("With(%#v) wrote %#v, %v", want, got, err)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("With(%#v) wrote %#v", want, got)
		}
	}
}

// reindex reads the text of a message that lacks what Parse asks for.
func reindex(t *testing.T, out *Request) *Request {
	again := new(Request)
	if err := index(&again.message, again, out.String()); err != nil {
		t.Fatalf("%v in\n%q", err, out)
	}
	return again
}

// same compares values but for what writing changes: white space around them,
// escapes and the case of a scheme.
func same(got, want any) bool {
	switch g := got.(type) {
	case Via:
		w := want.(Via)
		w.Params = trimParams(w.Params)
		return g == w
	case From:
		return sameAddress(Address(g), Address(want.(From)))
	case To:
		return sameAddress(Address(g), Address(want.(To)))
	case Route:
		return sameAddress(Address(g), Address(want.(Route)))
	case RecordRoute:
		return sameAddress(Address(g), Address(want.(RecordRoute)))
	case Contact:
		w := want.(Contact)
		return g.Star == w.Star && sameAddress(Address{g.Display, g.URI, g.Params}, Address{w.Display, w.URI, w.Params})
	case CallID:
		return g == CallID(trimWS(string(want.(CallID))))
	case ContentType:
		w := want.(ContentType)
		w.Params = trimParams(w.Params)
		return g == w
	case WWWAuthenticate:
		w := want.(WWWAuthenticate)
		w.Params = AuthParams(trimWS(string(w.Params)))
		return g == w
	case ProxyAuthorization:
		w := want.(ProxyAuthorization)
		w.Params = AuthParams(trimWS(string(w.Params)))
		return g == w
	case Identity:
		w := want.(Identity)
		return g.Digest == w.Digest && sameAddress(Address{"", g.Info, g.Params}, Address{"", w.Info, w.Params})
	case Authorization:
		return g.Scheme == "Digest" && g.Params == want.(Authorization).Params
	case Date:
		return time.Time(g).Unix() == time.Time(want.(Date)).Unix()
	}
	return sameShape(reflect.ValueOf(got), reflect.ValueOf(want))
}

// sameShape compares values of a type that is like an Address, an infoURI or
// something else.
func sameShape(got, want reflect.Value) bool {
	if t := reflect.TypeFor[Address](); got.CanConvert(t) {
		return sameAddress(got.Convert(t).Interface().(Address), want.Convert(t).Interface().(Address))
	}
	if t := reflect.TypeFor[infoURI](); got.CanConvert(t) {
		g, w := got.Convert(t).Interface().(infoURI), want.Convert(t).Interface().(infoURI)
		return sameAddress(Address{"", g.URI, g.Params}, Address{"", w.URI, w.Params})
	}
	return folded(got.Interface()) == folded(want.Interface())
}

// folded returns a value with its words in lower case and its texts without the
// white space around them.
func folded(h any) any {
	v := reflect.New(reflect.TypeOf(h)).Elem()
	v.Set(reflect.ValueOf(h))
	trim := func(v reflect.Value) {
		if v.Kind() == reflect.String {
			v.SetString(trimWS(v.String()))
		}
	}
	trim(v)
	if v.Kind() == reflect.Struct {
		if params := v.FieldByName("Params"); params.IsValid() {
			trim(params)
		}
	}
	switch h := v.Interface().(type) {
	case Priority:
		return strings.ToLower(string(h))
	case SubscriptionState:
		h.State = strings.ToLower(h.State)
		return h
	case Reason:
		h.Protocol = strings.ToLower(h.Protocol)
		return h
	}
	return v.Interface()
}

func sameAddress(g, w Address) bool {
	if w.URI.Opaque != "" && g.URI.Opaque == "" {
		u, err := ParseURI(w.URI.Scheme + ":" + w.URI.Opaque)
		return err == nil && g.Display == w.Display && g.URI == u && g.Params == trimParams(w.Params)
	}
	g.URI.Params, w.URI.Params = "", Params(strings.TrimPrefix(string(w.URI.Params), string(g.URI.Params)))
	if strings.ContainsAny(string(w.URI.Params), "%\"") {
		w.URI.Params = "" // needed escapes
	}
	unescaped := func(a Address) Address {
		a.URI.User, a.URI.Password = unescape(a.URI.User), unescape(a.URI.Password)
		a.URI.Scheme, a.Params = strings.ToLower(a.URI.Scheme), trimParams(a.Params)
		return a
	}
	return unescaped(g) == unescaped(w)
}
