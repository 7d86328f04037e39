package ua

import (
	"context"
	"slices"

	"github.com/goparley/parley/sdp"
)

// offer offers the streams: at first one section each, later those that are in
// use, and those that are to be added, in sections that are not in use or new.
func (m *media) offer(ctx context.Context) (string, error) {
	ctx, done, err := m.take(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	agreed := m.engine.Agreed()
	if agreed == nil {
		m.streams = slices.Clone(m.all)
	}
	streams := slices.Clone(m.streams)
	for len(streams) < len(agreed) {
		streams = append(streams, nil)
	}
	adding := slices.DeleteFunc(slices.Clone(m.adding), func(h *holder) bool {
		return slices.Contains(streams, h) // by a first offer of the peer
	})
	for i, p := range agreed {
		if len(adding) > 0 && !p.Active() {
			streams[i], adding = adding[0], adding[1:]
		}
	}
	streams = append(streams, adding...)
	sections := make([]*sdp.Media, len(streams))
	for i, h := range streams {
		fresh := i >= len(agreed) || slices.Contains(m.adding, h)
		if h == nil || h == m.ending || !fresh && !agreed[i].Active() {
			continue // refused before, and to stay so
		}
		if sections[i], err = h.Offer(ctx); err != nil {
			return "", err
		}
	}
	body, err := m.engine.Offer(sections)
	if err == nil && agreed != nil {
		m.offered = streams
	}
	return body, err
}

// offering reports whether an offer of ours waits for its answer.
func (m *media) offering() bool {
	done, err := m.lock(m.ctx)
	if err != nil {
		return false
	}
	defer done()
	return m.engine.Offering()
}

// answered takes the peer's answer to our offer. acknowledge is called in any
// case, before the streams are told, so that a slow one does not keep the peer
// waiting. final says that the call is answered, and so is to have something. ctx is for
// the streams: what is agreed is so whether it has ended or not.
func (m *media) answered(ctx context.Context, body string, final bool, acknowledge func() error) error {
	done, err := m.lock(m.ctx)
	if err != nil {
		acknowledge()
		return err
	}
	defer done()
	first := m.engine.Agreed() == nil
	pairs, err := m.engine.ReceiveAnswer(body)
	if err == nil {
		m.settle()
	} else if final || !first { // that of the 2xx may be better
		m.rollbackOffer()
	}
	if ackErr := acknowledge(); err == nil {
		err = ackErr
	}
	if err == nil {
		if err = m.tell(ctx, pairs); err != nil && !first {
			err = &agreedError{err}
		}
	}
	if err == nil && first && final && !anyActive(pairs) {
		err = ErrNoStream
	}
	return err
}

// agreedError is what went wrong at our side with a session that both sides have
// agreed on.
type agreedError struct{ err error }

func (e *agreedError) Error() string { return "agreed with the peer, but: " + e.err.Error() }
func (e *agreedError) Unwrap() error { return e.err }

// confirmed is called when the call is answered, and what was agreed before that, in
// a reliable provisional response, stays. The streams are told once more if another
// branch has told them something else.
func (m *media) confirmed(ctx context.Context, acknowledge func() error) error {
	done, err := m.lock(m.ctx)
	if err != nil {
		acknowledge()
		return err
	}
	defer done()
	pairs := m.engine.Agreed()
	if err := acknowledge(); err != nil {
		return err
	}
	if err := m.tell(ctx, pairs); err != nil {
		return err
	}
	if !anyActive(pairs) {
		return ErrNoStream
	}
	return nil
}

// preview plays the answer of an unreliable provisional response: early media. The
// one in the final response counts (RFC 6337 section 3.1.1).
func (m *media) preview(ctx context.Context, body string) error {
	ctx, done, err := m.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	if m.engine.Agreed() != nil {
		return nil // said before, and reliably
	}
	pairs, err := m.engine.Clone().ReceiveAnswer(body)
	if err != nil {
		return err
	}
	return m.update(ctx, pairs)
}

// settle gives the sections of an offer that was accepted their streams. It is called
// with the turn.
func (m *media) settle() {
	if m.offered != nil {
		was := m.streams
		m.streams = m.offered
		m.replaced(was, m.offered)
	}
	m.offered, m.adding, m.ending = nil, nil, nil
}

// replaced removes the streams that have lost their section to another one. It is called with
// the turn.
func (m *media) replaced(was, now []*holder) {
	for _, h := range was {
		if h != nil && !slices.Contains(now, h) {
			m.remove(h)
		}
	}
}

// rollback gives an offer up that came to nothing.
func (m *media) rollback() {
	if done, err := m.lock(m.ctx); err == nil {
		m.rollbackOffer()
		done()
	}
}

func (m *media) rollbackOffer() {
	m.engine.Rollback()
	m.offered = nil
}
