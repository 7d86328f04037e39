// Package sip turns text into SIP messages and messages into text.
//
// # Messages
//
// A message is its text and an index of where its header fields are. Parse
// checks what routing needs and copies nothing; what else is in the message is
// read when it is asked for. Nothing is ever changed in place, so messages may
// be shared by goroutines.
//
//	msg, err := sip.Parse(text)           // a *Request or a *Response
//	req, ok := msg.(*sip.Request)
//	via := req.Via()                      // always there once parsed
//	uri, tag := req.URI(), req.From().Tag()
//
// ParseBytes does the same for a buffer that will be used again, and Reader takes
// messages off a stream. The error of a message that is no message is a
// *SyntaxError: it says where, what was expected there, and what to answer.
//
// Strings that come out of a message are views into it and keep the whole text
// alive. Clone what outlives the message.
//
// # Header fields
//
// A header field is a type, and its value is a value of that type. Get reads the
// first one and All all of them, however they are spread over lines and commas,
// compact names and folds:
//
//	contact, err := sip.Get[sip.Contact](req)         // ErrMissing if there is none
//	for route, err := range sip.All[sip.Route](req) { ... }
//
// There are types for the header fields of RFC 3261 and of its extensions, of
// which docs/rfc.md has the list. Parameters are text with methods (Params);
// those that a standard gives a meaning to have a method of the type, such as
// Via.RPort, Contact.Expires or SubscriptionState.Reason. A header field that
// has no type here passes through untouched, can be read by Value and written as
// a Field, and any package can give it a type: two or three methods do. See the
// examples of Get and All.
//
// # Changing and making
//
// With makes a changed copy. It keeps each byte that it was not told to change,
// what it does not know included. Every typed value is an edit that sets its
// header field; List, Push, Add, Pop, Del, Body, RequestURI and
// ReasonPhrase are the others. Reply makes a response, Refuse one for a request
// that cannot be read, and NewRequest a request, with edits too.
//
//	fwd := req.With(sip.MaxForwards(req.MaxForwards()-1), sip.Pop("Route"), sip.Push(via))
//	ok := req.Reply(sip.StatusOK, contact, sip.Body{Type: "application/sdp", Content: answer})
//	bye := sip.NewRequest(sip.BYE, contact.URI, from, to, callID, cseq)
//
// What an edit writes is read back by the parser of its header field, so nothing
// that came from outside can add a line, an element or a parameter. An edit that
// is refused shows in Err of the message, which is then never sent.
//
// # Bodies
//
// A body is text. FindBody gets the session description, or whatever is looked
// for, out of whatever it is wrapped in; Parts goes through a multipart, and
// Multipart makes one. ParseFragment reads a message/sipfrag. Get and All work on
// parts and fragments as on messages.
//
// # URIs
//
// URI holds a sip, sips or tel URI in parts, and any other as it is. Equal
// compares as RFC 3261 section 19.1.4 and RFC 3966 say; Username, Param and
// Header undo escapes, and the methods called With make them.
//
// # What it is not
//
// The package does no I/O, keeps no state, and links nothing but the standard
// library. It follows RFC 3261 sections 7, 8.2.6, 18.3, 19.1, 20 and 25, RFC
// 3420, 3581, 3966, 5118 and 5621, and the header fields of many more. It does
// not look into bodies other than multipart, it does not say which header fields
// a method needs, and it knows nothing of transactions.
package sip
