package media

import (
	"net/netip"
	"time"
)

// Stats is what a session has seen. All counts are from the beginning.
type Stats struct {
	PacketsSent     uint64 // RTP, digits included
	BytesSent       uint64 // of payload
	PacketsReceived uint64 // RTP that was used or came late
	BytesReceived   uint64 // of payload

	Lost   int64         // packets that did not come; less than 0 if more copies came (RFC 3550 section 6.4.1)
	Late   uint64        // packets that came too late to be played
	Jitter time.Duration // of arrival (RFC 3550 section 6.4.1)

	PeerLost   int64         // Lost as the peer last reported it
	PeerJitter time.Duration // Jitter as the peer last reported it
	RTT        time.Duration // the time to the peer and back; 0 until a report tells

	Malformed   uint64 // packets dropped that were no RTP or RTCP, or out of all sequence
	UnknownType uint64 // packets dropped of a payload type that was not agreed
	Strangers   uint64 // packets dropped that came from elsewhere than the peer

	Remote netip.AddrPort // where RTP is sent; zero: nowhere
}

// stats returns the counts as they are now.
func (s *session) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.counts
	st.Lost = s.in.lostOther
	if s.in.heard {
		st.Lost += s.in.lost()
	}
	st.Jitter = s.in.jitterTime()
	st.Remote = s.media.dest()
	return st
}
