package ua

import (
	"context"
	"errors"
	"fmt"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Message is a MESSAGE that arrived (RFC 3428). sip.Parts takes the body of the
// Request apart if it is a multipart one.
type Message struct {
	From        sip.Address  // who says that they sent it
	ContentType string       // "text/plain"
	Body        string       // without a transfer encoding
	Request     *sip.Request // all of it
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
func (a *Agent) message(tx *transaction.Server, req *sip.Request) {
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
		From: sip.Address(req.From()), ContentType: contentType.Type, Body: body, Request: req,
	})
	status := sip.StatusOK
	if err != nil && !(errors.As(err, &status) && status.Final()) {
		status = sip.StatusServerInternalError
	}
	tx.Reply(status)
}
