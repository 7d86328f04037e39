package sip

import (
	"strconv"
	"strings"
)

// Requested returns what the URI wants of a request that is made from it (RFC
// 3261 section 19.1.5): the method, INVITE if it names none, and edits for its
// header fields and its body. NewRequest keeps these parts out of the
// Request-URI.
//
// A URI may come from a web page or a REFER, and who wrote it is not the one
// who sends the request. So the edits are only for what a writer may well ask
// for:
//
//   - Subject and Priority; a To without a tag
//   - which call to take over or to answer: Replaces, Join, In-Reply-To
//   - the wishes of RFC 3841: Accept-Contact, Reject-Contact and
//     Request-Disposition
//   - what a method asks for, Event, Expires and Refer-To, and Require
//   - User-to-User, which is handed on this way (RFC 7433)
//   - a body with its Content-Type, and nothing else that describes it but its
//     right Content-Length
//
// All else is in refused: what section 19.1.5 calls dangerous or false (From,
// Call-ID, CSeq, Via, Route, Record-Route, Contact and what tells of
// capabilities), identities, credentials, paths and limits, a second one of a
// header field that has one value, and every name that this package does not
// know, for it may mean something to the servers that trust the sender. Each is
// a Field, so a program that knows better can make it an edit.
//
// Edits that come later win: put those of the URI before your own. Whether to
// send such a method at all, and whether an extension in a Require is there, is
// for the caller to see. A value that breaks its header field shows in the Err
// of the request, which is not to be sent.
func (u URI) Requested() (method Method, edits []Edit, refused []Field) {
	method = INVITE
	if u = u.parts(); !u.isSIP() {
		return method, nil, nil
	}
	if m, ok := u.Param("method"); ok {
		method = Method(m)
	}
	var content []Field // the body and what describes it
	seen := map[string]bool{}
	for name, value := range u.Header() {
		f := Field{headerName(name), value}
		name = strings.ToLower(f.Name)
		one := lookupHeader(name) != 0 && lookupKind(lookupHeader(name)) == single
		switch {
		case name == "body" || strings.HasPrefix(name, "content-"):
			content = append(content, f)
		case !askable(name, value) || one && seen[name]:
			refused = append(refused, f)
		default:
			edits = append(edits, Add(f))
		}
		seen[name] = true
	}
	if body, ok := described(content); ok {
		return method, append(edits, body), refused
	}
	return method, edits, append(refused, content...)
}

// askable reports whether a URI may ask for a header field, by its full name in
// lower case. What is not known to be harmless is not: new header fields come,
// and some of them will speak for the sender.
func askable(name, value string) bool {
	switch name {
	case "subject", "priority",
		"replaces", "join", "in-reply-to", // RFC 3891 section 4, RFC 3911 section 5
		"accept-contact", "reject-contact", "request-disposition",
		"event", "expires", "refer-to", "require",
		"user-to-user":
		return true
	case "to":
		// With a tag it would be a request within a dialog.
		to, err := To{}.ParseValue(value)
		return err != nil || !to.Params.Has("tag")
	}
	return false
}

// described returns the body of a URI if its type is told and nothing else,
// such as an encoding that nobody looks into.
func described(content []Field) (b Body, ok bool) {
	var bodies, types int
	length := ""
	for _, f := range content {
		switch strings.ToLower(f.Name) {
		case "body":
			b.Content = f.Value
			bodies++
		case "content-type":
			b.Type = f.Value
			types++
		case "content-length":
			length = f.Value
		default:
			return b, false
		}
	}
	ok = bodies == 1 && types == 1 && (length == "" || length == strconv.Itoa(len(b.Content)))
	return b, ok
}

// inRequestLine returns the URI without what may not stand in a Request-URI
// (RFC 3261 section 19.1.1, table 1). One that is written to the letter stays as
// it is if it has nothing of that.
func inRequestLine(u URI) URI {
	if u.Opaque != "" {
		whole := u.parts()
		if whole.Opaque != "" || !whole.isSIP() || whole.Headers == "" && !whole.Params.Has("method") {
			return u
		}
		u = whole
	}
	u.Headers = ""
	// Nearly none has it, and that shows without a look at each parameter. Its
	// name may hold escapes if the field was set.
	p := string(u.Params)
	if u.isSIP() && (strings.Contains(p, ";m") || strings.Contains(p, ";M") || strings.Contains(p, ";%")) {
		u.Params = Params(normalEscapes(p)).Without("method")
	}
	return u
}
