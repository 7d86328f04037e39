package relay

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// write is the goroutine that passes chunks to the link. It ends when none wait, or with the link.
func (o *outbox) write() {
	for {
		o.mu.Lock()
		for o.bytes > maxLinked && !o.isOver {
			o.less.Wait()
		}
		if o.isOver || len(o.turns) == 0 {
			o.writing = false
			o.forget()
			o.mu.Unlock()
			return
		}
		f := o.turns[0]
		o.turns = o.turns[1:]
		b := f.blocks[0]
		f.blocks, f.queued = f.blocks[1:], false
		o.queue(f)
		o.size -= len(b.data)
		if o.waiters > 0 {
			o.room.Broadcast()
		}
		o.mu.Unlock()
		for items, data := b.items, b.data; len(items) > 0; {
			n, size := o.pass(f, items, data)
			items, data = items[n:], data[size:]
		}
		b.free()
	}
}

// reap is the goroutine that waits for what the link has to be written. It ends when all is, or with
// the link.
func (o *outbox) reap() {
	for {
		o.mu.Lock()
		if o.isOver || len(o.linked) == 0 {
			o.reaping = false
			o.forget()
			o.mu.Unlock()
			return
		}
		l := o.linked[0]
		o.mu.Unlock()
		_, err := l.stream.Wait()
		if o.link.Err() != nil {
			o.close()
			return
		}
		o.mu.Lock()
		if len(o.linked) > 0 { // else it is over
			o.linked[0] = linked{}
			o.linked = o.linked[1:]
		}
		o.bytes -= l.bytes
		o.settle(l.p)
		if err == nil {
			o.took(l.bytes)
		}
		o.less.Signal()
		o.mu.Unlock()
	}
}

// forget drops the flows of which nothing is left. The lock is held.
func (o *outbox) forget() {
	if o.writing || o.reaping {
		return
	}
	maps.DeleteFunc(o.flows, func(_ *connection, f *flow) bool {
		switch {
		case len(f.blocks) > 0:
			return false
		case f.open == nil:
			return true
		case f.open.done || f.next.done:
			f.next.done = true // what is still to come of it would go on with nothing
			o.passed(f.close())
			return true
		}
		return false
	})
}

// close ends the Stream that was open, if it is not ended, and returns it for the link to write.
func (f *flow) close() linked {
	l := linked{f.open, f.open.stream, f.open.load}
	l.stream.End(frame.Continued)
	f.open, f.next = nil, nil
	return l
}

// next returns the passage that is to come in a flow, nil if there is none yet.
func (o *outbox) next(f *flow) *passage {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(f.blocks) == 0 {
		return nil
	}
	return f.blocks[0].items[0].p
}

// pass passes the first of some items to the link, with those behind it that go on with its Stream.
// It returns how many these are, and their bytes of data.
func (o *outbox) pass(f *flow, items []item, data []byte) (n, size int) {
	last := items[0]
	n, size = 1, last.n
	if f.open != nil && f.next != last.p { // that was abandoned
		o.mu.Lock()
		o.passed(f.close())
		o.mu.Unlock()
	}
	if !last.p.head.HasBody {
		o.passBodiless(last.p, last.end)
		return n, size
	}
	lead := f.open
	if lead == nil {
		if lead = last.p; !o.start(lead) {
			if last.end != 0 {
				o.finish(lead)
			}
			return n, size
		}
	} else if lead != last.p {
		lead.n.Add(int64(last.n))
	}
	for last.end == frame.Continued && n < len(items) && lead.goesOn(last.p, items[n].p) {
		last = items[n]
		n, size = n+1, size+last.n
		lead.n.Add(int64(last.n))
	}
	var next *passage
	if last.end == frame.Continued && n == len(items) {
		next = o.next(f)
	}
	cut := false
	if size > 0 {
		_, err := lead.stream.Write(data[:size])
		cut = err != nil // it is abandoned, or the link lost
	}
	lead.load += size
	for _, it := range items[:n] {
		if it.end != 0 {
			lead.load += it.p.cost
		}
	}
	ended := cut
	f.open, f.next = lead, last.p
	switch {
	case last.end == 0:
	case next != nil && lead.goesOn(last.p, next):
		f.next = next
	default:
		lead.stream.End(last.end)
		ended = true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if ended {
		o.passed(f.close())
	} else {
		o.took(size) // as the link has, which does it as it writes
	}
	for _, it := range items[:n] {
		if it.p == lead {
			continue
		}
		if it.p.done = it.p.done || cut; it.end != 0 {
			o.settle(it.p)
		}
	}
	return n, size
}

// passBodiless passes a SEND without a body to the link, as it has come.
func (o *outbox) passBodiless(p *passage, end frame.Flag) {
	o.mu.Lock()
	// The link would write it before the chunks that wait, and it may be their end.
	for !o.isOver && slices.ContainsFunc(o.linked, func(l linked) bool { return l.p.c == p.c }) {
		o.less.Wait()
	}
	done := p.done
	o.mu.Unlock()
	if !done {
		head := *p.head
		head.To, head.From, head.Range = p.rt.to, p.rt.from, p.at
		var owner link.Owner
		if head.FailureReport != frame.FailureReportNo {
			owner = p
		}
		switch err := o.link.Bodiless(&head, end, owner); {
		case errors.Is(err, frame.ErrTooLong):
			p.fail(frame.StatusBadRequest, p.all())
		case errors.Is(err, link.ErrNoAnswer):
			p.fail(frame.StatusTimeout, p.all())
		case err != nil:
			p.fail(p.rt.gone(), p.all())
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(p)
	if !done {
		o.took(p.cost)
	}
}

// passed notes what the link has up to its end. The lock is held.
func (o *outbox) passed(l linked) {
	if o.isOver {
		return
	}
	o.linked, o.bytes = append(o.linked, l), o.bytes+l.bytes
	if !o.reaping {
		o.reaping = true
		o.c.r.tasks.Go(o.reap)
	}
}

// start begins a Stream. It returns false for a passage that is to be passed over.
func (o *outbox) start(p *passage) bool {
	o.mu.Lock()
	done, whole := p.done, p.end == frame.Continued
	o.mu.Unlock()
	if done {
		return false
	}
	head := *p.head
	head.To, head.From, head.Range = p.rt.to, p.rt.from, p.at
	cfg := link.StreamConfig{Head: &head, Limit: int64(o.c.r.cfg.MaxChunk)}
	if n := max(p.n.Load(), combined); whole && (cfg.Limit == 0 || n < cfg.Limit) {
		// What goes on with it goes out in chunks of this size, too: maybe somebody down the way
		// takes no larger ones.
		cfg.Limit, p.sized = n, true
	}
	if head.FailureReport != frame.FailureReportNo {
		cfg.Owner = p
	}
	stream, err := o.link.NewStream(&cfg)
	if err != nil {
		p.fail(frame.StatusBadRequest, p.all())
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.done {
		return false
	}
	p.stream = stream
	return true
}

func (o *outbox) finish(p *passage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(p)
}

// took says that the connection takes something. The lock is held.
func (o *outbox) took(n int) {
	if o.taken += n; o.taken >= minTaken {
		o.c.touch()
		o.progress, o.taken, o.refuse = time.Now(), 0, time.Time{}
	}
}
