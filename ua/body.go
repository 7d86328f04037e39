package ua

import (
	"errors"

	"github.com/goparley/parley/sip"
)

const sdpType = "application/sdp"

// What goes with a refusal of content (RFC 3261 section 8.2.3), and into the
// answer to OPTIONS. Who does not list multipart is not sent it (section 7.4.1).
var (
	accept = sip.List(
		sip.Accept{Type: sdpType},
		sip.Accept{Type: "multipart/mixed"},
		sip.Accept{Type: "multipart/alternative"},
		sip.Accept{Type: "multipart/related"},
	)
	acceptEncoding = sip.AcceptEncoding{Coding: "identity"}
)

// description returns the session description in a message, which may be one
// part of several.
func description(m sip.Message) (string, bool) {
	body, err := sip.FindBody(m, sdpType, "session")
	return body.Content, err == nil
}

// checkBody says why a request cannot be processed because of its body: an
// INVITE is to have none that is required but a session description (RFC 5621
// section 8).
func checkBody(req *sip.Request) error {
	return sip.CheckBody(req, func(t sip.ContentType, d sip.ContentDisposition) bool {
		return req.Method() != sip.INVITE || t.Is(sdpType) && d.Is("session")
	})
}

// refuseBody refuses a request for its body, and says what would do.
func refuseBody(tx replier, err error) {
	var syntax *sip.SyntaxError
	switch {
	case !errors.As(err, &syntax) || syntax.Status != sip.StatusUnsupportedMediaType:
		tx.Refuse(err)
	case syntax.Where == "Content-Type":
		tx.Refuse(err, accept)
	default:
		tx.Refuse(err, acceptEncoding)
	}
}
