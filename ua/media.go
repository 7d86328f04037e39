package ua

import (
	"context"
	"reflect"
	"runtime/debug"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
)

// media is what the streams of one call have agreed on: the offer/answer state,
// and which stream has which m= section.
//
// No lock is held while a stream is called. Whoever calls one has the turn, and
// all below turn is theirs meanwhile; when the call is over, close takes the
// turn for good.
type media struct {
	all  []Stream    // every stream that was given, those without a section too
	over func() bool // reports whether the call is over, which is a moment before ctx ends

	panicked func(p any, stack []byte) // logs what a Close does that nobody waits for

	ctx  context.Context // that of streams; ends with the call
	end  context.CancelFunc
	turn chan struct{} // full: somebody has the turn

	engine  *sdp.Engine
	streams []Stream      // by section; nil for one that was refused
	told    []telling     // by section
	early   string        // To tag of the last early media
	forked  bool          // it came from more than one branch
	wish    sdp.Direction // by Hold and Resume
}

// telling is what a stream was told last.
type telling struct {
	pair sdp.Pair
	sure bool // it has taken it, and nothing has come in between
}

func newMedia(streams []Stream, over func() bool, panicked func(any, []byte)) *media {
	m := &media{over: over, panicked: panicked, all: append([]Stream(nil), streams...), turn: make(chan struct{}, 1), engine: sdp.NewEngine(nil)}
	m.ctx, m.end = context.WithCancel(context.Background())
	return m
}

// take waits for the turn and returns the context to call streams with, which
// ends with ctx and with the call, and what gives the turn back.
func (m *media) take(ctx context.Context) (context.Context, func(), error) {
	select {
	case m.turn <- struct{}{}:
	case <-m.ctx.Done():
		return nil, nil, dialog.ErrEnded
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	switch { // what else was ready
	case m.ctx.Err() != nil:
		<-m.turn
		return nil, nil, dialog.ErrEnded
	case ctx.Err() != nil:
		<-m.turn
		return nil, nil, context.Cause(ctx)
	case ctx == m.ctx:
		return ctx, func() { <-m.turn }, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.ctx, func() { cancel(dialog.ErrEnded) })
	return ctx, func() {
		stop()
		cancel(nil)
		<-m.turn
	}, nil
}

// close ends what the streams are doing, waits until they have, and closes
// them. It is called once.
func (m *media) close() {
	m.end()
	m.turn <- struct{}{} // never given back
	for _, s := range m.all {
		m.closeOne(s)
	}
}

// closeOne closes a stream. If that panics it is the only one.
func (m *media) closeOne(s Stream) {
	defer func() {
		if p := recover(); p != nil {
			m.panicked(p, debug.Stack())
		}
	}()
	s.Close()
}

// reachedAt says at which URI of ours the peer reaches us. It comes before the
// first offer or answer.
func (m *media) reachedAt(ctx context.Context, uri sip.URI) error {
	_, done, err := m.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	addr := uri.Addr()
	if !addr.IsValid() { // a name, which is for the description only
		m.engine = sdp.NewEngine(&sdp.Config{Address: uri.Host})
		return nil
	}
	m.engine = sdp.NewEngine(&sdp.Config{Address: addr.String()})
	for _, s := range m.all {
		if u, ok := s.(addressUser); ok {
			u.UseAddress(addr)
		}
	}
	return nil
}

// offer offers the streams: at first one section each, later those that are in
// use.
func (m *media) offer(ctx context.Context) (string, error) {
	ctx, done, err := m.take(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	agreed := m.engine.Agreed()
	if agreed == nil {
		m.streams = m.all
	}
	sections := make([]*sdp.Media, max(len(m.streams), len(agreed)))
	for i := range sections {
		if i >= len(m.streams) || m.streams[i] == nil || i < len(agreed) && !agreed[i].Active() {
			continue // refused before, and to stay so
		}
		if sections[i], err = m.streams[i].Offer(ctx); err != nil {
			return "", err
		}
	}
	return m.engine.Offer(sections)
}

// answered takes the peer's answer to our offer. acknowledge is called in any
// case, before the streams are told, so that a slow one does not keep the peer
// waiting. tag is that of the peer.
func (m *media) answered(tag, body string, acknowledge func() error) error {
	ctx, done, err := m.take(m.ctx)
	if err != nil {
		acknowledge()
		return err
	}
	defer done()
	first := m.engine.Agreed() == nil
	pairs, err := m.engine.ReceiveAnswer(body)
	if err != nil {
		m.engine.Rollback()
	}
	if ackErr := acknowledge(); err == nil {
		err = ackErr
	}
	if err == nil {
		m.heard(tag)
		m.forked = false // from here on there is but one
		if err = m.update(ctx, pairs); err != nil && !first {
			err = &agreedError{err}
		}
	}
	if err == nil && first && !anyActive(pairs) {
		err = ErrNoStream
	}
	return err
}

// agreedError is what went wrong at our side with a session that both sides have
// agreed on.
type agreedError struct{ err error }

func (e *agreedError) Error() string { return "agreed with the peer, but: " + e.err.Error() }
func (e *agreedError) Unwrap() error { return e.err }

func anyActive(pairs []sdp.Pair) bool {
	for _, p := range pairs {
		if p.Active() {
			return true
		}
	}
	return false
}

// heard says which branch of a fork the next description is of. If there is more
// than one, what another sends may have led the streams elsewhere, so that they
// are to be told though the description is the last one to the letter. It is
// called with the turn.
func (m *media) heard(tag string) {
	m.forked = m.forked || m.early != "" && m.early != tag
	m.early = tag
	for i := range m.told {
		m.told[i].sure = m.told[i].sure && !m.forked
	}
}

// preview plays the answer of a provisional response: early media. The one in
// the final response counts (RFC 6337 section 3.1.1). tag is that of its To.
func (m *media) preview(ctx context.Context, tag, body string) error {
	ctx, done, err := m.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	pairs, err := m.engine.Clone().ReceiveAnswer(body)
	if err != nil {
		return err
	}
	m.heard(tag)
	return m.update(ctx, pairs)
}

// refuse answers an offer with a refusal of everything in it.
func (m *media) refuse(body string) (string, error) {
	_, done, err := m.take(m.ctx)
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

// answer answers the peer's offer. Each section goes to the stream that has it,
// or in the first offer to the first stream without a section that takes it.
// undo is for an answer that does not reach the peer.
func (m *media) answer(ctx context.Context, body string) (answer string, undo func(), err error) {
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
	var free []Stream
	if agreed == nil {
		free = append(free, m.all...)
	}
	sections := make([]*sdp.Media, len(offered))
	streams := make([]Stream, max(len(offered), len(m.streams)))
	copy(streams, m.streams)
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
		for j, s := range candidates {
			section, err := s.Answer(ctx, remote)
			if err != nil {
				return "", nil, err
			}
			if section == nil {
				continue
			}
			taken = true
			sections[i] = section
			if streams[i] == nil {
				streams[i] = s
				free = append(free[:j], free[j+1:]...)
			}
			break
		}
	}
	// A call that has nothing, or is to have nothing, can go on like that.
	if !taken && (agreed == nil || inUse && anyActive(agreed)) {
		return "", nil, ErrNoStream
	}
	before, was := m.engine.Clone(), m.streams
	answer, pairs, err := m.engine.Answer(sections)
	if err != nil {
		return "", nil, err
	}
	m.streams = streams
	made := false
	defer func() {
		if !made {
			m.restore(before, was)
		}
	}()
	if err := m.update(ctx, pairs); err != nil {
		return "", nil, err
	}
	made = true
	return answer, func() {
		if _, done, err := m.take(m.ctx); err == nil {
			defer done()
			m.restore(before, was)
		}
	}, nil
}

// restore takes back an answer that the peer has not got: a change that is not
// made leaves everything as it was (RFC 3261 section 14.1). It is called with
// the turn.
func (m *media) restore(before *sdp.Engine, was []Stream) {
	before.Rollback()
	before.Hold(m.wish)
	m.engine = before
	if m.ctx.Err() == nil && !m.over() {
		m.update(m.ctx, before.Agreed()) // whatever has become of the context of the change
	}
	m.streams = was
}

// update tells the streams what is agreed, as far as it is news to them.
func (m *media) update(ctx context.Context, pairs []sdp.Pair) error {
	var failed error
	for len(m.told) < len(m.streams) {
		m.told = append(m.told, telling{})
	}
	for i, p := range pairs {
		if i >= len(m.streams) || m.streams[i] == nil {
			continue
		}
		last := &m.told[i]
		if last.pair.Local == nil && !p.Active() {
			continue // never was in use
		}
		p.Changed = false
		if last.sure && reflect.DeepEqual(p, last.pair) { // a refresh, or early media said it before
			continue
		}
		*last = telling{pair: p}
		err := m.streams[i].Update(ctx, p.Local, p.Remote)
		last.sure = err == nil
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// hold sets the direction that we want from now on and returns the one before.
func (m *media) hold(ctx context.Context, to sdp.Direction) (before sdp.Direction, err error) {
	_, done, err := m.take(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	before, m.wish = m.wish, to
	m.engine.Hold(to)
	return before, nil
}

// rollback gives an offer up that came to nothing.
func (m *media) rollback() {
	if _, done, err := m.take(m.ctx); err == nil {
		m.engine.Rollback()
		done()
	}
}
