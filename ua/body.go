package ua

import (
	"errors"
	"strings"

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
	acceptLanguage = sip.AcceptLanguage{Language: "*"} // of texts for people, which are passed on
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

// takesDescription reports whether the sender of an INVITE takes what the answer to it
// has. Who describes a session takes one, whatever their Accept leaves out.
func takesDescription(req *sip.Request) bool {
	if _, ok := description(req); ok {
		return true
	}
	said := false
	for h, err := range sip.All[sip.Accept](req) {
		if err != nil {
			return true // whatever it is
		}
		switch t := strings.ToLower(h.Type); {
		case h.Q() == 0:
		case t == sdpType, t == "application/*", t == "*/*", strings.HasPrefix(t, "multipart/"):
			return true
		}
		said = true
	}
	return !said // without an Accept it is application/sdp (RFC 3261 section 20.1)
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

// withParts returns a request with further parts in its body.
func withParts(req *sip.Request, parts []*sip.Part) (*sip.Request, error) {
	if t, ok := req.Value("Content-Type"); ok {
		parts = append([]*sip.Part{sip.NewPart(sip.Body{Type: t, Content: req.Body()})}, parts...)
	}
	body, err := sip.Multipart("multipart/mixed", parts...)
	if err != nil {
		return nil, err
	}
	return req.With(body), nil
}
