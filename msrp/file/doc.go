// Package file says in session descriptions which file is to be transferred
// over MSRP, and keeps what comes under a safe name.
//
// A transfer is one m= section: one file, one way, once. A [Description] is all
// that a section says of it: which file, by a [Selector] of name, type, size and
// hashes, which part of it, and under which identifier. It is a push if the
// offerer sends and a pull if the answerer does. [Read] says which of these an
// offered section is, or whether it only repeats a transfer that is known or
// ends one; nothing of it touches a file or a connection. Everything in a
// Description of a peer's is a claim: a name becomes one of a local file by
// [SafeName], and type and disposition are no reason to open anything.
//
//	kind, offered, err := file.Read(section, known)
//	switch {
//	case err != nil || kind == file.KindPush && offered.Selector.Size > limit:
//		answer = file.Refuse(section)
//	case kind == file.KindPush:
//		err = offered.AcceptPush().Set(answer) // answer has port, path and types
//	}
//
// It implements RFC 5547, but for what goes over MSRP, with media types of
// RFC 2045, dates of RFC 5322, and Content-Disposition of RFC 2183.
//
// It does not choose among several files that a selector fits, wrap an icon
// beside the description (package sip has multipart bodies), or decide whom to
// accept files from. It knows the hashes SHA-1 and SHA-256, and none that
// protects against who changes descriptions on their way. It passes over
// x-file-offset, with which some resume in place of file-range.
package file
