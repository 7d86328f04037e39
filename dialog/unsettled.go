package dialog

import (
	"slices"
	"time"

	"github.com/goparley/parley/transaction"
)

// The peer may send a request right behind the response that makes the dialog, or one
// that overtakes it. What an INVITE of ours is answered with is looked at where its
// sender waits, and the request finds its dialog there only then: it waits for that. A
// 481 would end the call for a peer that believes it (RFC 5057 section 5.1).

// unsettled is what requests wait for: the INVITEs of ours with one Call-ID and tag whose
// answer is not looked at yet.
type unsettled struct {
	invites int
	news    chan struct{} // closed when one of them has made a dialog, or is settled; nil: nobody waits
	ended   []string      // the keys of the tags of branches that are over, which nothing waits for
}

// settling is the key of them, those with another number included.
func settling(callID, tag string) inviteKey { return inviteKey{callID: callID, tag: tagKey(tag)} }

// unsettle counts an INVITE that begins, 1, or is settled, -1. With 0 it has made a dialog.
func (l *Layer) unsettle(key inviteKey, by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.unsettled[key]
	if u == nil {
		u = &unsettled{}
		l.unsettled[key] = u
	}
	if u.invites += by; u.invites == 0 {
		delete(l.unsettled, key)
	}
	if u.news != nil {
		close(u.news)
		u.news = nil
	}
}

// branchEnds notes that a dialog was forgotten, if an INVITE has made it that is not
// settled yet. It is called with l.mu held. There are as many as the INVITEs may make.
func (l *Layer) branchEnds(id ID) {
	tag := tagKey(id.RemoteTag)
	if u := l.unsettled[settling(id.CallID, id.LocalTag)]; u != nil && !slices.Contains(u.ended, tag) {
		u.ended = append(u.ended, tag)
	}
}

// await returns the dialog of a request that has none, once there is one: nil when no
// INVITE can make it any more, as when it was a branch that is over, or after 64*T1, when
// the peer has given up. How many may
// wait is bounded where handlers are, and those of one call do so in order.
func (l *Layer) await(tx *transaction.Server, id ID) *Dialog {
	key := settling(id.CallID, id.LocalTag)
	var late <-chan time.Time
	for {
		l.mu.Lock()
		d, u := l.lookup(id), l.unsettled[key]
		if d != nil || u == nil || slices.Contains(u.ended, tagKey(id.RemoteTag)) {
			l.mu.Unlock()
			return d
		}
		if u.news == nil {
			u.news = make(chan struct{})
		}
		news := u.news
		l.mu.Unlock()
		if late == nil {
			late = time.After(64 * l.tl.Timers().T1)
		}
		select {
		case <-news:
		case <-late:
			return nil
		case <-tx.Context().Done():
			return nil
		}
	}
}

// awaitACK waits until the program has sent the ACK of the 2xx that a request of the peer
// has come right behind, and before that has got ready for what follows: tied the call to
// another one, say. One that takes longer than T1 gets the request meanwhile. A BYE need
// not wait: the ACK can be sent after it. It is called with s.mu held, which is released in
// between.
func (s *Session) awaitACK(tx *transaction.Server) {
	if !s.unacked && !s.acking || s.over {
		return
	}
	if s.onACK == nil {
		s.onACK = make(chan struct{})
	}
	acked := s.onACK
	s.mu.Unlock()
	defer s.mu.Lock()
	tx.Detach()
	late := time.NewTimer(s.l.tl.Timers().T1)
	defer late.Stop()
	select {
	case <-acked:
	case <-late.C:
	case <-s.done:
	}
}

// releaseACK lets go on who waits for the ACK.
func (s *Session) releaseACK() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acking = false
	if s.onACK != nil {
		close(s.onACK)
		s.onACK = nil
	}
}
