package link

import (
	"time"

	"github.com/goparley/parley/msrp/frame"
)

const idLen = 13 // of the identifiers that frame.AppendID makes

// A transaction is a request that waits for its response.
type transaction struct {
	id       [idLen]byte
	r        frame.Range
	owner    Owner     // nil: it has its response
	deadline time.Time // zero: not written yet
	partial  bool      // only a failure is answered, if anything
}

// pending are the transactions of a connection in the order of their requests, in which their responses
// come as a rule.
type pending struct {
	list  []transaction // a ring
	first int
	n     int
	live  int // that are waited for: neither answered nor partial
	timer *time.Timer
}

func (p *pending) at(i int) *transaction { return &p.list[(p.first+i)%len(p.list)] }

// add makes room for another one and returns it.
func (p *pending) add(owner Owner, r frame.Range, partial bool) *transaction {
	if p.n == len(p.list) {
		p.makeRoom()
	}
	t := p.at(p.n)
	p.n++
	*t = transaction{owner: owner, r: r, partial: partial}
	if !partial {
		p.live++
	}
	frame.AppendID(t.id[:0])
	return t
}

// makeRoom lengthens the ring. If it is long for what is waited for, it forgets the chunks of which
// only failures are told.
func (p *pending) makeRoom() {
	list := make([]transaction, max(8, 2*len(p.list)))
	n := 0
	for i := range p.n {
		if t := p.at(i); t.owner != nil && (!t.partial || p.n < 2*maxPending) {
			list[n] = *t
			n++
		}
	}
	if n <= len(list)/4 && n > 0 {
		list = list[:len(list)/2]
	}
	p.list, p.first, p.n = list, 0, n
}

// take returns the transaction with an identifier, which is over then.
func (p *pending) take(id string) (t transaction, ok bool) {
	if len(id) != idLen {
		return t, false
	}
	for i := range p.n {
		if e := p.at(i); e.owner != nil && string(e.id[:]) == id {
			t = *e
			e.owner = nil
			if !e.partial {
				p.live--
			}
			p.trim()
			return t, true
		}
	}
	return t, false
}

// trim drops those at the beginning that are over.
func (p *pending) trim() {
	for p.n > 0 && p.at(0).owner == nil {
		*p.at(0) = transaction{}
		p.first, p.n = (p.first+1)%len(p.list), p.n-1
	}
	if p.n == 0 && len(p.list) > 64 {
		p.list, p.first = nil, 0
	}
}

// written says that everything so far is on its way: the time for the responses begins.
func (c *Conn) written(now time.Time) {
	p := &c.pending
	for i := p.n - 1; i >= 0 && p.at(i).deadline.IsZero(); i-- {
		p.at(i).deadline = now.Add(answerTime)
	}
	if p.live == 0 {
		return
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(answerTime, c.expire)
	}
}

// expire ends the transactions whose time is over.
func (c *Conn) expire() {
	now := time.Now()
	var over []transaction
	c.mu.Lock()
	p := &c.pending
	p.timer = nil
	for i := range p.n {
		t := p.at(i)
		if t.owner == nil || t.partial {
			continue
		}
		if t.deadline.IsZero() || t.deadline.After(now) {
			wait := answerTime
			if !t.deadline.IsZero() {
				wait = t.deadline.Sub(now)
			}
			p.timer = time.AfterFunc(wait, c.expire)
			break
		}
		over = append(over, *t)
		t.owner = nil
		p.live--
	}
	p.trim()
	c.work.Signal()
	c.mu.Unlock()
	for _, t := range over {
		t.owner.Answered(t.r, nil, ErrNoAnswer)
	}
}

// takeAll returns those that still wait.
func (p *pending) takeAll() (all []transaction) {
	for i := range p.n {
		if t := p.at(i); t.owner != nil && !t.partial {
			all = append(all, *t)
		}
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	*p = pending{}
	return all
}

// answered takes a response. What nobody waits for is passed over.
func (c *Conn) answered(h *frame.Head) {
	c.mu.Lock()
	full := c.pending.live >= maxPending
	t, ok := c.pending.take(h.ID)
	if full && ok {
		c.work.Signal()
	}
	c.mu.Unlock()
	if ok {
		t.owner.Answered(t.r, h, nil)
	}
}
