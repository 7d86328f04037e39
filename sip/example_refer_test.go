package sip_test

import (
	"fmt"

	"github.com/goparley/parley/sip"
)

// A transferee reads whom to call, and which call that call is to replace.
func ExampleReplaces() {
	refer := sip.NewRequest(sip.REFER, sip.URI{Scheme: "sip", User: "bob", Host: "example.com"},
		sip.Field{Name: "Refer-To", Value: "<sip:dave@example.org?Replaces=12345%40192.0.2.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>"})
	to, err := sip.Get[sip.ReferTo](refer)
	if err != nil {
		fmt.Println(err)
		return
	}
	for name, value := range to.URI.Header() {
		if name != "Replaces" {
			continue // most are not safe to follow
		}
		replaces, err := sip.Replaces{}.ParseValue(value)
		if err != nil {
			fmt.Println(err)
			return
		}
		to.URI.Headers = ""
		invite := sip.NewRequest(sip.INVITE, to.URI, replaces)
		fmt.Println(invite.URI(), replaces.CallID, replaces.ToTag, replaces.FromTag)
	}
	// Output:
	// sip:dave@example.org 12345@192.0.2.3 12345 5FFE-3994
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
