package sip_test

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/goparley/parley/sip"
)

const invite = "INVITE sip:bob@example.com SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP pc33.example.org;branch=z9hG4bK776asdhds\r\n" +
	"Max-Forwards: 70\r\n" +
	"From: Alice <sip:alice@example.org>;tag=1928301774\r\n" +
	"To: Bob <sip:bob@example.com>\r\n" +
	"Call-ID: a84b4c76e66710@pc33.example.org\r\n" +
	"CSeq: 314159 INVITE\r\n" +
	"Contact: <sip:alice@pc33.example.org>\r\n" +
	"Session-Expires: 1800;refresher=uac\r\n" +
	"Content-Length: 0\r\n\r\n"

func ExampleParse() {
	msg, err := sip.Parse(invite)
	if err != nil {
		fmt.Println(err) // a *sip.SyntaxError: its Reply is what to answer
		return
	}
	switch m := msg.(type) {
	case *sip.Request:
		fmt.Println(m.Method(), m.URI())
		fmt.Println("from", m.From().URI, "tag", m.From().Tag())
		fmt.Println("sent by", m.Via().SentBy())
	case *sip.Response:
		fmt.Println(m.Status())
	}
	contact, err := sip.Get[sip.Contact](msg)
	fmt.Println("contact", contact.URI, err)
	_, err = sip.Get[sip.Route](msg)
	fmt.Println("route:", err)
	// Output:
	// INVITE sip:bob@example.com
	// from sip:alice@example.org tag 1928301774
	// sent by pc33.example.org
	// contact sip:alice@pc33.example.org <nil>
	// route: sip: no such header field
}

// Hops is a header field that is not in the package, a number. Two methods make
// Get and All read it, a third one lets With write it.
type Hops int

func (Hops) HeaderName() string { return "X-Hops" }

func (Hops) ParseValue(s string) (Hops, error) {
	n, err := strconv.Atoi(s)
	return Hops(n), err
}

func (h Hops) AppendValue(b []byte) []byte { return strconv.AppendInt(b, int64(h), 10) }

func ExampleGet() {
	msg, err := sip.Parse(invite)
	if err != nil {
		fmt.Println(err)
		return
	}
	req := msg.(*sip.Request).With(Hops(3))
	hops, err := sip.Get[Hops](req)
	fmt.Println(int(hops), err)
	// Output: 3 <nil>
}

// Site is one value of a header field that is a comma list. CommaList says so,
// and the values come one at a time.
type Site string

func (Site) HeaderName() string                { return "X-Site" }
func (Site) CommaList()                        {}
func (Site) ParseValue(s string) (Site, error) { return Site(s), nil }
func (s Site) AppendValue(b []byte) []byte     { return append(b, s...) }

func ExampleAll() {
	msg, err := sip.Parse(invite)
	if err != nil {
		fmt.Println(err)
		return
	}
	req := msg.(*sip.Request).With(sip.Field{Name: "X-Site", Value: "paris, berlin"}, sip.Add(Site("rome")))
	for site, err := range sip.All[Site](req) {
		fmt.Println(site, err)
	}
	// Output:
	// paris <nil>
	// berlin <nil>
	// rome <nil>
}

// A header field that cannot be read is named to who sent it.
func ExampleRequest_Refuse() {
	msg, err := sip.Parse("SUBSCRIBE sip:alice@example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n" +
		"From: <sip:bob@example.com>;tag=1\r\n" +
		"To: <sip:alice@example.com>\r\n" +
		"Call-ID: 1@192.0.2.9\r\n" +
		"CSeq: 1 SUBSCRIBE\r\n" +
		"Event: presence\r\n" +
		"Expires: soon\r\n\r\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	req := msg.(*sip.Request)
	if _, err := sip.Get[sip.Expires](req); err != nil && !errors.Is(err, sip.ErrMissing) {
		resp := req.Refuse(err)
		fmt.Println(int(resp.Status()), resp.ReasonPhrase())
	}
	// Output: 400 Bad Expires
}

// An agent says which bodies it takes. Two edits of one header field in a call
// would leave the second: List sets it to both.
func ExampleList() {
	msg, err := sip.Parse(invite)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp := msg.(*sip.Request).Reply(sip.StatusUnsupportedMediaType, sip.List(
		sip.Accept{Type: "application/sdp"},
		sip.Accept{Type: "text/plain", Params: ";q=0.5"},
	))
	accept, ok := resp.Value("Accept")
	fmt.Println(accept, ok)
	// Output: application/sdp, text/plain;q=0.5 true
}

// A proxy forwards a request (RFC 3261 section 16.6).
func ExampleRequest_With() {
	msg, err := sip.Parse(invite)
	if err != nil {
		fmt.Println(err)
		return
	}
	req := msg.(*sip.Request)
	self := sip.URI{Scheme: "sip", Host: "p1.example.com", Params: ";lr"}
	out := req.With(
		sip.MaxForwards(req.MaxForwards()-1),
		sip.Push(sip.RecordRoute{URI: self}),
		sip.Push(sip.Via{Transport: "UDP", Host: "p1.example.com", Params: ";branch=z9hG4bK4b43c2ff8.1"}),
	)
	fmt.Println(out.Err())
	for f := range out.Fields() {
		fmt.Printf("%s: %s\n", f.Name, f.Value)
	}
	// Output:
	// <nil>
	// Via: SIP/2.0/UDP p1.example.com;branch=z9hG4bK4b43c2ff8.1
	// Via: SIP/2.0/UDP pc33.example.org;branch=z9hG4bK776asdhds
	// Record-Route: <sip:p1.example.com;lr>
	// Max-Forwards: 69
	// From: Alice <sip:alice@example.org>;tag=1928301774
	// To: Bob <sip:bob@example.com>
	// Call-ID: a84b4c76e66710@pc33.example.org
	// CSeq: 314159 INVITE
	// Contact: <sip:alice@pc33.example.org>
	// Session-Expires: 1800;refresher=uac
	// Content-Length: 0
}

func ExampleParseURI() {
	uri, err := sip.ParseURI("sips:alice%20b@Example.com:5071;transport=tcp?Subject=lunch%3F")
	if err != nil {
		fmt.Println(err)
		return
	}
	transport, _ := uri.Params.Get("transport")
	fmt.Println(uri.Username(), "at", uri.Host, uri.Port, "over", transport)
	for name, value := range uri.Header() {
		fmt.Println(name, "=", value)
	}
	other, _ := sip.ParseURI("sips:alice%20b@example.COM:5071;Transport=TCP?subject=lunch%3f")
	fmt.Println(uri.Equal(other))
	// Output:
	// alice b at Example.com 5071 over tcp
	// Subject = lunch?
	// true
}
