// Package imdn asks for notifications of what became of an instant message, and
// gives them.
//
// A notification is itself an instant message: a [cpim.Message] with a small XML
// document in it, a [Notification]. Who sends a message calls [Ask], which gives the
// message an ID. Who gets it calls [Received], which returns a [Request], nil if nothing
// is asked for; its Notify makes each notification once. Who asked then reads it with
// [Read]. Somebody in between, such as a store for absent users, calls [Forwarded] in
// place of Received. How the messages travel is the program's business.
//
//	if r := imdn.Received(m); r != nil {
//		note, err := r.Notify(imdn.DeliveryNotification, imdn.Delivered, time.Now())
//		...
//		send(imdn.NextHop(note), note)
//	}
//
// Notifications tell a stranger what a user does. To have the user's consent comes
// first (RFC 5438 section 14.2), and From is only what the sender says.
//
// It implements RFC 5438 but for its section 12, which is about SIP.
//
// It does not aggregate notifications, though it reads aggregates, does not remember
// which messages wait for theirs, and neither signs nor encrypts. The subject of a
// message is not repeated in its notifications, which section 11.1.5 leaves open.
package imdn
