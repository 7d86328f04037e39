// Package sip turns text into SIP messages and messages into text.
//
// A message is its text and an index of where its header fields are. Parse
// checks what routing needs and copies nothing; Get and All read a header
// field when it is asked for, as a value of its type; With writes a changed
// copy that keeps every byte it was not told to change. Nothing is ever changed
// in place, so messages may be shared by goroutines, and nothing that came from
// outside can add a line to what With writes.
//
//	msg, err := sip.Parse(text)
//	req, ok := msg.(*sip.Request)
//	via := req.Via()                        // always there once parsed
//	contact, err := sip.Get[sip.Contact](req)
//	fwd := req.With(sip.MaxForwards(req.MaxForwards()-1), sip.Push(route), sip.Pop("Route"))
//	ok := req.Reply(sip.StatusOK)
//
// Strings that come out of a message are views into it and keep the whole text
// alive. Clone what outlives the message.
//
// A body is text. Parts takes a multipart one apart, FindBody finds what it is
// asked for however it is wrapped, Multipart makes one, and ParseFragment reads
// the piece of a message that a NOTIFY about a transfer carries. Get and All
// read the header fields of those, too.
//
// The package does no I/O and links nothing but the standard library. It
// follows RFC 3261 sections 7, 8.2.6, 18.3, 19.1, 20 and 25, RFC 3581, RFC
// 3966, RFC 5118, and for bodies RFC 2046 section 5.1, RFC 2392, RFC 3420 and
// RFC 5621. It does not look into session descriptions or other bodies that are
// not made of parts, and it knows nothing of transactions.
package sip
