package ua

import (
	"context"
	"fmt"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// Message is a MESSAGE that arrived (RFC 3428). sip.Parts takes the body of the
// Request apart if it is a multipart one.
type Message struct {
	From        sip.Address   // who says that they sent it; within a dialog, that they are its peer
	User        string        // who has proved to have sent it, by a password, as Config.Authenticate says; "" if nobody has
	Asserted    []sip.Address // who the network says has sent it, as for Invitation.Asserted
	ContentType string        // "text/plain"
	Body        string        // without a transfer encoding
	Request     *sip.Request  // all of it
}

// Message sends a text in a MESSAGE (RFC 3428). A nil error means that it was
// accepted, by the peer or by a server that delivers it later (202). A refusal
// is a *StatusError. contentType is "text/plain" for plain text.
//
// Messages to one target go out one after the other, each when the one before
// is answered, as RFC 3428 section 8 wants it.
func (a *Agent) Message(ctx context.Context, target, contentType, body string) error {
	req, err := a.newRequest(sip.MESSAGE, target, sip.Body{Type: contentType, Content: body})
	if err != nil {
		return fmt.Errorf("message %s: %w", target, err)
	}
	done, err := a.messages.take(ctx, req.URI().String())
	if err != nil {
		return fmt.Errorf("message %s: %w", req.URI(), err)
	}
	defer done()
	_, err = a.do(ctx, req)
	return err
}

// message takes a MESSAGE that arrived. The program gets the body whatever is
// said of its handling, so it must be one that can be read.
func (a *Agent) message(tx *dialog.Server, req *sip.Request, user string) {
	contentType, err := sip.MediaType(req)
	if err != nil && req.Body() != "" {
		tx.Refuse(err, sip.ReasonPhrase("Bad Content-Type")) // or none: RFC 3261 section 20.15
		return
	}
	body, err := sip.Content(req)
	if err != nil {
		refuseBody(tx, err)
		return
	}
	err = a.cfg.OnMessage(tx.Context(), Message{
		From: sender(tx, req), User: user, Asserted: a.asserted(tx.Flow(), req),
		ContentType: contentType.Type, Body: body, Request: req,
	})
	tx.Reply(statusOf(err))
}
