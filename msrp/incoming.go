package msrp

import (
	"errors"
	"io"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

const (
	window    = 256 << 10        // bytes of a message that wait to be read, and as many that came too early
	maxParked = 4 << 20          // bytes in messages that nobody has asked for
	stallTime = 20 * time.Second // for who reads, before a message is refused

	messageTime = 540 * time.Second // between two chunks of a message (RFC 7701 section 6.1)
)

// ErrAborted says that the sender has given up a message.
var ErrAborted = errors.New("msrp: message aborted by its sender")

// Incoming is a message that arrives. It is read while it does: io.EOF is its end, ErrAborted says
// that the sender has given it up, ErrLost that the connection is lost. Bytes come in order, however
// they have arrived; 256 KB wait at most until they are read, and as many that came too early.
type Incoming struct {
	ID          string        // Message-ID
	ContentType string        // with its parameters
	Size        int64         // in bytes, as its sender says; -1 if that is not known
	From        frame.Path    // the way that it came, the last hop first, the sender last
	Fields      []frame.Field // other header fields: Content-Disposition, say

	s       *Session
	success bool // a success report is wanted
	l       *leg

	// Under the lock of the session.
	buf    []byte // bytes in order, from off on not read
	off    int
	next   int64        // position of the byte after them
	total  int64        // known by the last chunk; frame.Unknown before
	ahead  []part       // that came too early, in order, none touching another
	held   int          // bytes in ahead
	err    error        // of Read, when all is read
	status frame.Status // with which the rest is refused; 0: it is not
	given  bool         // Messages has given it out, or does not have to
	heard  time.Time    // when the last chunk ended
}

// A part is bytes of a message that came before others.
type part struct {
	start int64
	data  []byte
}

// Read reads the message, and waits for more of it.
func (m *Incoming) Read(p []byte) (int, error) {
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for m.unread() == 0 {
		if m.err != nil {
			return 0, m.err
		}
		s.changed.Wait()
	}
	full := m.unread() >= s.window
	s.deaf = false
	n := copy(p, m.buf[m.off:])
	m.off += n
	if m.unread() == 0 {
		m.buf, m.off = m.buf[:0], 0
		if m.err != nil {
			m.buf = nil
		}
	}
	if full {
		s.changed.Broadcast()
	}
	return n, nil
}

// WriteTo writes the message to w, to its end, without a copy in between.
func (m *Incoming) WriteTo(w io.Writer) (n int64, err error) {
	s := m.s
	var buf []byte
	for {
		s.mu.Lock()
		for m.unread() == 0 && m.err == nil {
			s.changed.Wait()
		}
		if m.unread() == 0 {
			err := m.err
			s.mu.Unlock()
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		if m.unread() >= s.window {
			s.changed.Broadcast()
		}
		s.deaf = false
		data := m.buf[m.off:]
		m.buf, m.off = buf[:0], 0
		s.mu.Unlock()
		k, err := w.Write(data)
		n += int64(k)
		if err != nil {
			return n, err
		}
		buf = data
	}
}

// unread returns how many bytes wait to be read. The lock is held.
func (m *Incoming) unread() int { return len(m.buf) - m.off }

// Reject refuses what has not come yet: its sender is told to stop (RFC 4975 section 10.5). status is
// frame.StatusStop, frame.StatusUnsupportedType or frame.StatusForbidden, as a rule. What has come is gone.
func (m *Incoming) Reject(status frame.Status) {
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	m.reject(status)
}

// reject ends the message. The lock is held.
func (m *Incoming) reject(status frame.Status) {
	if m.status == 0 && m.err == nil {
		m.status = status
		m.s.over(m)
		m.fail(status)
	}
}

// fail ends the message for who reads. The lock is held.
func (m *Incoming) fail(err error) {
	if m.err == nil {
		m.err = err
	}
	m.park(-m.held)
	m.ahead, m.held = nil, 0
	if err != io.EOF {
		m.park(-m.unread())
		m.buf, m.off = nil, 0
	}
	m.s.changed.Broadcast()
}

// park counts bytes that wait while nobody has asked for the message. The lock is held.
func (m *Incoming) park(n int) {
	if !m.given {
		m.s.parked += n
	}
}

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
	again  *done // a message that has been here, of which a report is wanted again
}

// send takes the head of a SEND (RFC 4975 section 7.3.1).
func (c *connection) send(l *leg, h *frame.Head) link.Body {
	s := l.s
	k := &c.chunk
	*k = chunk{c: c, l: l, id: h.ID, from: h.From, report: h.FailureReport, status: frame.StatusOK, pos: max(1, h.Range.Start)}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := s.incoming[h.MessageID]; {
	case m != nil:
		k.m = m
		if !h.HasBody && h.Range.Start == 0 {
			k.pos = m.next
		}
	case !h.HasBody: // of no message: it binds the session, or keeps it alive
	case h.MessageID == "":
		k.status = frame.StatusBadRequest
	default:
		for i := range s.done {
			// Again, after a connection was lost (RFC 4975 section 5.4), or not wanted.
			if d := &s.done[i]; d.id == h.MessageID {
				k.status = d.status
				if h.SuccessReport && d.status == frame.StatusOK {
					k.again = &done{d.id, d.status, d.total}
				}
				return k
			}
		}
		k.m, k.status = s.newMessage(l, h)
	}
	return k
}

// newMessage returns the message that a chunk begins, nil if it is not wanted. The lock is held.
func (s *Session) newMessage(l *leg, h *frame.Head) (*Incoming, frame.Status) {
	size := int64(-1)
	if h.Range != (frame.Range{}) && h.Range.Total != frame.Unknown {
		size = h.Range.Total
	}
	switch {
	case !accepts(s.cfg.AcceptTypes, h.ContentType):
		return nil, frame.StatusUnsupportedType
	case s.cfg.MaxSize > 0 && size > s.cfg.MaxSize, len(s.incoming) >= s.maxIncoming:
		return nil, frame.StatusStop
	case s.cfg.OnMessage == nil && len(s.arrived) >= maxArrived && !s.wait(func() bool { return len(s.arrived) < maxArrived }):
		return nil, frame.StatusStop
	}
	if s.closed {
		return nil, frame.StatusNoSession
	}
	from, _ := frame.ParsePath(h.From)
	m := &Incoming{ID: h.MessageID, ContentType: h.ContentType, Size: size, From: from, Fields: slices.Clone(h.Fields),
		s: s, l: l, success: h.SuccessReport, next: 1, total: frame.Unknown, given: s.cfg.OnMessage != nil}
	m.heard = time.Now()
	s.incoming[m.ID] = m
	if s.reaper == nil {
		s.reaper = time.AfterFunc(messageTime, s.reap)
	}
	if s.cfg.OnMessage == nil {
		s.arrived = append(s.arrived, m)
		s.changed.Broadcast()
	}
	return m, frame.StatusOK
}

// reap gives up messages of which nothing has come for too long, and comes again while there are others.
func (s *Session) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reaper = nil
	wait := time.Duration(-1)
	for _, m := range s.incoming {
		left := messageTime - time.Since(m.heard)
		if left <= 0 {
			m.reject(frame.StatusTimeout)
		} else if wait < 0 || left < wait {
			wait = left
		}
	}
	if wait >= 0 && !s.closed {
		s.reaper = time.AfterFunc(wait, s.reap)
	}
}

// wait holds up the connection until there is room, for no more than 20 seconds, and not again before
// somebody reads. The lock is held.
func (s *Session) wait(room func() bool) bool {
	if s.deaf {
		return room()
	}
	ok := s.await(room)
	s.deaf = !ok
	return ok
}

// await waits until something is so, for no more than 20 seconds. The lock is held.
func (s *Session) await(so func() bool) bool {
	if so() {
		return true
	}
	over := false
	t := time.AfterFunc(stallTime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		over = true
		s.changed.Broadcast()
	})
	defer t.Stop()
	for !so() && !over && !s.closed {
		s.changed.Wait()
	}
	return so()
}

// Write takes a piece of a chunk.
func (k *chunk) Write(piece []byte) {
	start := k.pos
	k.pos += int64(len(piece))
	m := k.m
	if m == nil {
		return
	}
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	m.heard = time.Now()
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
			m.insert(part{start, slices.Clone(piece)})
		}
	}
	if m.err != nil {
		k.stop()
	}
}

// stop has the rest of the chunk passed over.
func (k *chunk) stop() {
	switch m := k.m; {
	case m.status != 0:
		k.status = m.status
	case m.err != io.EOF:
		k.status = frame.StatusStop
	}
	k.m = nil
}

// take appends bytes that are in order, and what came before them and fits now. It waits while what is there
// is not read. The lock is held.
func (m *Incoming) take(piece []byte) {
	s := m.s
	full := func() bool {
		return m.err == nil && (m.unread() >= s.window || !m.given && s.parked >= maxParked)
	}
	for len(piece) > 0 {
		if full() && !s.wait(func() bool { return !full() }) {
			m.reject(frame.StatusStop)
		}
		if m.err != nil {
			return
		}
		n := min(len(piece), s.window-m.unread())
		empty := m.unread() == 0
		m.append(piece[:n])
		piece = piece[n:]
		if empty {
			s.changed.Broadcast()
		}
	}
	m.join()
}

// append adds bytes to those that wait to be read. The lock is held.
func (m *Incoming) append(p []byte) {
	if m.off > 0 && len(m.buf)+len(p) > cap(m.buf) {
		m.buf = m.buf[:copy(m.buf, m.buf[m.off:])]
		m.off = 0
	}
	m.buf = append(m.buf, p...)
	m.next += int64(len(p))
	m.park(len(p))
}

// overwrite takes bytes that come again (RFC 4975 section 7.3.1): those that came last stand, as far as
// they are not read yet. It returns those that are new. The lock is held.
func (m *Incoming) overwrite(start int64, piece []byte) (int64, []byte) {
	unread := m.buf[m.off:]
	if read := m.next - int64(len(unread)); start < read { // before the first of them
		skip := min(read-start, int64(len(piece)))
		start, piece = start+skip, piece[skip:]
	}
	if start < m.next {
		n := copy(unread[len(unread)-int(m.next-start):], piece)
		start, piece = start+int64(n), piece[n:]
	}
	return start, piece
}

// insert puts a part in its place among those ahead. The lock is held.
func (m *Incoming) insert(p part) {
	end, held := p.start+int64(len(p.data)), m.held
	i := sort.Search(len(m.ahead), func(i int) bool { return m.ahead[i].start+int64(len(m.ahead[i].data)) >= p.start })
	j := i
	for j < len(m.ahead) && m.ahead[j].start <= end {
		old := m.ahead[j]
		if old.start < p.start {
			p.data = append(slices.Clip(old.data[:p.start-old.start]), p.data...)
			p.start = old.start
		}
		if oldEnd := old.start + int64(len(old.data)); oldEnd > end {
			p.data, end = append(p.data, old.data[int64(len(old.data))-(oldEnd-end):]...), oldEnd
		}
		m.held -= len(old.data)
		j++
	}
	m.ahead = slices.Replace(m.ahead, i, j, p)
	m.held += len(p.data)
	m.park(m.held - held)
	if m.held > m.s.window || len(m.ahead) > 256 || !m.given && m.s.parked > maxParked {
		m.reject(frame.StatusStop)
	}
}

// join appends what is ahead and fits now. The lock is held.
func (m *Incoming) join() {
	for len(m.ahead) > 0 && m.ahead[0].start <= m.next {
		p := m.ahead[0]
		m.ahead = slices.Delete(m.ahead, 0, 1)
		m.held -= len(p.data)
		m.park(-len(p.data))
		if skip := m.next - p.start; skip < int64(len(p.data)) {
			m.append(p.data[skip:])
		}
		m.s.changed.Broadcast()
	}
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
	m.heard = time.Now()
	complete := false
	switch {
	case m.err != nil:
		k.stop()
	case flag == frame.Complete && m.total == frame.Unknown:
		m.total = k.pos - 1
	case flag == frame.Aborted: // it may be sent again with its Message-ID
		delete(s.incoming, m.ID)
		m.fail(ErrAborted)
	}
	if m.err == nil && m.total != frame.Unknown && m.next > m.total {
		complete = true
		m.cut(int(min(m.next-1-m.total, int64(m.unread())))) // what is beyond the end
		k.judge()
	}
	k.m = nil
	s.mu.Unlock()
	if flag == 0 {
		return
	}
	k.answer()
	if complete && m.success && k.status == frame.StatusOK {
		k.c.reportSuccess(k.l, k.from, m.ID, m.total)
	}
}

// cut takes n bytes away that nobody has read. The lock is held.
func (m *Incoming) cut(n int) {
	m.buf = m.buf[:len(m.buf)-n]
	m.next -= int64(n)
	m.park(-n)
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

// over forgets a message but for its Message-ID. The lock is held.
func (s *Session) over(m *Incoming) {
	delete(s.incoming, m.ID)
	if len(s.done) == maxDone {
		s.done = slices.Delete(s.done, 0, 1)
	}
	d := done{m.ID, m.status, m.total}
	if d.status == 0 {
		d.status = frame.StatusOK
	}
	s.done = append(s.done, d)
}

// answer sends the response to a chunk, if one is wanted (RFC 4975 section 7.2).
func (k *chunk) answer() {
	if k.report == frame.FailureReportNo || k.report == frame.FailureReportPartial && k.status == frame.StatusOK {
		return
	}
	c := k.c
	b := append(append(append(c.scratch[:0], "MSRP "...), k.id...), ' ')
	b = append(append(strconv.AppendInt(b, int64(k.status), 10), ' '), k.status.String()...)
	b = append(b, "\r\nTo-Path: "...)
	to := k.from
	for i := range len(to) {
		if to[i] == ' ' {
			to = to[:i]
			break
		}
	}
	b = append(append(b, to...), "\r\nFrom-Path: "...)
	b = append(append(b, k.l.from...), "\r\n-------"...)
	b = append(append(b, k.id...), "$\r\n"...)
	c.scratch = b
	c.link.Send(b)
}

// reportSuccess sends a REPORT for a whole message (RFC 4975 section 7.1.3).
func (c *connection) reportSuccess(l *leg, to, id string, total int64) {
	h := &frame.Head{Method: frame.REPORT, To: to, From: l.from, MessageID: id,
		Range: frame.Range{Start: 1, End: total, Total: total}, Report: frame.StatusOK}
	c.link.Request(h, nil, nil)
}
