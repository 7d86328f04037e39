package msrp

import (
	"errors"
	"io"
	"slices"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

const (
	window    = 256 << 10        // bytes of a message that wait to be read, and as many that came too early
	maxParked = 4 << 20          // bytes in messages that nobody has asked for
	stallTime = 20 * time.Second // for who reads, before a message is refused
	calmTime  = 10 * time.Minute // without a wait in vain, for the next to be as long as the first

	messageTime = 540 * time.Second // between two chunks of a message (RFC 7701 section 6.1)
)

// ErrAborted says that the sender has given up a message.
var ErrAborted = errors.New("msrp: message aborted by its sender")

// Incoming is a message that arrives. It is read while it does: io.EOF is its end, ErrAborted says
// that the sender has given it up, ErrLost that the connection is lost, and frame.StatusTimeout that nothing more
// has come for 540 seconds. Bytes come in order, however they have arrived; 256 KB wait at most until they are
// read, and as many that came too early.
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
	claim  *claim // of whose peer nobody knows yet that it is ours; nil: it is
	buf    []byte // bytes in order, from off on not read
	off    int
	next   int64        // position of the byte after them
	total  int64        // known by the last chunk; frame.Unknown before
	ahead  pieces       // that came too early
	held   int          // bytes in ahead
	err    error        // of Read, when all is read
	status frame.Status // with which the rest is refused; 0: it is not
	given  bool         // Messages has given it out, or does not have to
	open   bool         // in a chunk, whose pieces have a time of their own
	heard  time.Time    // when the last chunk ended
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
	switch {
	case m.claim != nil:
		m.claim.bytes += n
	case !m.given:
		m.s.parked += n
	}
}

// reap gives up messages of which nothing has come for too long, and comes again while there are others.
func (s *Session) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reaper = nil
	wait := time.Duration(-1)
	for _, m := range s.incoming {
		left := messageTime - time.Since(m.heard)
		if m.open {
			left = messageTime
		}
		if left <= 0 {
			// What comes of it after all is answered like what is not wanted: 408 is for relays to say (RFC 4975
			// sections 10.4 and 10.5).
			m.status = frame.StatusStop
			s.over(m)
			m.fail(frame.StatusTimeout)
		} else if wait < 0 || left < wait {
			wait = left
		}
	}
	if wait >= 0 && !s.closed {
		s.reaper = time.AfterFunc(wait, s.reap)
	}
}

// wait holds up the connection until there is room, for no more than 20 seconds, and not again before
// somebody reads. Each wait in vain halves the next, or a peer who has somebody read the end of a message that does
// not come could hold up the connection for ever. The lock is held.
func (s *Session) wait(room func() bool) bool {
	if s.deaf || room() {
		return room()
	}
	if time.Since(s.vain) > calmTime {
		s.patience = stallTime
	}
	over := false
	t := time.AfterFunc(s.patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		over = true
		s.changed.Broadcast()
	})
	defer t.Stop()
	for !room() && !over && !s.closed {
		s.changed.Wait()
	}
	if s.deaf = !room(); s.deaf {
		s.patience, s.vain = s.patience/2, time.Now()
	}
	return !s.deaf
}

// take appends bytes that are in order, and what came before them and fits now. It waits while what is there
// is not read. The lock is held.
func (m *Incoming) take(piece []byte) {
	s := m.s
	room := func() bool { return m.err != nil || m.room() > 0 }
	for len(piece) > 0 {
		if !room() && (m.claim != nil || !s.wait(room)) {
			m.reject(frame.StatusStop)
		}
		if m.err != nil {
			return
		}
		n := min(len(piece), m.room())
		empty := m.unread() == 0
		m.append(piece[:n])
		piece = piece[n:]
		if empty {
			s.changed.Broadcast()
		}
	}
	m.join()
}

// room returns how many bytes more may wait to be read. The lock is held.
func (m *Incoming) room() int {
	n := m.s.window - m.unread()
	switch {
	case m.claim != nil:
		n = min(n, claimSize-m.claim.bytes)
	case !m.given && m.s.parked >= maxParked:
		n = 0
	}
	return n
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
	if len(piece) > 0 && start < m.next {
		n := copy(unread[len(unread)-int(m.next-start):], piece)
		start, piece = start+int64(n), piece[n:]
	}
	return start, piece
}

// keep takes bytes that came before others. The lock is held.
func (m *Incoming) keep(start int64, data []byte) {
	m.ahead.put(start, data)
	held := m.ahead.size()
	m.park(held - m.held)
	if m.held = held; held > m.s.window || len(m.ahead) > maxPieces || !m.given && m.s.parked > maxParked || m.claim != nil && m.claim.bytes > claimSize {
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
		end := int64(len(p.data))
		if m.total != frame.Unknown { // what is beyond is not of the message
			end = min(end, m.total+1-p.start)
		}
		if skip := m.next - p.start; skip < end {
			m.append(p.data[skip:end])
		}
		m.s.changed.Broadcast()
	}
}

// cut takes n bytes away that nobody has read. The lock is held.
func (m *Incoming) cut(n int) {
	m.buf = m.buf[:len(m.buf)-n]
	m.next -= int64(n)
	m.park(-n)
}
