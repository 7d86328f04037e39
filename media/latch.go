package media

import (
	"net/netip"
	"slices"
)

// A LatchPolicy says from where a peer's media is accepted, and so to where
// ours is then sent (symmetric RTP, RFC 4961). The peer's description says
// where it receives; behind a NAT it does not know where it is seen to send
// from, so the first packets tell. Whoever is first then has the call, so the
// policy should be as narrow as the network allows.
//
// Whatever the policy, a latched source stays as long as the peer describes
// the same address, through holds and session refreshes. RTP alone never
// changes it; what comes by signalling makes these exceptions:
//
//   - After a description with the same address another port of the latched
//     source's host may take its place with three packets in sequence, once,
//     until the latched source is heard: a NAT may have moved a peer that was
//     silent. Not with LatchExact.
//   - A description with another address opens the choice again. What was
//     described or latched before, on another host than the one described
//     now, is then not believed for a private address's sake: it may be
//     another phone of a forked call. If the earlier address is described
//     again its source is latched again.
//   - Once the peer has described more than one address the described one
//     itself takes the place of any other source with its first packet.
//
// RTCP follows RTP: it is taken from the described RTCP address, and from any
// port of the host whose RTP is latched, but for LatchExact.
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

// maxEarlier is how many earlier descriptions of the peer are remembered, the
// last ones: more than a forked call has phones that ring.
const maxEarlier = 16

// A latch is where RTP comes from and goes to. It knows no clock.
type latch struct {
	policy    LatchPolicy
	described netip.AddrPort // the peer's description; zero: nowhere
	known     netip.AddrPort // the last description that was somewhere
	source    netip.AddrPort // latched for known; zero: not yet
	silent    bool           // the source was not heard since it was described again
	moved     bool           // more than one address has been described
	earlier   []place        // before known

	// A source on probation.
	candidate netip.AddrPort
	ssrc      uint32
	seq       uint16
	count     int
}

// A place is an address the peer described, and the source latched for it.
type place struct{ described, source netip.AddrPort }

// describe takes a new description of the peer. One that names the address of
// the one before, as in a session refresh or around a hold, keeps the source.
func (l *latch) describe(to netip.AddrPort) {
	l.described, l.count = to, 0
	if !to.IsValid() {
		return // for now; where the peer is stays known
	}
	if to != l.known && l.known.IsValid() {
		l.moved = true
		if len(l.earlier) == maxEarlier {
			l.earlier = slices.Delete(l.earlier, 0, 1)
		}
		l.earlier = append(l.earlier, place{l.known, l.source})
		l.source = netip.AddrPort{}
		if i := slices.IndexFunc(l.earlier, func(p place) bool { return p.described == to }); i >= 0 {
			l.source = l.earlier[i].source
			l.earlier = slices.Delete(l.earlier, i, i+1)
		}
	}
	l.known, l.silent = to, true
}

// dest returns where to send; the zero AddrPort is nowhere.
func (l *latch) dest() netip.AddrPort {
	switch {
	case !l.described.IsValid():
		return netip.AddrPort{} // the peer asks for no media (c=0.0.0.0), wherever it sends from
	case l.source.IsValid():
		return l.source
	}
	return l.described
}

// accept reports whether a valid packet of a negotiated payload type may come
// from there, and latches its source when it has shown to be consistent.
func (l *latch) accept(from netip.AddrPort, ssrc uint32, seq uint16) bool {
	switch {
	case !from.IsValid():
		return false
	case from == l.source, from == l.described && (l.moved || !l.source.IsValid()):
		l.source, l.silent = from, false
		return true
	case !l.may(from):
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
	l.source, l.silent, l.count = from, false, 0
	return true
}

// may reports whether the policy allows the source after probation.
func (l *latch) may(from netip.AddrPort) bool {
	host := from.Addr()
	switch {
	case !l.described.IsValid(), l.policy == LatchExact:
		return false
	case l.source.IsValid():
		return l.silent && host == l.source.Addr()
	case host == l.described.Addr(), l.policy == LatchAny:
		return true
	}
	return l.policy == LatchNAT && behindNAT(l.described.Addr()) && !slices.ContainsFunc(l.earlier, func(p place) bool {
		return from == p.described || from == p.source
	})
}

// cgn is the address space that carriers share (RFC 6598).
var cgn = netip.MustParsePrefix("100.64.0.0/10")

// behindNAT reports whether a peer that describes itself with a is reached
// through a NAT if it is reached at all from elsewhere.
func behindNAT(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLinkLocalUnicast() || cgn.Contains(a)
}
