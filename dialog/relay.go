package dialog

import (
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// Relayed returns the edits that put what a message says from end to end into the
// message of another dialog which takes its place: what a back-to-back user agent
// gives to Invite, Do, Accept and their like. That is the body, byte for byte, and
// every header field but
//
//   - those that a dialog has of its own: From, To, Call-ID, CSeq, Contact, Route,
//     Record-Route, RSeq, RAck, and the option 100rel that a response requires, which
//     tells of its RSeq;
//   - those of the hops on one side: Via, Path, Service-Route, Flow-Timer and, of RFC
//     3329, Security-Client, -Server and -Verify, and the option sec-agree;
//   - where Config.SessionTimer is set, so that each leg has a timer of its own, those of
//     RFC 4028: Session-Expires, Min-SE and the option timer;
//   - those that cannot be read, which user agents pass over (RFC 3261 section 8.2.2).
//
// Challenges and credentials are passed on: they are between the ends, unless the
// program asks for some itself, and then takes those of its realm out (section 22.3).
// So are the Contacts of a redirection, which say where to go and not where their
// sender is.
//
// The Max-Forwards of a request is passed on, one less, for nothing else ends a loop
// of such user agents (RFC 7332). Outside of a dialog, one that came with 0 makes a
// message with an error, for which Relay answers 483. The reason phrase of a response is
// passed on, too. Allow, which a Layer gives by itself, is removed if the other side has
// sent none.
//
// The number of a REFER is among the edits for Do to know it. The NOTIFYs of its events
// name it, and a SUBSCRIBE that refreshes them (RFC 3515 section 2.4.6): they get the
// number that the REFER has on the other leg.
//
// Replaces, Join and Target-Dialog, and the Replaces and Join that a Refer-To asks
// for, name a dialog as the receiver knows it. Where that is one which has an Other,
// the message names that one instead, as its peer knows it. Of an INVITE that Replaces
// such a call there is a RequestURI among the edits: that of the peer who has it.
func (l *Layer) Relayed(m sip.Message) []sip.Edit {
	edits := []sip.Edit{sip.Del("Allow"), bodyOf(m)}
	resp, _ := m.(*sip.Response)
	if resp != nil {
		if phrase := sip.ReasonPhrase(resp.ReasonPhrase()); writable(phrase) {
			edits = append(edits, phrase)
		}
	}
	var fields []sip.Field
	for f := range m.Fields() {
		if l.passes(&f, resp) {
			fields = append(fields, f)
			edits = append(edits, sip.Del(f.Name))
		}
	}
	edits = append(edits, added(fields)...)
	if req, ok := m.(*sip.Request); ok {
		hops := req.MaxForwards() - 1
		if req.To().Tag() != "" {
			hops = max(hops, 0)
		}
		edits = append(edits, sip.MaxForwards(hops))
		if req.Method() == sip.REFER {
			edits = append(edits, req.CSeq())
		}
		edits = append(edits, l.renamed(req)...)
	}
	return edits
}

// passes reports whether a header field is passed on. resp is the response that it is
// in, or nil.
func (l *Layer) passes(f *sip.Field, resp *sip.Response) bool {
	switch strings.ToLower(f.Name) {
	case "from", "f", "to", "t", "call-id", "i", "cseq", "route", "record-route", "rseq", "rack":
		return false
	case "via", "v", "max-forwards", "path", "service-route", "flow-timer",
		"security-client", "security-server", "security-verify":
		return false
	case "session-expires", "x", "min-se":
		return l.cfg.SessionTimer == nil
	case "content-type", "c", "content-length", "l":
		return false // they come with the body
	case "contact", "m":
		return resp != nil && (resp.Status()/100 == 3 || resp.Status() == sip.StatusAmbiguous)
	case "require":
		if resp != nil {
			f.Value = without(f.Value, sip.Option100rel)
		}
		fallthrough
	case "proxy-require", "supported", "k":
		f.Value = without(f.Value, sip.OptionSecAgree)
		if l.cfg.SessionTimer != nil {
			f.Value = without(f.Value, sip.OptionTimer)
		}
		return f.Value != ""
	}
	return true
}

// without returns a list of option tags without one of them.
func without(tags, option string) string {
	left := slices.DeleteFunc(strings.Split(tags, ","), func(tag string) bool {
		return strings.EqualFold(strings.TrimSpace(tag), option)
	})
	return strings.TrimSpace(strings.Join(left, ","))
}

// bodyOf returns the body of a message as it is. One that does not say what it is can
// be anything.
func bodyOf(m sip.Message) sip.Body {
	body := sip.Body{Content: m.Body()}
	if body.Content == "" {
		return body
	}
	body.Type, _ = m.Value("Content-Type")
	if !writable(body) {
		body.Type = "application/octet-stream"
	}
	return body
}

// added returns the edits that add header fields, each a line, in order. Of those that
// may be there once and have several lines, it is the last.
func added(fields []sip.Field) []sip.Edit {
	edits := make([]sip.Edit, len(fields))
	for i, f := range fields {
		edits[i] = sip.Add(f)
	}
	if writable(edits...) {
		return edits
	}
	edits = edits[:0]
	for _, f := range fields {
		switch {
		case writable(sip.Add(f), sip.Add(f)):
			edits = append(edits, sip.Add(f))
		case writable(f):
			edits = append(edits, f)
		}
	}
	return edits
}

// writable reports whether a message can be written with these edits.
func writable(edits ...sip.Edit) bool {
	return sip.NewRequest(sip.OPTIONS, sip.URI{Scheme: "sip", Host: "invalid"}, edits...).Err() == nil
}
