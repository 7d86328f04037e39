package siptest

import "time"

// A parcel is something on its way: a datagram, a piece of a stream, or a
// signal of a stream (its opening and its end).
type parcel struct {
	route
	data   []byte
	stream *half  // data is a piece of it; nil: a datagram or a signal
	signal func() // what the signal does when it arrives, with Network.mu held
	next   *parcel
}

// reliable reports whether TCP would send the parcel again.
func (p *parcel) reliable() bool { return p.stream != nil || p.signal != nil }

// A schedule is what is in flight, a heap by arrival and then by sending, and
// the one timer that waits for its head.
type schedule struct {
	events []event
	seq    uint64
	timer  *time.Timer
	armed  time.Duration // when the timer fires; zero: it is not running
}

type event struct {
	due time.Duration
	seq uint64
	p   *parcel
}

func (e event) before(o event) bool {
	return e.due < o.due || e.due == o.due && e.seq < o.seq
}

func (s *schedule) push(due time.Duration, p *parcel) {
	s.seq++
	s.events = append(s.events, event{due, s.seq, p})
	for i := len(s.events) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.events[i].before(s.events[up]) {
			return
		}
		s.events[i], s.events[up] = s.events[up], s.events[i]
		i = up
	}
}

func (s *schedule) pop() *parcel {
	p, last := s.events[0].p, len(s.events)-1
	s.events[0] = s.events[last]
	s.events[last] = event{}
	s.events = s.events[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if s.events[child].before(s.events[least]) {
				least = child
			}
		}
		if least == i {
			return p
		}
		s.events[i], s.events[least] = s.events[least], s.events[i]
		i = least
	}
}

// now returns the time since the network was made.
func (n *Network) now() time.Duration { return time.Since(n.start) }

// run delivers what is due and sets the timer for what is not. Whoever sends
// calls it, so that a perfect network delivers before Write returns. n.mu is
// held.
func (n *Network) run() {
	s := &n.schedule
	if len(s.events) == 0 {
		return
	}
	now := n.now()
	for len(s.events) > 0 && s.events[0].due <= now {
		n.arrive(s.pop())
	}
	if len(s.events) == 0 || s.events[0].due == s.armed {
		return
	}
	s.armed = s.events[0].due
	if s.timer == nil {
		s.timer = time.AfterFunc(s.armed-now, n.tick)
		return
	}
	s.timer.Reset(s.armed - now)
}

// tick runs in the timer's goroutine, which ends when what is due is delivered.
func (n *Network) tick() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.schedule.armed = 0
	n.run()
}

// signal sends a signal of a stream, such as its opening, by way of a plain
// link: it takes Delay, and does what it does when it arrives. n.mu is held.
func (n *Network) signal(r route, arrived func()) {
	if r.leaves() && !r.binding.passes() {
		return
	}
	p := n.newParcel(&r, nil)
	p.signal = arrived
	n.schedule.push(n.now()+r.link().Delay, p)
}

// arrive hands a parcel to whom it is for. n.mu is held.
func (n *Network) arrive(p *parcel) {
	if !p.reliable() {
		n.deliver(p)
		return
	}
	if p.broken() {
		n.held = append(n.held, p)
		return
	}
	switch {
	case p.enters() && !p.binding.passes():
	case p.signal != nil:
		p.signal()
	default:
		p.stream.arrive(p.data)
	}
	n.recycle(p)
}

// deliver hands a datagram to the socket that it is for. n.mu is held.
func (n *Network) deliver(p *parcel) {
	c, fate := n.receiver(p)
	switch {
	case c == nil:
		*fate++
	case c.queue.n >= n.config.Queue:
		n.stats.Overflowed++
	default:
		n.stats.Delivered++
		c.queue.put(p)
		c.readable.Signal()
		return
	}
	n.recycle(p)
}

// receiver returns the socket that a datagram is for, or the count of those to
// which happens what happens to it. n.mu is held.
func (n *Network) receiver(p *parcel) (*packetConn, *uint64) {
	if !p.local() {
		p.dst = n.hosts[p.to.Addr()] // by now
	}
	if p.broken() {
		return nil, &n.stats.Lost
	}
	h, number := p.dst, p.to.Port()
	if h != nil && h.box != nil {
		b, _ := h.ports[port{"udp", number}].(*binding)
		if b == nil || !b.admits(p.from) {
			return nil, &n.stats.Filtered
		}
		if h, number = b.host, b.key.inside.Port(); h.down {
			return nil, &n.stats.Lost
		}
	}
	if h != nil {
		if c, ok := h.ports[port{"udp", number}].(*packetConn); ok {
			return c, nil
		}
	}
	return nil, &n.stats.Unclaimed
}

// release lets go of what a path held that is no longer broken. n.mu is held.
func (n *Network) release() {
	held := n.held
	n.held = nil
	for _, p := range held {
		n.arrive(p)
	}
	n.run()
}

// A list of free parcels keeps delivery without allocation. Neither long nor
// wide ones stay in it.
const (
	maxFree     = 1024
	maxFreeData = 4096
)

// newParcel returns a parcel with a copy of data. n.mu is held.
func (n *Network) newParcel(r *route, data []byte) *parcel {
	p := n.free
	if p == nil {
		p = new(parcel)
	} else {
		n.free = p.next
		n.nfree--
		p.next = nil
	}
	p.route = *r
	p.data = append(p.data[:0], data...)
	return p
}

// recycle takes back a parcel that nobody looks at any more. n.mu is held.
func (n *Network) recycle(p *parcel) {
	if n.nfree >= maxFree || cap(p.data) > maxFreeData {
		return
	}
	*p = parcel{data: p.data[:0], next: n.free}
	n.free = p
	n.nfree++
}
