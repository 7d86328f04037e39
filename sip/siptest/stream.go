package siptest

import (
	"bytes"
	"sync"
	"syscall"
	"time"
)

// half is one direction of a stream connection: from the end that writes it to
// the end that reads it. Network.mu guards it.
type half struct {
	n     *Network
	route route
	flow  *flow

	// The writing end.
	writing       bool // a Write is under way: others wait, so as not to mix
	shut          bool // nothing more will be written
	refused       bool // the writer knows that the reading end is closed
	pending       int  // bytes written and not read, Window at most
	writable      sync.Cond
	writeDeadline deadline

	// The reading end.
	arrived      bytes.Buffer // not read yet
	fin          bool         // nothing more will arrive
	gone         bool         // closed: what arrives is thrown away
	readable     sync.Cond
	readDeadline deadline

	broken bool // by a reset, at both ends
}

func newHalf(r route) *half {
	n := r.src.n
	h := &half{n: n, route: r, flow: newFlow(n.config.Seed, "tcp", r.from, r.to)}
	h.writable.L, h.readable.L = &n.mu, &n.mu
	return h
}

// write puts b on its way and returns how much of it went. It waits for its turn
// and for room, and gives up when check returns an error.
func (h *half) write(b []byte, check func() error) (int, error) {
	for h.writing {
		if err := check(); err != nil {
			return 0, err
		}
		h.writable.Wait()
	}
	h.writing = true
	defer func() {
		h.writing = false
		h.writable.Broadcast()
	}()
	written := 0
	for {
		if err := check(); err != nil {
			return written, err
		}
		if written == len(b) {
			return written, nil
		}
		room := h.n.config.Window - h.pending
		if room <= 0 {
			h.writable.Wait()
			continue
		}
		piece := b[written:min(written+room, len(b))]
		h.send(piece)
		written += len(piece)
	}
}

// writeError says why the half cannot be written, or nil.
func (h *half) writeError() error {
	switch {
	case h.broken:
		return syscall.ECONNRESET
	case h.shut, h.refused:
		return syscall.EPIPE
	}
	return nil
}

func (h *half) send(piece []byte) {
	verdict := h.n.judge("tcp", &h.route, piece)
	h.pending += len(piece)
	forgotten := h.forgotten()
	h.n.note("tcp", &h.route, piece, forgotten)
	if forgotten {
		return
	}
	p := h.n.newParcel(&h.route, piece)
	p.stream = h
	h.push(p, verdict.Delay)
	h.n.run()
}

// signal sends a signal behind all data of the half.
func (h *half) signal(arrived func()) {
	if h.forgotten() {
		return
	}
	p := h.n.newParcel(&h.route, nil)
	p.signal = arrived
	h.push(p, 0)
}

// forgotten reports whether the NAT that the writer is behind knows nothing of
// the stream any more: what it is given goes nowhere.
func (h *half) forgotten() bool {
	return h.route.leaves() && !h.route.binding.passes()
}

func (h *half) push(p *parcel, extra time.Duration) {
	h.n.schedule.push(h.flow.segment(h.route.link(), h.n.now(), extra), p)
}

// arrive takes data at the reading end.
func (h *half) arrive(data []byte) {
	switch {
	case h.gone:
		h.took(len(data))
		h.refuse()
	case h.broken || h.fin:
		h.took(len(data))
	default:
		h.arrived.Write(data)
		h.readable.Broadcast()
	}
}

// read takes what has arrived, Segment bytes at most. There is something.
func (h *half) read(b []byte) int {
	if s := h.n.config.Segment; s > 0 && len(b) > s {
		b = b[:s]
	}
	size, _ := h.arrived.Read(b)
	h.took(size)
	return size
}

// took makes room for the writer.
func (h *half) took(size int) {
	h.pending -= size
	h.writable.Broadcast()
}

// shutdown ends writing: the reader gets io.EOF behind the data in flight.
func (h *half) shutdown() {
	if h.shut {
		return
	}
	h.shut = true
	h.writable.Broadcast()
	h.signal(func() {
		h.fin = !h.broken
		h.readable.Broadcast()
	})
}

// abandon ends reading. A writer that still has something to say is told, and
// gets EPIPE from then on; what the closed end had written stays readable.
func (h *half) abandon() {
	h.gone = true
	if unread := h.arrived.Len(); unread > 0 {
		h.arrived.Reset()
		h.took(unread)
		h.refuse()
	}
	h.readable.Broadcast()
}

func (h *half) refuse() {
	h.n.signal(h.route.back(), func() {
		h.refused = true
		h.writable.Broadcast()
	})
}

// reset breaks both ends. What has arrived can still be read.
func (h *half) reset() {
	h.broken = true
	h.writable.Broadcast()
	h.readable.Broadcast()
}
