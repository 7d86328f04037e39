package sip

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What a handler cannot read it refuses with the error that it got.
func TestRefuse(t *testing.T) {
	_, missing := Get[Expires](mustParse(t, tweak("")))
	_, broken := Get[Contact](mustParse(t, tweak("", "Contact: <sip:>")))
	_, inResponse := Get[Contact](mustParse(t, tweak("OPTIONS", "SIP/2.0 200 OK", "Contact: <sip:>")))
	_, alone := ParseURI("sip:")
	_, body := FindBody(mustParse(t, carry("multipart/mixed;boundary=b", "x")), "text/plain", "")
	_, zipped := Content(mustParse(t, carry("text/plain", "x", "Content-Encoding: gzip")))
	_, large := Parse(tweak("OPTIONS", "OPTIONS sip:"+strings.Repeat("a", maxURI)+" SIP/2.0"))
	for _, test := range []struct {
		err  error
		want string
	}{
		{broken, "400 Bad Contact"},
		{fmt.Errorf("register: %w", broken), "400 Bad Contact"},
		{inResponse, "400 Bad Contact"}, // such as a fragment in the body
		{alone, "400 Bad Request"},
		{body, "400 Bad body"},
		{zipped, "415 Unsupported Media Type"},
		{large, "414 Request-URI Too Long"},
		{missing, "400 Bad Request"},
		{errors.New("full"), "400 Bad Request"},
		{nil, "400 Bad Request"},
		{&SyntaxError{Where: "Require", Status: StatusOK}, "400 Bad Require"},
		{&SyntaxError{Where: "Require", Status: 99}, "400 Bad Require"},
	} {
		req := mustParse(t, tweak("")).(*Request)
		resp := req.Refuse(test.err, Server("x"))
		if got := fmt.Sprint(int(resp.Status()), " ", resp.ReasonPhrase()); got != test.want || resp.Err() != nil {
			t.Errorf("Refuse(%v) = %s, %v, want %s", test.err, got, resp.Err(), test.want)
		}
		if server, err := Get[Server](resp); server != "x" || err != nil {
			t.Errorf("Refuse(%v) has the Server %q, %v", test.err, server, err)
		}
		if got, want := resp.To().Tag(), req.Reply(StatusOK).To().Tag(); got != want {
			t.Errorf("Refuse(%v) has the tag %q, want that of Reply, %q", test.err, got, want)
		}
	}
	req := mustParse(t, tweak("")).(*Request)
	if got := req.Refuse(broken, ReasonPhrase("No")).ReasonPhrase(); got != "No" {
		t.Errorf("the reason phrase is %q, want that of the caller", got)
	}
	if resp := req.Refuse(&SyntaxError{Where: "X\r\nVia"}); resp.Err() == nil {
		t.Errorf("a name with a line break became\n%s", resp)
	}
	if resp := new(Request).Refuse(broken); resp.Err() == nil {
		t.Error("the refusal of no request has no error")
	}
}
