package sip

import "testing"

// RFC 8599 sections 4.1 and 12: a subscription is a URL and so needs escapes.
func TestPushParams(t *testing.T) {
	u := uriOf(t, "sip:alice@alice.example.com;pn-provider=acme;pn-param=acme-param;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K;ob")
	got, ok := u.PushParams()
	if want := (PushParams{Provider: "acme", Param: "acme-param", PRID: "ZTY4ZDJlMzODE1NmUgKi0K"}); got != want || !ok {
		t.Errorf("PushParams() = %+v, %v, want %+v", got, ok, want)
	}
	// Which providers does the proxy know of?
	if got, ok := uriOf(t, "sip:a@b;pn-provider").PushParams(); !ok || got != (PushParams{}) {
		t.Errorf("PushParams() = %+v, %v", got, ok)
	}
	if _, ok := uriOf(t, "sip:a@b;pn-prid=x").PushParams(); ok {
		t.Error("push parameters without a provider")
	}
	if _, ok := uriOf(t, "sip:a@b;pn-purr=x").PushParams(); !ok {
		t.Error("no push parameters where there is a pn-purr")
	}

	p := PushParams{Provider: "webpush", PRID: "https://push.example.net/p;a=b?c=100%41&d=\"\x00\u00e4", PURR: "a%20b"}
	u = u.WithPushParams(p)
	if got, ok := u.PushParams(); got != p || !ok {
		t.Errorf("PushParams() = %+v, %v, want %+v", got, ok, p)
	}
	if got, _ := uriOf(t, u.String()).PushParams(); got != p {
		t.Errorf("from text PushParams() = %+v, want %+v", got, p)
	}
	if err := mustParse(t, tweak("")).(*Request).With(Contact{URI: u}).Err(); err != nil {
		t.Error(err)
	}
	expect(t, "a URI without them", u.WithPushParams(PushParams{}).String(), "sip:alice@alice.example.com;ob")
}
