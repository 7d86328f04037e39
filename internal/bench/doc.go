// Package bench measures Parley beside other SIP stacks on the same messages in
// the same run, and judges where another parser reads them differently. It is a
// module of its own, so that nothing here becomes a dependency of the library.
//
// Command parse prints the first table of docs/performance.md:
//
//	make -C parse/c    # peers in C: llhttp, Sofia-SIP, libosip2, libre
//	go run ./parse
//
// Command transport prints what connections and datagrams cost a server that is
// one transport.Endpoint:
//
//	go run ./transport
//
// Command transaction prints what calls cost servers and proxies, beside
// Kamailio, Sofia-SIP, SIPp and sipgo, and how they hold out:
//
//	go run ./transaction
//
// Command call prints what calls cost those who place and answer them on packages
// ua and dialog, beside sipgo and Sofia-SIP's nua, what memory they take while they
// are up, and how two agents hold out:
//
//	make -C call/c     # the peer in C: Sofia-SIP
//	go run ./call      # every table of "Calls" in docs/performance.md, in 15 minutes
//
// Command msrp prints what MSRP sessions and relays move, beside plain TCP, and what idle
// sessions take:
//
//	go run ./msrp
//
// What the steps within this library take is measured in the library:
//
//	go test -run x -bench . ./sip
package bench
