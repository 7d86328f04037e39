package dialog

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// maxForks bounds the answers to one INVITE that are taken note of. Those
// beyond get no ACK, and end for their sender as calls without one do.
const maxForks = 32

// inviteKey tells an INVITE of ours from others: the retry with credentials
// has another number.
type inviteKey struct {
	callID string
	tag    string // ours
	seq    uint32
}

func keyOf(invite *sip.Request) inviteKey {
	return inviteKey{invite.CallID(), invite.From().Tag(), invite.CSeq().Seq}
}

// answers are the 2xx responses to one INVITE of ours, and the ACK of each, to
// be sent again when its 2xx comes again. They are kept for 64*T1 after the
// first, when no more are expected (RFC 3261 section 13.2.2.4). They are under
// the Layer's lock.
type answers struct {
	settled bool                // it is known which of them is the call
	held    []*sip.Response     // came before that
	early   map[string]*Session // by key of the tag, the branches that rang
	legs    []leg
	expiry  *time.Timer
	until   time.Time // when that fires
}

// leg is the answer of one branch of a fork.
type leg struct {
	tag  string // of the To
	flow transport.Flow
	ack  *sip.Request // as it went out, nil before that
	hop  sip.URI      // where it goes first, should it have to go anew; zero: as it says
	anew bool         // it is on its way over another connection
	owed bool         // the 2xx came again before the ACK was out
}

// leg returns the one with a tag. There is none in nil.
func (a *answers) leg(tag string) *leg {
	if a == nil {
		return nil
	}
	for i := range a.legs {
		if strings.EqualFold(a.legs[i].tag, tag) {
			return &a.legs[i]
		}
	}
	return nil
}

// answersTo returns the answers to an INVITE. It is called with l.mu held.
func (l *Layer) answersTo(invite *sip.Request) *answers {
	return l.answersFor(keyOf(invite), 64*l.tl.Timers().T1)
}

// answersFor does so by the key of the INVITE. Those that are not there yet are
// kept for a while.
func (l *Layer) answersFor(key inviteKey, while time.Duration) *answers {
	a := l.answers[key]
	if a == nil {
		a = &answers{until: time.Now().Add(while)}
		key = inviteKey{strings.Clone(key.callID), strings.Clone(key.tag), key.seq}
		l.answers[key] = a
		a.expiry = time.AfterFunc(while, func() {
			l.mu.Lock()
			delete(l.answers, key)
			l.mu.Unlock()
		})
	}
	return a
}

// answerTag returns the tag that an answer is known by. In a call it is that of
// the call, whatever the response says.
func answerTag(invite *sip.Request, resp *sip.Response) string {
	if tag := invite.To().Tag(); tag != "" {
		return tag
	}
	return resp.To().Tag()
}

// settle says which 2xx is the call, nil if none is any more, and makes the Session of a
// new one known, and those of the branches that rang. Other answers may have come before.
func (l *Layer) settle(invite *sip.Request, resp *sip.Response, s *Session, early map[string]*Session) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return transport.ErrClosed
	}
	var err error
	if s != nil {
		err = l.addLocked(&s.Dialog)
	}
	a := l.answersTo(invite)
	a.settled, a.early = true, early
	if resp != nil {
		if tag := answerTag(invite, resp); a.leg(tag) == nil {
			a.legs = append(a.legs, leg{tag: strings.Clone(tag)})
		}
	}
	held := a.held
	a.held = nil
	l.mu.Unlock()
	for _, resp := range held {
		l.accepted(invite, resp)
	}
	return err
}

// accepted takes a 2xx to an INVITE after the first: the same again, whose ACK
// was lost, or that of another branch of a fork.
func (l *Layer) accepted(invite *sip.Request, resp *sip.Response) {
	if resp.CallID() != invite.CallID() {
		return
	}
	tag := answerTag(invite, resp)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	a := l.answersTo(invite)
	known := a.leg(tag)
	switch {
	case known != nil:
		known.owed = known.ack == nil
		again := *known
		l.mu.Unlock()
		if again.ack != nil {
			l.ackAgain(keyOf(invite), again)
		}
		return
	case !a.settled:
		if len(a.held) < maxForks {
			a.held = append(a.held, resp)
		}
	case len(a.legs) < maxForks:
		a.legs = append(a.legs, leg{tag: strings.Clone(tag)})
		early := a.early[tagKey(tag)]
		l.mu.Unlock()
		l.surplus(invite, resp, early)
		return
	}
	l.mu.Unlock()
}

// ackAgain sends an ACK again, the same bytes. If its connection is gone it
// takes a new one.
func (l *Layer) ackAgain(key inviteKey, known leg) {
	err := l.tl.Endpoint().Send(known.flow, known.ack)
	if !errors.Is(err, transport.ErrNoFlow) {
		return
	}
	l.mu.Lock()
	again := l.answers[key].leg(known.tag)
	begin := again != nil && !again.anew
	if begin {
		again.anew = true
	}
	l.mu.Unlock()
	if !begin {
		return
	}
	l.background(func() { // ends with the dial
		ctx := l.ctx
		if known.hop.Host != "" {
			ctx = transaction.WithNextHop(ctx, known.hop)
		}
		flow, out, err := l.tl.Send(ctx, known.ack.With(sip.Pop("Via")))
		l.mu.Lock()
		defer l.mu.Unlock()
		if again := l.answers[key].leg(known.tag); again != nil {
			again.anew = false
			if err == nil {
				again.flow, again.ack = flow, out
			}
		}
	})
}

// surplus ends a call that was answered but is not wanted: ACK, then BYE (RFC
// 3261 section 13.2.2.4). It does not wait. early is what the branch was when it rang,
// or nil.
func (l *Layer) surplus(invite *sip.Request, resp *sip.Response, early *Session) {
	// An answer that cannot be understood is ended as well as it can be.
	d, _ := newCaller(invite, resp)
	d.localSeq = max(d.localSeq, early.lastSeq())
	s := newSession(l, d)
	s.invite, s.unacked = ackedBy(invite), true
	if l.add(&s.Dialog) == nil {
		s.hangUp(ErrEnded)
	}
}

// acked is what an ACK takes over from its INVITE (RFC 3261 section 13.2.2.4):
// the number, and the credentials where Config.Auth has no objection. It goes where the
// INVITE went if it cannot go where the answer says. All but the number is forgotten when
// it is sent.
type acked struct {
	seq         uint32
	credentials []sip.Field
	path
}

// ackedBy clones what it keeps, so that the INVITE is not kept alive.
func ackedBy(invite *sip.Request) acked {
	a := acked{seq: invite.CSeq().Seq, path: newPath(invite.URI(), routesOf(invite))}
	for f := range invite.Fields() {
		if strings.EqualFold(f.Name, "Authorization") || strings.EqualFold(f.Name, "Proxy-Authorization") {
			a.credentials = append(a.credentials, sip.Field{
				Name: strings.Clone(f.Name), Value: strings.Clone(f.Value),
			})
		}
	}
	return a
}

// Ack acknowledges the 2xx to our last INVITE, with the answer as its body if
// the offer was in the 2xx. It is sent again by itself for each further 2xx. It
// does nothing if there is none to acknowledge.
func (s *Session) Ack(ctx context.Context, edits ...sip.Edit) error {
	req, invite := s.prepareAck(edits)
	if req == nil {
		return nil
	}
	flow, out, err := s.l.tl.Send(s.towards(ctx), req)
	if err != nil {
		s.mu.Lock()
		s.acking = false
		if s.invite.seq == invite.seq {
			s.invite, s.unacked = invite, true
		}
		s.mu.Unlock()
		return wrap("acknowledge", req, err)
	}
	s.acknowledged(invite.seq, flow, out)
	return nil
}

// prepareAck makes an ACK and notes that it is on its way, nil if there is nothing to
// acknowledge.
func (s *Session) prepareAck(edits []sip.Edit) (*sip.Request, acked) {
	s.mu.Lock()
	now, invite, unacked := s.d, s.invite, s.unacked
	s.mu.Unlock()
	if !unacked {
		return nil, invite
	}
	var all []sip.Edit
	for _, f := range invite.credentials {
		all = append(all, sip.Add(f))
	}
	req := now.request(sip.ACK, invite.seq, append(all, edits...)...) // as a draft is made
	if all != nil && s.l.cfg.Auth != nil {                            // it may go elsewhere than the INVITE did
		req = s.l.prepare(s.towards(s.l.ctx), req)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unacked || s.invite.seq != invite.seq { // another Ack was faster
		return nil, invite
	}
	s.unacked, s.acking, s.invite = false, true, acked{seq: invite.seq}
	s.offers.request(local, req.CSeq(), false)
	return req, invite
}

// acknowledged notes the ACK of an INVITE of ours as it went out, and sends it
// once more to whom that is owed.
func (s *Session) acknowledged(seq uint32, flow transport.Flow, ack *sip.Request) {
	defer s.releaseACK()
	hop := s.strictHop()
	l := s.l
	l.mu.Lock()
	leg := l.answers[s.keyOf(seq)].leg(s.d.id.RemoteTag)
	owed := leg != nil && leg.owed
	if leg != nil {
		leg.flow, leg.ack, leg.hop = flow, ack, hop
	}
	l.mu.Unlock()
	if owed {
		l.tl.Endpoint().Send(flow, ack)
	}
}

// keyOf returns the key of an INVITE of ours.
func (s *Session) keyOf(seq uint32) inviteKey {
	return inviteKey{s.d.id.CallID, s.d.id.LocalTag, seq}
}
