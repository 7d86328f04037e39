// Package proxy forwards SIP requests and their responses: the proxy core of RFC
// 3261 section 16, for servers that decide for themselves where a request goes.
//
// Listen runs a Proxy on a transaction layer. Each request that arrives is
// checked, and freed of the Route entries that are ours; what is left is the
// question where it is to go, and that is what Config.Handler is for. It answers
// as any handler of package transaction does, or forwards: Relay sends a request
// along its Route or to its Request-URI, Forward to any number of targets, in
// parallel and in series, and answers with the best of their responses. Fork and
// ForkThen do the same and leave the answer to the handler, which may try something
// else instead.
//
//	p, err := proxy.Listen(
//		&transport.Config{Listen: []string{"udp::5060", "tcp::5060"}},
//		&proxy.Config{
//			Domains:     []string{"example.com"},
//			RecordRoute: true,
//			Handler: func(tx *proxy.Server, req *sip.Request) {
//				switch {
//				case tx.Local(): // for one of our users
//					tx.Forward(req, locate(req.URI())...)
//				case tx.Routed(): // within a dialog that we are on the path of
//					tx.Relay(req)
//				default: // no relay for strangers
//					tx.Reply(sip.StatusForbidden)
//				}
//			},
//		})
//
// A CANCEL needs no code: it ends the context of the server transaction, and with
// it every branch. Nor does the ACK of a 2xx, which is a request as others are and
// has no answer. What a proxy knows of a dialog it writes into its Record-Route,
// signed, so that it keeps nothing beyond the transactions. The key is
// transport.Config.FlowKey (package registrar tells of it and of the other keys
// that last): a program that is to know its dialogs again when it has been started
// anew, or that shares them with a node that takes its place, sets one. With the
// random key that is the default, requests within the dialogs of an earlier run are
// not Routed. Nodes that share a key work side by side: an entry that names another
// one is left for it.
//
// Calls that ring go on after a restart, if the key is the same and the node has
// the addresses and ports that it had (Listen tells which): Close, take a Snapshot
// of each of Layer().Servers() then, and give them to Restore of the new Layer,
// with nil for a handler, in the Restore of Config.Transaction. The handler is
// asked again (Resumed of its Server says so, where the request was forwarded or
// rang before), and what it forwards to where it did so before has the branch that
// it had: to whoever has it that is a retransmission. With another key or address
// it is another request to them, which they refuse with 482, and so the call ends.
// A search in series begins again with its first target; one that was cancelled, with
// all of them, to cancel whoever rings. Who has declined by then is rung once more, in
// a parallel search, too: that is not written down. What
// rings without a snapshot, after a crash, rings on until the callee gives up,
// unless the caller sends its INVITE again.
//
// Users may point at each other: a loop gets 482, and a request that comes back
// otherwise has a bounded number of branches in all, five for each of
// Config.MaxBreadth.
//
// A loop is a request that comes back with the Request-URI and the Route that it had
// when it came first, whatever else has changed, and the handler is not asked. So a
// service that it is sent by on its way has to change one of these, or to follow a
// Route: with two entries in Target.Route, of the service and of this proxy with a
// user, such as served@, the request comes back by the second one, and is another one
// by that.
//
// The package follows RFC 3261 section 16, RFC 3326 (Reason), RFC 3327 (Path), RFC
// 4320 (no 408 to what is no INVITE), RFC 5393 (loops, Max-Breadth), RFC 5626
// sections 5 and 7 (flows), RFC 5627 section 6 (GRUU), RFC 5658 (Record-Route between transports)
// and RFC 6026 sections 7.3 and 8 (2xx). It does not find users, which is for
// package registrar or the handler, ask for passwords, which Authenticate of a
// Registrar does, or change bodies.
package proxy
