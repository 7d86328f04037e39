package dialog

import (
	"context"
	"errors"

	"github.com/goparley/parley/sip"
)

var errTags = errors.New("dialog: an INVITE has a tag in From and none in To")

// Invite sends an INVITE that is to begin a call and returns when it is
// answered. With a 2xx there is a Session, and the caller must Ack it; with
// another final response there is none, and no error.
//
// provisional, unless nil, is called for each provisional response but 100.
// When ctx ends the INVITE is cancelled. Should the call be answered all the
// same, it is ended, as are the surplus answers of a fork.
//
// From needs a tag. A Contact is added if there is none.
func (l *Layer) Invite(ctx context.Context, req *sip.Request, provisional func(*sip.Response)) (*Session, *sip.Response, error) {
	if req.From().Tag() == "" || req.To().Tag() != "" {
		return nil, nil, wrap("invite", req, errTags)
	}
	contact, err := sip.Get[sip.Contact](req)
	made := errors.Is(err, sip.ErrMissing)
	if made {
		contact, err = l.ContactFor(ctx, req.From().URI.User, req)
		req = req.With(contact)
	}
	if err != nil {
		return nil, nil, wrap("invite", req, err)
	}
	defer l.tl.Busy()() // until the BYE of an answer that is not wanted is begun
	var final *sip.Response
	sent, err := l.roundTrip(ctx, req, func(*sip.Request) uint32 { return 0 }, func(resp *sip.Response) {
		switch {
		case resp.Status().Final():
			final = resp
		case provisional != nil:
			provisional(resp)
		}
	})
	if err != nil {
		return nil, final, wrap("invite", req, err)
	}
	if !final.Status().Success() {
		if ctx.Err() != nil {
			return nil, final, wrap("invite", req, context.Cause(ctx))
		}
		return nil, final, nil
	}
	d, err := newCaller(sent, final)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // the answer crossed the CANCEL
	}
	s := newSession(l, d)
	s.contact, s.made = contact.Clone(), made
	s.invite, s.unacked = ackedBy(sent), true
	s.began = err == nil
	if used := l.settle(sent, final, s); used != nil {
		return nil, final, wrap("invite", req, used)
	}
	if err != nil {
		s.hangUp(ErrEnded)
		return nil, final, wrap("invite", req, err)
	}
	return s, final, nil
}
