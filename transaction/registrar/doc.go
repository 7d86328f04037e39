// Package registrar keeps the bindings between a domain's users and the places
// where they can be reached.
//
// A Registrar is given the REGISTERs of its domains, and answers them. A proxy
// asks it for the targets of a request to one of its users. Between the two
// there is a Store, which keeps a few hundred bytes for each user by a key:
// the one in memory, or one that several nodes share. A node keeps nothing else,
// so with a shared Store each of them can take any REGISTER and any call.
//
//	users, err := digest.NewServer(digest.ServerConfig{
//		Realm:    "example.com",
//		Password: passwords,
//		Nonces:   100_000, // each Authorization is good for once
//	})
//	...
//	location, err := registrar.New(&registrar.Config{Domains: []string{"example.com"}, Users: users})
//	...
//	p, err := proxy.Listen(sockets, &proxy.Config{
//		Domains: []string{"example.com"},
//		Handler: func(tx *proxy.Server, req *sip.Request) {
//			if tx.Local() && req.Method() == sip.REGISTER {
//				location.Register(tx.Server, req)
//				return
//			}
//			req, user := location.Authenticate(tx, req)
//			switch {
//			case req == nil: // who says to be one of our users has been asked for the password
//			case tx.Local():
//				location.Forward(tx, req)
//			case tx.Routed(), user != "": // within a dialog, or from a user of ours
//				tx.Relay(req)
//			default: // no relay for strangers
//				tx.Reply(sip.StatusForbidden)
//			}
//		},
//	})
//
// A client that is connected here, or behind a NAT, or that uses outbound, is
// reached by the flow that its REGISTER came by. That flow is an entry in front
// of the Path of its binding, with a token, and with the name of this node: other
// nodes send there as to any proxy, and this one knows its own. So each node that
// shares a Store is to have an address or a name of its own, by which the others
// reach it; see Config.Node. Whether they share transport.Config.FlowKey as well,
// to know the dialogs of each other, is of no account.
//
// A Store may outlive the program, and with it should two keys. Nodes that share users
// are to share three. They are random unless they are set:
//
//   - transport.Config.FlowKey signs what bindings and dialogs say of flows. With
//     another one a client behind a NAT is not reached until it registers again, and
//     dialogs and calls that ring are not known again (package proxy). Flows of UDP
//     stay good with it; connections end with the program.
//   - Config.GRUUKey enciphers temporary GRUUs, which end with it.
//   - Secret of digest.ServerConfig signs nonces. A node with another one asks whoever
//     has one once more, by 401 or 407, as does with Nonces each node that was started
//     since. Of what was used a node knows what was used there: an Authorization that
//     was overheard is good for once at each of the others, until its nonce is too old.
//
// A call that rings, and goes on after the restart, needs no more than the first of
// them: Authenticate asks for no password again. Who calls out with a tel URI is known
// as a user by then if the Store or Config.Exists says so.
//
// Where several nodes are one domain, a request that one has asked for a password, and
// sends on to the node that has the flow of the callee, comes there without: the
// handler of each has to know the others, and to leave out Authenticate for them. It
// knows them by their connections, best of TLS with their certificates (Identities of
// Flow of the Server), for over UDP anybody can send from their addresses.
//
// The package follows RFC 3261 section 10.3, RFC 3327 section 5.3, RFC 3608
// section 6.3, RFC 5626 sections 6 and 7, RFC 5627 sections 5 and 6.1 and RFC
// 5630 section 5.2; of RFC 3966, Lookup reads numbers. Feature parameters of RFC
// 3840 are kept with the Contact, but nothing is matched against them; there is no
// reg event package (RFC 3680), for which Watch is there, no registration of many
// numbers (RFC 6140) and no push (RFC 8599).
package registrar
