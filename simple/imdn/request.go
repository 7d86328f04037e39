package imdn

import (
	"fmt"
	"strings"
	"time"

	"github.com/goparley/parley/simple/cpim"
)

// A Request is what the sender of a message asks to be told, as its recipient sees it.
// It holds nothing of the message, and can be written down until the message is shown.
type Request struct {
	MessageID  string
	DateTime   string         // of the message, also if it is none of RFC 3339; "" if it has none
	Want       Disposition    // what is asked for, and has not been given yet
	Sender     cpim.Address   // who asks
	Recipient  cpim.Address   // who tells: the To of the message. If it has none or several this is the zero Address, and for the program to fill in
	OriginalTo string         // the URI of Original-To; "" if there is none
	Routes     []cpim.Address // of IMDN-Record-Route, in order
}

// Received returns what a message asks of its recipient, or nil if that is nothing,
// which it is for all notifications, and if the message cannot be named or has no
// sender. Processing is never part of it (RFC 5438 section 7.2.1).
func Received(m *cpim.Message) *Request {
	return request(m, PositiveDelivery|NegativeDelivery|Display)
}

// Forwarded returns what a message asks of somebody between sender and recipient, or nil
// as Received does: word of its processing, and of a delivery that fails. That a message
// was delivered, or shown, only its recipient knows (RFC 5438 section 8.2 and 12.2).
func Forwarded(m *cpim.Message) *Request {
	return request(m, NegativeDelivery|Processing)
}

func request(m *cpim.Message, may Disposition) *Request {
	r := &Request{MessageID: MessageID(m), DateTime: dateTime(m), Sender: m.From}
	for _, value := range values(m, disposition) {
		r.Want |= parseDisposition(value) & may
	}
	if r.Want == 0 || r.MessageID == "" || r.Sender.URI == "" || IsIMDN(m) {
		return nil
	}
	if len(m.To) == 1 {
		r.Recipient = m.To[0]
	}
	if value, ok := m.Header(Namespace, originalTo); ok {
		if a, err := cpim.ParseAddress(value); err == nil {
			r.OriginalTo = a.URI
		}
	}
	for _, value := range values(m, recordRoute) {
		if a, err := cpim.ParseAddress(value); err == nil {
			r.Routes = append(r.Routes, a)
		}
	}
	return r
}

// maxDateTime is how long a DateTime is at most, in bytes. What is longer is no time.
const maxDateTime = 64

// dateTime returns the DateTime of a message, or "". One that cannot be read means
// something to the sender of the message, who gets it back.
func dateTime(m *cpim.Message) string {
	if !m.DateTime.IsZero() {
		text, _ := m.DateTime.MarshalText() // "" for what RFC 3339 cannot express
		return string(text)
	}
	text, _ := m.Header(cpim.Namespace, "DateTime")
	if text = strings.TrimSpace(text); len(text) > maxDateTime {
		return ""
	}
	return text
}

// parseDisposition reads the value of a Disposition-Notification header. Words that it
// does not know, and parameters, are ignored (RFC 5438 section 7.2.1).
func parseDisposition(value string) (d Disposition) {
	for word := range strings.SplitSeq(value, ",") {
		word, _, _ = strings.Cut(word, ";")
		for i, known := range dispositions {
			if strings.Trim(word, " ") == known {
				d |= 1 << i
			}
		}
	}
	return d
}

// Notify makes the message that tells the sender, who is to get it by way of NextHop
// (RFC 5438 section 7.2.1). It takes what was told, and all else of that kind, out of
// Want, for there is one notification of each kind at most; what is not in Want is
// ErrNotAsked. That includes a message that was delivered to its recipient, if the
// sender wants to know of failures only. Other errors tell of a status that the kind
// does not have, and of a Request without Recipient or Sender.
func (r *Request) Notify(kind Kind, status Status, now time.Time) (*cpim.Message, error) {
	of, all := asked(kind, status)
	if of == 0 {
		return nil, fmt.Errorf("imdn: status of a %s notification cannot be %q", kind, status)
	}
	if r.Want&of == 0 {
		return nil, ErrNotAsked
	}
	if r.Sender.URI == "" || r.Recipient.URI == "" {
		return nil, fmt.Errorf("imdn: notification from %q to %q", r.Recipient.URI, r.Sender.URI)
	}
	n := Notification{
		MessageID:         r.MessageID,
		Recipient:         r.Recipient.URI,
		OriginalRecipient: r.OriginalTo,
		Kind:              kind,
		Status:            status,
	}
	at := r.DateTime
	if at == "" {
		at = now.Truncate(time.Second).Format(time.RFC3339) // it must not be missing (RFC 5438 section 11.1.2)
	}
	text, err := n.append(nil, at)
	if err != nil {
		return nil, err
	}
	m := &cpim.Message{
		From:           r.Recipient,
		To:             []cpim.Address{r.Sender},
		ContentType:    ContentType,
		ContentHeaders: []cpim.Field{{Name: "Content-Disposition", Value: "notification"}},
		Content:        text,
	}
	identify(m, now)
	for _, a := range r.Routes {
		m.Headers = append(m.Headers, header(route, a.String()))
	}
	r.Want &^= all
	return m, nil
}

// asked returns which request a notification answers, and what else can then not be
// answered any more. Both are 0 for what is no notification.
func asked(kind Kind, status Status) (of, all Disposition) {
	failed := status == Forbidden || status == Error
	switch kind {
	case DeliveryNotification:
		all = PositiveDelivery | NegativeDelivery
		switch {
		case status == Delivered:
			of = PositiveDelivery
		case status == Failed:
			of = NegativeDelivery
		case failed:
			of = all
		}
	case ProcessingNotification:
		if all = Processing; failed || status == Processed || status == Stored {
			of = all
		}
	case DisplayNotification:
		if all = Display; failed || status == Displayed {
			of = all
		}
	}
	return of, all
}
