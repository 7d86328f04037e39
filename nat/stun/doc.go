// Package stun tells a UDP socket the address that the world sees it at, and
// tells others theirs: Binding, the one method of STUN, as client and as
// server.
//
// STUN is one question, "where do my datagrams come from?", which keeps the
// binding of a NAT alive by being asked. The package is what a socket needs
// that carries another protocol as well, such as SIP: [IsMessage] tells the two
// apart, [Respond] answers without keeping anything, and a [Binding] is a
// question under way: it says when to send and reads the answer, but neither
// has a socket nor looks at the clock.
//
//	if stun.IsMessage(datagram) {
//		if mapped, ok, err := binding.Answer(datagram, from); ok {
//			...
//		} else if answer := stun.Respond(datagram, from); answer != nil {
//			conn.WriteToUDPAddrPort(answer, from)
//		}
//	}
//
// [Discover] does it all on a socket that has nothing else to read.
//
// What the answer says is what somebody on the way wanted it to say: an
// attacker who sees the question can answer it (RFC 8489 section 16.2). It is
// an address to be offered, never a proof of anything.
//
// The package follows RFC 8489, of which it is the Binding usage over UDP that
// RFC 5626 sections 4.4.2 and 8 ask of SIP, and RFC 5769. It knows nothing of
// credentials, TCP, redirection (ALTERNATE-SERVER) and clients older than RFC
// 5389, sends no SOFTWARE, as nobody needs to know (RFC 8489 section 16.1.2),
// and does not estimate the round-trip time.
package stun
