package file

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// ErrEnded tells that the call was over, or one of the two sides had ended the
// section, before the file was there.
var ErrEnded = errors.New("file: ended before the file was there")

// maxTransfers is how often a file may be asked for anew in one section.
const maxTransfers = 64

// A transfer is a file, or a part of one, on a session of its own and under its
// own identifier (RFC 5547 sections 8.1 and 8.7).
type transfer struct {
	session *msrp.Session
	said    Description // in our sections
	offered bool        // in an offer that has no answer yet
	section *sdp.Media  // that was said last

	ctx    context.Context // ends what moves the octets
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when nothing moves them any more; nil: not begun

	source *source  // of a sender
	to     *hashing // of a receiver
	start  int64    // octets before those that are received
	there  int64    // octets that were there before
	rest   bool     // in place of a transfer that may have ended well meanwhile
	relays bool     // are on the way

	// Under the lock of the stream.
	file Description // what is known of the file
	gone bool        // all octets are out, and not acknowledged yet
	over bool
	err  error
}

// A stream is what Sender and Receiver have in common: a section of a call, with
// one transfer after the other, as a new identifier begins a new one.
type stream struct {
	e    *msrp.Endpoint
	cfg  msrp.SessionConfig
	move func(*transfer) error // until the octets are there

	// ready is called before a transfer begins. nil: nothing is to be done.
	ready func(context.Context, *transfer) error

	// leave is called, under the lock, when nothing is moved any more. nil: nothing is to be done.
	leave func()

	address netip.Addr    // at which the peer reaches us; not valid: not known
	past    []Description // transfers before the current one

	mu            sync.Mutex
	changed       sync.Cond
	current, next *transfer // next is offered or answered, and not agreed on yet
	held          bool      // the peer does not want to receive now
	err           error     // why there was no transfer
}

func (s *stream) init(e *msrp.Endpoint, cfg msrp.SessionConfig, move func(*transfer) error) {
	s.e, s.cfg, s.move = e, cfg, move
	s.cfg.AcceptTypes, s.cfg.AcceptWrappedTypes = []string{"*"}, []string{"*"}
	s.changed.L = &s.mu
}

// UseAddress says which of our addresses the peer reaches.
func (s *stream) UseAddress(a netip.Addr) {
	s.address = a
	for _, t := range []*transfer{s.current, s.next} {
		if t != nil {
			t.session.UseAddress(a)
		}
	}
}

// Description returns what is known of the file so far. When all of it is there
// that has its size and the hashes that were computed on the way.
func (s *stream) Description() Description {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return Description{}
	}
	return s.current.file
}

// known returns the transfers of the section so far.
func (s *stream) known() []Description {
	known := s.past[:len(s.past):len(s.past)]
	for _, t := range []*transfer{s.current, s.next} {
		if t != nil {
			known = append(known, t.said)
		}
	}
	return known
}

// named returns the transfer that a section of ours is about.
func (s *stream) named(id string) *transfer {
	for _, t := range []*transfer{s.next, s.current} {
		if t != nil && t.said.ID == id {
			return t
		}
	}
	return nil
}

// propose makes another transfer, which takes the place of the current one when it is agreed
// on; of one that was not begun, at once. What has come to TLS stays there.
func (s *stream) propose(said, file Description) *transfer {
	cfg := s.cfg
	if t := s.current; t != nil && t.section != nil && t.section.Proto == "TCP/TLS/MSRP" {
		cfg.TLS = true
	}
	t := &transfer{session: msrp.NewSession(s.e, &cfg), said: said, file: file}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	if s.address.IsValid() {
		t.session.UseAddress(s.address)
	}
	s.dropNext()
	s.mu.Lock()
	old := s.current
	switch {
	case old == nil || old.done == nil:
		s.current = t
	default:
		s.next, old = t, nil
	}
	s.mu.Unlock()
	if old != nil {
		old.stop(ErrRefused)
	}
	return t
}

// dropNext forgets a transfer that nobody has agreed on.
func (s *stream) dropNext() {
	s.mu.Lock()
	t := s.next
	s.next = nil
	s.mu.Unlock()
	if t != nil {
		t.stop(ErrRefused)
	}
}

// stop ends a transfer, and waits until nothing is moved any more.
func (t *transfer) stop(why error) {
	t.cancel(why)
	t.session.Close()
	if t.done != nil {
		<-t.done
	}
}

// offer describes the transfer in an offer. One that is over has port 0 from then on (RFC 5547
// section 8.1).
func (s *stream) offer(ctx context.Context, t *transfer) (*sdp.Media, error) {
	if s.isOver(t) {
		m := &sdp.Media{Type: "message", Proto: t.section.Proto, Formats: []string{"*"}}
		return m, t.said.set(m)
	}
	m, err := t.session.Offer(ctx)
	if err == nil {
		err = t.said.set(m)
	}
	if err != nil {
		return nil, err
	}
	t.offered, t.section = true, m
	return m, nil
}

// answer describes the transfer in an answer.
func (s *stream) answer(ctx context.Context, t *transfer, remote *sdp.Media) (*sdp.Media, error) {
	if s.isOver(t) {
		return t.section, nil // "no changes with respect to the current status" (section 8.3.1)
	}
	m, err := t.session.Answer(ctx, remote)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return refuse(remote), nil
	}
	if err := t.said.set(m); err != nil {
		return nil, err
	}
	t.offered, t.section = false, m
	return m, nil
}

func (s *stream) isOver(t *transfer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.over
}

// Refused says that the peer does not want the file.
func (s *stream) Refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = ErrRefused
	s.left()
	s.changed.Broadcast()
}

// Update begins the transfer that both sides have agreed on, or ends it.
func (s *stream) Update(ctx context.Context, local, remote *sdp.Media) error {
	if local.Port == 0 || remote.Port == 0 {
		s.end(ErrEnded)
		return nil
	}
	id, _ := attribute(local, attrID)
	t := s.named(id)
	if t == nil {
		return fmt.Errorf("file: no transfer %.80q", id)
	}
	if t.offered {
		known, err := readAnswer(remote, t.said)
		switch {
		case err != nil && t.done != nil: // nothing new was asked for
		case err != nil && t == s.next:
			s.dropNext() // and the one before goes on
			return nil
		case err != nil:
			s.end(err)
			return nil
		case t.done == nil:
			t.know(s, known)
		}
		t.offered, t.said.Icon = false, "" // which was for the peer to decide by
	}
	if t == s.next {
		s.advance()
	} else {
		s.dropNext()
	}
	s.mu.Lock()
	s.held, s.err = !local.Direction.Sends(), nil
	s.changed.Broadcast()
	over := t.over
	s.mu.Unlock()
	if over {
		return nil
	}
	if t.done == nil && s.ready != nil {
		if err := s.ready(ctx, t); err != nil {
			if ctx.Err() != nil { // as below
				return err
			}
			s.end(err)
			return nil
		}
	}
	if err := t.session.Update(ctx, local, remote); err != nil {
		if ctx.Err() == nil { // of early media, which is told again
			s.end(err)
		}
		return err
	}
	if t.done == nil {
		t.relays = relayed(local) || relayed(remote)
		s.begin(t)
	}
	return nil
}

// relayed reports whether the way to who describes itself so is by relays.
func relayed(m *sdp.Media) bool {
	path, _ := m.Attribute("path")
	return strings.Contains(strings.TrimSpace(path), " ")
}

// know takes what an answer has told of the file.
func (t *transfer) know(s *stream, d Description) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Direction, d.Range = t.said.Direction, t.said.Range
	d.Selector = t.file.Selector.merge(d.Selector)
	t.file = d
}

// advance has the next transfer take the place of the current one, which is
// aborted (RFC 5547 section 8.1).
func (s *stream) advance() {
	s.mu.Lock()
	old := s.current
	s.current, s.next = s.next, nil
	s.mu.Unlock()
	s.past = append(s.past, old.said)
	old.stop(ErrEnded)
}

// begin has the octets moved by a goroutine, which ends when the transfer is stopped.
func (s *stream) begin(t *transfer) {
	done := make(chan struct{})
	s.mu.Lock()
	t.done = done
	s.mu.Unlock()
	go func() {
		defer close(done)
		stop := context.AfterFunc(t.ctx, s.wake)
		defer stop()
		err := s.move(t)
		// That it is not the file may show while the call ends.
		if err != nil && t.ctx.Err() != nil && !isOther(err) {
			err = context.Cause(t.ctx)
		}
		s.mu.Lock()
		t.over, t.err = true, err
		if t == s.current { // and not replaced by one that goes on
			s.left()
		}
		s.changed.Broadcast()
		s.mu.Unlock()
		t.refuse()
	}()
}

// refuse refuses what else comes: a session has one message, one way (RFC 5547 section 8.7).
// It ends with the session.
func (t *transfer) refuse() {
	for m, err := range t.session.Messages(t.ctx) {
		if err != nil {
			return
		}
		m.Reject(frame.StatusForbidden)
	}
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// end stops whatever is under way.
func (s *stream) end(why error) {
	s.dropNext()
	s.mu.Lock()
	t := s.current
	if s.err == nil {
		s.err = why
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	if t != nil {
		s.linger(t)
		t.stop(why)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left()
}

// lingerTime is for how long what is on its way by one connection is waited for when
// another one says that the call is over.
const lingerTime = time.Second

// linger waits for the acknowledgement of the last octets, if that is all that is missing.
func (s *stream) linger(t *transfer) {
	ctx, cancel := context.WithTimeout(t.ctx, lingerTime)
	defer cancel()
	stop := context.AfterFunc(ctx, s.wake)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for t.gone && !t.over && ctx.Err() == nil {
		s.changed.Wait()
	}
}

// left is for what was moved from or to. The lock is held.
func (s *stream) left() {
	if s.leave != nil {
		s.leave()
	}
}

// wait waits until the file is there, or will not be.
func (s *stream) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.wake)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		t := s.current
		switch {
		case t != nil && t.over:
			return t.err
		case s.err != nil && (t == nil || t.done == nil):
			return s.err
		case ctx.Err() != nil:
			if t != nil {
				t.cancel(context.Cause(ctx))
			}
			return context.Cause(ctx)
		}
		s.changed.Wait()
	}
}

// Close ends the stream, and what is under way is aborted.
func (s *stream) Close() error {
	s.end(ErrEnded)
	return nil
}
