package sip_test

import (
	"fmt"

	"github.com/goparley/parley/sip"
)

// An attended transfer: Alice asks Bob to call Dave in place of her own call with
// him (RFC 3891 section 1).
func ExampleReferTo() {
	sipURI := func(user string) sip.URI { return sip.URI{Scheme: "sip", User: user, Host: "example.org"} }
	call := sip.Replaces{CallID: "12345@192.0.2.3", ToTag: "12345", FromTag: "5FFE-3994"}
	dave := sipURI("dave").WithHeader("Replaces", string(call.AppendValue(nil)))
	refer := sip.NewRequest(sip.REFER, sipURI("bob"), sip.ReferTo{URI: dave}, sip.ReferredBy{URI: sipURI("alice")})

	// Bob does as he is told.
	to, err := sip.Get[sip.ReferTo](refer)
	if err != nil {
		fmt.Println(err)
		return
	}
	by, err := sip.Get[sip.ReferredBy](refer)
	if err != nil {
		fmt.Println(err)
		return
	}
	method, edits, _ := to.URI.Requested()
	invite := sip.NewRequest(method, to.URI, append(edits, by)...)

	// Dave looks for the call.
	call, err = sip.Get[sip.Replaces](invite)
	fmt.Println(invite.Method(), invite.URI(), "by", by.URI)
	fmt.Println("in place of", call.CallID, call.ToTag, call.FromTag, err)
	// Output:
	// INVITE sip:dave@example.org by sip:alice@example.org
	// in place of 12345@192.0.2.3 12345 5FFE-3994 <nil>
}

// A registrar reads which user agent a contact is, and what it can do.
func ExampleParams_Features() {
	contact, err := sip.Contact{}.ParseValue(`<sip:pc.example.com>;q=0.7;reg-id=1` +
		`;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";video;events="!presence,message-summary";+rangeparam="#-4:+5.125"`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(contact.Instance(), "flow", contact.RegID())
	for name, feature := range contact.Params.Features() {
		for v := range feature.All() {
			switch v.Kind {
			case sip.FeatureToken, sip.FeatureString:
				fmt.Println(name, v.Text, "not:", v.Not)
			case sip.FeatureNumber:
				fmt.Println(name, "from", v.Min, "to", v.Max)
			}
		}
	}
	// Output:
	// urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6 flow 1
	// +sip.instance urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6 not: false
	// video TRUE not: false
	// events presence not: true
	// events message-summary not: false
	// +rangeparam from -4 to 5.125
}

// A user agent says who it is and what it can do.
func ExampleParams_WithFeature() {
	contact := sip.Contact{
		URI:    sip.URI{Scheme: "sip", Host: "pc.example.com"},
		Params: sip.Params("").WithFeature("audio", "").WithFeature("methods", "INVITE,BYE,ACK"),
	}.WithInstance("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
	fmt.Println(string(contact.AppendValue(nil)))
	// Output:
	// <sip:pc.example.com>;audio;methods="INVITE,BYE,ACK";+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"
}
