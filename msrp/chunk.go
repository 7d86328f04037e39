package msrp

import (
	"io"
	"slices"
	"time"

	"github.com/goparley/parley/internal/mediatype"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// A chunk is the SEND that a connection is reading.
type chunk struct {
	c      *connection
	l      *leg
	m      *Incoming // nil: what comes is passed over
	id     string
	from   string
	pos    int64 // of the next byte
	report frame.FailureReport
	status frame.Status
	told   bool  // it has its response
	again  *done // a message that has been here, of which a report is wanted again
}

// send takes the head of a SEND (RFC 4975 section 7.3.1). What is refused is so at once, for what is left of the chunk may
// be long (section 10.5).
func (c *connection) send(l *leg, cl *claim, h *frame.Head) link.Body {
	k := &c.chunk
	*k = chunk{c: c, l: l, id: h.ID, from: h.From, report: h.FailureReport, status: frame.StatusOK, pos: max(1, h.Range.Start)}
	k.begin(cl, h)
	if k.status != frame.StatusOK {
		k.answer()
	}
	return k
}

// begin finds the message of the chunk, or says why there is none.
func (k *chunk) begin(cl *claim, h *frame.Head) {
	c, l, s := k.c, k.l, k.l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case cl == nil || slices.Contains(l.claims, cl):
	case l.conn == c && l.comesFrom(cl.from):
		cl = nil // it stands since
	default:
		k.status = frame.StatusNoSession
		return
	}
	m := s.incoming[h.MessageID]
	if cl != nil {
		m = cl.find(h.MessageID)
	}
	switch {
	case m != nil && m.err != nil:
		k.over(m.done(), h)
	case m != nil:
		k.m = m
		m.success = m.success || h.SuccessReport // one of its chunks is enough (RFC 4975 section 7.1.3)
		if !h.HasBody && h.Range.Start == 0 {
			k.pos = m.next
		}
	case !h.HasBody: // of no message: it binds the session, or keeps it alive
	case h.MessageID == "", len(h.MessageID) > 256: // RFC 4975 section 9 has 32 characters
		k.status = frame.StatusBadRequest
	default:
		for i := range s.done {
			// Again, after a connection was lost (RFC 4975 section 5.4), or not wanted.
			if d := s.done[i]; d.id == h.MessageID {
				k.over(d, h)
				return
			}
		}
		k.m, k.status = s.newMessage(l, cl, h)
	}
	if k.m != nil {
		k.m.open = true
	}
}

// over has a chunk of a message that is over answered as the last one was, and reported again.
func (k *chunk) over(d done, h *frame.Head) {
	k.status = d.status
	if h.SuccessReport && d.status == frame.StatusOK {
		k.again = &d
	}
}

// newMessage returns the message that a chunk begins, nil if it is not wanted. The lock is held.
func (s *Session) newMessage(l *leg, cl *claim, h *frame.Head) (*Incoming, frame.Status) {
	size := int64(-1)
	if h.Range != (frame.Range{}) && h.Range.Total != frame.Unknown {
		size = h.Range.Total
	}
	switch {
	case !mediatype.In(s.cfg.AcceptTypes, h.ContentType):
		return nil, frame.StatusUnsupportedType
	case s.cfg.MaxSize > 0 && size > s.cfg.MaxSize:
		return nil, frame.StatusStop
	case cl != nil && (s.cfg.OnMessage != nil || len(cl.messages) == maxClaimed):
		return nil, frame.StatusStop // nothing is kept for OnMessage; the session stays: 481 would end it
	case cl == nil && len(s.incoming) >= s.maxIncoming:
		return nil, frame.StatusStop
	case cl == nil && s.cfg.OnMessage == nil && len(s.arrived) >= maxArrived && !s.wait(func() bool { return len(s.arrived) < maxArrived }):
		return nil, frame.StatusStop
	}
	if s.closed || l.err != nil { // since it has waited
		return nil, frame.StatusNoSession
	}
	from, _ := frame.ParsePath(h.From)
	m := &Incoming{ID: h.MessageID, ContentType: h.ContentType, Size: size, From: from, Fields: slices.Clone(h.Fields),
		s: s, l: l, claim: cl, success: h.SuccessReport, next: 1, total: frame.Unknown, given: s.cfg.OnMessage != nil}
	m.heard = time.Now()
	if cl != nil {
		cl.messages = append(cl.messages, m)
		return m, frame.StatusOK
	}
	s.begin(m)
	if s.cfg.OnMessage == nil {
		s.arrived = append(s.arrived, m)
		s.changed.Broadcast()
	}
	return m, frame.StatusOK
}

// begin takes note of a message that is not complete. The lock is held.
func (s *Session) begin(m *Incoming) {
	if old := s.incoming[m.ID]; old != nil {
		old.fail(ErrLost) // it has come again by another connection
	}
	s.incoming[m.ID] = m
	if s.reaper == nil {
		s.reaper = time.AfterFunc(messageTime, s.reap)
	}
}

// Write takes a piece of a chunk.
func (k *chunk) Write(piece []byte) {
	start := k.pos
	k.pos += int64(len(piece))
	if k.m == nil {
		return
	}
	k.write(start, piece)
	if k.status != frame.StatusOK {
		k.answer()
	}
}

// write adds a piece to the message.
func (k *chunk) write(start int64, piece []byte) {
	m := k.m
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := s.cfg.MaxSize; most > 0 && k.pos-1 > most {
		m.reject(frame.StatusStop)
	}
	if m.total != frame.Unknown { // what is beyond is not of the message
		piece = piece[:max(0, min(int64(len(piece)), m.total+1-start))]
	}
	if m.err == nil {
		if start, piece = m.overwrite(start, piece); start == m.next {
			m.take(piece)
		} else if len(piece) > 0 {
			m.keep(start, piece)
		}
	}
	if m.err != nil {
		k.stop()
	}
}

// stop has the rest of the chunk passed over. The lock is held.
func (k *chunk) stop() {
	switch m := k.m; {
	case m.status != 0:
		k.status = m.status
	case k.l.err != nil || m.s.closed:
		k.status = frame.StatusNoSession
	case m.err != io.EOF:
		k.status = frame.StatusStop
	}
	k.m = nil
}

// End takes the end of a chunk: it is answered, and if the message is complete, reported.
func (k *chunk) End(flag frame.Flag) {
	m := k.m
	if m == nil {
		if flag != 0 {
			k.answer()
		}
		if k.again != nil && flag == frame.Complete {
			k.c.reportSuccess(k.l, k.from, k.again.id, k.again.total)
		}
		return
	}
	s := m.s
	s.mu.Lock()
	complete := false
	switch {
	case m.err != nil:
		k.stop()
	case flag == frame.Complete && m.total == frame.Unknown:
		m.total = k.pos - 1
	case flag == frame.Aborted: // it may be sent again with its Message-ID
		m.forget()
		m.fail(ErrAborted)
	}
	if m.err == nil && m.total != frame.Unknown && m.next > m.total {
		complete = true
		m.cut(int(min(m.next-1-m.total, int64(m.unread())))) // what is beyond the end
		k.judge()
	}
	if k.m = nil; m.err == nil {
		m.open, m.heard = false, k.c.link.Came()
	}
	s.mu.Unlock()
	if flag == 0 {
		return
	}
	k.answer()
	if complete && m.success && k.status == frame.StatusOK {
		k.c.reportSuccess(k.l, k.from, m.ID, m.total)
	}
}

// judge ends a message that is complete, and has OnMessage say what becomes of it. The lock is held,
// but not meanwhile.
func (k *chunk) judge() {
	m, s := k.m, k.m.s
	body := m.buf[m.off:]
	m.fail(io.EOF)
	if s.cfg.OnMessage != nil {
		m.buf, m.off = nil, 0
		s.mu.Unlock()
		k.status = s.cfg.OnMessage(m, body)
		s.mu.Lock()
		m.status = k.status
	}
	s.over(m)
}

// A done message is known by its Message-ID alone: what comes of it is answered with the status.
type done struct {
	id     string
	status frame.Status
	total  int64
}

func (m *Incoming) done() done {
	d := done{m.ID, m.status, m.total}
	if d.status == 0 {
		d.status = frame.StatusOK
	}
	return d
}

// over forgets a message but for its Message-ID. A claim has still all of its messages. The lock is held.
func (s *Session) over(m *Incoming) {
	if m.claim != nil {
		return
	}
	m.forget()
	if len(s.done) == maxDone {
		s.done = slices.Delete(s.done, 0, 1)
	}
	s.done = append(s.done, m.done())
}

// forget has a message that comes with the same Message-ID be another one. The lock is held.
func (m *Incoming) forget() {
	if cl := m.claim; cl != nil {
		cl.messages = slices.DeleteFunc(cl.messages, func(o *Incoming) bool { return o == m })
	} else {
		delete(m.s.incoming, m.ID)
	}
}

// answer sends the response to a chunk, if one is wanted (RFC 4975 section 7.2).
func (k *chunk) answer() {
	if k.told || k.report == frame.FailureReportNo || k.report == frame.FailureReportPartial && k.status == frame.StatusOK {
		return
	}
	k.told = true
	to := k.from
	for i := range len(to) {
		if to[i] == ' ' {
			to = to[:i]
			break
		}
	}
	k.c.link.Answer(k.id, k.status, to, k.l.from)
}

// reportSuccess sends a REPORT for a whole message (RFC 4975 section 7.1.3).
func (c *connection) reportSuccess(l *leg, to, id string, total int64) {
	h := &frame.Head{Method: frame.REPORT, To: to, From: l.from, MessageID: id,
		Range: frame.Range{Start: 1, End: total, Total: total}, Report: frame.StatusOK}
	c.link.Request(h, nil, nil)
}
