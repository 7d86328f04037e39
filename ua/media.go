package ua

import (
	"context"
	"net/netip"
	"reflect"
	"runtime/debug"
	"sync/atomic"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
)

// media is what the streams of one call have agreed on: the offer/answer state,
// and which stream has which m= section.
//
// No lock is held while a stream is called. Whoever calls one has the turn, and
// all below turn is theirs meanwhile; when the call is over, close takes the
// turn once more, and nobody does after that. The branches of a fork have one turn between them, for they may
// share streams.
type media struct {
	over func() bool // reports whether the call is over, which is a moment before ctx ends

	panicked func(p any, stack []byte) // logs what a Close does that nobody waits for

	ctx  *life         // that of streams; ends with the call
	turn chan struct{} // full: somebody has the turn
	free func()        // gives it back

	address   netip.Addr  // where the peer reaches us; not valid: at a name
	described *sdp.Config // as that stands in descriptions
	engine    *sdp.Engine
	all       []*holder     // every stream that was given, those without a section too
	streams   []*holder     // by section; nil for one that was refused
	offered   []*holder     // what streams will be when our later offer is accepted
	adding    []*holder     // to be offered with the next offer
	ending    *holder       // not to be offered any more
	wish      sdp.Direction // by Hold and Resume
	attached  bool          // parts of streams went with the last offer
	plain     bool          // the peer takes no such parts
}

// holder is a stream of a call, or of several branches of one that is not answered.
type holder struct {
	Stream
	calls atomic.Int32 // that have it; the last one closes it

	// What the stream was told last, and by whom.
	pair sdp.Pair
	by   *media
	sure bool // it has taken it
}

func newMedia(streams []Stream, over func() bool, panicked func(any, []byte)) *media {
	turn := make(chan struct{}, 1)
	m := &media{
		over: over, panicked: panicked, ctx: &life{}, engine: sdp.NewEngine(nil),
		turn: turn, free: func() { <-turn }, // without m, which its branches outlive
	}
	for _, s := range streams {
		m.all = append(m.all, hold(s))
	}
	return m
}

func hold(s Stream) *holder {
	h := &holder{Stream: s}
	h.calls.Store(1)
	return h
}

// branch returns the media of another branch of a fork that answers the same offer.
// first says that it is the first one, which has the streams themselves.
func (m *media) branch(ctx context.Context, first bool, over func() bool) (*media, error) {
	ctx, done, err := m.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	b := &media{over: over, panicked: m.panicked, ctx: &life{}, turn: m.turn, free: m.free, engine: m.engine.Clone(), address: m.address, described: m.described, plain: m.plain}
	made := false
	defer func() {
		if !made { // be it by a panic in Fork
			b.ctx.end()
			b.drop()
		}
	}()
	copies := map[*holder]*holder{}
	for _, h := range m.all {
		c := h
		if f, ok := h.Stream.(Forker); ok && !first {
			s, err := f.Fork(ctx)
			if err == nil && s == nil {
				err = errNilStream
			}
			if err != nil {
				return nil, err
			}
			c = hold(s)
		} else {
			h.calls.Add(1)
		}
		copies[h] = c
		b.all = append(b.all, c)
	}
	for _, h := range m.streams {
		b.streams = append(b.streams, copies[h])
	}
	made = true
	return b, nil
}

// lock waits for the turn and returns what gives it back.
func (m *media) lock(ctx context.Context) (free func(), err error) {
	select {
	case m.turn <- struct{}{}:
	default:
		select {
		case m.turn <- struct{}{}:
		case <-m.ctx.Done():
			return nil, dialog.ErrEnded
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	switch { // what else was ready
	case m.ctx.Err() != nil:
		<-m.turn
		return nil, dialog.ErrEnded
	case ctx.Err() != nil:
		<-m.turn
		return nil, context.Cause(ctx)
	}
	return m.free, nil
}

// take waits for the turn and returns the context to call streams with, which
// ends with ctx and with the call, and what gives the turn back.
func (m *media) take(ctx context.Context) (context.Context, func(), error) {
	free, err := m.lock(ctx)
	if err != nil || ctx == m.ctx {
		return ctx, free, err
	}
	ctx, stop := m.whileUp(ctx)
	return ctx, func() {
		stop()
		free()
	}, nil
}

// whileUp returns a context that ends with ctx and with the call.
func (m *media) whileUp(ctx context.Context) (context.Context, func()) {
	if ctx == m.ctx {
		return ctx, func() {}
	}
	b := &both{one: ctx, other: m.ctx, reason: dialog.ErrEnded}
	return b, b.end
}

// close ends what the streams are doing, waits until they have, and closes
// them. It is called once.
func (m *media) close() {
	m.ctx.end()
	m.turn <- struct{}{}
	m.drop()
	<-m.turn // nobody takes it for this call any more
}

// drop closes the streams that no other branch has.
func (m *media) drop() {
	for _, h := range m.all {
		m.release(h)
	}
	m.all, m.streams, m.adding = nil, nil, nil
}

func (m *media) release(h *holder) {
	if h.calls.Add(-1) == 0 {
		closeStream(h.Stream, m.panicked)
	}
}

// closeStream closes a stream. If that panics it is the only one.
func closeStream(s Stream, panicked func(any, []byte)) {
	defer func() {
		if p := recover(); p != nil {
			panicked(p, debug.Stack())
		}
	}()
	s.Close()
}

// reachedAt says at which URI of ours the peer reaches us from now on. It comes before the
// first offer or answer, and when we have moved.
func (m *media) reachedAt(ctx context.Context, uri sip.URI) error {
	done, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer done()
	address := uri.Host // a name is for the description only
	m.address = uri.Addr()
	if m.address.IsValid() {
		address = m.address.String()
	}
	m.described = &sdp.Config{Address: address}
	if m.isNew() {
		m.engine = m.newEngine()
	} else {
		m.engine.SetAddress(address)
	}
	if m.address.IsValid() {
		for _, h := range m.all {
			h.useAddress(m.address)
		}
	}
	return nil
}

// startAt is reachedAt where nothing was agreed yet: what was offered is to be offered anew.
func (m *media) startAt(ctx context.Context, uri sip.URI) error {
	done, err := m.lock(ctx)
	if err != nil {
		return err
	}
	if m.engine.Offering() {
		m.engine = sdp.NewEngine(nil)
	}
	done()
	return m.reachedAt(ctx, uri)
}

func (m *media) newEngine() *sdp.Engine { return sdp.NewEngine(m.described) }

// isNew reports whether nothing was described yet. It is called with the turn.
func (m *media) isNew() bool { return m.engine.Agreed() == nil && m.engine.Text() == "" }

func (h *holder) useAddress(addr netip.Addr) {
	if u, ok := h.Stream.(addressUser); ok {
		u.UseAddress(addr)
	}
}

func (h *holder) refused() {
	if r, ok := h.Stream.(refusalUser); ok {
		r.Refused()
	}
}

// tell tells the streams what is agreed, while ctx lasts. It is called with the turn.
func (m *media) tell(ctx context.Context, pairs []sdp.Pair) error {
	if err := cause(ctx); err != nil {
		return err
	}
	ctx, stop := m.whileUp(ctx)
	defer stop()
	return m.update(ctx, pairs)
}

// isAgreed reports whether anything was agreed.
func (m *media) isAgreed() bool {
	done, err := m.lock(m.ctx)
	if err != nil {
		return false
	}
	defer done()
	return m.engine.Agreed() != nil
}

func anyActive(pairs []sdp.Pair) bool {
	for _, p := range pairs {
		if p.Active() {
			return true
		}
	}
	return false
}

// update tells the streams what is agreed, as far as it is news to them.
func (m *media) update(ctx context.Context, pairs []sdp.Pair) error {
	var failed error
	for i, p := range pairs {
		if i >= len(m.streams) || m.streams[i] == nil {
			continue
		}
		h := m.streams[i]
		if h.pair.Local == nil && !p.Active() {
			h.refused() // never was in use
			continue
		}
		p.Changed = false
		// A refresh, or early media of this branch said it before.
		if h.sure && h.by == m && reflect.DeepEqual(p, h.pair) {
			continue
		}
		h.pair, h.by, h.sure = p, m, false
		err := h.Update(ctx, p.Local, p.Remote)
		h.sure = err == nil
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// want sets the direction that we want from now on. It is called with the turn.
func (m *media) want(to sdp.Direction) {
	m.wish = to
	m.engine.Hold(to)
}

// text returns what we have described last.
func (m *media) text() string {
	done, err := m.lock(m.ctx)
	if err != nil {
		return ""
	}
	defer done()
	return m.engine.Text()
}
