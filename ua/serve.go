package ua

import (
	"errors"
	"slices"
	"strings"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
)

// request takes a request of a peer that is no INVITE, ACK, BYE or CANCEL.
func (a *Agent) request(tx *dialog.Server, req *sip.Request) {
	method := req.Method()
	who, ok := a.authenticate(tx.Context(), tx, req)
	if !ok {
		return
	}
	user := who.user
	var call *Call // that it is part of
	within, inCall := false, false
	if d := tx.Dialog(); d != nil {
		within, user = true, provedOf(d).user
		if d.Session() != nil {
			call, inCall = callOf(d.Session()), true
		}
	}
	refer := a.isReferEvent(req)
	if !refer && !a.serves(method, within, inCall) {
		tx.Reply(sip.StatusMethodNotAllowed, a.allowed(within, inCall))
		return
	}
	if !a.understood(tx, req) {
		return
	}
	serve := a.cfg.Methods[method]
	switch {
	case refer:
		a.referEvent(tx, req)
	case serve != nil:
		serve(tx.Context(), &Request{Request: req, Call: call, User: user, a: a, tx: tx})
	case method == sip.MESSAGE:
		a.message(tx, req, user)
	case method == sip.REFER:
		a.referred(tx, req, call, user)
	case method == sip.PUBLISH:
		a.cfg.Compositor.serve(tx, req, user)
	case method == sip.NOTIFY:
		a.told(tx, req)
	case method == sip.SUBSCRIBE:
		a.subscribe(tx, req, user)
	case method == sip.INFO && !inCall: // RFC 6086 section 4.2.1
		tx.Reply(sip.StatusCallDoesNotExist)
	case method == sip.INFO:
		a.info(tx, req, call)
	case method == sip.PRACK && call == nil: // of a call that is only ringing
		tx.Reply(sip.StatusOK, a.recvInfoFor(req)...)
	case method == sip.UPDATE && call == nil:
		if _, ok := description(req); ok {
			tx.Reply(sip.StatusServerInternalError, sip.RetryAfter{Seconds: 1})
		} else {
			tx.Reply(sip.StatusOK, a.recvInfoFor(req, a.capabilities()...)...)
		}
	case method == sip.PRACK, method == sip.UPDATE:
		take := call.updated
		if method == sip.PRACK {
			take = call.pracked
		}
		if err := take(tx, req); err != nil {
			a.log.Debug("offer not accepted", "method", method, "error", err, "call-id", req.CallID())
		}
	default:
		// RFC 3261 section 11.2. An agent that takes no calls says so in Allow, and
		// not with the 405 of its INVITE: it is there, which is what most ask.
		edits := []sip.Edit{a.allowed(within, inCall), accept, acceptEncoding, acceptLanguage, a.supported()}
		if events := a.events(within); len(events) > 0 {
			edits = append(edits, events) // RFC 6665 section 4.4.4, RFC 3903 section 7
		}
		if params := a.features(); params != "" {
			// RFC 3840 section 8: what registrars are told.
			if self, err := tx.Layer().Endpoint().ContactOn(tx.Context(), tx.Flow()); err == nil {
				if d := tx.Dialog(); d == nil || !isAnonymous(d.Local().URI) {
					self.User = a.aor.User
				}
				edits = append(edits, sip.Contact{URI: self, Params: params})
			}
		}
		if body, err := a.couldCarry(); body != "" && takesDescription(req) {
			edits = append(edits, sip.Body{Type: sdpType, Content: body})
		} else if err != nil {
			a.log.Warn("OPTIONS answered without a description", "error", err)
		}
		tx.Reply(sip.StatusOK, edits...)
	}
}

// couldCarry describes a session without one, "" if the program has not said what could be in it.
func (a *Agent) couldCarry() (string, error) {
	if len(a.cfg.Sections) == 0 {
		return "", nil
	}
	sections := make([]*sdp.Media, len(a.cfg.Sections))
	for i, m := range a.cfg.Sections {
		sections[i] = m.Clone()
		sections[i].Port = 0
	}
	return sdp.NewEngine(nil).Offer(sections)
}

// serves reports whether requests of a method are served, but for those that begin and
// end calls.
func (a *Agent) serves(method sip.Method, within, inCall bool) bool {
	switch {
	case a.cfg.Methods[method] != nil:
		return true
	case method == sip.PRACK, method == sip.UPDATE:
		return inCall
	case method == sip.PUBLISH:
		return a.publishes(within)
	}
	return a.served(method)
}

// isReferEvent reports whether a request is a NOTIFY of what became of a REFER of ours, or a
// SUBSCRIBE to what became of one that we may have taken.
func (a *Agent) isReferEvent(req *sip.Request) bool {
	if req.Method() != sip.NOTIFY && (req.Method() != sip.SUBSCRIBE || a.cfg.OnRefer == nil) {
		return false
	}
	e, err := sip.Get[sip.Event](req)
	return err == nil && e.Package == "refer"
}

// referEvent takes a SUBSCRIBE or NOTIFY of what became of a REFER.
func (a *Agent) referEvent(tx *dialog.Server, req *sip.Request) {
	event, _ := sip.Get[sip.Event](req)
	switch {
	case req.Method() == sip.SUBSCRIBE:
		a.resubscribed(tx, req)
	case !a.notified(tx, req, event):
		tx.Reply(sip.StatusCallDoesNotExist)
	}
}

// publishes reports whether PUBLISH is served: outside of dialogs alone, for within one
// nobody expects it to be (RFC 3903 section 4), and is asked for a password.
func (a *Agent) publishes(within bool) bool { return a.cfg.Compositor != nil && !within }

// events names the event packages that can be watched or published here.
func (a *Agent) events(within bool) sip.AllowEvents {
	names := a.watchable()
	if a.publishes(within) {
		for _, name := range a.cfg.Compositor.events {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
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
	case req.Method() == sip.NOTIFY && len(require) == 1 && require[0] == sip.OptionEventList:
		// The program has asked for it, or gets it from a peer that does not ask.
	default:
		if unknown := a.unknown(require); len(unknown) > 0 {
			tx.Reply(sip.StatusBadExtension, unknown)
			return false
		}
	}
	for _, name := range []string{"Replaces", "Join"} {
		if _, there := req.Value(name); there && req.Method() != sip.INVITE { // RFC 3891 section 3
			tx.Refuse(&sip.SyntaxError{Where: name, Msg: "only an INVITE has one", Status: sip.StatusBadRequest})
			return false
		}
	}
	switch req.Method() {
	case sip.MESSAGE, sip.PUBLISH, sip.NOTIFY:
		return true // its body is the program's to understand, or the event package's
	case sip.SUBSCRIBE:
		if !a.isReferEvent(req) { // which has no body
			return true
		}
	}
	if err := a.checkBody(req); err != nil {
		refuseBody(tx, err)
		return false
	}
	if req.Method() == sip.INVITE && !takesDescription(req) { // RFC 3261 section 21.4.7
		tx.Reply(sip.StatusNotAcceptable)
		return false
	}
	return true
}

// allowed names the methods that are served where a request came: outside of a dialog,
// within one, or in that of a call.
func (a *Agent) allowed(within, inCall bool) sip.Allow {
	methods := a.allow(inCall)
	if within && !a.serves(sip.PUBLISH, within, inCall) {
		methods = slices.DeleteFunc(methods, func(m sip.Method) bool { return m == sip.PUBLISH })
	}
	return methods
}

// allow names the methods that are served, outside of a call or in one.
func (a *Agent) allow(inCall bool) sip.Allow {
	methods := slices.DeleteFunc(sip.Allow{
		sip.ACK, sip.BYE, sip.CANCEL, sip.OPTIONS, sip.NOTIFY, sip.INVITE, sip.PRACK, sip.UPDATE,
		sip.MESSAGE, sip.INFO, sip.REFER, sip.PUBLISH, sip.SUBSCRIBE,
	}, func(method sip.Method) bool {
		switch method {
		case sip.INVITE, sip.PRACK, sip.UPDATE:
			return !inCall && a.cfg.OnInvite == nil
		case sip.PUBLISH:
			return !a.publishes(inCall)
		}
		return !a.served(method)
	})
	return append(methods, a.methods()...)
}

// capabilities returns what the agent says of itself in INVITE, UPDATE and each response to
// them that is no refusal, with edits behind it: the methods that it serves, and the events
// that others may watch (RFC 6665 section 4.4.4).
func (a *Agent) capabilities(edits ...sip.Edit) []sip.Edit {
	all := []sip.Edit{a.allow(true)}
	if events := a.watchable(); len(events) > 0 {
		all = append(all, events)
	}
	return append(all, edits...)
}

// supported names the extensions that we know, and that may so be required of us.
func (a *Agent) supported() sip.Supported {
	options := sip.Supported{sip.Option100rel, sip.OptionReplaces}
	if a.cfg.OnRefer != nil {
		options = append(options, sip.OptionNoReferSub, sip.OptionTDialog)
	}
	if a.cfg.Join {
		options = append(options, sip.OptionJoin)
	}
	if a.cfg.SessionTimer >= 0 {
		options = append(options, sip.OptionTimer)
	}
	if a.hasOutbound() { // Kamailio wants it beside the ob of the Contact (RFC 5626 section 4.3)
		options = append(options, sip.OptionOutbound)
	}
	return append(options, a.cfg.Supported...)
}

// unknown returns those of the option tags that we do not know.
func (a *Agent) unknown(require sip.Require) (unknown sip.Unsupported) {
	supported := a.supported()
	for _, tag := range require {
		if !slices.ContainsFunc(supported, func(known string) bool { return strings.EqualFold(known, tag) }) {
			unknown = append(unknown, tag)
		}
	}
	return unknown
}

// supports reports whether the sender of a message knows an extension.
func supports(m sip.Message, option string) bool {
	tags, err := sip.Get[sip.Supported](m)
	return err == nil && slices.ContainsFunc(tags, func(tag string) bool { return strings.EqualFold(tag, option) }) || requires(m, option)
}

// requires reports whether the sender of a message insists on an extension.
func requires(m sip.Message, option string) bool {
	tags, err := sip.Get[sip.Require](m)
	return err == nil && slices.ContainsFunc(tags, func(tag string) bool { return strings.EqualFold(tag, option) })
}
