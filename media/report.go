package media

import (
	"net/netip"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// reports is the state of RTCP.
type reports struct {
	timer rtcpTimer
	sent  bool // we have sent a report, so we owe a BYE

	// Packets sent and received until the last two reports: who sent since
	// the one before the last is a sender (RFC 3550 section 6.3.8).
	outBefore, inBefore [2]uint64

	last   uint32    // the middle of the NTP time of the peer's last sender report
	lastAt time.Time // when it came
}

// members returns the number of participants, the number of senders, and
// whether we are one.
func (s *session) members() (members, senders int, weSent bool) {
	members = 1
	if s.in.heard {
		members++
		if s.in.packets > s.reports.inBefore[0] {
			senders++
		}
	}
	if weSent = s.counts.PacketsSent > s.reports.outBefore[0]; weSent {
		senders++
	}
	return members, senders, weSent
}

// report sends a compound packet if it is time to.
func (l *sending) report(now time.Time) {
	s := l.s
	s.mu.Lock()
	r := &s.reports
	var gone []byte
	if s.in.hasLeft {
		s.in.hasLeft = false
		gone = s.compound(s.in.leaving, now, l.pace.at(now), false, true)
	}
	to := s.control.dest(&s.media)
	members, senders, weSent := s.members()
	var b []byte
	if r.timer.expire(now, members, senders, weSent) && to.IsValid() {
		b = s.compound(s.out.ssrc, now, l.pace.at(now), weSent, false)
		r.outBefore = [2]uint64{r.outBefore[1], s.counts.PacketsSent}
		r.inBefore = [2]uint64{r.inBefore[1], s.in.packets}
		r.timer.sent(now, len(b), members, senders, weSent)
		r.sent = true
	}
	s.mu.Unlock()
	for _, b := range [...][]byte{gone, b} {
		if b != nil && to.IsValid() {
			s.pair.rtcp.write(b, to)
		}
	}
}

// goodbye sends BYE, unless we were never heard (RFC 3550 section 6.3.7).
func (l *sending) goodbye(now time.Time) {
	s := l.s
	s.mu.Lock()
	to := s.control.dest(&s.media)
	var b []byte
	if (s.reports.sent || s.counts.PacketsSent > 0) && to.IsValid() {
		_, _, weSent := s.members()
		b = s.compound(s.out.ssrc, now, l.pace.at(now), weSent, true)
	}
	s.mu.Unlock()
	if b != nil {
		s.pair.rtcp.write(b, to)
	}
}

// compound returns a report, our name, and BYE if it is the last
// (RFC 3550 sections 6.1, 6.4 to 6.6). samples is the media time of now.
func (s *session) compound(ssrc uint32, now time.Time, samples int64, weSent, bye bool) []byte {
	var blocks []rtcp.ReceptionReport
	if in := &s.in; in.heard {
		block := rtcp.ReceptionReport{
			SSRC:               in.ssrc,
			FractionLost:       in.fraction(),
			TotalLost:          uint32(max(-1<<23, min(1<<23-1, in.lost()))) & 0xffffff,
			LastSequenceNumber: in.highest,
			Jitter:             uint32(in.jitter >> 4),
		}
		if s.reports.last != 0 {
			block.LastSenderReport = s.reports.last
			block.Delay = uint32(now.Sub(s.reports.lastAt) * 65536 / time.Second)
		}
		blocks = append(blocks, block)
	}
	packets := make([]rtcp.Packet, 0, 3)
	if weSent {
		packets = append(packets, &rtcp.SenderReport{
			SSRC: ssrc, NTPTime: ntpTime(now), RTPTime: s.out.offset + uint32(samples),
			PacketCount: s.out.packets, OctetCount: s.out.octets, Reports: blocks,
		})
	} else {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: ssrc, Reports: blocks})
	}
	packets = append(packets, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: ssrc,
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: s.cname}},
	}}})
	if bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{ssrc}})
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		return nil // none of the values above can be out of range
	}
	return b
}

// readRTCP takes reports until the socket is closed.
func (s *session) readRTCP() {
	defer s.readers.Done()
	buf := make([]byte, maxDatagram)
	failures := 0
	for {
		n, from, err := s.pair.rtcp.read(buf)
		if err != nil {
			if failures++; s.again(err, failures) {
				continue
			}
			return
		}
		failures = 0
		s.receiveReport(buf[:n], from, time.Now())
	}
}

// receiveReport takes a datagram from the RTCP port.
func (s *session) receiveReport(b []byte, from netip.AddrPort, now time.Time) {
	r, err := parseRTCP(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.counts.Malformed++
		return
	}
	if !s.running || !s.control.accept(from, &s.media) {
		s.counts.Strangers++
		return
	}
	s.reports.timer.seen(len(b))
	if r.ntp != 0 && s.in.heard && r.sender == s.in.ssrc {
		s.reports.last, s.reports.lastAt = uint32(r.ntp>>16), now
	}
	for _, block := range r.blocks {
		if block.SSRC != s.out.ssrc {
			continue
		}
		s.counts.PeerLost = int64(int32(block.TotalLost<<8)) >> 8
		s.counts.PeerJitter = sampleTime(int64(block.Jitter))
		if rtt, ok := roundTrip(now, block.LastSenderReport, block.Delay); ok {
			s.counts.RTT = rtt
		}
	}
	if s.in.heard && slices.Contains(r.goodbye, s.in.ssrc) {
		// What is sent after it, if anything, is a new source.
		s.in.lostOther += s.in.lost()
		s.in.heard = false
		s.reports.last = 0
	}
}
