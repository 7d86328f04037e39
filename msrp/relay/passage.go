package relay

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// A passage is a chunk on its way through: it is written while it is read, in as many chunks as that
// takes. It is the link.Body of what comes and the link.Owner of what goes.
type passage struct {
	c    *connection // that it comes on
	rt   *route
	head *frame.Head // but for id and at, for which it is that of other chunks, too
	id   string
	at   frame.Range
	cost int          // of memory, for what is in the head
	n    atomic.Int64 // bytes that have come

	mu      sync.Mutex
	arrived bool // its end has come
	failed  bool

	// Under the lock of the outbox.
	end    frame.Flag   // 0: it is not at its end
	stream *link.Stream // nil: nothing of it has had its turn
	done   bool         // what is still to come is passed over
	place  int          // of outbox.under, counted from 1; 0: it is not there

	// Of the goroutine that writes.
	sized bool // the chunks of the Stream are as long as the passage
	load  int  // bytes that the Stream has taken, roughly
}

// send begins to pass a chunk on.
func (c *connection) send(rt *route, h *frame.Head) link.Body {
	if h.HasBody && h.ContentType == "" {
		return c.refuse(h, frame.StatusBadRequest)
	}
	if c.head == nil || !isLike(c.head, h) {
		c.head = h.Clone()
		c.cost = 1<<10 + len(h.To) + len(h.From)
		for _, f := range h.Fields {
			c.cost += 64 + len(f.Name) + len(f.Value)
		}
	}
	p := &passage{c: c, rt: rt, head: c.head, id: h.ID, at: h.Range, cost: c.cost}
	if status := rt.out.out.begin(p); status != 0 {
		return c.refuse(h, status)
	}
	return p
}

// isLike reports whether two heads are those of chunks that go on with one another.
func isLike(a, b *frame.Head) bool {
	return a.HasBody == b.HasBody && a.To == b.To && a.From == b.From && a.MessageID == b.MessageID && a.ContentType == b.ContentType &&
		a.SuccessReport == b.SuccessReport && a.FailureReport == b.FailureReport && slices.Equal(a.Fields, b.Fields)
}

// Write is that of link.Body.
func (p *passage) Write(piece []byte) {
	if p.n.Add(int64(len(piece))) > int64(len(piece)) {
		p.c.touch() // a chunk may take its time
	}
	p.rt.out.out.put(p, piece, 0)
}

// End is that of link.Body. The hop before is told at once that we have the chunk (RFC 4976 section
// 6.4.1); if it is lost, what there was is nothing.
func (p *passage) End(flag frame.Flag) {
	p.mu.Lock()
	p.arrived = true
	failed := p.failed
	p.mu.Unlock()
	switch {
	case flag == 0:
		flag = frame.Aborted
	case !failed && p.head.FailureReport == frame.FailureReportYes:
		p.c.link.Answer(p.id, frame.StatusOK, p.rt.before, p.rt.us) // before any REPORT
	}
	p.rt.out.out.put(p, nil, flag)
}

// Answered is that of link.Owner.
func (p *passage) Answered(r frame.Range, response *frame.Head, err error) {
	switch {
	case response == nil && errors.Is(err, link.ErrNoAnswer):
		p.fail(frame.StatusTimeout, r)
	case response == nil:
		p.fail(p.rt.gone(), r)
	case response.Status == 0: // which a REPORT could not say
		p.fail(frame.StatusBadRequest, r)
	case response.Status/100 != 2:
		p.fail(response.Status, r)
	}
}

// fail tells the sender once that the passage has come to nothing: by the response, if that is still
// to be given, or by a REPORT. What is still to come is passed over.
func (p *passage) fail(status frame.Status, r frame.Range) {
	p.rt.out.out.abandon(p)
	p.mu.Lock()
	first := !p.failed
	p.failed = true
	arrived := p.arrived
	p.mu.Unlock()
	switch {
	case !first:
	case arrived:
		p.c.report(p.rt, p.head, r, status)
	default:
		if resp := answer(p.head, status); resp != nil {
			resp.ID = p.id
			p.c.out.post(letter{head: resp})
		}
	}
}

// all is the range of the passage as far as it has come.
func (p *passage) all() frame.Range {
	if !p.head.HasBody {
		return p.at
	}
	start := max(1, p.at.Start)
	total := p.at.Total
	if p.at == (frame.Range{}) {
		total = frame.Unknown
	}
	return frame.Range{Start: start, End: start + p.n.Load() - 1, Total: total}
}

// isWritten reports whether the last of it was written before the link was lost.
func (p *passage) isWritten() bool {
	_, err := p.stream.Wait()
	return err == nil
}

// isShort reports whether the end comes right behind what has come: a chunk that says where it
// ends is not interrupted (RFC 4975 section 7.1.1).
func (p *passage) isShort() bool {
	r := p.at
	return r.Start > 0 && r.End != frame.Unknown && r.End-r.Start < 2048
}

// goesOn reports whether q, which comes behind p, can go on with the Stream of this passage: RFC 4976
// section 6.4.1 allows that for the chunks of a message.
func (lead *passage) goesOn(p, q *passage) bool {
	return lead.sized && q.rt == lead.rt && q.at.Start == lead.all().End+1 && q.at.Total == p.at.Total &&
		q.head.HasBody && q.head.MessageID != "" && (q.head == p.head || isLike(p.head, q.head))
}
