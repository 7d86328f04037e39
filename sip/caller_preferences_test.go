package sip

import (
	"slices"
	"testing"
)

// RFC 3841 sections 8 and 9, RFC 6809 section 6 and RFC 8599 section 8.
func TestCallerPreferences(t *testing.T) {
	const features = `;mobility="fixed" ;events="!presence,message-summary";language="en,de";description="<PC>";+sip.newparam;+rangeparam="#-4:+5.125"`
	reads(t,
		reading[AcceptContact]{"*" + features, AcceptContact{features}, ""},
		reading[AcceptContact]{"* ; audio;require", AcceptContact{"; audio;require"}, "*; audio;require"},
		reading[AcceptContact]{"*", AcceptContact{}, ""},
	)
	refuses[AcceptContact](t, "", "sip:bobsdesk.biloxi.example.net", "**", "* audio", "*;", "*;=", `*;audio="`)
	wontWrite(t, AcceptContact{"audio"}, AcceptContact{";audio, *"})
	reads(t, reading[RejectContact]{`*;actor="msg-taker";video`, RejectContact{`;actor="msg-taker";video`}, ""})
	refuses[RejectContact](t, "", "audio")
	reads(t, reading[FeatureCaps]{`*;+sip.pns="acme";+sip.pnsreg="121"`, FeatureCaps{`;+sip.pns="acme";+sip.pnsreg="121"`}, ""})
	refuses[FeatureCaps](t, "", "+sip.pns")

	m := mustParse(t, tweak("", "a: *;audio;require, *;video;explicit", "Accept-Contact: *;methods=\"BYE\";class=\"business\";q=1.0"))
	var required, explicit []bool
	for _, a := range values[AcceptContact](t, m) {
		required, explicit = append(required, a.Require()), append(explicit, a.Explicit())
	}
	if !slices.Equal(required, []bool{true, false, false}) || !slices.Equal(explicit, []bool{false, true, false}) {
		t.Errorf("require is %v, explicit %v", required, explicit)
	}
}

func TestRequestDisposition(t *testing.T) {
	m := mustParse(t, tweak("", "Request-Disposition: proxy, recurse", "d: parallel"))
	got, err := Get[RequestDisposition](m)
	if err != nil || !slices.Equal(got, RequestDisposition{"proxy", "recurse", "parallel"}) {
		t.Errorf("Request-Disposition = %q, %v", got, err)
	}
	out := with(m, RequestDisposition{"no-fork"})
	if v, _ := out.Value("d"); v != "no-fork" || out.Err() != nil {
		t.Errorf("With wrote %q, %v", v, out.Err())
	}
	if with(m, RequestDisposition{"fork, queue"}).Err() == nil || with(m, Field{"d", "no fork"}).Err() == nil {
		t.Error("With wrote what is no directive")
	}
}
