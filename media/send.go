package media

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pion/rtp"
)

// A pacer says when the next packet is due: the start and the samples since
// then, so that no error adds up.
type pacer struct {
	start   time.Time
	samples int64
}

// maxBehind is how late a packet may be until the packets in between are left
// out, as after the machine was asleep.
const maxBehind = 100 * time.Millisecond

func (p *pacer) due() time.Time { return p.start.Add(sampleTime(p.samples)) }

// skip leaves out whole frames if the next packet is too late.
func (p *pacer) skip(now time.Time, frame int) {
	if behind := now.Sub(p.due()); behind > maxBehind {
		p.samples += sampleCount(behind) / int64(frame) * int64(frame)
	}
}

// at returns the number of samples at a time.
func (p *pacer) at(now time.Time) int64 { return sampleCount(now.Sub(p.start)) }

// A sender is our synchronization source (RFC 3550 section 5.1: all three
// numbers start at random).
type sender struct {
	ssrc    uint32
	seq     uint16
	offset  uint32 // the timestamp of sample 0
	talking bool   // the packet before was sent, so the next needs no marker
	packets uint32
	octets  uint32 // of payload
}

func newSender() sender {
	return sender{ssrc: random32(), seq: uint16(random32()), offset: random32()}
}

// next appends the header of the next packet to b.
func (o *sender) next(b []byte, number uint8, timestamp uint32, marker bool) []byte {
	h := rtp.Header{Version: 2, Marker: marker || !o.talking, PayloadType: number,
		SequenceNumber: o.seq, Timestamp: timestamp, SSRC: o.ssrc}
	o.seq++
	o.talking = true
	n, _ := h.MarshalTo(b[len(b) : len(b)+h.MarshalSize()]) // the buffer has room
	return b[:len(b)+n]
}

// sendLoop sends a packet every packet time, and RTCP when it is due.
func (s *session) sendLoop() {
	defer s.loops.Done()
	l := &sending{s: s, pace: pacer{start: time.Now()}}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.done:
			l.goodbye(time.Now())
			return
		case <-timer.C:
		}
		l.packet(time.Now())
		l.report(time.Now())
		timer.Reset(time.Until(l.pace.due()))
	}
}

// sending is what belongs to the send loop alone.
type sending struct {
	s       *session
	pace    pacer
	samples [maxFrame]int16
	buf     [12 + maxFrame]byte
}

// packet sends what is due now.
func (l *sending) packet(now time.Time) {
	s := l.s
	s.mu.Lock()
	a := &s.agreed
	frame, c, number := a.frame, a.codec, a.number
	l.pace.skip(now, frame)
	sample := uint32(l.pace.samples) // the first of this packet
	l.pace.samples += int64(frame)
	to := s.media.dest()
	if !a.sends || c == nil || !to.IsValid() {
		s.out.talking = false // what comes after the hold is a new talkspurt
		if d := s.dialing; d != nil && d.stopped {
			s.endDialing(nil)
		}
		s.mu.Unlock()
		return
	}
	if d := s.dialing; d != nil {
		b := l.digit(d, s.out.offset+sample, frame, c)
		s.mu.Unlock()
		s.pair.rtp.write(b, to)
		return
	}
	source, p := s.play, s.playing
	if p != nil {
		source, p.reading = p.source, true
	}
	s.mu.Unlock()

	samples := l.samples[:frame]
	n, err := 0, error(nil)
	if source != nil {
		n, err = source.ReadSamples(samples)
		n = max(0, min(n, frame))
	}
	clear(samples[n:])

	s.mu.Lock()
	switch {
	case p != nil:
		p.reading = false
		if p.ended || err != nil {
			if err = notEOF(err); err != nil {
				err = fmt.Errorf("media: play: %w", err)
			}
			s.endPlaying(err)
		}
	case err != nil:
		s.play = nil
		if err = notEOF(err); err != nil && s.failure == nil {
			s.failure = fmt.Errorf("media: play: %w", err)
		}
	}
	b := s.out.next(l.buf[:0], number, s.out.offset+sample, false)
	b = c.appendEncoded(b, samples)
	s.sent(frame)
	s.mu.Unlock()
	// A packet that cannot be sent is a lost packet.
	s.pair.rtp.write(b, to)
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// sent counts a packet.
func (s *session) sent(octets int) {
	s.out.packets++
	s.out.octets += uint32(octets)
	s.counts.PacketsSent++
	s.counts.BytesSent += uint64(octets)
}
