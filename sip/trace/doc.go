// Package trace records the messages that pass a transport.Endpoint: as a call
// flow to read, and as a capture file for Wireshark.
//
// A recorder gives a *transport.Trace to be put into a transport.Config. One
// recorder may serve several endpoints of a program, so that a test with a
// phone, a proxy and another phone has one picture; a message between two of
// them is seen twice, by its sender and by its receiver, and recorded once.
// Several recorders may serve one endpoint by way of Join.
//
//	ladder := trace.NewLadder(&trace.LadderConfig{Names: map[string]string{"192.0.2.1": "alice"}})
//	ep, err := transport.Listen(&transport.Config{
//		Listen: []string{"udp:0.0.0.0:5060"},
//		Trace:  ladder.Trace(),
//	})
//	...
//	fmt.Print(ladder)
//
// Recorders hold a bounded amount of memory whatever arrives.
//
// The file format is that of draft-ietf-opsawg-pcapng; the packets in it follow
// RFC 791, RFC 8200, RFC 768 and RFC 9293.
//
// The package does not capture from the network: what the transport drops
// unseen, such as keepalives, is not recorded, and headers below SIP are made
// up. Secrets in messages are recorded as they are.
package trace
