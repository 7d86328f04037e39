package ua

import (
	"context"
	"errors"
	"strings"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
)

// authenticate asks who has sent a request, if Config.Authenticate wants to know.
// It reports false if it has refused the request.
//
// It is not for requests within a dialog, which has tags that only those know who
// were on the way of the first one: they would see credentials as well. And a BYE
// that is not answered with 200 does not end the call (RFC 3261 section 15.1.2).
// Whose these are sender says.
func (a *Agent) authenticate(ctx context.Context, tx replier, req *sip.Request) (who proved, ok bool) {
	if a.cfg.Authenticate == nil || req.To().Tag() != "" {
		return proved{}, true
	}
	server := a.cfg.Authenticate(req)
	if server == nil {
		return proved{}, true
	}
	user, err := server.Verify(ctx, req)
	if errors.Is(err, digest.ErrWrongURI) {
		// The caller has signed whom it has called, and a proxy has put our Contact there
		// (RFC 3261 section 16.5).
		user, err = server.Verify(ctx, req.WithURI(a.aor))
	}
	if err == nil {
		return proved{strings.Clone(user), server}, true
	}
	resp := server.Reply(req, err)
	edits := []sip.Edit{sip.ReasonPhrase(resp.ReasonPhrase())}
	for f := range resp.Fields() {
		if strings.EqualFold(f.Name, "WWW-Authenticate") || strings.EqualFold(f.Name, "Proxy-Authenticate") {
			edits = append(edits, sip.Add(f))
		}
	}
	if resp.Status() == sip.StatusServerInternalError {
		a.log.Warn("caller not authenticated", "error", err, "call-id", req.CallID())
	}
	tx.Reply(resp.Status(), edits...)
	return proved{}, false
}

// proved is the Value of a dialog of which nothing else is to be known: the user that
// the peer has proved to be with the request that began it.
type proved struct {
	user string         // "": of nobody
	by   *digest.Server // which has asked: others may have users of the same name
}

// provedOf returns the user that the peer of a dialog has proved to be when it began it;
// the zero value if it has not, or if we have begun it.
func provedOf(d *dialog.Dialog) proved {
	switch v := d.Value().(type) {
	case *Call:
		return v.who
	case proved:
		return v
	}
	return proved{}
}

// sender returns who says that they have sent a request. The From of one within a dialog
// proves nothing: it is matched by its tag alone (RFC 3261 section 12.2.2), and so the
// one counts that the dialog began with.
func sender(tx *dialog.Server, req *sip.Request) sip.Address {
	if d := tx.Dialog(); d != nil {
		return d.Remote()
	}
	return sip.Address(req.From())
}

// acceptFrom answers a request that begins a subscription, and notes who the peer of the
// dialog is if it begins that, too.
func acceptFrom(tx *dialog.Server, user string, status sip.Status, edits ...sip.Edit) (*dialog.Dialog, error) {
	begins := tx.Dialog() == nil
	d, err := tx.Accept(status, edits...)
	if d != nil && begins {
		d.SetValue(proved{user: user})
	}
	return d, err
}

// User returns the user that the caller has proved to be, by the password that
// Config.Authenticate has asked for; "" if it has not. What the caller says to be
// is in From, and need not be the same.
func (in *Invitation) User() string { return in.who.user }
