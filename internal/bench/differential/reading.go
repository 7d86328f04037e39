package differential

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	peer "github.com/emiago/sipgo/sip"
	"github.com/goparley/parley/sip"
)

// reading is what somebody says that a message says: a value for each of the
// facts below. One that the message does not state is "".
type reading map[fact]string

type fact string

const (
	method       fact = "method"
	status       fact = "status"
	reason       fact = "reason phrase"
	viaTransport fact = "Via transport"
	viaHost      fact = "Via host"
	viaPort      fact = "Via port"
	viaBranch    fact = "Via branch"
	fromTag      fact = "From tag"
	toTag        fact = "To tag"
	callID       fact = "Call-ID"
	cseqNumber   fact = "CSeq number"
	cseqMethod   fact = "CSeq method"
	contact      fact = "Contact"      // "*", broken, or "" for the address below or none
	headers      fact = "header lines" // their names in order; lists that run on are one
	body         fact = "body"
)

// The URIs have these facts, each with its place in front: "From host".
const (
	scheme   fact = "scheme"
	user     fact = "user"
	password fact = "password"
	host     fact = "host"
	port     fact = "port"
	params   fact = "parameters"
	rest     fact = "rest" // all of it where the scheme is neither sip nor sips
)

// broken is a Contact that cannot be read.
const broken = "broken"

// of returns the fact of the URI in some place.
func (f fact) of(place string) fact { return fact(place + " " + string(f)) }

// readParley reads a text with Parley.
func readParley(text string) (reading, error) {
	m, err := sip.Parse(text)
	if err != nil {
		return nil, err
	}
	r := reading{
		callID: m.CallID(), fromTag: m.From().Tag(), toTag: m.To().Tag(), body: m.Body(),
		cseqNumber: fmt.Sprint(m.CSeq().Seq), cseqMethod: string(m.CSeq().Method),
	}
	switch m := m.(type) {
	case *sip.Request:
		r[method] = string(m.Method())
		r.parleyURI("Request-URI", m.URI())
	case *sip.Response:
		r[status] = fmt.Sprint(int(m.Status()))
		r[reason] = m.ReasonPhrase()
	}
	via := m.Via()
	r[viaTransport], r[viaHost], r[viaPort], r[viaBranch] = via.Transport, via.Host, number(via.Port), via.Branch()
	r.parleyURI("From", m.From().URI)
	r.parleyURI("To", m.To().URI)
	c, err := sip.Get[sip.Contact](m)
	switch {
	case err == nil && c.Star:
		r[contact] = "*"
	case err == nil:
		r.parleyURI("Contact", c.URI)
	case !errors.Is(err, sip.ErrMissing):
		r[contact] = broken
	}
	var names []string
	for f := range m.Fields() {
		names = append(names, f.Name)
	}
	r[headers] = inOrder(names)
	return r, nil
}

func (r reading) parleyURI(place string, u sip.URI) {
	r[scheme.of(place)] = u.Scheme
	if u.Scheme != "sip" && u.Scheme != "sips" {
		_, r[rest.of(place)], _ = strings.Cut(u.String(), ":")
		return
	}
	r[user.of(place)], r[password.of(place)], r[host.of(place)], r[port.of(place)] = u.User, u.Password, u.Host, number(u.Port)
	r[params.of(place)] = string(u.Params)
}

// readSIPGo reads a text with sipgo. What differs between the two only in how
// it is kept is put into one form.
func readSIPGo(text string) (r reading, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	m, err := peer.NewParser().ParseSIP([]byte(text))
	if err != nil {
		return nil, err
	}
	r = reading{body: string(m.Body())}
	var all []peer.Header
	switch m := m.(type) {
	case *peer.Request:
		r[method] = string(m.Method)
		r.sipgoURI("Request-URI", m.Recipient)
		all = m.Headers()
	case *peer.Response:
		r[status] = fmt.Sprint(m.StatusCode)
		r[reason] = m.Reason
		all = m.Headers()
	}
	if via := m.Via(); via != nil {
		r[viaTransport], r[viaHost], r[viaPort] = via.Transport, via.Host, number(via.Port)
		r[viaBranch], _ = via.Params.Get("branch")
		if strings.Contains(via.Host, ":") {
			r[viaHost] = "[" + via.Host + "]" // it keeps IPv6 addresses without
		}
	}
	if from := m.From(); from != nil {
		r[fromTag], _ = from.Params.Get("tag")
		r.sipgoURI("From", from.Address)
	}
	if to := m.To(); to != nil {
		r[toTag], _ = to.Params.Get("tag")
		r.sipgoURI("To", to.Address)
	}
	if id := m.CallID(); id != nil {
		r[callID] = string(*id)
	}
	if cseq := m.CSeq(); cseq != nil {
		r[cseqNumber], r[cseqMethod] = fmt.Sprint(cseq.SeqNo), string(cseq.MethodName)
	}
	var names []string
	for _, h := range all {
		names = append(names, h.Name())
		if c, ok := h.(*peer.ContactHeader); ok && r[contact] == "" && r[scheme.of("Contact")] == "" {
			if c.Address.Wildcard {
				r[contact] = "*"
			} else {
				r.sipgoURI("Contact", c.Address)
			}
		}
	}
	r[headers] = inOrder(names)
	return r, nil
}

func (r reading) sipgoURI(place string, u peer.Uri) {
	r[scheme.of(place)] = u.Scheme
	if u.Scheme != "sip" && u.Scheme != "sips" {
		r[rest.of(place)] = u.Raw()
		return
	}
	r[user.of(place)], r[password.of(place)], r[host.of(place)], r[port.of(place)] = u.User, u.Password, u.Host, number(u.Port)
	for _, p := range u.UriParams {
		if r[params.of(place)] += ";" + p.K; p.V != "" {
			r[params.of(place)] += "=" + p.V
		}
	}
}

// number writes a port. 0 is none.
func number(port int) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(port)
}

// inOrder writes the names of header lines, in full and small letters. One
// parser splits lists that another leaves together, so a name counts once where
// it comes several times in a row.
func inOrder(names []string) string {
	var out []string
	for _, name := range names {
		name = strings.ToLower(name)
		if full, ok := compact[name]; ok {
			name = full
		}
		if len(out) == 0 || out[len(out)-1] != name {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

// compact has the forms of RFC 3261 section 7.3.3 and those of later RFCs for
// header fields that sipgo writes by their full name.
var compact = map[string]string{
	"c": "content-type", "e": "content-encoding", "f": "from", "i": "call-id", "k": "supported", "l": "content-length",
	"m": "contact", "s": "subject", "t": "to", "v": "via", "r": "refer-to", "b": "referred-by",
}
