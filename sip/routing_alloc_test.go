package sip

import "testing"

// Reading who, where and which dialog takes no memory, and neither does asking
// a Contact what it says of its user agent.
func TestRoutingAllocations(t *testing.T) {
	m := mustParse(t, tweak("", `Contact: <sip:callee@192.0.2.1;pn-provider=acme;pn-prid=x>;reg-id=1;q=0.5;methods="INVITE,BYE";audio;+x="#>=2"`+
		`;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";pub-gruu="sip:callee@example.com;gr=x"`,
		"Reply-To: Bob <sip:bob@biloxi.com>", "In-Reply-To: 70710@saturn.bell-tel.com", "Alert-Info: <http://a.example/moo.wav>",
		"Call-Info: <http://a.example/>;purpose=icon", "Error-Info: <sip:a@b>", "Geolocation: <cid:a@b>", "Geolocation-Routing: yes",
		`Geolocation-Error: 300;code="Dereference Failure"`, `P-Asserted-Identity: "Cullen" <sip:fluffy@cisco.com>`,
		"P-Preferred-Identity: tel:7042;phone-context=example.com", "Path: <sip:p.example;lr>", "Service-Route: <sip:p.example;lr>",
		"Refer-To: <sip:a@b?Replaces=x%3Bto-tag%3D1>", `Referred-By: <sip:r@ref.example>;cid="x@ref.example"`, "Refer-Sub: false",
		"Replaces: a;to-tag=1;from-tag=2;early-only", "Join: a;from-tag=1;to-tag=2", "Target-Dialog: a;local-tag=1;remote-tag=2",
		"History-Info: <sip:a@b>;index=1.1;rc=1", "Diversion: <tel:+1>;reason=away;counter=2", "Accept-Contact: *;audio;require",
		`Reject-Contact: *;actor="msg-taker"`, `Feature-Caps: *;+sip.pns="acme"`, "Flow-Timer: 120", "Answer-Mode: Auto;require", "Priv-Answer-Mode: Auto"))
	takesNothing[ReplyTo](t, m)
	takesNothing[InReplyTo](t, m)
	takesNothing[AlertInfo](t, m)
	takesNothing[CallInfo](t, m)
	takesNothing[ErrorInfo](t, m)
	takesNothing[Geolocation](t, m)
	takesNothing[GeolocationRouting](t, m)
	takesNothing[GeolocationError](t, m)
	takesNothing[PAssertedIdentity](t, m)
	takesNothing[PPreferredIdentity](t, m)
	takesNothing[Path](t, m)
	takesNothing[ServiceRoute](t, m)
	takesNothing[ReferTo](t, m)
	takesNothing[ReferredBy](t, m)
	takesNothing[ReferSub](t, m)
	takesNothing[Replaces](t, m)
	takesNothing[Join](t, m)
	takesNothing[TargetDialog](t, m)
	takesNothing[HistoryInfo](t, m)
	takesNothing[Diversion](t, m)
	takesNothing[AcceptContact](t, m)
	takesNothing[RejectContact](t, m)
	takesNothing[FeatureCaps](t, m)
	takesNothing[FlowTimer](t, m)
	takesNothing[AnswerMode](t, m)
	takesNothing[PrivAnswerMode](t, m)

	contact, _ := Get[Contact](m)
	history, _ := Get[HistoryInfo](m)
	allocs(t, "what a Contact says", 0, func() {
		uri, ok := contact.PubGRUU()
		push, _ := contact.URI.PushParams()
		if contact.Instance() == "" || contact.RegID() != 1 || contact.Q() != 0.5 || !ok || uri.Host == "" || push.PRID == "" {
			t.Fatal("a parameter was not found")
		}
		n := 0
		for _, f := range contact.Params.Features() {
			for range f.All() {
				n++
			}
		}
		if n != 5 {
			t.Fatal(n, "values of features, want 5")
		}
		if target, _ := history.Target(); target != "rc" || history.Index() == "" {
			t.Fatal("a parameter of History-Info was not found")
		}
	})
}

func takesNothing[H Parser[H]](t *testing.T, m Message) {
	t.Helper()
	var zero H
	allocs(t, "Get of "+zero.HeaderName(), 0, func() {
		if _, err := Get[H](m); err != nil {
			t.Fatal(zero.HeaderName(), err)
		}
	})
}
