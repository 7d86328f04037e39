package ua

import (
	"errors"
	"strings"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

const sdpType = "application/sdp"

// What goes with a refusal of content (RFC 3261 section 8.2.3), and into the
// answer to OPTIONS.
var (
	accept         = sip.Field{Name: "Accept", Value: sdpType}
	acceptEncoding = sip.Field{Name: "Accept-Encoding", Value: "identity"}
)

// request takes a request of a peer that is no INVITE, ACK, BYE or CANCEL. s is
// the call that it is part of, or nil.
func (a *Agent) request(tx *transaction.Server, req *sip.Request, s *dialog.Session) {
	method := req.Method()
	if method != sip.OPTIONS && (method != sip.MESSAGE || a.cfg.OnMessage == nil) {
		tx.Reply(sip.StatusMethodNotAllowed, a.allow(s != nil))
		return
	}
	if !a.understood(tx, req) {
		return
	}
	if method == sip.MESSAGE {
		a.message(tx, req)
		return
	}
	// RFC 3261 section 11.2. An agent that takes no calls says so in Allow, and
	// not with the 405 of its INVITE: it is there, which is what most ask.
	tx.Reply(sip.StatusOK, a.allow(s != nil), accept, acceptEncoding, sip.Supported{})
}

type replier interface {
	Reply(sip.Status, ...sip.Edit) error
}

// understood refuses a request that asks for what we do not have (RFC 3261
// sections 8.2.2 and 8.2.3).
func (a *Agent) understood(tx replier, req *sip.Request) bool {
	if scheme := req.URI().Scheme; scheme != "sip" && scheme != "tel" {
		tx.Reply(sip.StatusUnsupportedURIScheme)
		return false
	}
	switch require, err := sip.Get[sip.Require](req); {
	case errors.Is(err, sip.ErrMissing):
	case err != nil, len(require) == 0:
		return bad(tx, "Require") // what it asks for cannot be told
	default:
		tx.Reply(sip.StatusBadExtension, sip.Unsupported(require))
		return false
	}
	if method := req.Method(); method != sip.MESSAGE && optional(req) {
		return true // it is not looked at if it is not understood
	}
	if _, err := sip.Get[sip.ContentType](req); err != nil && req.Body() != "" {
		return bad(tx, "Content-Type") // or none: RFC 3261 section 20.15
	}
	if encoded(req) {
		tx.Reply(sip.StatusUnsupportedMediaType, acceptEncoding)
		return false
	}
	return true
}

// bad refuses a request that cannot be read, and says where. It returns false.
func bad(tx replier, name string) bool {
	tx.Reply(sip.StatusBadRequest, sip.ReasonPhrase("Bad "+name))
	return false
}

// encoded reports whether a body is to be decoded before it is read.
func encoded(m sip.Message) bool {
	encoding, _ := sip.Get[contentEncoding](m)
	return encoding != "" && !strings.EqualFold(string(encoding), "identity")
}

// optional reports whether a body that is not understood is to be passed over
// (RFC 3261 sections 8.2.3 and 20.11). It is required if nothing else is said.
func optional(m sip.Message) bool {
	value, _ := m.Value("Content-Disposition")
	_, params, _ := strings.Cut(value, ";")
	handling, _ := sip.Params(";" + params).Get("handling")
	return strings.EqualFold(handling, "optional")
}

// contentEncoding is the Content-Encoding header field (RFC 3261 section
// 20.12).
type contentEncoding string

func (contentEncoding) HeaderName() string { return "Content-Encoding" }

func (contentEncoding) ParseValue(s string) (contentEncoding, error) { return contentEncoding(s), nil }

// allow names the methods that are served, outside of a call or in one.
func (a *Agent) allow(inCall bool) sip.Allow {
	methods := sip.Allow{sip.ACK, sip.BYE, sip.CANCEL, sip.OPTIONS}
	if inCall || a.cfg.OnInvite != nil {
		methods = append(methods, sip.INVITE)
	}
	if a.cfg.OnMessage != nil {
		methods = append(methods, sip.MESSAGE)
	}
	return methods
}

// description returns the session description in a message.
func description(m sip.Message) (string, bool) {
	contentType, err := sip.Get[sip.ContentType](m)
	return m.Body(), err == nil && contentType.Is(sdpType) && m.Body() != "" && !encoded(m)
}
