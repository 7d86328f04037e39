package ua

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"

	"github.com/goparley/parley/sdp"
)

// media is what the streams of one call have agreed on: the offer/answer state,
// and which stream has which m= section.
type media struct {
	mu      sync.Mutex // one offer or answer at a time
	engine  *sdp.Engine
	streams []Stream      // by section; nil for one that was refused
	wish    sdp.Direction // by Hold and Resume
	closed  bool
}

func newMedia() *media { return &media{engine: sdp.NewEngine(nil)} }

// reachedAt says at which host of ours the peer reaches us. It comes before the
// first offer or answer.
func (m *media) reachedAt(host string, streams []Stream) {
	host = strings.Trim(host, "[]")
	m.engine = sdp.NewEngine(&sdp.Config{Address: host})
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return
	}
	for _, s := range streams {
		if u, ok := s.(addressUser); ok {
			u.UseAddress(addr)
		}
	}
}

// offer offers streams, one section each.
func (m *media) offer(ctx context.Context, streams []Stream) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams = streams
	sections := make([]*sdp.Media, len(streams))
	for i, s := range streams {
		var err error
		if sections[i], err = s.Offer(ctx); err != nil {
			return "", err
		}
	}
	return m.engine.Offer(sections)
}

// refuse answers an offer with a refusal of everything in it.
func (m *media) refuse(body string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	offered, err := m.engine.ReceiveOffer(body)
	if err != nil {
		return "", err
	}
	answer, _, err := m.engine.Answer(make([]*sdp.Media, len(offered)))
	return answer, err
}

// answered takes the peer's answer.
func (m *media) answered(ctx context.Context, body string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	pairs, err := m.engine.ReceiveAnswer(body)
	if err != nil {
		m.engine.Rollback()
		return err
	}
	if err := m.update(ctx, pairs); err != nil {
		return err
	}
	for _, p := range pairs {
		if p.Active() {
			return nil
		}
	}
	return ErrNoStream
}

// preview plays the answer of a provisional response: early media. The one in
// the final response counts (RFC 6337 section 3.1.1).
func (m *media) preview(ctx context.Context, body string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	pairs, err := m.engine.Clone().ReceiveAnswer(body)
	if err != nil {
		return err
	}
	return m.update(ctx, pairs)
}

// answer answers the peer's offer. Each section goes to the stream that has it,
// or to the first without a section that takes it.
func (m *media) answer(ctx context.Context, body string, free []Stream) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	offered, err := m.engine.ReceiveOffer(body)
	if err != nil {
		return "", err
	}
	sections := make([]*sdp.Media, len(offered))
	streams := make([]Stream, max(len(offered), len(m.streams)))
	copy(streams, m.streams)
	any := false
	for i, remote := range offered {
		if remote.Port == 0 {
			continue
		}
		candidates := free
		if streams[i] != nil {
			candidates = streams[i : i+1]
		}
		for j, s := range candidates {
			section, err := s.Answer(ctx, remote)
			if err != nil {
				m.engine.Rollback()
				return "", err
			}
			if section == nil {
				continue
			}
			any = true
			sections[i] = section
			if streams[i] == nil {
				streams[i] = s
				free = append(append([]Stream(nil), free[:j]...), free[j+1:]...)
			}
			break
		}
	}
	if !any {
		m.engine.Rollback()
		return "", ErrNoStream
	}
	answer, pairs, err := m.engine.Answer(sections)
	if err != nil {
		m.engine.Rollback()
		return "", err
	}
	m.streams = streams
	return answer, m.update(ctx, pairs)
}

// update tells the streams what is agreed.
func (m *media) update(ctx context.Context, pairs []sdp.Pair) error {
	if m.closed {
		return nil
	}
	var errs []error
	for i, p := range pairs {
		if i < len(m.streams) && m.streams[i] != nil && p.Changed && p.Active() {
			errs = append(errs, m.streams[i].Update(ctx, p.Local, p.Remote))
		}
	}
	return errors.Join(errs...)
}

// hold sets the direction that we want from now on and returns the one before.
func (m *media) hold(to sdp.Direction) (before sdp.Direction) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, m.wish = m.wish, to
	m.engine.Hold(to)
	return before
}

// reoffer offers the same again, with the hold that is in force.
func (m *media) reoffer() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.engine.Offer(nil)
}

// rollback gives an offer up that came to nothing.
func (m *media) rollback() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.engine.Rollback()
}

// close closes every stream, those without a section too.
func (m *media) close(all []Stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.closed = true
	for _, s := range all {
		s.Close()
	}
}
