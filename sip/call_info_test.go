package sip

import "testing"

// RFC 3261 sections 20.4, 20.9 and 20.18.
func TestCallInfo(t *testing.T) {
	moo, photo := uriOf(t, "http://www.example.com/sounds/moo.wav"), uriOf(t, "http://wwww.example.com/alice/photo.jpg")
	reads(t,
		reading[AlertInfo]{"<http://www.example.com/sounds/moo.wav>", AlertInfo{URI: moo}, ""},
		reading[AlertInfo]{"<urn:alert:service:call-waiting>", AlertInfo{URI: uriOf(t, "urn:alert:service:call-waiting")}, ""},
		reading[AlertInfo]{"<http://www.example.com/sounds/moo.wav> ; info=alert-autoanswer;delay=0",
			AlertInfo{moo, "; info=alert-autoanswer;delay=0"}, "<http://www.example.com/sounds/moo.wav>; info=alert-autoanswer;delay=0"},
		reading[AlertInfo]{"http://www.example.com/sounds/moo.wav;x", AlertInfo{moo, ";x"}, "<http://www.example.com/sounds/moo.wav>;x"},
	)
	refuses[AlertInfo](t, "", "<>", "Bellcore-dr1", "Ring Answer", ";info=x", "moo <http://www.example.com/>", "http://www.example.com/?a=b", "<http://a b>")
	reads(t,
		reading[CallInfo]{"<http://wwww.example.com/alice/photo.jpg> ;purpose=icon", CallInfo{photo, ";purpose=icon"},
			"<http://wwww.example.com/alice/photo.jpg>;purpose=icon"},
		reading[CallInfo]{"<sip:pbx.example.com>;answer-after=0", CallInfo{uriOf(t, "sip:pbx.example.com"), ";answer-after=0"}, ""},
	)
	refuses[CallInfo](t, "", "answer-after=0", "<http://a>purpose=icon")
	reads(t,
		reading[ErrorInfo]{"<sip:not-in-service-recording@atlanta.com>", ErrorInfo{URI: uriOf(t, "sip:not-in-service-recording@atlanta.com")}, ""},
	)
	refuses[ErrorInfo](t, "", "sorry")
	wontWrite(t, CallInfo{}, CallInfo{URI: URI{Scheme: "http", Opaque: "//a>, <http://b"}}, CallInfo{photo, ";a, <http://b>"})

	req := mustParse(t, tweak("", "Call-Info: <http://wwww.example.com/alice/photo.jpg?a,b> ;Purpose=icon,\r\n  <http://www.example.com/alice/> ;purpose=info, <http://x>"))
	var got []string
	for _, info := range values[CallInfo](t, req) {
		got = append(got, info.Purpose()+" "+info.URI.String())
	}
	expect(t, "Call-Info", len(got), 3)
	expect(t, "the first one", got[0], "icon http://wwww.example.com/alice/photo.jpg?a,b")
	expect(t, "the second one", got[1], "info http://www.example.com/alice/")
	expect(t, "the third one", got[2], " http://x")
}

// What phones are told with no URI at all can be written as text, and read as
// text.
func TestInfoThatIsNone(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	out := req.With(Field{"Alert-Info", "Bellcore-dr1"}, Field{"Call-Info", "answer-after=0"})
	if out.Err() != nil {
		t.Fatal(out.Err())
	}
	if got, ok := mustParse(t, out.String()).Value("Alert-Info"); !ok || got != "Bellcore-dr1" {
		t.Errorf("Alert-Info = %q, %v", got, ok)
	}
	for _, e := range []Edit{AlertInfo{}, &CallInfo{URI: URI{Scheme: "sip", Host: "a>, <sip:b"}}, Field{"Error-Info", "sorry"}} {
		if got := req.With(e); got.Err() == nil {
			t.Errorf("With(%#v) wrote\n%s", e, got)
		}
	}
}

// What phones are told is written as text; a type of another package is held to
// the grammar as our own is.
func TestOwnAlertInfo(t *testing.T) {
	req := mustParse(t, tweak("")).(*Request)
	if err := req.With(Field{"Alert-Info", "Bellcore-dr1"}).Err(); err != nil {
		t.Error(err)
	}
	own := Field{"Call-Info", "answer-after=0"}
	if out := req.With(List(own, own)); out.Err() != nil {
		t.Error(out.Err())
	}
	if req.With(ring("<<<;;;")).Err() == nil {
		t.Error("a type of another package writes what nobody reads")
	}
	if err := req.With(ring("<http://a.example/ring.wav>")).Err(); err != nil {
		t.Error(err)
	}
}

type ring string

func (ring) HeaderName() string            { return "Alert-Info" }
func (r ring) AppendValue(b []byte) []byte { return append(b, r...) }
