package link

import (
	"slices"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

const idLen = 13 // of the identifiers that frame.AppendID makes

// A transaction is a request that waits for its response.
type transaction struct {
	id       [idLen]byte
	partial  bool        // only a failure is answered, if anything
	weight   int32       // see weigh
	batch    uint32      // that it was written with
	r        frame.Range // of the message; End when the chunk is at its end
	open     *Stream     // whose chunk this is, and not at its end
	owner    Owner       // nil: it is over
	deadline time.Time   // zero: not written yet
}

// pending are the transactions of a connection in the order of their requests, in which their responses
// come as a rule.
type pending struct {
	list  []transaction
	first int    // of list that is not over
	load  int    // the weight of those that are answered in any case
	batch uint32 // that is being put together
	timer *time.Timer
	armed bool // timer is running
}

// weigh says how much of maxPending a request takes up: as many as weigh that much have responses
// of maxControl bytes. So two ends that answer each other's chunks always have room for the responses,
// and neither waits for the other to read.
func weigh(paths int) int32 {
	const rest = 80 // bytes of a response beside its paths
	return int32(1 + (paths+rest)/(maxControl/maxPending))
}

// full says that too many requests wait for a chunk to be added.
func (p *pending) full() bool { return p.load >= maxPending }

func (p *pending) add(t transaction) {
	if len(p.list) == cap(p.list) {
		p.compact()
	}
	if t.batch = p.batch; !t.partial {
		p.load += int(t.weight)
	}
	p.list = append(p.list, t)
}

// whole says that the open chunk of a stream is at its end. It may have had its response before.
func (p *pending) whole(s *Stream) {
	for i := len(p.list) - 1; i >= p.first; i-- {
		switch t := &p.list[i]; {
		case t.open == s:
			t.close()
			t.batch = p.batch
			return
		case !t.deadline.IsZero(): // it was written before the chunk was begun
			return
		}
	}
}

// close ends a chunk where its stream is.
func (t *transaction) close() {
	if t.open != nil {
		t.r.End, t.open = t.open.pos-1, nil
	}
}

// compact drops what is over. If there is a lot, it forgets the chunks of which only failures are
// told.
func (p *pending) compact() {
	many := len(p.list) >= 2*maxPending
	kept := p.list[:0]
	for _, t := range p.list[p.first:] {
		if t.owner != nil && !(many && t.partial && t.open == nil) {
			kept = append(kept, t)
		}
	}
	clear(p.list[len(kept):])
	if len(kept) > cap(kept)/2 {
		kept = slices.Grow(kept, max(8, cap(kept)))
	}
	p.list, p.first = kept, 0
}

// take returns the transaction with an identifier, which is over then.
func (p *pending) take(id string) (t transaction, ok bool) {
	for i := p.first; i < len(p.list); i++ {
		if e := &p.list[i]; string(e.id[:]) == id && e.owner != nil {
			e.close()
			t = *e
			p.end(e)
			p.trim()
			return t, true
		}
	}
	return t, false
}

func (p *pending) end(t *transaction) {
	if t.owner = nil; !t.partial {
		p.load -= int(t.weight)
	}
}

// trim passes over those at the beginning that are over.
func (p *pending) trim() {
	for p.first < len(p.list) && p.list[p.first].owner == nil {
		p.first++
	}
	if p.first == len(p.list) {
		p.list, p.first = p.list[:0], 0
	}
}

// takeAll returns those that are answered in any case.
func (p *pending) takeAll() (all []transaction) {
	for _, t := range p.list[p.first:] {
		if t.owner != nil && !t.partial {
			t.close()
			all = append(all, t)
		}
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	*p = pending{}
	return all
}

// written says that a batch is on its way: the time for the responses to what is in it begins.
// The lock is held.
func (c *Conn) written(batch uint32) {
	p := &c.pending
	if p.first == len(p.list) {
		return
	}
	deadline := time.Now().Add(answerTime)
	for i := len(p.list) - 1; i >= p.first && p.list[i].deadline.IsZero(); i-- {
		if p.list[i].batch == batch && p.list[i].open == nil { // what is not is in a later one
			p.list[i].deadline = deadline
		}
	}
	if !p.armed {
		c.expireIn(answerTime)
	}
}

func (c *Conn) expireIn(d time.Duration) {
	p := &c.pending
	if p.armed = true; p.timer == nil {
		p.timer = time.AfterFunc(d, c.expire)
	} else {
		p.timer.Reset(d)
	}
}

// expire ends the transactions whose time is over. Those of which only a failure is told have
// succeeded then, as far as anybody knows.
func (c *Conn) expire() {
	now := time.Now()
	var over []transaction
	c.mu.Lock()
	p := &c.pending
	p.armed = false
	for i := p.first; i < len(p.list); i++ {
		t := &p.list[i]
		if t.owner == nil {
			continue
		}
		if t.deadline.IsZero() {
			c.expireIn(answerTime)
			break
		}
		if wait := t.deadline.Sub(now); wait > 0 {
			c.expireIn(wait)
			break
		}
		if !t.partial {
			over = append(over, *t)
		}
		p.end(t)
	}
	if p.trim(); len(p.list) == 0 {
		p.list = nil
	}
	c.work.Signal()
	c.mu.Unlock()
	for _, t := range over {
		t.owner.Answered(t.r, nil, ErrNoAnswer)
	}
}

// answered takes a response. What nobody waits for is passed over.
func (c *Conn) answered(h *frame.Head) {
	c.mu.Lock()
	full := c.pending.full()
	t, ok := c.pending.take(h.ID)
	if full && !c.pending.full() {
		c.work.Signal()
	}
	c.mu.Unlock()
	if ok {
		t.owner.Answered(t.r, h, nil)
	}
}
