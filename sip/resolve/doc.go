// Package resolve finds out where a message is to be sent: from a URI to the
// transports and addresses to try, in order.
//
// A domain says in the DNS how it wants to be reached: which transports it
// speaks (NAPTR), which hosts serve each of them, who stands in for whom and
// who takes how much (SRV), and at which addresses (A, AAAA). A URI may settle
// some of that by itself, with an address, a port, or a transport parameter. A
// [Client] asks for the rest and makes one list of it. The first entry is to be
// tried first, the next one when the one before could not be reached, did not
// answer, or answered 503; which one that was is worth telling [Client.Failed],
// so that later lists end with it.
//
//	client := resolve.New(&resolve.Config{Transports: []string{"TLS", "TCP", "UDP"}})
//	targets, err := client.Targets(ctx, uri)
//
// Answers are kept for as long as their owners say, those that there is nothing
// included, and everybody who asks the same question at the same time shares
// one. What is slow to come is left for the next list once there is something to
// try. Keep one Client for a program; a proxy without state asks it for
// [Client.StatelessTargets].
//
// Questions go to a [Resolver]: by default to [DNS], which asks the servers of
// the system as one who knows that answers can be forged, or to one of the
// program's own, which is a method to write.
//
// It follows RFC 3263 with the procedures of RFC 2782 (SRV), RFC 3403 (NAPTR),
// RFC 7118 section 5.5 (WebSocket) and RFC 7984 (IPv4 and IPv6), RFC 8305
// sections 3 and 4 for what is waited for and in which order addresses come,
// and, for the DNS itself, RFC 1035, 2181, 2308, 5452, 6761, 6891 and 9520.
//
// It does not open connections or race them, look up tel URIs (ENUM), check
// DNSSEC signatures, complete names by search domains, or evaluate the regular
// expressions of NAPTR records, of which RFC 3263 has none.
package resolve
