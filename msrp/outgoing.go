package msrp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/internal/mediatype"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
)

// A Message is one that is sent. ContentType and Body are as a rule all there is to say.
type Message struct {
	ContentType string    // "" is text/plain in UTF-8
	Body        io.Reader // read until io.EOF; nil for Create

	// Size is the length of Body in bytes. 0 is what Body says of itself, if it has a method Len, or is an *os.File;
	// else it is not known before it ends.
	Size int64

	ID string // Message-ID; "" is a random one

	// SuccessReport asks the receiver to say when it has all of the message, and has Send wait for that. How long
	// is for the context of Send to say: a report comes from end to end, and RFC 4975 section 7.1.1 knows of no time for it.
	// A relay may have lost the message without a word, or the receiver does not send reports.
	SuccessReport bool

	FailureReport frame.FailureReport // the zero value has each chunk answered by the next hop, in 30 seconds
	Fields        []frame.Field       // further header fields: Content-Disposition, say

	// OnReport is called for each REPORT on the message, also when Send has returned (nil: nobody is told then), by the
	// goroutine that reads the connection.
	OnReport func(Report)
}

// A Report says what became of a part of a message.
type Report struct {
	ID     string       // of the message
	Status frame.Status // frame.StatusOK: it has arrived
	Range  frame.Range  // what has; the zero Range is all of it
}

// An outgoing is a message on its way.
type outgoing struct {
	s      *Session
	l      *leg
	c      *connection
	m      Message
	stream *link.Stream

	mu       sync.Mutex
	changed  sync.Cond
	answered int
	err      error
	arrived  ranges // as reported
	over     bool
}

func newMessageID() string { return string(frame.AppendID(nil)) }

// SendText sends a plain text, and returns when the next hop has taken it.
func (s *Session) SendText(ctx context.Context, text string) error {
	return s.Send(ctx, &Message{Body: strings.NewReader(text)})
}

// Send sends a message, and returns when all of it is answered by the next hop, which is the peer
// if there are no relays; with SuccessReport, when the peer has said that it has all of it; with FailureReport no
// or partial, when it is written. It waits for the session to have its connection.
//
// Three things are waited for without a time of their own, and want a ctx that ends: the connection, Body, and the
// report of SuccessReport. A response has 30 seconds, and a next hop that takes nothing for 30 seconds is
// ErrLost. Who has a relay and asks for no report is not told of what that loses in silence.
//
// A refusal, here or there, is a frame.Status in the error: frame.StatusStop if the peer does not want the
// message, or not one of that size; frame.StatusUnsupportedType if it does not take the type; frame.StatusTimeout if
// nobody answers. Others are ErrHeld, ErrLost, ErrClosed, the error of ctx, and that of Body. A message that
// fails on its way is aborted. After frame.StatusTimeout and ErrLost, a new offer is to come before anything is
// sent again (RFC 4975 section 5.4), then with the same ID.
func (s *Session) Send(ctx context.Context, m *Message) error {
	w, err := s.Create(ctx, m)
	if err != nil {
		return err
	}
	if m.Body != nil {
		if _, err := w.ReadFrom(m.Body); err != nil {
			return w.abort(err)
		}
	}
	return w.Close()
}

// Create begins a message that is written; its Body is not looked at. It waits for the session to have its
// connection. ctx is for all of the message: when it ends, the message is aborted.
func (s *Session) Create(ctx context.Context, m *Message) (*Writer, error) {
	size, err := m.size()
	if err != nil {
		return nil, err
	}
	l, c, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	o := &outgoing{s: s, l: l, c: c, m: *m}
	o.changed.L = &o.mu
	if o.m.ContentType == "" {
		o.m.ContentType = "text/plain;charset=UTF-8"
	}
	if o.m.ID == "" {
		o.m.ID = newMessageID()
	}
	s.mu.Lock()
	switch {
	case s.closed:
		err = ErrClosed
	case l.conn != c: // lost since ready has said so
		err = ErrLost
	case !mediatype.In(s.peer.types, o.m.ContentType), mediatype.In(s.refused, o.m.ContentType):
		err = fmt.Errorf("%w: %s", frame.StatusUnsupportedType, o.m.ContentType)
	case s.peer.maxSize > 0 && size > s.peer.maxSize:
		err = fmt.Errorf("%w: %d bytes, of %d", frame.StatusStop, size, s.peer.maxSize)
	case s.held && !notifies(o.m.ContentType, o.m.Body):
		err = ErrHeld
	case s.outgoing[o.m.ID] != nil:
		err = fmt.Errorf("msrp: a message %s is on its way", o.m.ID)
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	h := l.head(frame.SEND)
	h.MessageID, h.SuccessReport, h.FailureReport = o.m.ID, o.m.SuccessReport, o.m.FailureReport
	h.ContentType, h.Fields = o.m.ContentType, o.m.Fields
	h.Range = frame.Range{Start: 1, End: frame.Unknown, Total: size}
	o.stream, err = c.link.NewStream(&link.StreamConfig{Head: h, Limit: l.maxChunk(), Owner: o})
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	o.m.Body = nil
	s.outgoing[o.m.ID] = o // and from now on others may end it
	s.lastSent = time.Now()
	w := &Writer{o: o, size: size, most: s.peer.maxSize}
	s.mu.Unlock()
	w.stop = context.AfterFunc(ctx, func() { o.fail(context.Cause(ctx)) })
	return w, nil
}

// size returns the length of the body, frame.Unknown if nothing says it.
func (m *Message) size() (int64, error) {
	if m.Size > 0 {
		return m.Size, nil
	}
	switch b := m.Body.(type) {
	case interface{ Len() int }:
		return int64(b.Len()), nil
	case *os.File:
		info, err := b.Stat()
		if err != nil {
			return 0, err
		}
		if !info.Mode().IsRegular() {
			break
		}
		at, err := b.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0, err
		}
		return max(0, info.Size()-at), nil
	}
	return frame.Unknown, nil
}

// A Writer is a message that is being written.
type Writer struct {
	o    *outgoing
	stop func() bool
	size int64
	most int64 // that the peer takes; 0: it has not said
	n    int64
}

// errSize says that a message is not as long as its Size.
var errSize = errors.New("msrp: the message is not of the size that was said")

// room returns how many bytes more there may be, and what is wrong if there are others still.
func (w *Writer) room() (int64, error) {
	switch {
	case w.size != frame.Unknown:
		return w.size - w.n, errSize
	case w.most > 0:
		return w.most - w.n, fmt.Errorf("%w: more than %d bytes", frame.StatusStop, w.most)
	}
	return math.MaxInt64, nil
}

// Write writes a piece of the message. It waits while the connection takes no more; an error is one of
// those of Send.
func (w *Writer) Write(p []byte) (int, error) {
	if room, err := w.room(); int64(len(p)) > room {
		return 0, err
	}
	n, err := w.o.stream.Write(p)
	w.n += int64(n)
	return n, w.o.why(err)
}

// ReadFrom writes what r gives to its end.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	if room, err := w.room(); err != nil {
		r = &capped{r, room, err}
	}
	n, err := w.o.stream.ReadFrom(r)
	w.n += n
	return n, w.o.why(err)
}

// A capped reader says that there is more than there should be.
type capped struct {
	io.Reader
	left int64
	err  error
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, c.err
	}
	return n, err
}

// Close ends the message, and waits for the same as Send.
func (w *Writer) Close() error {
	o := w.o
	if w.size != frame.Unknown && w.n != w.size {
		return w.abort(errSize)
	}
	defer w.stop()
	defer o.finish()
	o.stream.End(frame.Complete)
	chunks, err := o.stream.Wait()
	if err != nil {
		return o.why(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && (o.m.FailureReport == frame.FailureReportYes && o.answered < chunks || o.m.SuccessReport && !o.arrived.all(w.n)) {
		o.changed.Wait()
	}
	return o.err
}

// Abort gives the message up: the peer is told that no more will come.
func (w *Writer) Abort() { w.abort(ErrClosed) }

// abort gives the message up because of err, and returns the first reason that there was.
func (w *Writer) abort(err error) error {
	w.stop()
	err = w.o.why(err)
	w.o.fail(err)
	w.o.finish()
	return err
}

// why returns what has ended the message, if that is known better than err.
func (o *outgoing) why(err error) error {
	if err == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	if lost := o.c.link.Err(); lost != nil {
		return fmt.Errorf("%w: %w", ErrLost, lost)
	}
	return err
}

// fail ends the message; the first error stands.
func (o *outgoing) fail(err error) {
	o.mu.Lock()
	first := o.err == nil && !o.over
	if first {
		o.err = err
	}
	o.changed.Broadcast()
	o.mu.Unlock()
	if first {
		o.stream.End(frame.Aborted)
	}
}

// finish forgets the message, unless it is to hear of REPORTs.
func (o *outgoing) finish() {
	o.mu.Lock()
	o.over = true
	o.mu.Unlock()
	s := o.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outgoing[o.m.ID] != o {
		return
	}
	delete(s.outgoing, o.m.ID)
	if o.m.OnReport != nil && !s.closed {
		if len(s.told) == maxTold {
			s.told = slices.Delete(s.told, 0, 1)
		}
		s.told = append(s.told, o)
	}
}

// Answered is that of link.Owner: a chunk has its response.
func (o *outgoing) Answered(r frame.Range, h *frame.Head, err error) {
	switch {
	case errors.Is(err, link.ErrNoAnswer):
		o.refused(frame.StatusTimeout)
	case err != nil:
		o.fail(fmt.Errorf("%w: %w", ErrLost, err))
	case failed(h.Status):
		o.refused(h.Status)
		o.l.refused(h.Status)
	default:
		o.mu.Lock()
		o.answered++
		o.changed.Broadcast()
		o.mu.Unlock()
	}
}

// failed reports whether a status is one of failure. Those that are not known count as their class
// (RFC 4975 section 10 has none but 200 for success).
func failed(status frame.Status) bool { return status/100 != 2 }

// refused ends a message that the peer, or a relay, does not take. A media type that it says not to
// understand is not sent again (RFC 4975 section 10.6), but for containers: what it does not understand may be
// what was in one.
func (o *outgoing) refused(status frame.Status) {
	if status == frame.StatusTimeout {
		o.l.doubt() // before anybody hears of it
	}
	o.fail(status)
	if status != frame.StatusUnsupportedType {
		return
	}
	kind, _, _ := strings.Cut(o.m.ContentType, ";")
	kind = strings.TrimSpace(kind)
	major, _, _ := strings.Cut(kind, "/")
	s := o.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.EqualFold(major, "message") && !strings.EqualFold(major, "multipart") && !mediatype.In(s.refused, kind) && len(s.refused) < maxRefused {
		s.refused = append(s.refused, kind)
	}
}

// report takes a REPORT (RFC 4975 section 7.3.2). One on a message that is not known is passed over.
func (s *Session) report(h *frame.Head) {
	if h.Report == 0 {
		return // of another namespace
	}
	s.mu.Lock()
	o := s.outgoing[h.MessageID]
	if o == nil {
		for _, t := range s.told {
			if t.m.ID == h.MessageID {
				o = t
			}
		}
	}
	s.mu.Unlock()
	if o == nil {
		return
	}
	if o.m.OnReport != nil {
		o.m.OnReport(Report{ID: h.MessageID, Status: h.Report, Range: h.Range})
	}
	if !failed(h.Report) {
		o.mu.Lock()
		if h.Range == (frame.Range{}) {
			o.arrived.add(1, 1<<62)
		} else {
			o.arrived.add(h.Range.Start, h.Range.End)
		}
		o.changed.Broadcast()
		o.mu.Unlock()
	} else { // as if it were the response
		o.refused(h.Report)
		o.l.refused(h.Report)
	}
}

// ranges are bytes of a message, as REPORTs have named them: a receiver may report as it likes (RFC 4975 section
// 7.1.3).
type ranges struct {
	list []frame.Range // in order, none touching another
	any  bool
}

const maxRanges = 1024

// add adds the bytes from start to end.
func (r *ranges) add(start, end int64) {
	r.any = true
	if end == frame.Unknown || end < start {
		return // of no byte, or of nobody knows which
	}
	i := 0
	for i < len(r.list) && r.list[i].End < start-1 {
		i++
	}
	j := i
	for j < len(r.list) && r.list[j].Start <= end+1 {
		start, end = min(start, r.list[j].Start), max(end, r.list[j].End)
		j++
	}
	if i == j && len(r.list) >= maxRanges {
		return
	}
	r.list = slices.Replace(r.list, i, j, frame.Range{Start: start, End: end})
}

// all reports whether a message of n bytes is in them.
func (r *ranges) all(n int64) bool {
	if n == 0 {
		return r.any
	}
	return len(r.list) > 0 && r.list[0].Start == 1 && r.list[0].End >= n
}
