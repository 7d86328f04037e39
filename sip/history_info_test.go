package sip

import "testing"

// RFC 7044 section 5, and the flows of RFC 4244 that escape nothing.
func TestHistoryInfo(t *testing.T) {
	userA := uriOf(t, "sip:UserA@ims.example.com")
	reads(t,
		reading[HistoryInfo]{"<sip:UserA@ims.example.com>;index=1;foo=bar", HistoryInfo{URI: userA, Params: ";index=1;foo=bar"}, ""},
		reading[HistoryInfo]{"<sip:UserA@ims.example.com?Reason=SIP%3Bcause%3D302>;index=1.1",
			HistoryInfo{URI: uriOf(t, "sip:UserA@ims.example.com?Reason=SIP%3Bcause%3D302"), Params: ";index=1.1"}, ""},
		reading[HistoryInfo]{`"A<?" <sip:User2@UA2.example.com?Reason=SIP;cause=408;text="Request Timeout">; index=1.1.1`,
			HistoryInfo{"A<?", uriOf(t, "sip:User2@UA2.example.com?Reason=SIP%3Bcause%3D408%3Btext%3D%22Request%20Timeout%22"), "; index=1.1.1"},
			`"A<?" <sip:User2@UA2.example.com?Reason=SIP%3Bcause%3D408%3Btext%3D%22Request%20Timeout%22>; index=1.1.1`},
		reading[HistoryInfo]{"<sip:a@b?Privacy=history&Reason=SIP;cause=486>;index=1.2;mp=1.1",
			HistoryInfo{URI: uriOf(t, "sip:a@b?Privacy=history&Reason=SIP%3Bcause%3D486"), Params: ";index=1.2;mp=1.1"},
			"<sip:a@b?Privacy=history&Reason=SIP%3Bcause%3D486>;index=1.2;mp=1.1"},
	)
	refuses[HistoryInfo](t, "", "sip:UserA@ims.example.com;index=1", "<sip:a@b?>", "<sip:a@b?x=y;index=1", `"<sip:a@b?x=;>`, "<sip:a b?x=;>", "?", "<?>")
	wontWrite(t, HistoryInfo{}, HistoryInfo{URI: URI{Scheme: "sip", Host: "a", Headers: "Reason=SIP;cause=302"}})

	m := mustParse(t, tweak("", "History-Info: <sip:UserA@ims.example.com?Reason=SIP%3Bcause%3D302>;index=1.1,\r\n"+
		"  <sip:UserB@example.com?Privacy=history&Reason=SIP%3Bcause%3D486>;index=1.2;mp=1.1,\r\n <sip:45432@192.168.0.3>;index=1.3;rc=1.2"))
	for i, want := range []struct {
		index, target, from, reason string
		private                     bool
	}{
		{"1.1", "", "", "SIP;cause=302", false},
		{"1.2", "mp", "1.1", "SIP;cause=486", true},
		{"1.3", "rc", "1.2", "", false},
	} {
		h := values[HistoryInfo](t, m)[i]
		target, from := h.Target()
		if h.Index() != want.index || target != want.target || from != want.from || h.Reason() != want.reason || h.Private() != want.private {
			t.Errorf("%v: index %s, %s %s, reason %s, private %v", h, h.Index(), target, from, h.Reason(), h.Private())
		}
	}

	made := HistoryInfo{URI: userA.WithHeader("Reason", "SIP;cause=302").WithHeader("Privacy", "history"), Params: ";index=1.1;np=1"}
	expect(t, "a value that is made", string(made.AppendValue(nil)), "<sip:UserA@ims.example.com?Reason=SIP%3Bcause%3D302&Privacy=history>;index=1.1;np=1")
	if target, from := made.Target(); target != "np" || from != "1" {
		t.Errorf("target %s %s, want np 1", target, from)
	}
	if made.Reason() != "SIP;cause=302" || !made.Private() || with(m, made).Err() != nil {
		t.Errorf("reason %s, private %v, %v", made.Reason(), made.Private(), with(m, made).Err())
	}
}
