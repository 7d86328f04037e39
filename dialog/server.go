package dialog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Server is a request that arrived and the way to answer it: the server transaction,
// with what an answer means for the dialog that the request is part of.
type Server struct {
	*transaction.Server
	l *Layer
	d *Dialog

	prack *unpracked // of a PRACK: what it is for

	completed atomic.Bool  // the final response was given, or will not be
	held      atomic.Int32 // by others than the handler; less than 0: by nobody
}

// Dialog returns the dialog that the request is part of, nil if there is none.
func (t *Server) Dialog() *Dialog { return t.d }

// Contact returns where the peer will reach us in the dialog that Accept makes, unless the
// response says otherwise.
func (t *Server) Contact() (sip.Contact, error) { return t.l.calledAt(t.Server) }

// Reply makes a response to the request and sends it.
func (t *Server) Reply(status sip.Status, edits ...sip.Edit) error {
	return t.Respond(t.Request().Reply(status, edits...))
}

// Refuse makes the response for an error that reading the request gave, as Refuse
// of a sip.Request does, and sends it.
func (t *Server) Refuse(err error, edits ...sip.Edit) error {
	return t.Respond(t.Request().Refuse(err, edits...))
}

// Respond sends a response. A 2xx within a dialog gets what is missing of it: the
// Contact, and the session timer.
func (t *Server) Respond(resp *sip.Response) error {
	if resp == nil || resp.Err() != nil || !resp.Status().Final() || t.d == nil {
		return t.Server.Respond(resp)
	}
	if !t.completed.CompareAndSwap(false, true) {
		return fmt.Errorf("respond to %s: %w", t.Request().Method(), transaction.ErrCompleted)
	}
	// Before it goes out: what follows from it may come at once.
	resp = t.answering(resp)
	defer t.answered(resp)
	return t.Server.Respond(resp)
}

// answered is called when a request has its final response.
func (t *Server) answered(resp *sip.Response) {
	if t.prack != nil && !challenges(resp) {
		t.d.session.servedPRACK(t.prack)
	}
}

// Hold keeps the request open when the handler returns, as that of a
// transaction.Server does.
func (t *Server) Hold() (ctx context.Context, release func()) {
	t.held.Add(1)
	ctx, done := t.Server.Hold()
	return ctx, sync.OnceFunc(func() {
		t.returned()
		done()
	})
}

// returned is called when the handler has returned, or who held the request is done. If
// nobody has answered it then, the layer below does.
func (t *Server) returned() {
	if t.held.Add(-1) < 0 && t.d != nil && t.completed.CompareAndSwap(false, true) {
		t.answered(t.answering(t.Request().Reply(sip.StatusServerInternalError)))
	}
}

var errNoDialog = errors.New("dialog: the request begins no dialog")

// Accept answers a SUBSCRIBE or REFER that came outside of a dialog with a 2xx, and
// makes the dialog in which its NOTIFYs go. Of a request within a dialog it returns
// that one. The subscription keeps the dialog until a NOTIFY that Do sends says that
// it is terminated, a NOTIFY fails, or the time has run out that an Expires gave: what
// the SUBSCRIBE has asked for at most, but an hour in any case, and an hour for a REFER.
func (t *Server) Accept(status sip.Status, edits ...sip.Edit) (*Dialog, error) {
	req := t.Request()
	if t.d != nil {
		return t.d, t.Reply(status, edits...)
	}
	if _, _, ok := begins(req); !ok || !status.Success() {
		return nil, wrap("accept", req, errNoDialog)
	}
	d, err := t.l.accept(t.Server, req)
	if err != nil {
		return nil, wrap("accept", req, err)
	}
	t.d = d
	resp := req.Reply(status, edits...)
	if own, err := sip.Get[sip.Contact](resp); err == nil {
		d.SetContact(own)
	}
	if err := t.Respond(resp); err != nil && !errors.Is(err, transaction.ErrTransport) {
		d.unsubscribeAll()
		return nil, wrap("accept", req, err)
	}
	return d, nil
}

// answering takes our final response to a request of the peer, and completes it.
func (t *Server) answering(resp *sip.Response) *sip.Response {
	d, req := t.d, t.Request()
	method, ok := req.Method(), resp.Status().Success()
	d.mu.Lock()
	if ok && refreshesTarget(method) {
		d.d.refresh(req)
		if _, has := resp.Value("Contact"); !has && method != sip.NOTIFY {
			resp = resp.With(d.contactField())
		}
	}
	if s := d.session; s != nil {
		switch {
		case t.prack == nil || ok:
		case challenges(resp) && !t.prack.late:
			s.challengedPRACK(t.prack, req)
		default:
			s.refusedPRACK(t.prack)
		}
		s.offers.response(local, req.CSeq(), resp.Status(), false, false)
		if method == sip.UPDATE {
			s.updating = false
			if ok && s.began {
				resp = s.timedAnswer(req, resp)
				s.timerAgreed(resp, remote)
			}
		}
	}
	d.mu.Unlock()
	d.responded(remote, req, resp)
	if (method == sip.SUBSCRIBE || method == sip.NOTIFY) && effectOf(method, resp, nil) != endsNothing {
		d.unsubscribe(remote, req) // what a refusal ends, it ends at both sides (RFC 5057 section 5.1)
	}
	return resp
}

// admit reports whether a request of the peer may be served now, and refuses it if
// not.
func (s *Session) admit(tx *Server, req *sip.Request) bool {
	status, edits := s.admits(tx, req)
	if status == 0 {
		return true
	}
	tx.Server.Reply(status, edits...)
	return false
}

// admits notes a request of the peer that may be served now, or returns the refusal.
func (s *Session) admits(tx *Server, req *sip.Request) (refusal sip.Status, edits []sip.Edit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch req.Method() {
	case sip.PRACK:
		if tx.prack = s.pracked(req); tx.prack == nil {
			return sip.StatusCallDoesNotExist, nil
		}
		s.offers.request(remote, req.CSeq(), describes(req))
	case sip.UPDATE: // RFC 3311 section 5.2
		brief := s.tooShort(req)
		switch {
		case s.updating:
			return sip.StatusServerInternalError, []sip.Edit{retryAfter()}
		case brief:
			return sip.StatusSessionIntervalTooSmall, []sip.Edit{s.l.minSE()}
		case s.offers.request(remote, req.CSeq(), describes(req)) == nil:
			s.updating = true
		case s.offers.from == local:
			return sip.StatusRequestPending, nil
		default:
			return sip.StatusServerInternalError, []sip.Edit{retryAfter()}
		}
	}
	return 0, nil
}

// retryAfter is how long who comes too early is to wait (RFC 3261 section 14.2).
func retryAfter() sip.RetryAfter { return sip.RetryAfter{Seconds: uint32(rand.IntN(11))} }
