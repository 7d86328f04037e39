package imdn

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/simple/cpim"
)

// Namespace is that of the CPIM headers of RFC 5438, for CheckRequire.
const Namespace = "urn:ietf:params:imdn"

// The headers, all in Namespace (RFC 5438 section 6).
const (
	messageID   = "Message-ID"
	disposition = "Disposition-Notification"
	originalTo  = "Original-To"
	recordRoute = "IMDN-Record-Route"
	route       = "IMDN-Route"
)

// Ask makes m ask for notifications, and returns the new Message-ID by which they will
// name it, of 128 random bits. A DateTime that is missing becomes now, in seconds
// (RFC 5438 section 7.1.1). If it is to ask for nothing, m gets no more than these two.
// The error is ErrIMDN.
func Ask(m *cpim.Message, want Disposition, now time.Time) (id string, err error) {
	if IsIMDN(m) {
		return "", ErrIMDN
	}
	m.Headers = slices.DeleteFunc(m.Headers, func(h cpim.Header) bool {
		return h.Namespace == Namespace && (h.Local == messageID || h.Local == disposition)
	})
	id = identify(m, now)
	if words := want.String(); words != "" {
		m.Headers = append(m.Headers, header(disposition, words))
	}
	return id, nil
}

// MessageID returns the Message-ID of a message, or "".
func MessageID(m *cpim.Message) string {
	id, _ := m.Header(Namespace, messageID)
	return strings.TrimSpace(id)
}

// identify gives a message its Message-ID, and a DateTime if it has none that can be read.
func identify(m *cpim.Message, now time.Time) string {
	id := rand.Text()
	m.Headers = append(m.Headers, header(messageID, id))
	if m.DateTime.IsZero() {
		m.DateTime = now.Truncate(time.Second)
		m.Headers = slices.DeleteFunc(m.Headers, func(h cpim.Header) bool {
			return h.Namespace == cpim.Namespace && h.Local == "DateTime"
		})
	}
	return id
}

func header(name, value string) cpim.Header {
	return cpim.Header{Name: cpim.Name{Namespace: Namespace, Prefix: "imdn", Local: name}, Value: value}
}

// values returns the values of all headers of that name, in order.
func values(m *cpim.Message, name string) []string {
	var all []string
	for _, h := range m.Headers {
		if h.Namespace == Namespace && h.Local == name {
			all = append(all, h.Value)
		}
	}
	return all
}
