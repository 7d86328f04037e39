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
//			s, err := in.Accept(sip.Body{Type: "application/sdp", Content: answer})
//			if err != nil {
//				return // cancelled, or no ACK came
//			}
//			<-s.Done()
//		}})
//
// The package follows RFC 3261 sections 12 to 15 and RFC 6026. It does not do
// reliable provisional responses, UPDATE, session timers or subscriptions.
package dialog
