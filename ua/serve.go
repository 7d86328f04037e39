package ua

import (
	"errors"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
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
	Refuse(error, ...sip.Edit) error
}

// understood refuses a request that asks for what we do not have (RFC 3261
// sections 8.2.2 and 8.2.3).
func (a *Agent) understood(tx replier, req *sip.Request) bool {
	if scheme := req.URI().Scheme; scheme != "sip" && scheme != "sips" && scheme != "tel" {
		tx.Reply(sip.StatusUnsupportedURIScheme)
		return false
	}
	require, err := sip.Get[sip.Require](req)
	if err == nil && len(require) == 0 { // what it asks for cannot be told
		err = &sip.SyntaxError{Where: "Require", Msg: "expected an option tag", Status: sip.StatusBadRequest}
	}
	switch {
	case errors.Is(err, sip.ErrMissing):
	case err != nil:
		tx.Refuse(err)
		return false
	default:
		tx.Reply(sip.StatusBadExtension, sip.Unsupported(require))
		return false
	}
	if req.Method() == sip.MESSAGE {
		return true // its body is the program's to understand
	}
	if err := checkBody(req); err != nil {
		refuseBody(tx, err)
		return false
	}
	return true
}

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
