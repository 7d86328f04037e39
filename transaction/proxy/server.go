package proxy

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Server is a server transaction whose request can be forwarded. Request of the
// embedded transaction.Server is the request as it came in; the handler is given
// it without our Route entries.
type Server struct {
	*transaction.Server
	p *Proxy

	route   route
	local   bool
	mark    mark
	breadth int
	spiral  uint64 // that it is, for spirals; 0: it has not been here before
	from    transport.Flow

	mu       sync.Mutex
	forking  *forking // of the forks that go on, the last one
	forks    int      // how many there were
	answered bool     // by the handler or a fork
	over     bool     // it was cancelled, and a fork has said so
}

// Local reports whether no Route is left and the Request-URI is of a domain of
// ours, or a tel URI: whoever that is, it is for us to find out.
//
// A request within a dialog is local as well as Routed if its Request-URI is a
// GRUU of ours (RFC 5627 section 6.1): it is to be looked up like any other.
func (s *Server) Local() bool { return s.local }

// Routed reports whether the request came by a Route entry of our own making:
// within a dialog that we are on the path of, or to a user agent that we are on
// the Path of. Nobody else can make one. That of a dialog is good for requests with
// its Call-ID and the tag of who began it, and as no Path; that of a Path for the
// Contact that was registered, or for the flow to that client. Whoever was once sent
// one may use it again so, for as long as the key of the tokens lasts: it opens the
// way, and says nothing of who goes it. A party of a dialog, a stranger who rang
// one of our users once, may send by it anything with that Call-ID and tag to
// anywhere, as by every proxy that keeps no state of dialogs. Who that says to be
// is for Authenticate of a registrar.Registrar to ask.
func (s *Server) Routed() bool { return s.route.isRouted(s.from) }

// FromCallee reports whether the request is Routed within a dialog, and from the side
// of who was called, as far as the tags tell: from anybody who knows its Call-ID and
// the tag of the caller, the caller among them. Its From is what the caller has written in the To of the first request (RFC
// 3261 section 12.1.1), an address that may be somebody else's or nobody's, as where
// the call was forwarded, or went to a GRUU. It is held against nothing: who has
// called by us, or was called, can send by that Route a request in the name of any
// user that looks as if it came from who was called. So it does not say who has sent
// this.
func (s *Server) FromCallee() bool { return s.route.tie == toCallee }

// Serves reports whether a sip or sips URI is of a domain of ours, or names us by the
// advertised name or by an address and a port. It is for the From of a request,
// which says who somebody is and not where to send: with another port a name is that
// of the same user, while an address with another port is somebody else on this
// machine. Whoever says to be one of ours is to prove it, as Authenticate of a
// registrar.Registrar has it.
func (s *Server) Serves(uri sip.URI) bool {
	known, at := s.p.know(s.Layer().Endpoint()), s.from.LocalAddr()
	switch {
	case uri.Host == "" || !known.isHost(uri.Host, at):
		return false
	case uri.Addr().IsValid() && !known.isDomain(uri.Host):
		return known.isPort(uri, at)
	}
	return true
}

// admit checks a request, sets what is known of it, and returns it as the handler gets
// it. That is not kept: calls are many and long.
func (s *Server) admit(known *self, ep *transport.Endpoint, flow transport.Flow, req *sip.Request) (*sip.Request, *refusal) {
	at := flow.LocalAddr()
	err := s.route.read(known, ep, req, at, &s.p.bonds)
	if err != nil {
		return nil, &refusal{err: err}
	}
	s.mark = s.p.key.mark(req)
	loops, spirals := s.p.key.find(req, s.mark)
	if r := validate(req, &s.route, s.p.cfg.Supported, loops); r != nil {
		return nil, r
	}
	if spirals {
		s.spiral = s.p.spirals.of(req)
	}
	if s.breadth, err = breadthOf(req, s.p.cfg.MaxBreadth); err != nil {
		return nil, &refusal{err: err}
	}
	switch {
	case s.breadth == 0: // RFC 5393 section 5.3.3
		return nil, &refusal{status: sip.StatusMaxBreadthExceeded}
	case s.route.forged: // RFC 5626 section 5.3.1
		return nil, &refusal{status: sip.StatusForbidden}
	}
	uri, changed := stripMaddr(known, s.route.uri, flow)
	if changed || s.route.strict {
		req = req.WithURI(uri)
	}
	var room [2]sip.Edit
	if edits := s.route.edits(room[:0]); len(edits) > 0 {
		req = req.With(edits...)
	}
	if err := req.Err(); err != nil {
		return nil, refuse(err)
	}
	s.route.uri = uri
	s.from = flow
	s.local = s.route.isLocal(known, uri, flow)
	return req, nil
}

// isLocal reports whether a Request-URI is ours to look up. One with a maddr
// that is left says where it wants to go (RFC 3261 section 16.5).
func (r *route) isLocal(known *self, uri sip.URI, from transport.Flow) bool {
	switch {
	case len(r.left()) > 0:
		return false
	case uri.Scheme == "tel":
		return true
	}
	return known.is(uri, from.LocalAddr()) && !uri.Params.Has("maddr")
}

// Relay forwards a request to where it says that it wants to go: along its Route,
// by the flow that our entry in the Route named, or to its Request-URI. The
// response is passed on; without one it is 408, or 500 if nobody could be
// reached. It is Forward with one target that changes nothing, but that a 430 of
// who is behind us is passed on, for whoever chose that flow to choose another.
//
// The ACK of a 2xx is sent, and that is all. Relay returns when the request is on
// its way. What comes of it takes no goroutine, and the handler may return.
func (s *Server) Relay(req *sip.Request) {
	s.forward(req, []Target{{}}, true)
}

// Forward forwards a request to targets and answers it with the best of their
// responses (RFC 3261 sections 16.6 and 16.7). Provisional responses, and the
// 2xx, are passed on as they come; all other branches are cancelled by a 2xx, those of
// other forks of the request by any final response that has been sent. The CANCEL
// says why in a Reason, as that of the client does or by the status of that response
// (RFC 3326 sections 2 and 3.1). Without
// a target that can be used the answer is 480: a target whose URI is not sips is
// none for a request to a sips URI.
//
// The ACK of a 2xx goes to the first target alone. Forward returns at once, as Relay
// does.
func (s *Server) Forward(req *sip.Request, targets ...Target) {
	s.forward(req, targets, false)
}

// Fork forwards a request as Forward does, but waits for all branches to end, and
// returns the best response in place of sending it, so that something else may be
// tried before tx.Respond(best). It is nil if nothing is left to answer, and nothing
// to be tried: a 2xx has been passed on, the request has its answer by the handler or
// by another fork, it is an ACK, or it has had a thousand forks. A request that was
// cancelled has a response, too, of 487, but once: a fork after that is nil, and who
// has sent none by then needs to send none, as the transaction does.
//
// While a call rings its handler waits, and is one of those that
// transaction.Config.MaxHandlers bounds. A server with many calls uses ForkThen.
func (s *Server) Fork(req *sip.Request, targets ...Target) *sip.Response {
	answer := make(chan *sip.Response, 1)
	s.fork(s.Context(), req, targets, false, func(best *sip.Response) { answer <- best })
	return <-answer
}

// ForkThen is Fork without waiting: it returns at once, as Forward does, and then is
// called with what Fork would return, in a goroutine of its own and maybe before
// ForkThen has returned. It goes on from there, by Respond, Forward or another
// ForkThen; after the 487 of a caller who has hung up there is nobody left to forward
// for. Nothing bounds these goroutines but how long they take, so that then is not to
// wait for long.
func (s *Server) ForkThen(req *sip.Request, then func(best *sip.Response), targets ...Target) {
	ctx, release := s.Hold()
	s.fork(ctx, req, targets, false, func(best *sip.Response) {
		// Not on the stack of ForkThen, which may be that of another then, nor of
		// Respond: then may call either again, and wait for what their caller holds.
		go func() { // ends with then
			defer release()
			defer func() {
				if p := recover(); p != nil {
					s.p.log.Error("panic after a fork", "panic", p, "request", req.String(), "stack", string(debug.Stack()))
				}
			}()
			then(best)
		}()
	})
}

func (s *Server) forward(req *sip.Request, targets []Target, relay bool) {
	ctx, release := s.Hold()
	s.fork(ctx, req, targets, relay, func(best *sip.Response) {
		defer release()
		if best == nil {
			return
		}
		// What the handler has answered meanwhile, or the end of the layer, is
		// no fault; what else there is has nobody to be told but the log.
		if err := s.Respond(best); err != nil && ctx.Err() == nil {
			s.p.log.Debug("response not forwarded", "error", err, "call-id", s.Request().CallID())
		}
	})
}

// Respond sends a response, as Respond of a transaction.Server does. What the
// request is being forwarded to is cancelled by a final one, and it is not forwarded
// any more.
func (s *Server) Respond(resp *sip.Response) error {
	err := s.Server.Respond(resp)
	if (err == nil || errors.Is(err, transaction.ErrTransport)) && resp.Status().Final() {
		s.settle(nil, resp.Status())
	}
	return err
}

// settle notes that the request has its answer, of this status: the forks of it are
// cancelled, but for the one that this is from, and there are no further ones.
func (s *Server) settle(from *forking, status sip.Status) {
	var room [4]*forking
	forks := room[:0]
	s.mu.Lock()
	s.answered = true
	for f := s.forking; f != nil; f = f.next {
		if f != from {
			forks = append(forks, f)
		}
	}
	s.mu.Unlock()
	tellAnswered(forks, status)
}

// tellAnswered tells forks, each whatever comes of the one before.
func tellAnswered(forks []*forking, status sip.Status) {
	if len(forks) > 0 {
		defer tellAnswered(forks[1:], status)
		forks[0].tell(news{branch: answered, status: status})
	}
}

// maxForks bounds the forks of one request: nobody waits for the end of so many, and
// a handler that tries again and again whom nobody can reach is to come to one.
const maxForks = 1000

// join adds a fork, nil for one without a branch, and reports whether its answer is
// wanted.
func (s *Server) join(f *forking) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answered || s.over || s.forks == maxForks {
		return false
	}
	if f != nil {
		f.number, f.next, s.forking = s.forks, s.forking, f
	}
	s.forks++
	return true
}

// leave takes out a fork that has ended.
func (s *Server) leave(f *forking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := &s.forking; *at != nil; at = &(*at).next {
		if *at == f {
			*at, f.next = f.next, nil
			break
		}
	}
	s.over = s.over || f.ctx.Err() != nil
}

// Reply makes a response to the request and sends it, as Respond does.
func (s *Server) Reply(status sip.Status, edits ...sip.Edit) error {
	return s.Respond(s.reply(status, edits...))
}

// Refuse makes the response for an error that reading the request gave, as Refuse
// of a sip.Request does, and sends it, as Respond does.
func (s *Server) Refuse(err error, edits ...sip.Edit) error {
	return s.Respond(s.Request().Refuse(err, edits...))
}

// acknowledge forwards the ACK of a 2xx (RFC 3261 section 16.6), which belongs to
// no transaction: should it be lost, the 2xx comes again, and so will it.
func (s *Server) acknowledge(ctx context.Context, req *sip.Request, t *Target, relay bool) {
	out, err := s.prepare(req, t, s.breadth, relay)
	if err == nil {
		_, _, err = s.Layer().Send(out.context(ctx, ackBranch(s.mark)), out.req)
	}
	if err != nil {
		s.p.log.Debug("ACK not forwarded", "error", err, "call-id", req.CallID())
	}
}
