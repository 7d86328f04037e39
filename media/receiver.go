package media

import "time"

// The limits of RFC 3550 appendix A.1.
const (
	maxDropout    = 3000 // a greater gap is a restart of the sender
	maxMisorder   = 100  // a packet is at most this late
	minSequential = 2    // packets in sequence that make a new source valid
)

// A receiver does the accounting for one synchronization source
// (RFC 3550 appendices A.1, A.3 and A.8).
type receiver struct {
	ssrc      uint32
	base      uint32 // the first extended sequence number
	highest   uint32 // the highest extended sequence number
	restart   uint16 // what follows the last packet that made no sense
	restarted bool   // restart is set
	received  uint32

	expectedBefore, receivedBefore uint32 // at the last report

	transit    int64 // arrival less timestamp of the packet before, in samples
	hasTransit bool
	jitter     int64 // times 16
}

// A verdict is what a sequence number means.
type verdict int

const (
	inOrder    verdict = iota // the next, or the first after a loss
	outOfOrder                // late, or a copy
	suspect                   // a jump: not to be used unless the next one follows on it
	restarted                 // the sender has restarted: forget what was
)

func newReceiver(ssrc uint32, seq uint16) receiver {
	return receiver{ssrc: ssrc, base: uint32(seq), highest: uint32(seq)}
}

// sequence accounts for a packet with this number (RFC 3550 appendix A.1).
func (r *receiver) sequence(seq uint16) verdict {
	v := inOrder
	switch ahead := seq - uint16(r.highest); {
	case ahead == 0 && r.received > 0:
		v = outOfOrder
	case ahead < maxDropout:
		r.highest += uint32(ahead)
	case ahead > 0xffff-maxMisorder:
		v = outOfOrder
	case r.restarted && seq == r.restart:
		*r = receiver{ssrc: r.ssrc, base: uint32(seq), highest: uint32(seq)}
		v = restarted
	default:
		r.restart, r.restarted = seq+1, true
		return suspect
	}
	r.received++
	return v
}

// expected returns how many packets were sent as far as can be known.
func (r *receiver) expected() uint32 { return r.highest - r.base + 1 }

// lost returns how many packets did not come; copies make it negative
// (RFC 3550 section 6.4.1).
func (r *receiver) lost() int64 {
	if r.received == 0 {
		return 0
	}
	return int64(r.expected()) - int64(r.received)
}

// fraction returns the part of the packets since the last call that was lost,
// in 1/256 (RFC 3550 appendix A.3).
func (r *receiver) fraction() uint8 {
	expected := r.expected() - r.expectedBefore
	lost := int64(expected) - int64(r.received-r.receivedBefore)
	r.expectedBefore, r.receivedBefore = r.expected(), r.received
	if expected == 0 || lost <= 0 {
		return 0
	}
	return uint8(min(255, lost<<8/int64(expected)))
}

// arrived feeds the estimate of the jitter (RFC 3550 appendix A.8): at is the
// time of arrival in samples, from any origin.
func (r *receiver) arrived(at int64, timestamp uint32) {
	transit := at - int64(timestamp)
	if r.hasTransit {
		d := int64(int32(transit - r.transit)) // timestamps wrap
		if d < 0 {
			d = -d
		}
		if d > 10*SampleRate { // the timestamps jumped: no delay of a network
			d = 0
		}
		r.jitter += d - (r.jitter+8)>>4
	}
	r.transit, r.hasTransit = transit, true
}

// jitterTime returns the jitter as a duration.
func (r *receiver) jitterTime() time.Duration { return sampleTime(r.jitter >> 4) }
