package ua

import (
	"context"
	"slices"

	"github.com/goparley/parley/sdp"
)

// answer answers the peer's offer. Each section goes to the stream that has it,
// or in the first offer to the first stream without a section that takes it; another
// one for a section that is new later is asked of more, which may be nil.
// end is called when it is known whether the answer reaches the peer; it need not be for the
// first one.
func (m *media) answer(ctx context.Context, body string, more func(context.Context, *sdp.Media) Stream) (answer string, end func(sent bool), err error) {
	ctx, done, err := m.take(ctx)
	if err != nil {
		return "", nil, err
	}
	defer done()
	offered, err := m.engine.ReceiveOffer(body)
	if err != nil {
		return "", nil, err
	}
	defer func() { m.engine.Rollback() }() // no effect on what is answered
	agreed := m.engine.Agreed()
	var free, fresh []*holder
	if agreed == nil {
		free = append(free, m.all...)
	}
	sections := make([]*sdp.Media, len(offered))
	streams := make([]*holder, max(len(offered), len(m.streams)))
	copy(streams, m.streams)
	made := false
	defer func() {
		for _, h := range fresh {
			if made && slices.Contains(streams, h) {
				m.all = append(m.all, h)
			} else {
				m.release(h)
			}
		}
	}()
	inUse, taken := false, false
	for i, remote := range offered {
		if remote.Port == 0 {
			continue
		}
		inUse = true
		candidates := free
		if streams[i] != nil {
			candidates = streams[i : i+1]
		}
		h, section, err := ask(ctx, candidates, remote)
		// A section that is not in use may become one of something else (RFC 3264
		// section 8.1).
		if err == nil && h == nil && agreed != nil && more != nil && (i >= len(agreed) || !agreed[i].Active()) {
			if s := more(ctx, remote); s != nil && !holds(m.all, s) && !holds(fresh, s) {
				h := hold(s)
				fresh = append(fresh, h)
				if m.address.IsValid() {
					h.useAddress(m.address)
				}
				candidates = fresh[len(fresh)-1:]
			} else {
				candidates = nil
			}
			h, section, err = ask(ctx, candidates, remote)
		}
		if err != nil {
			return "", nil, err
		}
		if section == nil {
			continue
		}
		sections[i] = section
		if section.Port == 0 {
			continue
		}
		taken = true
		streams[i] = h
		if j := slices.Index(free, h); j >= 0 {
			free = slices.Delete(free, j, j+1)
		}
	}
	// A call that has nothing, or is to have nothing, can go on like that.
	if !taken && (agreed == nil || inUse && anyActive(agreed)) {
		return "", nil, ErrNoStream
	}
	before, was := m.keep(), m.streams
	answer, pairs, err := m.engine.Answer(sections)
	if err != nil {
		return "", nil, err
	}
	m.streams = streams
	defer func() {
		if !made {
			m.restore(before, was)
		}
	}()
	if err := m.update(ctx, pairs); err != nil {
		return "", nil, err
	}
	made = true
	return answer, func(sent bool) {
		done, err := m.lock(m.ctx)
		if err != nil {
			return // the call is over, and its streams are closed
		}
		defer done()
		if sent {
			m.replaced(was, streams)
			return
		}
		m.restore(before, was)
		for _, h := range fresh {
			m.remove(h)
		}
	}, nil
}

// ask returns the first of some streams that takes an offered section, or refuses it by a section
// with port 0; nil for none.
func ask(ctx context.Context, streams []*holder, remote *sdp.Media) (*holder, *sdp.Media, error) {
	for _, h := range streams {
		if section, err := h.Answer(ctx, remote); section != nil || err != nil {
			return h, section, err
		}
	}
	return nil, nil, nil
}

// refuse answers an offer with a refusal of everything in it.
func (m *media) refuse(body string) (string, error) {
	done, err := m.lock(m.ctx)
	if err != nil {
		return "", err
	}
	defer done()
	offered, err := m.engine.ReceiveOffer(body)
	if err != nil {
		return "", err
	}
	answer, _, err := m.engine.Answer(make([]*sdp.Media, len(offered)))
	return answer, err
}

// keep returns what makes the state as it is now, for restore. It is called with the turn,
// while an offer waits for our answer. Where nothing was described yet, that is nothing.
func (m *media) keep() func() *sdp.Engine {
	if m.isNew() {
		return m.newEngine
	}
	before := m.engine.Clone()
	return func() *sdp.Engine {
		before.Rollback()
		return before
	}
}

// restore takes back an answer that the peer has not got: a change that is not
// made leaves everything as it was (RFC 3261 section 14.1). It is called with
// the turn.
func (m *media) restore(before func() *sdp.Engine, was []*holder) {
	m.engine = before()
	m.engine.Hold(m.wish)
	if m.ctx.Err() == nil && !m.over() {
		m.update(m.ctx, m.engine.Agreed()) // whatever has become of the context of the change
	}
	m.streams = was
}
