package media

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/pion/rtp"
)

// maxDatagram is the largest datagram that is read whole: more than any
// packet of G.711 that fits an Ethernet frame. Longer ones are cut short.
const maxDatagram = 2048

// inbound is what is known about the peer's media.
type inbound struct {
	receiver
	heard     bool // receiver is in use
	packets   uint64
	lostOther int64 // lost of earlier sources

	// Another synchronization source, until two packets in sequence show
	// that it is one (RFC 3550 appendix A.1).
	other     uint32
	otherNext uint16
	otherSeen bool

	events  eventReceiver
	playout playout
	looped  bool   // our own SSRC has come back once
	leaving uint32 // the SSRC we gave up for that, to say goodbye for
	hasLeft bool   // leaving is set
}

// readRTP takes packets until the socket is closed.
func (s *session) readRTP() {
	defer s.readers.Done()
	var p rtp.Packet // reused, so that a packet costs no allocation
	buf := make([]byte, maxDatagram)
	failures := 0
	for {
		n, from, err := s.pair.rtp.read(buf)
		if err != nil {
			if failures++; s.again(err, failures) {
				continue
			}
			return
		}
		failures = 0
		s.receive(&p, buf[:n], from, time.Now())
	}
}

// receive takes a datagram from the RTP port. p is scratch space.
func (s *session) receive(p *rtp.Packet, b []byte, from netip.AddrPort, now time.Time) {
	err := p.Unmarshal(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counts
	if err != nil || p.Version != 2 {
		c.Malformed++
		return
	}
	if !s.running {
		c.Strangers++ // there is no description to hold it against
		return
	}
	kind := s.agreed.accepts[p.PayloadType&0x7f]
	if kind == (accepted{}) {
		c.UnknownType++
		return
	}
	if !s.media.accept(from, p.SSRC, p.SequenceNumber) {
		c.Strangers++
		return
	}
	if p.SSRC == s.out.ssrc && !s.in.looped {
		// A collision: the newcomer changes (RFC 3550 section 8.2). If it
		// comes back again, the peer is one that sends us our own packets, as
		// an echo service does, and is heard like any other.
		s.in.looped, s.in.hasLeft, s.in.leaving = true, true, s.out.ssrc
		s.out = newSender()
	}
	order, ok := s.source(p)
	if !ok {
		c.Malformed++
		return
	}
	c.PacketsReceived++
	c.BytesReceived += uint64(len(p.Payload))
	s.in.packets++
	s.in.arrived(sampleCount(now.Sub(s.start)), p.Timestamp)
	switch {
	case !s.agreed.receives: // a peer on hold that sends all the same
	case kind.event:
		if d, ok := s.in.events.report(p.Payload, p.Timestamp, p.Marker); ok {
			s.heard(d)
		}
	case s.recording && !s.in.playout.write(p.Timestamp, p.Payload, kind.codec, order == outOfOrder):
		c.Late++
	}
}

// source finds the synchronization source a packet is of, and accounts for
// its sequence number. It reports false if the packet is not to be used.
func (s *session) source(p *rtp.Packet) (verdict, bool) {
	in := &s.in
	if in.heard && p.SSRC == in.ssrc {
		in.otherSeen = false
		lost := in.lost()
		v := in.sequence(p.SequenceNumber)
		if v == restarted {
			in.lostOther += lost
		}
		return v, v != suspect
	}
	if in.heard {
		if !in.otherSeen || p.SSRC != in.other || p.SequenceNumber != in.otherNext {
			in.other, in.otherNext, in.otherSeen = p.SSRC, p.SequenceNumber+1, true
			return suspect, false
		}
		in.lostOther += in.lost()
	}
	// The first source, or a change of it, as after a transfer at the far end.
	in.receiver = newReceiver(p.SSRC, p.SequenceNumber)
	in.heard, in.otherSeen = true, false
	in.events = eventReceiver{}
	in.playout.anew = true // until then what it has, and silence, go on
	return in.sequence(p.SequenceNumber), true
}

// playLoop gives the sink what was received, a packet time at a time.
func (s *session) playLoop() {
	defer s.loops.Done()
	pace := pacer{start: time.Now()}
	samples := make([]int16, defaultFrame)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-timer.C:
		}
		pace.skip(time.Now(), defaultFrame)
		s.mu.Lock()
		heard := s.in.playout.read(samples)
		s.mu.Unlock()
		if heard {
			if err := s.record.WriteSamples(samples); err != nil {
				s.mu.Lock()
				s.recording = false
				s.mu.Unlock()
				s.fail(fmt.Errorf("media: record: %w", err))
				return
			}
		}
		pace.samples += defaultFrame
		timer.Reset(time.Until(pace.due()))
	}
}
