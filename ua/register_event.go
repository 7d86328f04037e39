package ua

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// watchSelf subscribes to the state of our own registration (RFC 3680), so that the
// registrar can tell of its end before the next refresh. A registrar without that package
// refuses, and then a refresh tells. One that cannot say now is asked again, later after
// each of the failures.
func (r *Registration) watchSelf(failures int) {
	s, err := r.a.newSubscription(r.a.aor.String(), "reg", &SubscribeOptions{
		Accept: []string{"application/reginfo+xml"}, OnError: func(error) {},
	})
	if err != nil {
		return // an address that nothing can be sent to is not registered either
	}
	s.onNotify = r.toldState
	r.mu.Lock()
	over := r.closed != nil || r.ended != nil
	if !over {
		r.self = s
	}
	r.mu.Unlock()
	if over {
		return
	}
	r.a.background(func() { // ends with the first transaction, or the registration
		err := s.start(r.ctx)
		if err == nil || r.ctx.Err() != nil {
			return
		}
		r.a.log.Debug("registration not watched", "error", err)
		after, said := retryAfter(err)
		if !elsewhere(err) && !said {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.closed == nil && r.ended == nil {
			// The timer's goroutine ends at once.
			r.watching = time.AfterFunc(max(retryIn(failures, 30*time.Second), after), func() { r.watchSelf(failures + 1) })
		}
	})
}

// toldState takes a NOTIFY of the registrar.
func (r *Registration) toldState(n *Notify) {
	info, err := readRegInfo(n.Body.Content)
	if err != nil {
		r.a.log.Debug("state of the registration not understood", "error", err)
		return
	}
	var ended []ending
	for _, b := range r.all() {
		switch c, found := b.find(info); {
		case !found:
		case c.State == "terminated":
			ended = append(ended, ending{b, c.Event, seconds(c.RetryAfter)})
		case c.Event == "shortened":
			b.shorten(seconds(c.Expires))
		}
	}
	r.toldEnded(ended)
}

// find returns what the registrar tells of a binding: that it is active, if it says so
// beside the end of one at the same URI. A binding that was there and is not in what is to
// be all of the state has expired. One that a registrar calls otherwise was not there.
func (b *binding) find(info regInfo) (found regContact, ok bool) {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	if b.until.IsZero() {
		return found, false // never was, or is gone already
	}
	for _, c := range info.contacts {
		if b.isListed(c) && (!ok || found.State == "terminated") {
			found, ok = c, true
		}
	}
	if !ok && info.full && (b.listed || info.registrations > 0 && len(info.contacts) == 0) {
		found, ok = regContact{State: "terminated", Event: "expired"}, true
	}
	b.listed = ok && found.State == "active" || !ok && b.listed
	return found, ok
}

// isListed reports whether a contact that the registrar tells of is this binding. It may
// have the Call-ID of somebody else who has removed it (RFC 3680 section 5.1), but not
// that of another flow of ours. r.mu is held.
func (b *binding) isListed(c regContact) bool {
	uri, err := sip.ParseURI(strings.TrimSpace(c.URI))
	if err != nil || !withoutPush(uri).Equal(withoutPush(b.told)) {
		return false
	}
	for _, other := range b.r.bindings {
		if other != b && other.callID == c.CallID {
			return false
		}
	}
	return true
}

// regInfo is what is read of a reginfo document (RFC 3680 section 5.1).
type regInfo struct {
	full          bool // it has all of the state, and not what has changed
	registrations int
	contacts      []regContact // of all of them
}

// regContact is a contact of a reginfo document (RFC 3680 section 5.1).
type regContact struct {
	State      string // "active", "terminated"
	Event      string // what has led to that
	CallID     string // of the last REGISTER; "" if it is not told
	Expires    uint32 // seconds; 0 if they are not told
	RetryAfter uint32 // likewise
	URI        string
}

const (
	regInfoSpace    = "urn:ietf:params:xml:ns:reginfo"
	maxRegInfo      = 64 << 10 // bytes
	maxRegInfoDepth = 16
	maxRegContacts  = 256
)

var errRegInfo = errors.New("ua: too much in a reginfo document")

// readRegInfo reads a reginfo document. What is of other namespaces is passed over.
func readRegInfo(text string) (info regInfo, err error) {
	if len(text) > maxRegInfo {
		return regInfo{}, errRegInfo
	}
	d := xml.NewDecoder(strings.NewReader(text))
	var path []xml.Name
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return info, nil
		case err != nil:
			return regInfo{}, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if path = append(path, t.Name); len(path) > maxRegInfoDepth {
				return regInfo{}, errRegInfo
			}
			switch {
			case len(path) == 1:
				info.full = t.Name == xml.Name{Space: regInfoSpace, Local: "reginfo"} && slices.ContainsFunc(t.Attr, func(a xml.Attr) bool {
					return a.Name.Local == "state" && a.Value == "full"
				})
			case isRegInfo(path):
				info.registrations++
			case isRegInfo(path, "contact"):
				if len(info.contacts) == maxRegContacts {
					return regInfo{}, errRegInfo
				}
				info.contacts = append(info.contacts, newRegContact(t.Attr))
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if isRegInfo(path, "contact", "uri") && len(info.contacts) > 0 {
				info.contacts[len(info.contacts)-1].URI += string(t)
			}
		}
	}
}

// isRegInfo reports whether a path is of these elements of a registration.
func isRegInfo(path []xml.Name, names ...string) bool {
	names = append([]string{"reginfo", "registration"}, names...)
	if len(path) != len(names) {
		return false
	}
	for i, name := range names {
		if path[i] != (xml.Name{Space: regInfoSpace, Local: name}) {
			return false
		}
	}
	return true
}

func newRegContact(attrs []xml.Attr) (c regContact) {
	number := func(s string) uint32 {
		n, _ := strconv.ParseUint(s, 10, 32)
		return uint32(n)
	}
	for _, a := range attrs {
		switch a.Name.Local {
		case "state":
			c.State = a.Value
		case "event":
			c.Event = a.Value
		case "callid":
			c.CallID = a.Value
		case "expires":
			c.Expires = number(a.Value)
		case "retry-after":
			c.RetryAfter = number(a.Value)
		}
	}
	return c
}

// unwatch ends the watching.
func (r *Registration) unwatch() {
	r.mu.Lock()
	self := r.self
	r.self = nil
	if r.watching != nil {
		r.watching.Stop()
	}
	r.mu.Unlock()
	if self != nil {
		// If Shutdown has begun, it sees to this.
		r.a.background(func() { self.Close() }) // ends within closeTime
	}
}
