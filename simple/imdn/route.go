package imdn

import (
	"slices"

	"github.com/goparley/parley/simple/cpim"
)

// RecordRoute makes the notifications for m come by way of own: it adds an
// IMDN-Record-Route above others (RFC 5438 section 8). A notification stays as it is.
func RecordRoute(m *cpim.Message, own cpim.Address) {
	if !IsIMDN(m) {
		i := max(0, index(m, recordRoute))
		m.Headers = slices.Insert(m.Headers, i, header(recordRoute, own.String()))
	}
}

// NextHop returns the URI that a notification goes to: the top IMDN-Route, or if it has
// none, To. It is "" if neither can be read.
func NextHop(m *cpim.Message) string {
	if top, ok := m.Header(Namespace, route); ok {
		a, _ := cpim.ParseAddress(top)
		return a.URI
	}
	if len(m.To) == 0 {
		return ""
	}
	return m.To[0].URI
}

// PopRoute removes the top IMDN-Route of a notification, if there is one. Whom NextHop
// names does so, and passes it on to what NextHop is then (RFC 5438 section 8).
func PopRoute(m *cpim.Message) {
	if i := index(m, route); i >= 0 {
		m.Headers = slices.Delete(m.Headers, i, i+1)
	}
}

// Readdress gives a message another recipient. The first recipient stays in Original-To,
// as which notifications will name it (RFC 5438 section 6.4): of several, for the header field is there
// only once, the first one.
func Readdress(m *cpim.Message, to cpim.Address) {
	if len(m.To) > 0 && index(m, originalTo) < 0 {
		m.Headers = append(m.Headers, header(originalTo, m.To[0].String()))
	}
	m.To = []cpim.Address{to}
}

// index returns where the first header of that name is, or -1.
func index(m *cpim.Message, name string) int {
	return slices.IndexFunc(m.Headers, func(h cpim.Header) bool {
		return h.Namespace == Namespace && h.Local == name
	})
}
