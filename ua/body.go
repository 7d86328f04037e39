package ua

import (
	"errors"
	"slices"
	"strings"
	"sync"

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

// checkBody says why a request cannot be processed because of its body: none is to be
// required but a session description, with what that refers to (RFC 3261 section 8.2.3, RFC
// 5621 section 8), unless it is for others.
func (a *Agent) checkBody(req *sip.Request) error {
	others := a.bodyIsForOthers(req)
	uses := sync.OnceValue(func() []use { return described(req) }) // few have any
	return sip.CheckBody(req, func(t sip.ContentType, d sip.ContentDisposition) bool {
		return others || t.Is(sdpType) && d.Is("session") || slices.Contains(uses(), use{t, d})
	})
}

// bodyIsForOthers reports whether it is for a func of the program to understand the body of
// a request, or for whom it is passed on to.
func (a *Agent) bodyIsForOthers(req *sip.Request) bool {
	method := req.Method()
	return method == sip.INFO || a.cfg.Methods[method] != nil || method == sip.REFER && namesPart(req)
}

// namesPart reports whether a REFER names a part of its body, which says what that is for
// (RFC 5621 section 9.3): the proof of who has sent it, or what it refers to.
func namesPart(refer *sip.Request) bool {
	var names []string
	if to, err := sip.Get[sip.ReferTo](refer); err == nil && to.URI.Scheme == "cid" {
		names = append(names, to.URI.String())
	}
	if by, err := sip.Get[sip.ReferredBy](refer); err == nil {
		if cid, ok := sip.Address(by).Params.Get("cid"); ok {
			names = append(names, cid)
		}
	}
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := sip.FindID(refer, name)
		return err == nil
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
