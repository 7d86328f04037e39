package registrar

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction/proxy"
)

// Authenticate returns the request to go on with, and the user it is from: the one of
// ours that its From names, who has given the password, or "" if it does not say to be
// from one or was not asked. It is req without what is for us and nobody further on:
// the credentials of our realm (RFC 3261 section 22.3), and P-Asserted-Identity and
// Remote-Party-ID, which many phones show in place of the From, and nobody has checked
// (RFC 3325 section 5). If it is not from who it says, the request is nil and has been
// answered: with 407 and a challenge of Config.Users, with 403 where the password is
// that of another user, with 400 for credentials that are malformed, or with 500 where
// the Store or Users failed. An ACK, which has no answer, is to be dropped. Without
// Config.Users nobody is asked at all: the request is req, and the user the one that
// its From names if Serves of the Server tells of that.
//
// A user of ours has an address in Config.Domains: as sip or sips, with any port,
// and as im or pres (RFC 3860, RFC 3859). A tel URI is of ours if Lookup knows
// its number: somebody has registered with it, or Config.Exists knows of such a user.
// Who names another host that Serves of the Server tells of, such as an address and
// port of its sockets, is asked for the password as well, and refused.
// Config.ThirdParty may let a user call as another one; who is returned is the one whose
// password it was.
//
// That a request is Routed does not say who it is from. A stranger who has called a
// user of ours once was sent the Route of that dialog, too. So within a dialog users
// are asked as anywhere else, as RFC 3261 section 22.3 lets a proxy, but for what is
// with a tag in the To, Routed, and to a Contact (not Local, or to a GRUU), and either
// cannot begin anything, as ACK, BYE, CANCEL, PRACK, UPDATE, INFO and NOTIFY, or comes
// from who was called (FromCallee of the Server), whose From does not say who that is.
//
// What remains is that a party of a dialog may send these in the name of any user, and
// anything as a stranger, with the Call-ID and tag of that dialog to wherever a
// Request-URI leads. And who has called by us, or was called, may send anything in the
// name of any user, a new INVITE as well, to a Contact, a GRUU or a gateway: with the
// tag of the caller in the To it looks as if it came from who was called. The user is
// "" then, so that a handler can refuse what costs money. A proxy that keeps no dialogs
// has nothing to hold these against. A user agent that has no such dialog answers 481
// (RFC 3261 section 12.2.2).
//
// Nobody is asked for what is Resumed: a call that rings goes on after a restart, and
// the user is the one that its From names. Nor for what comes back to us while the
// request that was asked for waits for it (Vouched of the Server): with the password,
// which was good for once, a caller could not follow a call that is forwarded. What
// comes so is as a stranger's, after a restart, too: it may be from whoever was called.
//
// Authenticate is for what comes to a proxy from clients and strangers. Register asks
// itself, with 401. What a gateway brings in the name of users, or another node that
// has asked them already and consumed what they said, a handler has to know by the
// connection that it comes by (Flow of the Server), best of TLS with its Identities,
// and is not to give to Authenticate: from where a packet of UDP comes, anybody may say.
//
// The time that Users takes, and the Store for a tel URI, is told to overload control as
// by Register.
func (r *Registrar) Authenticate(tx *proxy.Server, req *sip.Request) (_ *sip.Request, user string) {
	from := req.From().URI
	switch {
	case r.callers == nil && tx.Serves(from):
		return req, from.Username()
	case r.callers == nil:
		return req, ""
	case r.beginsNothing(tx, req):
		return r.pass(req), ""
	}
	as, ours := r.claimed(tx, from)
	switch {
	case !ours:
		return r.pass(req), ""
	case tx.Vouched():
		return r.pass(req), ""
	case tx.Resumed():
		return r.resume(tx, req, as)
	}
	ctx, cancel := whileAsked(tx.Server)
	defer cancel()
	defer tx.Waiting()()
	if from.Scheme == "tel" {
		var err error
		if as, err = r.known(ctx, as); err != nil {
			r.fail(tx, "caller not authenticated", fmt.Errorf("look up %s: %w", from, err))
			return nil, ""
		}
		if len(as) == 0 {
			return r.pass(req), ""
		}
	}
	user, err := r.callers.Verify(ctx, req)
	switch {
	case err != nil:
		r.deny(tx, r.callers, "caller not authenticated", err)
		return nil, ""
	case !slices.ContainsFunc(as, func(aor sip.URI) bool { return r.allows(user, aor) }):
		tx.Reply(sip.StatusForbidden)
		return nil, ""
	}
	tx.Vouch()
	return r.pass(req), user
}

// resume is Authenticate for what an earlier run has let in, from one of these. What
// was cancelled meanwhile goes on as well, to be cancelled further on.
func (r *Registrar) resume(tx *proxy.Server, req *sip.Request, as []sip.URI) (_ *sip.Request, user string) {
	if from := req.From().URI; from.Scheme == "tel" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tx.Context()), 64*tx.Layer().Timers().T1)
		defer cancel()
		var err error
		if as, err = r.known(ctx, as); err != nil {
			r.cfg.Logger.Error("caller not known", "error", err, "call-id", req.CallID())
		}
		if len(as) == 0 {
			return r.pass(req), ""
		}
	}
	tx.Vouch()
	return r.pass(req), nameOf(as)
}

// pass returns a request as it goes on.
func (r *Registrar) pass(req *sip.Request) *sip.Request {
	var room [2]sip.Edit
	edits := room[:0]
	for _, name := range []string{"P-Asserted-Identity", "Remote-Party-ID"} {
		if _, ok := req.Value(name); ok {
			edits = append(edits, sip.Del(name))
		}
	}
	return r.callers.Consume(req, edits...)
}

// nameOf returns the name of the user who is the first of some addresses-of-record.
func nameOf(as []sip.URI) string {
	if len(as) == 0 {
		return ""
	}
	return as[0].Username()
}

// beginsNothing reports whether a request is within a dialog that goes by us, and of
// a method that a user agent takes within one alone, or of who is known there by
// another name than his own.
func (r *Registrar) beginsNothing(tx *proxy.Server, req *sip.Request) bool {
	switch req.Method() {
	case sip.ACK, sip.BYE, sip.CANCEL, sip.PRACK, sip.UPDATE, sip.INFO, sip.NOTIFY:
	default:
		if !tx.FromCallee() {
			return false
		}
	}
	return tx.Routed() && req.To().Tag() != "" && (!tx.Local() || r.isGRUU(req.URI()))
}

// claimed returns whether a From says that it is a user of ours, and which
// addresses-of-record that may be: none if it is but one of our hosts. Those of a
// number are ours if they are known.
func (r *Registrar) claimed(tx *proxy.Server, from sip.URI) (as []sip.URI, ours bool) {
	switch from.Scheme {
	case "sip", "sips":
	case "tel":
		as = r.telUsers(from)
		return as, len(as) > 0
	case "im", "pres":
		// Their mailbox may be quoted as that of no sip URI is (RFC 3860 section 3):
		// one that cannot be read may name anybody.
		var err error
		if from, err = sip.ParseURI("sip:" + from.Opaque); err != nil {
			return nil, true
		}
	default:
		return nil, false
	}
	if r.serves(from) {
		return []sip.URI{from}, true
	}
	return nil, tx.Serves(from)
}

// known returns those of some addresses-of-record that are known.
func (r *Registrar) known(ctx context.Context, all []sip.URI) (known []sip.URI, err error) {
	for _, aor := range all {
		is, err := r.isKnown(ctx, aor)
		if err != nil {
			return nil, err
		}
		if is {
			known = append(known, aor)
		}
	}
	return known, nil
}

// isKnown reports whether somebody has registered for an address-of-record, or
// Config.Exists knows of it.
func (r *Registrar) isKnown(ctx context.Context, aor sip.URI) (bool, error) {
	bindings, err := r.Bindings(ctx, aor)
	if errors.Is(err, ErrNotFound) { // nobody could be called so
		return false, nil
	}
	if len(bindings) > 0 || err != nil || r.cfg.Exists == nil {
		return len(bindings) > 0, err
	}
	return r.cfg.Exists(ctx, aor)
}

// isGRUU reports whether a Request-URI is a GRUU of ours, which user agents have for
// a Contact (RFC 5627 section 4.4). An address-of-record is none: a request to it is
// for anybody who is there, whatever dialog it says to be of.
func (r *Registrar) isGRUU(uri sip.URI) bool {
	w, err := r.whose(uri)
	return err == nil && (w.instance != "" || w.epoch != 0)
}

// allows reports whether a user may act for an address-of-record.
func (r *Registrar) allows(user string, aor sip.URI) bool {
	return isOwn(user, aor) || r.cfg.ThirdParty != nil && r.cfg.ThirdParty(user, aor)
}
