package ua

import (
	"errors"
	"slices"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
)

// rejecter lets an Invitation be refused like any request. Each refusal says what all have to
// say of the call.
type rejecter struct {
	in     *dialog.Invitation
	header func() []sip.Edit
}

// refusing returns one for an INVITE that no program has seen yet, or one within a call.
func refusing(in *dialog.Invitation) rejecter {
	return rejecter{in, func() []sip.Edit { return historyOf(in.Request()) }}
}

func (r rejecter) Reply(status sip.Status, edits ...sip.Edit) error {
	return r.in.Reject(status, slices.Concat(r.header(), edits)...)
}

func (r rejecter) Refuse(err error, edits ...sip.Edit) error {
	return r.in.Refuse(err, slices.Concat(r.header(), edits)...)
}

// reject refuses an offer for a reason. contact is where we are.
func reject(tx replier, contact sip.Contact, err error) {
	var syntax *sdp.SyntaxError
	switch {
	case errors.Is(err, sdp.ErrOfferSent): // RFC 3261 section 14.2
		tx.Reply(sip.StatusRequestPending)
	case errors.Is(err, dialog.ErrEnded):
		tx.Reply(sip.StatusCallDoesNotExist)
	case errors.Is(err, ErrClosed):
		tx.Reply(sip.StatusTemporarilyUnavailable)
	case errors.As(err, &syntax):
		tx.Reply(sip.StatusBadRequest, sip.ReasonPhrase("Bad Session Description"))
	case errors.Is(err, ErrNoStream):
		// RFC 3261 section 13.3.1.3 wants a reason. Of those of section 20.43
		// this is the nearest: a stream does not say why it takes nothing.
		tx.Reply(sip.StatusNotAcceptableHere, sip.Warning{
			Code: 305, Agent: contact.URI.HostPort(), Text: "Incompatible media format",
		})
	default: // a stream says why, but not to a stranger
		tx.Reply(sip.StatusNotAcceptableHere, sip.Warning{
			Code: 399, Agent: contact.URI.HostPort(), Text: "Session cannot be set up",
		})
	}
}
