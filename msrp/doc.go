// Package msrp is instant messages in sessions: chats and files of any size, between two programs
// or by way of relays (RFC 4975).
//
// An [Endpoint] is where the connections are, of which the sessions with one host share one. A
// [Session] is an exchange with one peer, and a stream of a call: it describes itself in SDP, and
// connects, or is connected to, when the call is answered. A message is read while it arrives
// and sent while it is read, so that it may have any size; small ones do not wait for large
// ones. What is not read holds up who sends it, for 20 seconds, and everything else on the
// connection with it: who does not want a message says so with Reject. A session whose connection is lost
// says ErrLost to all who use it, and goes on when another offer is made.
//
//	chat := msrp.NewSession(endpoint, nil)
//	call, err := alice.Invite(ctx, "sip:bob@example.com", &ua.InviteOptions{Streams: []ua.Stream{chat}})
//	err = chat.SendText(ctx, "Hello, Bob.") // Bob's program has it
//	for m, err := range chat.Messages(ctx) {
//		if err != nil {
//			return err
//		}
//		io.Copy(os.Stdout, m)
//	}
//
// With Config.Relays sessions go by relays, over TLS or WebSocket, and with SessionConfig.DataChannel over a
// channel of a WebRTC stack that the program has.
//
// The package follows RFC 4975, RFC 4976 section 5 (relays, for their clients), RFC 7977 and RFC 8873 with RFC 8864, with the roles of RFC 6135 and without them, RFC 6714 (middleboxes),
// RFC 8122 and RFC 4975 section 14.4 (fingerprints), and knows of RFC 7701 that messages that stop are given
// up. Who presents a fingerprint has to show that certificate; without one, and at the relay of a peer, it
// is the name in the path that counts, for who connects. The port of an active endpoint that listens is its real one, where
// RFC 6135 section 4.2.2 recommends 9, so that the path stays as it is in later offers.
//
// It does not look into messages, but for notifications of IMDN, which go out though the peer receives no messages (RFC
// 4975 section 8.9): message/cpim, the notifications and isComposing are packages of their own, below simple. Chunks of
// a message that a lost connection has cut off are not put together with those of the next one: it is sent again whole.
// REPORTs are not sent for parts of messages, nor of failures.
package msrp
