// Package parley is an embeddable SIP and MSRP stack: layers that a program imports at
// whichever height it wants. It has no code itself; this is the map.
//
// From the bottom up, each package using only those before it:
//
//   - sip: messages as text; parse, read, change, write; no I/O
//   - sip/digest: challenges and credentials
//   - sip/resolve: from a URI to the addresses to try
//   - nat/stun: the address that a NAT gives to a socket
//   - sip/transport: sockets, connections, flows, and the way back for responses
//   - transaction: retransmission, timeouts and CANCEL
//   - transaction/proxy: routes, forks and the best answer
//   - transaction/registrar: where the users of a domain are
//   - dialog: calls, and the state that their two sides share
//   - ua: an agent that registers, calls and is called
//
// Beside them:
//
//   - sdp: session descriptions, offer and answer
//   - media: RTP audio, as a stream for a call of ua
//   - msrp: chats and messages of any size, as a stream for a call of ua, or without SIP
//   - msrp/frame: MSRP on the wire
//   - msrp/file, msrp/room, msrp/room/focus: files, and chat rooms
//   - msrp/relay: a relay for MSRP
//   - simple/cpim, simple/imdn, simple/iscomposing, simple/confinfo: what messages and
//     notifications carry
//   - sip/trace: what passed, as a call flow to read and a file for Wireshark
//   - sip/siptest: a network in memory, for tests
//
// Most programs import ua, and media or msrp. A proxy or a registrar is built on
// transaction/proxy, another server on transaction, a call controller on dialog,
// a responder that keeps no state on sip/transport, a parser or a test rig on
// sip. The programs in examples show each.
package parley
