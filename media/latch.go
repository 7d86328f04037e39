package media

import "net/netip"

// A LatchPolicy says from where a peer's media is accepted, and so to where
// ours is then sent (symmetric RTP, RFC 4961). The peer's description says
// where it receives; behind a NAT it does not know where it is seen to send
// from, so the first packets tell. Whoever is first then has the call, so the
// policy should be as narrow as the network allows.
//
// Whatever the policy, the first source stays: only a new description from
// the peer, which came by signalling, opens the choice again.
type LatchPolicy int

const (
	// LatchNAT takes media from the described host, on any port; from
	// anywhere only if the description cannot be true as it stands because
	// its address is a private one (RFC 1918, 6598, 4193 or link-local).
	LatchNAT LatchPolicy = iota

	// LatchHost takes media from the described host alone, on any port.
	LatchHost

	// LatchExact takes media from the described host and port alone.
	LatchExact

	// LatchAny takes media from anywhere. It is for peers whose media comes
	// from another host than they say; anyone who guesses the port and is
	// quicker than the peer takes over the call.
	LatchAny
)

// latchProbation is how many packets in sequence a source needs if it is not
// exactly the one described.
const latchProbation = 3

// A latch is where media comes from and goes to. It knows no clock.
type latch struct {
	policy    LatchPolicy
	described netip.AddrPort // the peer's description; zero: nowhere
	known     netip.AddrPort // the last description that was somewhere
	source    netip.AddrPort // latched; zero: not yet
	before    netip.AddrPort // the source until the last description, if that did not move the peer

	// A source on probation.
	candidate netip.AddrPort
	ssrc      uint32
	seq       uint16
	count     int
}

// describe takes a new description of the peer. If it is the old one again,
// as in a session refresh or around a hold, media goes where it went until a
// source is latched anew, and the old source needs no probation.
func (l *latch) describe(to netip.AddrPort) {
	if l.source.IsValid() {
		l.before = l.source
	}
	if to.IsValid() && to != l.known {
		l.known, l.before = to, netip.AddrPort{}
	}
	l.described, l.source, l.count = to, netip.AddrPort{}, 0
}

// dest returns where to send; the zero AddrPort is nowhere.
func (l *latch) dest() netip.AddrPort {
	switch {
	case !l.described.IsValid():
		return netip.AddrPort{} // the peer asks for no media (c=0.0.0.0), wherever it sends from
	case l.source.IsValid():
		return l.source
	case l.before.IsValid():
		return l.before
	}
	return l.described
}

// accept reports whether a valid packet of a negotiated payload type may come
// from there, and latches its source when it has shown to be consistent.
func (l *latch) accept(from netip.AddrPort, ssrc uint32, seq uint16) bool {
	if l.source.IsValid() {
		return from == l.source
	}
	if from == l.described || from == l.before {
		l.source = from
		return true
	}
	if !l.may(from.Addr()) {
		return false
	}
	if l.count > 0 && from == l.candidate && ssrc == l.ssrc && seq == l.seq+1 {
		l.count++
	} else {
		l.count = 1
	}
	l.candidate, l.ssrc, l.seq = from, ssrc, seq
	if l.count < latchProbation {
		return false
	}
	l.source = from
	return true
}

// may reports whether the policy allows media from the host.
func (l *latch) may(host netip.Addr) bool {
	switch l.policy {
	case LatchExact:
		return false
	case LatchAny:
		return true
	case LatchNAT:
		if behindNAT(l.described.Addr()) {
			return true
		}
	}
	return host == l.described.Addr()
}

// cgn is the address space that carriers share (RFC 6598).
var cgn = netip.MustParsePrefix("100.64.0.0/10")

// behindNAT reports whether a peer that describes itself with a is reached
// through a NAT if it is reached at all from elsewhere.
func behindNAT(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLinkLocalUnicast() || cgn.Contains(a)
}
