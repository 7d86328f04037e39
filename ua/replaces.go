package ua

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// ErrReplaced says that another call has taken the place of this one (RFC 3891).
var ErrReplaced = errors.New("ua: replaced by another call")

// Replaces returns the header field that has the INVITE of somebody else, to the peer of
// this call, take the place of the call (RFC 3891 section 4). A call of ours has to be
// answered: the peer refuses with 481 that one is replaced which rings there.
func (c *Call) Replaces() sip.Replaces {
	id := c.s.ID()
	return sip.Replaces{CallID: sip.CallID(id.CallID), ToTag: named(id.RemoteTag), FromTag: id.LocalTag}
}

// Join returns the header field that has the INVITE of somebody else, to the peer of this
// call, join it (RFC 3911 section 5).
func (c *Call) Join() sip.Join {
	id := c.s.ID()
	return sip.Join{CallID: sip.CallID(id.CallID), ToTag: named(id.RemoteTag), FromTag: id.LocalTag}
}

// Replaces returns the call that this one is to take the place of, nil for none: Answer
// hangs that up. If the peer of that call has proved to be a user, as Config.Authenticate wants
// it, this one is from the same user or says in Referred-By that they have sent it, by the
// address that the call is from, which nobody has signed; others get 403 (RFC 3891 section 3).
// Else who knows the tags of a call was on its way, or was told them by one who was. A program
// that wants more proof asks for the User before it answers.
func (in *Invitation) Replaces() *Call { return in.replaces }

// Joins returns the call that the caller wants to join, nil for none: it is for OnInvite to
// mix what the two carry. It is asked for that if Config.Join is set; else such a call is
// refused, as is one that is to join a call which only rings here and carries nothing. Who may
// do so, and hear what is said there, is for OnInvite to decide as well (RFC 3911 section 4):
// by the User, where Config.Authenticate has asked who that is.
func (in *Invitation) Joins() *Call { return in.joins }

// dialogs takes the Replaces and the Join of an INVITE, and refuses what RFC 3891 section 3
// and RFC 3911 section 4 refuse.
func (in *Invitation) dialogs() bool {
	req := in.in.Request()
	replaces, err := only[sip.Replaces](req)
	join, joinErr := only[sip.Join](req)
	switch {
	case err != nil:
		in.refuser().Refuse(err)
		return false
	case joinErr != nil:
		in.refuser().Refuse(joinErr)
		return false
	case replaces != nil && join != nil:
		in.refuser().Reply(sip.StatusBadRequest, sip.ReasonPhrase("Replaces And Join"))
		return false
	case replaces != nil:
		status := in.a.replaced(in, *replaces)
		if status != 0 {
			in.refuser().Reply(status)
		}
		return status == 0
	case join != nil:
		status := in.a.joined(in, *join)
		if status != 0 {
			in.refuser().Reply(status)
		}
		return status == 0
	}
	return true
}

// only returns a header field that may be there once, nil if it is not there.
func only[H sip.Parser[H]](req *sip.Request) (*H, error) {
	var found *H
	for h, err := range sip.All[H](req) {
		switch {
		case err != nil:
			return nil, err
		case found != nil:
			return nil, &sip.SyntaxError{Where: h.HeaderName(), Msg: "there is more than one", Status: sip.StatusBadRequest}
		}
		found = &h
	}
	return found, nil
}

// named returns a tag as a header field names it: "0" stands for none, as a peer of RFC 2543
// has (RFC 3891 section 6.1, RFC 3911 section 7.1).
func named(tag string) string { return cmp.Or(tag, "0") }

// idOf returns the ID of a dialog that a peer has named.
func idOf(callID sip.CallID, toTag, fromTag string) dialog.ID {
	return dialog.ID{CallID: string(callID), LocalTag: toTag, RemoteTag: fromTag}
}

// replaced finds the call that is to be replaced, and returns how to refuse the INVITE, 0
// for not.
func (a *Agent) replaced(in *Invitation, r sip.Replaces) sip.Status {
	c, status := a.callByID(idOf(r.CallID, r.ToTag, r.FromTag))
	switch {
	case status != 0:
		return status
	case !in.fromUserOf(c) && !in.sentByPeerOf(c):
		return sip.StatusForbidden
	}
	placing := c.placing.Load() // before answered, which comes first
	switch answered := c.answered.Load(); {
	case answered && r.EarlyOnly:
		return sip.StatusBusyHere
	case !answered && placing == nil: // the peer's, which rings here
		return sip.StatusCallDoesNotExist
	}
	in.replaces = c
	return 0
}

// joined finds the call that is to be joined.
func (a *Agent) joined(in *Invitation, j sip.Join) sip.Status {
	c, status := a.callByID(idOf(j.CallID, j.ToTag, j.FromTag))
	switch {
	case status != 0:
		return status
	case !a.cfg.Join:
		return sip.StatusNotAcceptableHere
	}
	in.joins = c
	return 0
}

// fromUserOf reports whether an INVITE is from the user that the peer of a call has proved to
// be, or the peer has not proved anything.
func (in *Invitation) fromUserOf(c *Call) bool { return c.who.user == "" || c.who == in.who }

// sentByPeerOf reports whether an INVITE says that the peer of a call has sent it: by the
// address that they call themselves, for a user of a digest need not be that of any.
func (in *Invitation) sentByPeerOf(c *Call) bool {
	by, err := sip.Get[sip.ReferredBy](in.in.Request())
	return err == nil && bare(by.URI).Equal(bare(c.Remote().URI))
}

// bare returns a URI without what From and Referred-By need not both have.
func bare(uri sip.URI) sip.URI {
	uri.Params, uri.Headers = "", ""
	return uri
}

// callByID returns the call that a dialog is, or how to refuse who asks for it.
func (a *Agent) callByID(id dialog.ID) (*Call, sip.Status) {
	d := a.l.Dialog(id)
	switch {
	case d == nil && a.ended.has(id):
		return nil, sip.StatusDecline
	case d == nil || d.Session() == nil:
		return nil, sip.StatusCallDoesNotExist
	case d.Session().Err() != nil:
		return nil, sip.StatusDecline
	}
	c := callOf(d.Session())
	if c == nil {
		return nil, sip.StatusCallDoesNotExist
	}
	return c, 0
}

// replace ends a call whose place another one has taken: with BYE, or CANCEL for one of ours
// that is not answered yet.
func (c *Call) replace() {
	c.replacedBy.Store(true)
	if placing := c.placing.Load(); placing != nil && !c.answered.Load() {
		placing.cancel(ErrReplaced)
		return
	}
	leave(c.s)
}

// bygones are the calls that have just ended: an INVITE that is to replace one of them
// comes too late, and is to ring nowhere (RFC 3891 section 3).
type bygones struct {
	mu  sync.Mutex
	ids []bygone // the oldest first
}

type bygone struct {
	id dialog.ID
	at time.Time
}

const (
	maxBygones = 64
	bygoneTime = 32 * time.Second
)

func (b *bygones) add(id dialog.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ids) == maxBygones {
		b.ids = slices.Delete(b.ids, 0, 1)
	}
	b.ids = append(b.ids, bygone{id, time.Now()})
}

func (b *bygones) has(id dialog.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.ids, func(g bygone) bool {
		g.id.RemoteTag = cmp.Or(g.id.RemoteTag, "0")
		return g.id == id && time.Since(g.at) < bygoneTime
	})
}
