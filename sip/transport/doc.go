// Package transport moves SIP messages over UDP, TCP, TLS and WebSocket.
//
// An Endpoint is a set of bound sockets. What arrives is handed over as an
// Inbound: a parsed message and the Flow it came by. A Flow is a value; it can
// be kept, compared and sent on. Requests go to a target, responses go back by
// the Via and the flow of their request, and everything else - which address
// stands in a Via, when a connection is opened, shared and closed, whom a
// certificate has to name, when a request is too large for UDP - is settled
// here.
//
//	ep, err := transport.Listen(&transport.Config{Listen: []string{"udp:0.0.0.0:5060"}})
//	for in, err := range ep.Receive(ctx) {
//		if err != nil {
//			break // ctx has ended, or the Endpoint is closed
//		}
//		if req, ok := in.Message.(*sip.Request); ok && req.Method() == sip.OPTIONS {
//			ep.Respond(in, req.Reply(sip.StatusOK))
//		}
//	}
//
// A malformed request is answered with 400, a malformed response is dropped, a
// stream that cannot be framed is closed. Each is counted in Stats and shown to
// the Trace; package sip/trace makes pictures and capture files of that.
//
// A connection is found by its address and, where there is TLS, by the name that
// the far end has proved; over TCP, which knows no names, by the address and
// port. A client behind a NAT is
// reached by the flow it came by, as long as that lives: KeepAlive sees to that
// on the client's side, and a proxy writes the flow into its Path and
// Record-Route as a FlowToken. WebSocketHandler takes SIP from browsers in a
// program's own HTTP server.
//
// Peers cost little, whatever they send: nothing is kept about those that speak
// UDP; connections are bounded in number, in all and for each source, in unread
// and unsent bytes, in silence, and in the time that a handshake or a message
// may take; and so are the messages a second of each source.
//
// A program that has another network than that of the operating system brings
// it as a Network; the one in memory of package sip/siptest is such a one.
//
// It follows RFC 3261 section 18, RFC 3581 (rport), RFC 5626 (flows,
// keepalives, tokens), RFC 5922 (certificates), RFC 5923 (reuse of
// connections), RFC 7118 (WebSocket), RFC 8305 section 5 (racing the addresses
// of a server), and RFC 8489 for STUN on the SIP socket. It does not wait for
// ICMP errors of datagrams, compress (RFC 3486) or speak SCTP, and knows nothing
// of transactions.
package transport
