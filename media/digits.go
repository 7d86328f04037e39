package media

import (
	"context"
	"errors"
	"iter"
)

// ErrNoDTMF is returned by SendDigits if the peer takes no telephone-event. It
// is wrapped with the name of the digit if the peer takes others but not this.
var ErrNoDTMF = errors.New("media: the peer takes no DTMF (telephone-event)")

// dialing is a call of SendDigits.
type dialing struct {
	events  eventSender
	stopped bool // do not wait for the end of a hold
	err     error
	done    chan error // given one value
}

// sendDigits is SendDigits. One row of digits is sent at a time.
func (s *session) sendDigits(ctx context.Context, codes []byte) error {
	d := &dialing{events: eventSender{codes: codes}, done: make(chan error, 1)}
	s.mu.Lock()
	var err error
	if s.running {
		err = s.takes(codes)
	}
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrClosed
	case err != nil:
		s.mu.Unlock()
		return err
	case s.dialing != nil:
		s.mu.Unlock()
		return ErrBusy
	}
	s.dialing = d
	s.mu.Unlock()
	select {
	case err := <-d.done:
		return err
	case <-ctx.Done():
	}
	s.mu.Lock()
	d.stopped = true
	d.events.stop()
	if s.dialing == d && (!s.running || d.events.done()) {
		s.endDialing(nil)
	}
	s.mu.Unlock()
	<-d.done // the digit that sounded has ended
	return ctx.Err()
}

// takes returns the error if the peer does not take all the digits.
func (s *session) takes(codes []byte) error {
	if s.agreed.events < 0 {
		return ErrNoDTMF
	}
	return refused(codes, s.agreed.eventSet)
}

// digit makes the next packet of digits, or of the silence between them.
func (l *sending) digit(d *dialing, timestamp uint32, frame int, c *codec) []byte {
	s := l.s
	defer func() {
		if d.events.done() {
			s.endDialing(d.err)
		}
	}()
	if err := s.takes(d.events.codes); err != nil { // a new description
		d.events, d.err = eventSender{}, err
	}
	if e, ok := d.events.step(timestamp, frame); ok {
		b := s.out.next(l.buf[:0], uint8(s.agreed.events), e.timestamp, e.marker)
		s.sent(eventLength)
		return append(b, e.payload[:]...)
	}
	b := s.out.next(l.buf[:0], s.agreed.number, timestamp, false)
	clear(l.samples[:frame])
	s.sent(frame)
	return c.appendEncoded(b, l.samples[:frame])
}

// endDialing ends the call of SendDigits, if there is one.
func (s *session) endDialing(err error) {
	if s.dialing != nil {
		s.dialing.done <- err
		s.dialing = nil
	}
}

// receiveDigits is Digits.
func (s *session) receiveDigits(ctx context.Context) iter.Seq2[rune, error] {
	return func(yield func(rune, error) bool) {
		for {
			var d rune
			select {
			case d = <-s.digits: // before all else, what was heard
			default:
				select {
				case d = <-s.digits:
				case <-ctx.Done():
					yield(0, ctx.Err())
					return
				case <-s.done:
					if len(s.digits) > 0 {
						continue
					}
					return
				}
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}

// heard keeps a digit for Digits. If nobody reads them the oldest is dropped.
func (s *session) heard(digit rune) {
	for {
		select {
		case s.digits <- digit:
			return
		default:
		}
		select {
		case <-s.digits:
		default:
		}
	}
}
