// Package transport moves SIP messages over sockets.
//
// An Endpoint is a set of bound sockets. What arrives is handed over as an
// Inbound: a parsed message and the Flow it came by. A Flow is a value; it can
// be kept, compared and sent on. Requests go to a target, responses go back by
// the Via and the flow of their request, and everything else - which address
// stands in a Via, when a connection is opened, shared and closed, when a
// request is too large for UDP - is settled here.
//
//	ep, err := transport.Listen(&transport.Config{Listen: []string{"udp:0.0.0.0:5060"}})
//	for in, err := range ep.Receive(ctx) {
//		if req, ok := in.Message.(*sip.Request); ok && req.Method() == sip.OPTIONS {
//			ep.Respond(in, req.Reply(sip.StatusOK))
//		}
//	}
//
// A malformed request is answered with 400, a malformed response is dropped, a
// stream that cannot be framed is closed. Each is counted in Stats and shown to
// the Trace; package sip/trace makes pictures and capture files of that.
//
// Peers cost little, whatever they send: nothing is kept about those that speak
// UDP; connections are bounded in number, in unread and unsent bytes, in
// silence, and in the time that a message may take.
//
// It follows RFC 3261 section 18 for UDP and TCP, RFC 3581 (rport) and the
// server side of the CRLF keepalive of RFC 5626 section 4.4.1. It does not
// speak TLS, WebSocket or STUN, does not wait for ICMP errors of datagrams or
// limit what one source may use of the whole, and knows nothing of
// transactions.
package transport
