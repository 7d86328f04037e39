// Package siptest is an in-memory network with loss, delay, duplication,
// reordering and NATs: what net/http/httptest is to net/http, for programs that speak
// SIP, RTP or MSRP.
//
// A [Network] joins machines. A [Host] is a machine with one address; it opens
// datagram sockets, listens and dials with the methods of [net.ListenConfig]
// and [net.Dialer], so that code which takes these takes a Host. What a host
// opens behaves as a socket does: ports are in use, connections are refused,
// datagrams are cut to the reader's buffer, a full stream blocks its writer,
// deadlines expire. Nothing runs in the background and nothing has to be
// closed: a packet in flight is an entry in a list with one timer.
//
// Everything waits in a way that testing/synctest understands. In a bubble 32
// seconds of retransmissions take no time at all, and arrive on the nanosecond:
//
//	synctest.Test(t, func(t *testing.T) {
//		n := siptest.NewNetwork(&siptest.NetworkConfig{Seed: 1, Loss: 0.1, Delay: 20 * time.Millisecond})
//		alice, bob := n.Host("192.0.2.1"), n.Host("192.0.2.2")
//		// run one user agent on alice and one on bob
//	})
//
// Make the network inside the bubble that uses it. Outside of a bubble it
// works in real time.
//
// Chance is repeatable: which datagrams of a flow (one sending and one
// receiving address and port) are lost, doubled or late follows from the seed,
// the flow and the count of datagrams sent on it, whatever other goroutines do
// at the same time. What must happen to one certain packet is scripted with
// [Network.SetFilter].
//
// A [NAT] stands between hosts of its own and the others: what they send comes
// from its address, and whether what is sent there reaches them depends on its
// kind and on how long ago they sent something themselves. It can reboot and
// change its address.
//
//	box := n.NAT("203.0.113.1", &siptest.NATConfig{Filtering: siptest.AddressAndPortDependent})
//	phone := box.Host("10.0.0.2")
//
// The package follows RFC 768 (UDP) and RFC 9293 (TCP) as far as a program can
// see them through package net, and RFC 4787 and RFC 5382 for NATs.
//
// A [DNS] is a name server to run on a host, with records as in a zone file and
// faults by script.
//
// A host itself does not resolve names. The network does not fragment,
// multicast, or model bandwidth, and a datagram to a port where nobody listens
// is lost without an ICMP message. TLS and WebSocket run on its connections as
// on any [net.Conn].
package siptest
