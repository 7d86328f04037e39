package cpim

import (
	"strings"
	"time"
)

// Namespace is that of the headers of RFC 3862, and of all that have no prefix
// unless the message says otherwise.
const Namespace = "urn:ietf:params:cpim-headers:"

// ContentType is the media type of the messages that this package reads and
// writes, in lower case.
const ContentType = "message/cpim"

// A Message is a message/cpim entity (RFC 3862 section 2). All texts are without
// the escapes that they have on the line, except where it says otherwise.
type Message struct {
	From     Address   // the zero Address: none
	To       []Address // in order
	CC       []Address // the cc headers, in order
	DateTime time.Time // when the sender sent it; zero: none, or one that cannot be read, which is in Headers then
	Subject  []Subject // the same in several languages
	Require  []Name    // what the recipient has to understand, see CheckRequire
	Headers  []Header  // all others but NS, in order

	ContentType    string  // of the content, with parameters; "" only in messages that were read, and means text/plain (RFC 2045 section 5.2)
	ContentHeaders []Field // all other MIME headers of the content, in order
	Content        []byte  // as it is, in its transfer encoding; nil after ReadHeader
}

// A Subject is a Subject header (RFC 3862 section 4.5).
type Subject struct {
	Lang string // a language tag, "fr"; "" if it is not said
	Text string
}

// A Name is that of a header or a feature: what counts is its namespace and its
// name there (RFC 3862 section 3.4). Case matters in all of it.
type Name struct {
	Namespace string // a URI; "" in a Require whose prefix is not declared
	Prefix    string // how the message abbreviates Namespace. "" is for Namespace of this package; for others, Append makes one up
	Local     string // "Message-ID"
}

// A Header is an extension header: one that this package does not know.
type Header struct {
	Name
	Lang  string // the language of Value (RFC 3862 section 3.3); "" if it is not said
	Value string // as it is on the line, with its escapes
}

// A Field is a MIME header of the content. Case does not matter in its name.
type Field struct{ Name, Value string }

// Header returns the value of the first header of that name, as it is on the line.
// It does not find those that have fields of their own in Message.
func (m *Message) Header(namespace, name string) (value string, ok bool) {
	for _, h := range m.Headers {
		if h.Namespace == namespace && h.Local == name {
			return h.Value, true
		}
	}
	return "", false
}

// ContentHeader returns the value of the first of ContentHeaders with that name
// in any case, or "".
func (m *Message) ContentHeader(name string) string {
	for _, f := range m.ContentHeaders {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// CheckRequire returns a *RequireError if the message requires what is neither in
// RFC 3862 nor in one of the namespaces, which are those that the program
// understands. Only who shows the message to a user has to ask; who passes it on
// does not (RFC 3862 section 3.5).
func (m *Message) CheckRequire(namespaces ...string) error {
	var unknown []Name
next:
	for _, n := range m.Require {
		if n.Namespace == Namespace && isOwn(n.Local) {
			continue
		}
		for _, ns := range namespaces {
			if n.Namespace == ns && ns != "" {
				continue next
			}
		}
		unknown = append(unknown, n)
	}
	if unknown != nil {
		return &RequireError{Names: unknown}
	}
	return nil
}

// isOwn reports whether RFC 3862 section 4 defines the header.
func isOwn(name string) bool {
	switch name {
	case "From", "To", "cc", "DateTime", "Subject", "NS", "Require":
		return true
	}
	return false
}
