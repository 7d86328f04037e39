package sip_test

import (
	"fmt"
	"strings"

	"github.com/goparley/parley/sip"
)

const offer = "v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"

// An INVITE says where the caller is, beside what it offers (RFC 6442).
func ExampleMultipart() {
	here := sip.ContentID("here@example.org")
	body, err := sip.Multipart("multipart/mixed",
		sip.NewPart(sip.Body{Type: "application/sdp", Content: offer}),
		sip.NewPart(sip.Body{Type: "application/pidf+xml", Content: "<presence/>"}, here,
			sip.ContentDisposition{Type: "by-reference"}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, err := sip.Parse(invite)
	if err != nil {
		fmt.Println(err)
		return
	}
	req := msg.(*sip.Request).With(body, sip.Field{Name: "Geolocation", Value: "<" + here.URI().String() + ">"})
	contentType, _ := req.Value("Content-Type")
	geolocation, _ := req.Value("Geolocation")
	fmt.Println(contentType)
	fmt.Println(geolocation)
	fmt.Print(strings.ReplaceAll(req.Body(), "\r\n", "\n"))
	// Output:
	// multipart/mixed;boundary=parley-00000000
	// <cid:here@example.org>
	// --parley-00000000
	// Content-Type: application/sdp
	//
	// v=0
	// o=alice 1 1 IN IP4 192.0.2.1
	// s=-
	// t=0 0
	//
	// --parley-00000000
	// Content-ID: <here@example.org>
	// Content-Disposition: by-reference
	// Content-Type: application/pidf+xml
	//
	// <presence/>
	// --parley-00000000--
}

// wrapped is an INVITE whose session description is one of two parts.
var wrapped = strings.Replace(invite, "Content-Length: 0\r\n\r\n", "Content-Type: multipart/mixed;boundary=b\r\n\r\n"+
	"--b\r\nContent-Type: application/sdp\r\n\r\n"+offer+"\r\n"+
	"--b\r\nContent-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n\r\n\x01\x00\r\n--b--\r\n", 1)

// A UA needs the session description, whether it is the body or in it.
func ExampleFindBody() {
	msg, err := sip.Parse(wrapped)
	if err != nil {
		fmt.Println(err)
		return
	}
	sdp, err := sip.FindBody(msg, "application/sdp", "session")
	fmt.Println(sdp.Type, sdp.Content == offer, err)
	_, err = sip.FindBody(msg, "text/plain", "render")
	fmt.Println(err)
	// Output:
	// application/sdp true <nil>
	// sip: no such header field
}

// A UA refuses what it must understand and does not.
func ExampleCheckBody() {
	msg, err := sip.Parse(wrapped)
	if err != nil {
		fmt.Println(err)
		return
	}
	understood := func(t sip.ContentType, d sip.ContentDisposition) bool {
		return t.Is("application/sdp") && d.Is("session")
	}
	fmt.Println(sip.CheckBody(msg, understood)) // the other part is optional

	photo := sip.Body{Type: "image/png", Content: "\x89PNG"}
	err = sip.CheckBody(msg.(*sip.Request).With(photo), understood)
	fmt.Println(err.(*sip.SyntaxError).Status)
	// Output:
	// <nil>
	// 415 Unsupported Media Type
}

func ExampleParts() {
	msg, err := sip.Parse(wrapped)
	if err != nil {
		fmt.Println(err)
		return
	}
	for part, err := range sip.Parts(msg) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		mediaType, err := sip.MediaType(part)
		if err != nil {
			fmt.Println(err)
			continue
		}
		disposition, err := sip.Disposition(part)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(mediaType.Type, "of", len(part.Body()), "bytes:", disposition.Type, disposition.Required())
	}
	// Output:
	// application/sdp of 47 bytes: session true
	// application/isup of 2 bytes: signal false
}

// A NOTIFY tells how the call fares that a REFER has asked for.
func ExampleParseFragment() {
	for _, body := range []string{
		"SIP/2.0 100 Trying",
		"SIP/2.0 503 Service Unavailable\r\nRetry-After: 18\r\n",
	} {
		fragment, err := sip.ParseFragment(body)
		if err != nil {
			fmt.Println(err)
			continue
		}
		retry, _ := sip.Get[sip.RetryAfter](fragment)
		fmt.Println(int(fragment.Status()), fragment.ReasonPhrase(), retry.Seconds)
	}
	// Output:
	// 100 Trying 0
	// 503 Service Unavailable 18
}
