// Package transaction runs SIP transactions: it retransmits, absorbs
// retransmissions, acknowledges refusals and gives up in time.
//
// A Layer owns an Endpoint and every transaction on it. Requests that arrive
// are given to Config.Handler, once each, with a Server to answer them by.
// Requests of one's own are sent with Responses or Do, which run a client
// transaction. Contexts tie the two together: the context of a server
// transaction ends when the peer cancels it, and a client INVITE whose context
// ends is cancelled. A proxy that passes one to the other forwards CANCEL
// without a line of code.
//
//	layer, err := transaction.Listen(
//		&transport.Config{Listen: []string{"udp:0.0.0.0:5060"}},
//		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
//			tx.Reply(sip.StatusNotFound)
//		}})
//
// A live transaction is a state machine, a timer and its message; there is no
// goroutine in it. What a flood of requests may cost is bounded, in handlers and
// in bytes; past that they get 503 and leave nothing behind. Before that, when
// requests begin to wait, overload control refuses some of them, and tells the
// neighbours that ask for it how many to send: see Overload and Server.Waiting.
//
// A server transaction can be written down and restored, after a restart or on
// another node, once the Layer is closed: see Layer.Servers, Server.Snapshot and
// Layer.Restore.
//
// The package follows RFC 3261 sections 8.2.2.2, 9, 17 and 26.3.2.4, RFC 4320 and
// RFC 6026, tries the further targets of RFC 3263 section 4.3, and controls
// overload by RFC 7339 and RFC 7415. What a request means, dialogs and routes is
// for the layers above.
package transaction
