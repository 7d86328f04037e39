// Package dialog keeps the state that two user agents share in a call, and the
// reliability that RFC 3261 leaves to them: 2xx responses are retransmitted
// until their ACK comes, each of them is acknowledged, a call without an ACK is
// ended with BYE, and so are the surplus answers of a fork.
//
// A Layer runs dialogs on a transaction.Layer of its own. Invite places a call
// and Config.OnInvite is asked about each that arrives; both lead to a Session,
// which sends requests within the dialog until one side says BYE. Bodies are
// text: what is negotiated in them is for the layer above, which makes this the
// place to build a call controller that passes them through.
//
//	layer, err := dialog.Listen(
//		&transport.Config{Listen: []string{"udp:0.0.0.0:5060"}},
//		&dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
//			in.Provisional(sip.StatusRinging)
//			_, err := in.Accept(sip.Body{Type: "application/sdp", Content: answer})
//			if err != nil {
//				return // cancelled, or no ACK came
//			}
//			<-in.Session().Done()
//		}})
//
// A call that is up is an entry in a table, of about 1 KB: no goroutine, no
// timer but that of its session timer, and none of its messages is kept.
//
// A Session is one use of a Dialog; subscriptions are others, which SUBSCRIBE and
// REFER begin, in a dialog of their own (Layer.Subscribe, Server.Accept) or in that of
// a call, which they may outlive. The Layer knows how long each is needed and what the
// failure of a request ends (RFC 5057); what is subscribed to is for the program.
//
// Who is in the middle of a call, a back-to-back user agent, has a dialog with each
// side, and passes on what goes from end to end: see Layer.Relayed, Invitation.Relay,
// and examples/b2bua.
//
// A dialog can be written down and restored, after a restart or on another node:
// see Dialog.Snapshot and Layer.Restore.
//
// Where both sides act at once the package does what RFC 5407 recommends: an
// INVITE that meets one of ours, or a 2xx of ours without its ACK, gets 491; a
// BYE that crosses ours gets 200, and any other request then 481; a 2xx that
// comes when the call is over is acknowledged nevertheless. An UPDATE with an offer
// that meets an offer gets 491 or 500 (RFC 3311 section 5.2). A request that comes
// right behind the response to an INVITE of ours, or overtakes it, waits for the dialog
// that this makes.
//
// The package follows RFC 3261 sections 12 to 15, RFC 3262 (reliable provisional
// responses), RFC 3311 (UPDATE), RFC 4028 (session timers), RFC 5057, RFC 5407,
// RFC 6026, RFC 6141 section 4 (targets), RFC 6228 (199) and what RFC 6665 says of
// dialogs. A peer of RFC 2543 may leave out tags, and the Contact of a 2xx.
package dialog
