package registrar

import (
	"context"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction/proxy"
)

// Authenticate reports whether a request may go on: it is from the user of ours
// that its From names, or does not say to be from one. If not it has been
// answered: with 407 and a challenge of Config.Users, or with 403 where the password
// is that of another user (RFC 3261 section 22.3). An ACK, which has no answer, is
// to be dropped.
//
// A user of ours has an address in Config.Domains. Who names another one that
// Serves of the Server tells of, such as an address of its sockets, is asked for
// the password as well, and refused. Config.ThirdParty may let a user call as
// another one. Without Config.Users nobody is asked at all.
//
// Nobody is asked either for what is Routed, such as within a dialog, unless it is
// to an address-of-record of ours: Local, and to no GRUU. That does not say who it
// is from. A stranger who has called a user of ours once was sent the Route of that
// dialog, too, and may send requests with its Call-ID and tag, and any From, to
// wherever else a Request-URI leads: a proxy that keeps no dialogs has nothing to
// hold them against. A user agent that has no such dialog answers 481 (RFC 3261
// section 12.2.2).
//
// Authenticate is for what comes to a proxy. Register does so itself, with 401.
func (r *Registrar) Authenticate(tx *proxy.Server, req *sip.Request) bool {
	from := req.From().URI
	ours := r.domains != nil && r.serves(from) || tx.Serves(from)
	if r.callers == nil || !ours || tx.Routed() && !(tx.Local() && !r.isGRUU(req.URI())) {
		return true
	}
	ctx, cancel := context.WithTimeout(tx.Context(), 64*tx.Layer().Timers().T1)
	defer cancel()
	user, err := r.callers.Verify(ctx, req)
	switch {
	case err != nil:
		if resp := r.callers.Reply(req, err); resp != nil {
			if resp.Status() == sip.StatusServerInternalError {
				r.cfg.Logger.Error("caller not authenticated", "error", err, "call-id", req.CallID())
			}
			tx.Respond(resp)
		}
		return false
	case !r.serves(from) || !r.allows(user, from):
		tx.Reply(sip.StatusForbidden)
		return false
	}
	return true
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
