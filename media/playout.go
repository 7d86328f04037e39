package media

// A playout puts received samples in order by their timestamp and gives them
// out at the pace of our clock, a little later than they came. What is missing
// is silence. It waits for a packet that comes a little too late, and makes up
// for that when it has waited too much. Order, copies, losses, pauses of the sender and packets of any
// length are all the same to it. It knows no clock, and its size is fixed.
type playout struct {
	samples []int16 // playoutSize of them, by timestamp modulo that; nil until the first
	next    uint32  // the timestamp given out next
	end     uint32  // one after the latest timestamp held
	delay   uint32  // how far ahead of next a first sample is put
	started bool
	anew    bool // the next packet is of another source: begin with it anew

	late   int    // packets in a row that came too late
	least  uint32 // the shortest way from next to end since window began
	window int    // calls of read since then
}

const (
	playoutSize   = 1 << 13         // samples: a second and a little
	maxLate       = 4               // packets in a row late by more than one until the playout waits for them
	trimWindow    = 100             // reads, 2 s, after which surplus delay is dropped
	trimTolerance = SampleRate / 25 // surplus delay that is left alone: 40 ms
)

// write decodes the samples of a packet, and reports whether they were in time.
// A packet that came out of order says nothing new about the sender's clock.
func (p *playout) write(timestamp uint32, payload []byte, c *codec, outOfOrder bool) bool {
	if len(payload) == 0 || len(payload) > playoutSize/2 {
		return false
	}
	if !p.started || p.anew {
		p.restart(timestamp)
	}
	ahead := int32(timestamp - p.next)
	switch {
	case outOfOrder && (ahead < 0 || int(ahead)+len(payload) > playoutSize):
		return false
	case ahead < 0 && int(-ahead) <= len(payload) && int(p.end-timestamp) <= playoutSize:
		// Late by a packet at most: the sender's clock is slower than ours,
		// or the network has become so. To wait for it costs as much silence
		// as to leave it out, and the next one is in time.
		p.next = timestamp
	case ahead < 0 && ahead > -SampleRate/2 && p.late < maxLate:
		p.late++
		return false
	case ahead < 0, int(ahead)+len(payload) > playoutSize:
		// The sender is later than the delay allows, or its timestamps
		// jumped either way. Both are a new beginning.
		p.restart(timestamp)
	}
	p.late = 0
	for i, b := range payload {
		p.samples[(timestamp+uint32(i))%playoutSize] = c.decode[b]
	}
	if end := timestamp + uint32(len(payload)); int32(end-p.end) > 0 {
		p.end = end
	}
	return true
}

// restart makes timestamp the first to be given out, after the delay.
func (p *playout) restart(timestamp uint32) {
	if p.samples == nil {
		p.samples = make([]int16, playoutSize)
	}
	clear(p.samples)
	p.next, p.end, p.started, p.anew, p.late = timestamp-p.delay, timestamp, true, false, 0
	p.window, p.least = 0, playoutSize
}

// read fills b with the next samples. Before the first packet there are none
// and it reports false.
func (p *playout) read(b []int16) bool {
	if !p.started {
		return false
	}
	p.trim(uint32(len(b)))
	for i := range b {
		at := &p.samples[(p.next+uint32(i))%playoutSize]
		b[i], *at = *at, 0
	}
	p.next += uint32(len(b))
	if int32(p.end-p.next) < 0 {
		p.end = p.next
	}
	return true
}

// trim drops samples if there were too many waiting for all of a window:
// the sender's clock is faster, or the network has become quicker again.
func (p *playout) trim(frame uint32) {
	p.least = min(p.least, p.end-p.next)
	if p.window++; p.window < trimWindow {
		return
	}
	if keep := p.delay + frame; p.least > keep+trimTolerance {
		for drop := p.least - keep; drop > 0; drop-- {
			p.samples[p.next%playoutSize] = 0
			p.next++
		}
	}
	p.window, p.least = 0, playoutSize
}
