// Package relay is an MSRP relay: it forwards messages for clients that it knows (RFC 4976), over
// TLS, TCP and WebSocket (RFC 7977).
//
// A client that cannot be reached, or may not reach others, connects to a Relay, proves who it is with
// a password, and gets a URI, which it puts into the path of its session description. Whoever has that
// URI reaches the client through the Relay, and the client reaches anybody; that is all: a request
// passes only if it comes from the connection that has got the URI, or goes there. A message passes
// while it comes, in chunks of whatever size, and takes its turn with those of others. A receiver
// that takes less than is sent to it slows down those who send to it. One that takes nothing for 20
// seconds while a megabyte waits loses its messages, and one that takes less than 7 KB a second may.
// Each sender that wants to know hears what became of its own.
//
//	r, err := relay.New(&relay.Config{
//		Listen:   []string{"tls:0.0.0.0:2855", "wss:0.0.0.0:443"},
//		Domain:   "example.com",
//		Host:     "relay.example.com",
//		Password: relay.Passwords(map[string]string{"alice": "secret"}),
//		TLS:      &tls.Config{Certificates: []tls.Certificate{certificate}},
//	})
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//
// The package follows RFC 4976 sections 3, 6, 8 and 9, RFC 4975 sections 5.4 and 7, and RFC 7977
// sections 5 to 7.
//
// It keeps no messages for clients that are away, shares no URIs with other machines, and does not
// look into messages.
package relay
