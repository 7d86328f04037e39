package ua

import (
	"testing"

	"github.com/goparley/parley/sip"
)

// A call that was to be secure is not redirected to where it would not be.
func TestRedirectOfSecureCall(t *testing.T) {
	target, err := sip.ParseURI("sips:bob@b.example")
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{aor: sip.URI{Scheme: "sips", User: "alice", Host: "a.example"}}
	req := a.requestTo(sip.INVITE, target, sip.To{URI: target}, "x", "x", 1)
	var contacts []sip.Contact
	for _, uri := range []string{"sip:c@c.example", "sips:d@d.example"} {
		u, err := sip.ParseURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		contacts = append(contacts, sip.Contact{URI: u})
	}
	r := newRedirects(req, 0)
	if !r.follow(req.Reply(302, sip.List(contacts...)), nil) {
		t.Fatal("the call is not redirected")
	}
	if got := r.next().URI().String(); got != "sips:d@d.example" {
		t.Errorf("the call goes to %s, want sips:d@d.example", got)
	}
	if r.follow(req.Reply(302, sip.List(contacts...)), nil) {
		t.Error("the call goes on to where it would not be secure")
	}
}
