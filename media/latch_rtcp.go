package media

import "net/netip"

// A controlLatch is where RTCP comes from and goes to. It follows RTP: reports
// are believed from where the peer says that it has RTCP, and from any port of
// the host that RTP is latched to, but for LatchExact. Reports come seconds
// apart, so there is no probation, and no source that keeps others out.
type controlLatch struct {
	described netip.AddrPort // the peer's description; zero: nowhere
	source    netip.AddrPort // of the last report; zero: none since it was described elsewhere
}

// describe takes a new description of the peer.
func (l *controlLatch) describe(to netip.AddrPort) {
	if to != l.described {
		*l = controlLatch{described: to}
	}
}

// accept reports whether a report may come from there.
func (l *controlLatch) accept(from netip.AddrPort, rtp *latch) bool {
	if !l.believes(from, rtp) {
		return false
	}
	if l.source != l.described || !l.source.IsValid() {
		l.source = from
	}
	return true
}

func (l *controlLatch) believes(from netip.AddrPort, rtp *latch) bool {
	if !from.IsValid() {
		return false
	}
	return from == l.described || rtp.policy != LatchExact && from.Addr() == rtp.source.Addr()
}

// dest returns where to send reports: where the described address has sent
// one from, that one; else to where the last came from, if RTP still comes
// from that host. The zero AddrPort is nowhere.
func (l *controlLatch) dest(rtp *latch) netip.AddrPort {
	if l.described.IsValid() && l.source.IsValid() && l.believes(l.source, rtp) {
		return l.source
	}
	return l.described
}
