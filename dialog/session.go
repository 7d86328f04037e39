package dialog

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

var (
	// ErrBye says that the peer ended the call.
	ErrBye = errors.New("dialog: the peer ended the call")
	// ErrNoACK says that the peer never acknowledged a 2xx; the call was ended
	// with BYE (RFC 3261 section 13.3.1.4).
	ErrNoACK = errors.New("dialog: no ACK came for the 2xx")
	// ErrEnded says that the call is over.
	ErrEnded = errors.New("dialog: the call is over")
	// ErrPending says that another INVITE of the call is not answered yet.
	ErrPending = errors.New("dialog: another INVITE is pending")
)

// Session is a call: a dialog and the INVITE that set it up, until one side
// says BYE. Its methods may be called from any goroutine.
type Session struct {
	l    *Layer
	done chan struct{}

	mu       sync.Mutex
	d        state
	contact  sip.Contact // ours
	err      error       // why it is over, nil if we ended it
	over     bool
	invite   acked             // the INVITE of ours that an ACK is for
	ack      sentACK           // the last ACK of ours
	inviting bool              // an INVITE of ours is not answered yet
	invited  bool              // an INVITE of the peer is not answered yet
	waiting  chan *sip.Request // for the ACK of our 2xx; nil: for none
	waitSeq  uint32
}

// acked is what an ACK takes over from its INVITE (RFC 3261 section 13.2.2.4):
// the number and the credentials.
type acked struct {
	seq         uint32
	credentials []sip.Edit
}

// sentACK is an ACK as it went out, to go out again for each further 2xx.
type sentACK struct {
	flow transport.Flow
	req  *sip.Request
	seq  uint32
}

func newSession(l *Layer, d state) *Session {
	return &Session{l: l, d: d, done: make(chan struct{})}
}

// ackedBy clones what it keeps, so that the INVITE is not kept alive.
func ackedBy(invite *sip.Request) acked {
	a := acked{seq: invite.CSeq().Seq}
	for f := range invite.Fields() {
		switch strings.ToLower(f.Name) {
		case "authorization", "proxy-authorization":
			a.credentials = append(a.credentials, sip.Add(sip.Field{
				Name: strings.Clone(f.Name), Value: strings.Clone(f.Value),
			}))
		}
	}
	return a
}

// ID returns what tells the dialog from others.
func (s *Session) ID() ID { return s.d.id }

// Remote returns the address of the peer, as it stands in From or To.
func (s *Session) Remote() sip.Address { return s.d.remote }

// Done is closed when the call is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the call is over: ErrBye, ErrNoACK, ErrEnded if we ended it
// ourselves, or transport.ErrClosed. It is nil before that.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *Session) terminate(err error) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over, s.err = true, err
	close(s.done)
	s.mu.Unlock()
	s.l.remove(s)
	if s.l.cfg.OnEnd != nil {
		s.l.cfg.OnEnd(s)
	}
}

// next makes the next request within the dialog.
func (s *Session) next(method sip.Method, edits ...sip.Edit) *sip.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d.localSeq++
	return s.d.request(method, s.d.localSeq, edits...)
}

func (s *Session) nextSeq(*sip.Request) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d.localSeq++
	return s.d.localSeq
}

// Do sends a request within the dialog and returns its final response. INVITE,
// ACK and BYE have methods of their own. A 481 or 408 that says that the peer
// knows the call no more ends it (RFC 3261 section 12.2.1.2).
func (s *Session) Do(ctx context.Context, method sip.Method, edits ...sip.Edit) (*sip.Response, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	return s.do(ctx, s.next(method, edits...))
}

func (s *Session) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	var last *sip.Response
	_, err := s.l.roundTrip(ctx, req, s.nextSeq, func(resp *sip.Response) { last = resp })
	if gone(last, err) {
		s.terminate(ErrEnded)
	}
	if err != nil {
		return last, wrap(string(req.Method()), req, err)
	}
	return last, nil
}

// gone reports whether the peer of a dialog does not know it, or is no more.
func gone(resp *sip.Response, err error) bool {
	return errors.Is(err, transaction.ErrTimeout) || err == nil && resp != nil &&
		(resp.Status() == sip.StatusCallDoesNotExist || resp.Status() == sip.StatusRequestTimeout)
}

// Bye ends the call. It is over at once; the error says that the peer may not
// have heard of it. Later calls do nothing.
func (s *Session) Bye(ctx context.Context, edits ...sip.Edit) error {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if over {
		return nil
	}
	s.terminate(ErrEnded)
	_, err := s.do(ctx, s.next(sip.BYE, edits...))
	return err
}

// Invite changes the call with an INVITE within it. If the answer is a 2xx,
// the caller must Ack it. Another INVITE that is under way is ErrPending; if
// the peer has one (491), both sides wait for a random time, and ours is sent
// again (RFC 3261 section 14.1).
func (s *Session) Invite(ctx context.Context, edits ...sip.Edit) (*sip.Response, error) {
	s.mu.Lock()
	switch {
	case s.over:
		s.mu.Unlock()
		return nil, ErrEnded
	case s.inviting || s.invited:
		s.mu.Unlock()
		return nil, ErrPending
	}
	s.inviting = true
	contact := s.contact
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inviting = false
		s.mu.Unlock()
	}()
	req := s.next(sip.INVITE, append([]sip.Edit{contact}, edits...)...)
	var last *sip.Response
	req, err := s.l.roundTrip(ctx, req, s.nextSeq, func(resp *sip.Response) { last = resp })
	if gone(last, err) {
		// A call whose peer is gone is ended for good (RFC 3261 section 14.1).
		s.Bye(ctx)
	}
	if err != nil {
		return last, wrap("re-INVITE", req, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last.Status().Success() {
		s.d.refresh(last)
		s.invite = ackedBy(req)
	}
	return last, nil
}

// RetryDelay returns how long to wait after a 491 before an INVITE is sent
// again: 2.1 to 4 s for the side that began the call, up to 2 s for the other
// (RFC 3261 section 14.1). owner says that the Call-ID is ours.
func RetryDelay(owner bool) time.Duration {
	const unit = 10 * time.Millisecond
	if owner {
		return 2100*time.Millisecond + time.Duration(rand.IntN(191))*unit
	}
	return time.Duration(rand.IntN(201)) * unit
}

// Ack acknowledges the 2xx to our last INVITE, with the answer as its body if
// the offer was in the 2xx. It is sent again by itself for each further 2xx.
func (s *Session) Ack(ctx context.Context, edits ...sip.Edit) error {
	s.mu.Lock()
	invite := s.invite
	req := s.d.request(sip.ACK, invite.seq, append(invite.credentials, edits...)...)
	s.mu.Unlock()
	flow, out, err := s.l.tl.Send(ctx, req)
	if err != nil {
		return wrap("acknowledge", req, err)
	}
	s.mu.Lock()
	s.ack = sentACK{flow, out, invite.seq}
	s.mu.Unlock()
	return nil
}

// ackAgain repeats the ACK for a 2xx that came again.
func (s *Session) ackAgain(seq uint32) {
	s.mu.Lock()
	ack := s.ack
	s.mu.Unlock()
	if ack.req != nil && ack.seq == seq {
		s.l.tl.Endpoint().Send(ack.flow, ack.req)
	}
}

// request takes a request of the peer within the dialog.
func (s *Session) request(tx *transaction.Server, req *sip.Request) {
	seq, method := req.CSeq().Seq, req.Method()
	s.mu.Lock()
	if method == sip.ACK {
		// RFC 3261 section 13.3.1.4: it has the number of the INVITE.
		if s.waiting != nil && s.waitSeq == seq {
			s.waiting <- req // has room for it
			s.waiting = nil
		}
		s.mu.Unlock()
		return
	}
	inOrder := s.d.inOrder(seq)
	s.mu.Unlock()
	if !inOrder {
		tx.Reply(sip.StatusServerInternalError, sip.ReasonPhrase("CSeq Out Of Order"))
		return
	}
	switch method {
	case sip.BYE:
		tx.Reply(sip.StatusOK)
		s.terminate(ErrBye)
	case sip.INVITE:
		s.reinvited(tx, req)
	default:
		if s.l.cfg.OnRequest == nil {
			tx.Reply(sip.StatusMethodNotAllowed, s.l.allow())
			return
		}
		s.l.cfg.OnRequest(tx, req, s)
	}
}

// reinvited takes an INVITE of the peer within the call (RFC 3261 section
// 14.2).
func (s *Session) reinvited(tx *transaction.Server, req *sip.Request) {
	s.mu.Lock()
	busy, ours := s.invited || s.waiting != nil, s.inviting
	if !busy && !ours {
		s.invited = true
	}
	s.mu.Unlock()
	switch {
	case ours:
		tx.Reply(sip.StatusRequestPending)
	case busy:
		tx.Reply(sip.StatusServerInternalError, sip.RetryAfter{Seconds: uint32(rand.IntN(11))})
	case s.l.cfg.OnInvite == nil:
		tx.Reply(sip.StatusNotAcceptableHere)
	default:
		s.l.invited(tx, req, s)
		s.mu.Lock()
		s.invited = false
		s.mu.Unlock()
	}
}

// expectACK prepares for the ACK of a 2xx that is about to be sent.
func (s *Session) expectACK(seq uint32) <-chan *sip.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.waitSeq = make(chan *sip.Request, 1), seq
	return s.waiting
}
