package proxy

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// A forking is a request with its branches: a response context, and the client
// transactions that it is about. It has no goroutine: whoever has news of a branch
// tells it, and thereby takes it on, or leaves that to who is at it already.
type forking struct {
	s      *Server
	ctx    context.Context // of the server transaction
	limit  context.Context // of the branches, see limit.go
	free   func()          // lets go of what limits them
	req    *sip.Request
	relay  bool
	number uint32                   // of those of the request
	done   func(best *sip.Response) // all branches have ended; nil: nothing is left to answer

	mu   sync.Mutex
	news []news // yet to be taken
	busy bool   // somebody takes them

	// Of who takes the news.
	targets []Target
	core    responseContext
	finals  []*sip.Response      // by branch; nil: none, or made by us
	cancels []context.CancelFunc // by branch; nil: none of its own
	ready   []int                // branches to be begun
	open    int                  // branches that have begun and not ended
	added   int                  // targets that a redirection has added
	wait    *time.Timer          // since the CANCEL of the client

	// Room for the usual request, which has one branch.
	one struct {
		branch [1]branch
		final  [1]*sip.Response
		cancel [1]context.CancelFunc
		news   [1]news
	}
}

// news is what a branch has to say: a response, or the status that stands for
// none.
type news struct {
	branch int // or none: see limit.go
	resp   *sip.Response
	status sip.Status
	origin origin
}

// fork begins to forward a request. done is told the response that it is to be
// answered with, maybe before fork returns.
func (s *Server) fork(ctx context.Context, req *sip.Request, targets []Target, relay bool, done func(best *sip.Response)) {
	targets = distinct(targets)
	switch {
	case req.Method() == sip.ACK:
		if len(targets) > 0 {
			s.acknowledge(ctx, req, &targets[0], relay)
		}
		done(nil)
		return
	case len(targets) == 0:
		done(s.reply(sip.StatusTemporarilyUnavailable))
		return
	}
	f := &forking{s: s, ctx: ctx, req: req, relay: relay, number: s.forks.Add(1), done: done, targets: targets, busy: true}
	f.news = f.one.news[:0]
	f.core = responseContext{invite: req.Method() == sip.INVITE, breadth: s.breadth}
	if len(targets) == 1 {
		f.core.branches, f.finals, f.cancels = f.one.branch[:], f.one.final[:], f.one.cancel[:]
	} else {
		f.core.branches = make([]branch, len(targets))
		f.finals = make([]*sip.Response, len(targets))
		f.cancels = make([]context.CancelFunc, len(targets))
		for i, turn := range turnsOf(targets) {
			f.core.branches[i] = branch{turn: turn, instance: targets[i].Instance}
		}
	}
	f.bound()
	f.do(f.core.begin(), nil)
	f.start(true)
	f.work()
}

// reply makes a response to the request as it came in.
func (s *Server) reply(status sip.Status, edits ...sip.Edit) *sip.Response {
	return s.Request().Reply(status, edits...)
}

// turnsOf returns the turn of each target: 0 for the highest Q, and so on.
func turnsOf(targets []Target) []int {
	turns := make([]int, len(targets))
	qs := make([]float64, len(targets))
	for i := range targets {
		qs[i] = targets[i].Q
	}
	slices.SortFunc(qs, func(a, b float64) int { return cmp.Compare(b, a) })
	qs = slices.Compact(qs)
	for i := range targets {
		turns[i], _ = slices.BinarySearchFunc(qs, targets[i].Q, func(q, of float64) int { return cmp.Compare(of, q) })
	}
	return turns
}

// tell takes news of a branch.
func (f *forking) tell(n news) {
	f.mu.Lock()
	f.news = append(f.news, n)
	busy := f.busy
	f.busy = true
	f.mu.Unlock()
	if !busy {
		f.work()
	}
}

// work takes all news there is, and what comes meanwhile.
func (f *forking) work() {
	for {
		f.mu.Lock()
		if len(f.news) == 0 {
			f.busy = false
			f.mu.Unlock()
			return
		}
		n := f.news[0]
		if f.news = f.news[1:]; len(f.news) == 0 {
			f.news = f.one.news[:0]
		}
		f.mu.Unlock()
		if f.done == nil || n.branch != none && f.core.branches[n.branch].state != open {
			continue // a branch that has ended has no more to say
		}
		f.take(n)
		f.start(false)
		if f.open == 0 {
			f.unbind()
			f.done(f.best())
			f.let()
		}
	}
}

// let lets go of what is of no use any more: a further 2xx may come for half a
// minute, and has the rest of it stay.
func (f *forking) let() {
	f.done, f.req, f.targets, f.finals, f.cancels = nil, nil, nil, nil, nil
	f.limit, f.free, f.wait = nil, nil, nil
	f.one.final, f.one.cancel = [1]*sip.Response{}, [1]context.CancelFunc{}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.news, f.one.news = nil, [1]news{} // nobody wants to know
}

// start begins the branches that are ready. The handler begins a single one
// itself; anybody else must not wait for names to be looked up and connections to
// be made.
func (f *forking) start(handler bool) {
	ready := f.ready
	f.ready = nil
	for _, i := range ready {
		f.open++
		if f.s.spiral != 0 && !f.s.p.spirals.take(f.s.spiral, time.Now()) {
			f.tell(news{branch: i, status: sip.StatusLoopDetected, origin: unreached})
			continue
		}
		ctx := f.limit
		switch wait := f.targets[i].Wait; {
		case wait > 0:
			ctx, f.cancels[i] = context.WithTimeout(f.limit, wait)
		case len(f.targets) > 1:
			ctx, f.cancels[i] = context.WithCancel(f.limit)
		}
		req, target, breadth := f.req, f.targets[i], f.core.branches[i].breadth
		if handler && len(ready) == 1 {
			f.try(ctx, i, req, target, breadth)
		} else {
			go f.try(ctx, i, req, target, breadth) // ends when the request is on its way
		}
	}
}

// try begins one branch.
func (f *forking) try(ctx context.Context, i int, req *sip.Request, target Target, breadth int) {
	s, layer := f.s, f.s.Layer()
	defer func() { // of a function of the program's, such as a trace
		if p := recover(); p != nil {
			s.p.log.Error("panic in a branch", "panic", p, "request", req.String(), "stack", string(debug.Stack()))
			f.tell(news{branch: i, status: sip.StatusServerInternalError, origin: unreached})
		}
	}()
	out, err := s.prepare(ctx, req, &target, breadth, f.relay)
	if err != nil {
		f.tell(news{branch: i, status: f.statusOf(ctx, err, out.flow), origin: unreached})
		return
	}
	out.seed = s.seed(f.number, out.req)
	flow, over := out.flow, false
	last, limit := time.Now(), layer.Timers().C
	layer.Start(out.context(ctx, string(s.mark[:])), out.req, func(resp *sip.Response, err error) {
		if over { // a further 2xx (RFC 3261 section 16.7 step 5)
			s.pass(resp)
			return
		}
		n := news{branch: i, resp: resp}
		switch {
		case err != nil:
			n.status, n.origin = f.statusOf(ctx, err, flow), unreached
			if errors.Is(err, transaction.ErrOverload) {
				n.origin = heldBack
			}
		case resp.Status() == sip.StatusRequestTerminated && (f.waited(ctx) || ctx.Err() == nil && limit > 0 && time.Since(last) >= limit):
			// Of the CANCEL that timer C has sent (RFC 3261 section 16.8), or the
			// end of Target.Wait.
			n.resp, n.status, n.origin = nil, sip.StatusRequestTimeout, unreached
		default:
			n.status = resp.Status()
		}
		last = time.Now()
		over = n.status.Final()
		f.tell(n)
	})
}

// waited reports whether a branch with this context was given up because its
// target has taken too long, or the request has.
func (f *forking) waited(ctx context.Context) bool {
	return errors.Is(ctx.Err(), context.DeadlineExceeded) && f.ctx.Err() == nil
}

// statusOf returns the status that stands for an error of a branch.
func (f *forking) statusOf(ctx context.Context, err error, flow transport.Flow) sip.Status {
	if f.waited(ctx) {
		return sip.StatusRequestTimeout
	}
	return statusOf(err, flow)
}

// take takes what a branch says.
func (f *forking) take(n news) {
	f.heed()
	if n.branch == none {
		if n.status != 0 {
			f.giveUp()
		}
		return
	}
	if !n.status.Final() {
		f.do(f.core.provisional(n.branch), n.resp)
		return
	}
	f.open--
	if cancel := f.cancels[n.branch]; cancel != nil {
		cancel()
	}
	var more *further
	// Only for what is ours to find (RFC 3261 section 16.5).
	if f.s.p.cfg.Recurse && f.s.local && !f.core.closed {
		n.resp, more = f.redirect(n)
	}
	f.finals[n.branch] = n.resp
	f.do(f.core.final(n.branch, n.status, n.origin, more), n.resp)
}

// do does what the response context says.
func (f *forking) do(out step, resp *sip.Response) {
	if out.forward {
		f.s.pass(resp)
	}
	for _, i := range out.cancel {
		if cancel := f.cancels[i]; cancel != nil {
			cancel()
		}
	}
	f.ready = append(f.ready, out.start...)
}

// pass passes a response on.
func (s *Server) pass(resp *sip.Response) {
	up := s.back(resp)
	if up == nil {
		return
	}
	if err := s.Respond(up); err != nil {
		s.p.log.Debug("response not forwarded", "error", err, "call-id", resp.CallID())
	}
}

// back returns a response as it goes to the client: without our Via (RFC 3261
// section 16.7 step 3). The others are as they were in the request, for it is by
// them that it finds its way, and whoever answered could have aimed it at
// anybody. It is nil if the response was for us alone.
func (s *Server) back(resp *sip.Response) *sip.Response {
	up := resp.With(sip.Pop("Via"))
	switch via := up.Via(); {
	case via == s.Request().Via():
		return up
	case via.Host == "":
		return nil
	}
	edits := []sip.Edit{sip.Del("Via")}
	for f := range s.Request().Fields() {
		if equalFold(f.Name, "Via") || equalFold(f.Name, "v") {
			edits = slices.Insert(edits, 1, sip.Push(f))
		}
	}
	return resp.With(edits...)
}
