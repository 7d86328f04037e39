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
// A call that is up is an entry in a table, of less than 2 KB: no goroutine, no
// timer, and none of its messages is kept.
//
// A call can be written down and restored, after a restart or on another node:
// see Session.Snapshot and Layer.Restore.
//
// Where both sides act at once the package does what RFC 5407 recommends: an
// INVITE that meets one of ours, or a 2xx of ours without its ACK, gets 491; a
// BYE that crosses ours gets 200, and any other request then 481; a 2xx that
// comes when the call is over is acknowledged nevertheless.
//
// The package follows RFC 3261 sections 12 to 15, RFC 5407 and RFC 6026. A peer
// of RFC 2543 may leave out tags, and the Contact of a 2xx. The package does not
// do reliable provisional responses, session timers or subscriptions; of UPDATE
// it knows that the 2xx to one of ours changes the target. Of an INVITE that
// forks, early dialogs are not told apart: the first 2xx is the call.
package dialog
