// Package confinfo reads, writes and compares the documents of the conference event
// package: who is in a conference, and what they do there.
//
// A [Conference] is the state of a conference as a value. Who hosts one keeps it,
// changes copies of it, and sends each watcher first all of it, by Append, and then
// what [Diff] says is new since the last document that this watcher was sent. Who
// watches one gives each document to [Apply], with what it knew before, and gets what
// it knows now, or is told to ask for all of it. Neither changes a value that it is
// given, so that old and new ones can be kept and compared. The package knows nothing
// of how documents travel; in this module that is by a Subscription and a Notifier of
// package ua.
//
//	var room *confinfo.Conference
//	for n, err := range sub.Notifies(ctx) {
//		...
//		if n.First {
//			room = nil
//		}
//		if n.Body == (sip.Body{}) {
//			continue // there is nothing to see yet, or any more
//		}
//		room, err = confinfo.Apply(room, n.Body.Content)
//		if errors.Is(err, confinfo.ErrRefresh) {
//			sub.Refresh()
//		}
//		show(room)
//	}
//
// It implements RFC 4575 sections 4 to 6, and of RFC 6501 the nickname of a user that
// RFC 7701 section 7.4 wants in chat rooms.
//
// It does not hold documents to the schema: words that have a list of values there,
// such as a status, are any text. It has no fields for the rest of the data model of
// RFC 6501, which is kept as it comes, and does not apply the patches of RFC 6502.
package confinfo
