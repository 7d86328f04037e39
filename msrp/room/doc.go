// Package room is an MSRP switch: a chat room that any number of chats join.
//
// A Room passes on what each Participant writes to all others, or to one of them, as it came: who
// it is for and who it is from is in its message/cpim envelope, which the Room looks at and does
// not touch. Each Participant is a stream of a call, and has a queue of its own, so that one who is
// slow misses messages and delays nobody. The Room answers for itself: what its participants think
// of a message does not come back to who has sent it. Who is there under which name is the roster,
// a value that changes.
//
//	r, err := room.New(endpoint, "sip:chat@example.com", nil)
//	...
//	p, err := r.Join(in.From()) // in is a call that comes in
//	if err != nil {
//		return in.Reject(ctx, sip.StatusForbidden)
//	}
//	call, err := in.Answer(ctx, p)
//	...
//	select {
//	case <-call.Done():
//	case <-p.Done(): // expelled, lost, or the room is closed
//		call.Hangup(ctx)
//	}
//
// Package msrp/room/focus does that, and has the roster watched.
//
// A member is a msrp.Session whose SessionConfig has message/cpim in AcceptTypes, without which it is refused, what
// it takes inside in AcceptWrappedTypes, and in Attributes "chatroom", with "nickname private-messages" for what it
// knows of these: without it, it is greeted as one who knows no rooms, and gets no private messages. It sends
// message/cpim From its own URI, with one To: that of the room for a message to all, or a person's for a private one.
//
// It implements RFC 7701, of RFC 4975 what a receiver does, the nicknames of RFC 8266, and the roster as
// RFC 4575 section 5 has it.
//
// A message is passed on when all of it is there, of at most Config.MaxSize bytes; what is larger
// is refused with 413, and files are better sent from one to another. An envelope in which somebody
// else might read another From, To or type than the Room does is refused, with 400 or 403.
// Participants are who the program says they are. Nicknames are free at once when who had them
// leaves (no quarantine), and may look alike. How often somebody may write is not limited.
package room
