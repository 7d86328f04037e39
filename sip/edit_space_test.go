package sip

import "testing"

// White space around the parameters of a value that is written counts for
// nothing, and all else counts.
func TestParamsWithWhiteSpace(t *testing.T) {
	const p = " ;x=1 "
	sp := URI{Scheme: "sip", User: "a b", Host: "h"} // needs an escape
	writes(t, AlertInfo{sp, p})
	writes(t, CallInfo{sp, p})
	writes(t, ErrorInfo{sp, p})
	writes(t, Geolocation{sp, p})
	writes(t, GeolocationError{1, p})
	writes(t, ReplyTo{"", sp, p})
	writes(t, ReferTo{"", sp, p})
	writes(t, ReferredBy{"", sp, p})
	writes(t, ReferSub{true, p})
	writes(t, Path{"", sp, p})
	writes(t, ServiceRoute{"", sp, p})
	writes(t, PAssertedIdentity{"", sp, p})
	writes(t, PPreferredIdentity{"", sp, p})
	writes(t, HistoryInfo{"", sp, p})
	writes(t, Diversion{"", sp, p})
	writes(t, Replaces{"a", "1", "2", false, p})
	writes(t, Join{"a", "1", "2", p})
	writes(t, TargetDialog{"a", "1", "2", p})
	writes(t, AcceptContact{p})
	writes(t, RejectContact{p})
	writes(t, FeatureCaps{p})
	writes(t, AnswerMode{"Auto", p})
	writes(t, PrivAnswerMode{"Auto", p})
}

// writes holds that With takes v.
func writes[H value[H]](t *testing.T, v H) {
	t.Helper()
	if err := mustParse(t, tweak("")).(*Request).With(v).Err(); err != nil {
		t.Errorf("With(%#v): %v", v, err)
	}
}
