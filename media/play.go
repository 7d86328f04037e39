package media

import "context"

// playing is a call of Play.
type playing struct {
	source  Source
	reading bool // the send loop is in ReadSamples
	ended   bool
	done    chan error // given one value
}

// playSource is Play. One source plays at a time.
func (s *session) playSource(ctx context.Context, source Source) error {
	p := &playing{source: source, done: make(chan error, 1)}
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrClosed
	case s.playing != nil:
		s.mu.Unlock()
		return ErrBusy
	}
	s.playing = p
	s.mu.Unlock()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
	}
	s.mu.Lock()
	p.ended = true
	if s.playing == p && !p.reading {
		s.endPlaying(nil)
	}
	s.mu.Unlock()
	<-p.done // the source is not read any more
	return ctx.Err()
}

// endPlaying ends the call of Play, if there is one.
func (s *session) endPlaying(err error) {
	if s.playing != nil {
		s.playing.done <- err
		s.playing = nil
	}
}
