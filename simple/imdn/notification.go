package imdn

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"mime"
	"mime/multipart"
	"strings"
	"time"

	"github.com/goparley/parley/internal/xmldoc"
	"github.com/goparley/parley/simple/cpim"
)

// ContentType is the media type of a notification.
const ContentType = "message/imdn+xml"

// A Kind says what a notification is about (RFC 5438 section 5).
type Kind string

const (
	DeliveryNotification   Kind = "delivery"
	ProcessingNotification Kind = "processing"
	DisplayNotification    Kind = "display"
)

// A Status says what became of a message (RFC 5438 section 5).
type Status string

const (
	Delivered Status = "delivered" // of a DeliveryNotification
	Failed    Status = "failed"    // of a DeliveryNotification
	Processed Status = "processed" // of a ProcessingNotification
	Stored    Status = "stored"    // of a ProcessingNotification
	Displayed Status = "displayed" // of a DisplayNotification
	Forbidden Status = "forbidden" // of all three: the sender is not to know
	Error     Status = "error"     // of all three: nobody knows
)

// A Notification is the document in a notification (RFC 5438 section 11).
type Notification struct {
	MessageID         string    // of the message that it is about
	DateTime          time.Time // of that message; zero if there is none that can be read
	Recipient         string    // the URI of who got the message; "" if it is not said
	OriginalRecipient string    // the URI that it was sent to at first; "" if it is not said
	Subject           string    // of the message; "" if it is not said
	Kind              Kind
	Status            Status
}

// Read reads a message that is a notification, or an aggregate of them
// (RFC 5438 section 8.3), of which it takes 100. The error wraps ErrMalformed. Who
// may send such notifications is not checked: a Message-ID that is known speaks for them.
func Read(m *cpim.Message) ([]Notification, error) {
	media, params, err := mime.ParseMediaType(m.ContentType)
	if err != nil || !IsIMDN(m) {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, m.ContentType)
	}
	if media == ContentType {
		n, err := Parse(m.Content)
		return []Notification{n}, err
	}
	if !strings.HasPrefix(media, "multipart/") {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, m.ContentType)
	}
	var all []Notification
	parts := multipart.NewReader(bytes.NewReader(m.Content), params["boundary"])
	for range maxParts {
		// The example of RFC 5438 section 8.3 has no hyphens behind its last boundary:
		// what cannot be read behind a notification is the end.
		part, err := parts.NextPart()
		if err != nil {
			break
		}
		if mediaType(part.Header.Get("Content-Type")) != ContentType {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(part, maxText+1))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		n, err := Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	if all == nil {
		return nil, fmt.Errorf("%w: no notification in %s", ErrMalformed, media)
	}
	return all, nil
}

// IsIMDN reports whether the message is a notification, or an aggregate of several. By
// RFC 5438 section 9 it is one if both its type and its Content-Disposition say so;
// here one of them is enough, lest two programs notify each other for ever.
func IsIMDN(m *cpim.Message) bool {
	return mediaType(m.ContentType) == ContentType ||
		mediaType(m.ContentHeader("Content-Disposition")) == "notification"
}

// mediaType returns a value without its parameters, in lower case.
func mediaType(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(value))
}

const space = "urn:ietf:params:xml:ns:imdn"

// What is read at most.
const (
	maxText  = 64 << 10 // bytes of a document
	maxParts = 100      // parts of an aggregate
)

// Parse reads a document of 64 KiB at most. It is to have a message-id, and one
// status that its kind can have. The error wraps ErrMalformed.
func Parse(text []byte) (Notification, error) {
	if len(text) > maxText {
		return Notification{}, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxText)
	}
	root, err := xmldoc.Parse(string(text))
	if err != nil {
		return Notification{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if root.Name != (xmldoc.Name{Space: space, Local: "imdn"}) {
		return Notification{}, fmt.Errorf("%w: %.80q", ErrMalformed, root.Name.Local)
	}
	var n Notification
	found := 0
	for e := range own(root) {
		value := strings.Clone(e.Content())
		switch e.Name.Local {
		case "message-id":
			n.MessageID = strings.TrimSpace(value)
		case "datetime":
			if t, err := time.Parse(time.RFC3339, strings.TrimSpace(value)); err == nil {
				n.DateTime = t
			}
		case "recipient-uri":
			n.Recipient = strings.TrimSpace(value)
		case "original-recipient-uri":
			n.OriginalRecipient = strings.TrimSpace(value)
		case "subject":
			n.Subject = value
		case "delivery-notification", "processing-notification", "display-notification":
			kind := Kind(strings.TrimSuffix(e.Name.Clone().Local, "-notification"))
			for status := range own(e) {
				for s := range own(status) {
					if status.Name.Local == "status" {
						n.Kind, n.Status = kind, Status(s.Name.Clone().Local)
						found++
					}
				}
			}
		}
	}
	if n.MessageID == "" {
		return Notification{}, fmt.Errorf("%w: no message-id", ErrMalformed)
	}
	if of, _ := asked(n.Kind, n.Status); of == 0 || found != 1 {
		return Notification{}, fmt.Errorf("%w: no status, more than one, or an unknown one", ErrMalformed)
	}
	return n, nil
}

// own yields the elements within an element, but for extensions.
func own(n *xmldoc.Node) iter.Seq[*xmldoc.Node] {
	return func(yield func(*xmldoc.Node) bool) {
		for e := range n.Elements() {
			if e.Name.Space == space && !yield(e) {
				return
			}
		}
	}
}

// Append appends the document to b. Recipient and OriginalRecipient come together
// (RFC 5438 section 11.1.9): if one is empty it is written as the other. With both
// empty there is no Subject either. The error tells of a Status that the Kind does not
// have, of no MessageID, and of a DateTime that RFC 3339 cannot express; b is returned
// as it was then.
func (n Notification) Append(b []byte) ([]byte, error) {
	at, err := n.DateTime.MarshalText()
	if err != nil {
		return b, fmt.Errorf("imdn: %w", err)
	}
	if n.DateTime.IsZero() {
		at = nil
	}
	return n.append(b, string(at))
}

// append is Append with the text of a time, which is a string by the schema (RFC 5438
// section 11.1.9).
func (n Notification) append(b []byte, at string) ([]byte, error) {
	if of, _ := asked(n.Kind, n.Status); of == 0 || n.MessageID == "" {
		return b, fmt.Errorf("imdn: no notification: %s %s of %q", n.Kind, n.Status, n.MessageID)
	}
	w := bytes.NewBuffer(b)
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<imdn xmlns="` + space + `">` + "\n")
	element := func(name, text string) {
		fmt.Fprintf(w, "  <%s>", name)
		xml.EscapeText(w, []byte(text)) // a Buffer takes all
		fmt.Fprintf(w, "</%s>\n", name)
	}
	element("message-id", n.MessageID)
	element("datetime", at)
	if r, o := n.Recipient, n.OriginalRecipient; r != "" || o != "" {
		if r == "" {
			r = o
		}
		if o == "" {
			o = r
		}
		element("recipient-uri", r)
		element("original-recipient-uri", o)
		if n.Subject != "" {
			element("subject", n.Subject)
		}
	}
	fmt.Fprintf(w, "  <%[1]s-notification><status><%[2]s/></status></%[1]s-notification>\n</imdn>\n", n.Kind, n.Status)
	return w.Bytes(), nil
}
