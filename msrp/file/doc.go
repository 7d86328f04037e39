// Package file transfers files over MSRP, in sections of a call.
//
// A transfer is one m= section: one file, one way, on a session of its own. A
// [Sender] and a [Receiver] are such sections, streams for package ua: who has a
// file offers it by [Push], and the peer takes it by [Receive]; who wants one
// asks for it by [Pull], and the peer has it by [Serve]. A [Description] is all that a
// section says of the file: which one, by a [Selector] of name, type, size and
// hashes, and which part of it. Everything in that of a peer is a claim. What
// comes is written into the directory and nowhere else, no further than was
// said, under a name that is a [SafeName], and gets that name when it has the
// hash that was said; nothing here opens or shows a file.
//
//	push, err := file.Push(ep, "report.pdf", nil)
//	call, err := alice.Invite(ctx, "sip:bob@example.com", &ua.InviteOptions{Streams: []ua.Stream{push}})
//	err = push.Wait(ctx) // all of it is there
//	call.Hangup(ctx)
//
//	in := file.Receive(ep, inbox, nil) // in OnInvite
//	call, err := inv.Answer(ctx, in)
//	err = in.Resume(ctx, call.Renegotiate)
//	path, err := in.Wait(ctx)
//
// What was broken off, by a lost connection or because a program was killed, goes
// on when the file is offered or asked for again: the part that is there is known by the hash of the
// whole. Only who offers may name a range (RFC 5547 section 8.3), and a sender does not know what is
// there. So a receiver that is offered the whole says yes, and then asks in an
// offer of its own for the rest, in the same section and under a new identifier, which ends the
// transfer before (section 8.1): see [Receiver.Resume].
//
// A picture of a file, small enough for the INVITE, may come with its offer
// (SendOptions.Icon), to decide by: ua.FindID finds what Icon of a Description names.
//
// A sender waits for the acknowledgement of the last octet, and by relays for the
// report of the receiver. That the receiver has found the hash to be right it
// does not hear: MSRP cannot say so.
//
// It implements RFC 5547, with media types of RFC 2045, dates of RFC 5322,
// Content-Disposition of RFC 2183, and the envelope of RFC 3862 where a peer
// takes no file without.
//
// It does not choose among several files that a selector fits, make an icon, send one with a
// file that was asked for, put a transfer on hold by itself, or decide whom to
// accept files from. A peer that holds a transfer for more than nine minutes
// finds it broken off. Another file in the section of one that is there, as in RFC 5547
// section 9.2, is refused where it goes the other way; it has a place in a section of its
// own. It knows the hashes SHA-1 and SHA-256, and none that protects against who
// changes descriptions on their way. It passes over x-file-offset, with which some
// resume in place of file-range.
package file
