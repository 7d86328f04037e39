package sip_test

import (
	"fmt"

	"github.com/goparley/parley/sip"
)

func ExampleNewRequest() {
	bob, err := sip.ParseURI("sip:bob@example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	req := sip.NewRequest(sip.MESSAGE, bob,
		sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.org"}, Params: ";tag=1928301774"},
		sip.To{URI: bob},
		sip.CallID("a84b4c76e66710"),
		sip.CSeq{Seq: 1, Method: sip.MESSAGE},
		sip.Body{Type: "text/plain", Content: "Lunch?"},
	)
	fmt.Println(req.Method(), req.URI(), req.Body(), req.Err())
	// What would add a line is refused, not written.
	fmt.Println(req.With(sip.Field{Name: "Subject", Value: "x\r\nRoute: <sip:evil.example>"}).Err() != nil)
	// Output:
	// MESSAGE sip:bob@example.com Lunch? <nil>
	// true
}

// A REFER has us call a URI that asks for header fields. Those of them that
// would speak for us are apart.
func ExampleURI_Requested() {
	target, err := sip.ParseURI("sip:carol@example.com?Replaces=12345%40example.org%3Bto-tag%3D1%3Bfrom-tag%3D2" +
		"&Subject=Lunch&Route=%3Csip:evil.example%3E")
	if err != nil {
		fmt.Println(err)
		return
	}
	method, edits, refused := target.Requested()
	fmt.Println("refused:", refused)
	req := sip.NewRequest(method, target, append(edits, sip.MaxForwards(70))...) // and the rest of ours
	fmt.Println(req.Method(), req.URI(), req.Err())
	for f := range req.Fields() {
		fmt.Printf("%s: %s\n", f.Name, f.Value)
	}
	// Output:
	// refused: [{Route <sip:evil.example>}]
	// INVITE sip:carol@example.com <nil>
	// Replaces: 12345@example.org;to-tag=1;from-tag=2
	// Subject: Lunch
	// Max-Forwards: 70
	// Content-Length: 0
}

// Any text can be a user, a parameter or a header of a URI, and comes back as
// it was.
func ExampleURI_WithUsername() {
	uri := sip.URI{Scheme: "sip", Host: "example.com"}.
		WithUsername("Jürgen & co. 50%").
		WithParam("pn-prid", "00fc13;x=y").
		WithHeader("Replaces", "12345@example.org;to-tag=1;from-tag=2")
	fmt.Println(uri)
	prid, _ := uri.Param("pn-prid")
	fmt.Println(uri.Username(), "|", prid)
	// Output:
	// sip:J%C3%BCrgen%20&%20co.%2050%25@example.com;pn-prid=00fc13%3Bx%3Dy?Replaces=12345%40example.org%3Bto-tag%3D1%3Bfrom-tag%3D2
	// Jürgen & co. 50% | 00fc13;x=y
}

func ExampleURI_Equal() {
	for _, pair := range [][2]string{
		{"sip:%61lice@example.com;Transport=TCP", "sip:alice@EXAMPLE.com;transport=tcp"},
		{"sip:alice@example.com", "sip:alice@example.com;ob"},
		{"sip:alice@example.com", "sip:alice@example.com:5060"}, // which may be elsewhere
		{"tel:+1-201-555-0123", "tel:+12015550123"},
	} {
		a, errA := sip.ParseURI(pair[0])
		b, errB := sip.ParseURI(pair[1])
		if errA != nil || errB != nil {
			fmt.Println(errA, errB)
			return
		}
		fmt.Println(a.Equal(b))
	}
	// Output:
	// true
	// true
	// false
	// true
}

// A number goes to a gateway as a sip URI.
func ExampleURI_SIP() {
	number, err := sip.ParseURI("tel:+1-201-555-0123;EXT=7")
	if err != nil {
		fmt.Println(err)
		return
	}
	uri := number.SIP("gateway.example.com")
	fmt.Println(uri)
	fmt.Println(uri.Tel())
	// Output:
	// sip:+1-201-555-0123;ext=7@gateway.example.com;user=phone
	// tel:+1-201-555-0123;ext=7 true
}

// A host may be an address or a name that is to be looked up.
func ExampleURI_Addr() {
	for _, text := range []string{"sip:alice@[2001:db8::9:1]:5070", "sip:alice@example.com"} {
		uri, err := sip.ParseURI(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		if addr := uri.Addr(); addr.IsValid() {
			fmt.Println(uri.Host, "is the address", addr)
		} else {
			fmt.Println(uri.Host, "is a name")
		}
	}
	// Output:
	// [2001:db8::9:1] is the address 2001:db8::9:1
	// example.com is a name
}
