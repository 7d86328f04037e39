// Package iscomposing tells the other side of a chat that a user is writing.
//
// There is a small document, [Status], and at each side a state machine that is given
// the time and what happened, and says what to do and when to ask it again. A [Sender]
// is told of each key that the user presses and says which statuses to send; a
// [Receiver] is told of the statuses that arrive and says whether the peer is writing.
// Neither has a clock: the program calls Tick by the time that the last call returned,
// or does not call it if that is zero. A chat has one of each for each peer, and holds
// a lock if several goroutines use them.
//
//	out := sender.Typed(time.Now())
//	if out.Send != nil {
//		send(iscomposing.ContentType, out.Send.Append(nil))
//	}
//	timer.Reset(time.Until(out.Next)) // and then sender.Tick
//
// That somebody writes is private. RFC 3994 section 7 would have it told, outside of
// sessions, only to who has written before.
//
// It implements RFC 3994. States other than active and idle are read as idle
// (section 3.5), and extensions are passed over. Of the limit of section 3.2, one status
// in each refresh interval, it keeps what figure 1 does: an active status is not
// repeated sooner, but changes are told at once.
package iscomposing
