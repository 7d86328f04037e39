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
	values context.Context // that, without its end
	req    *sip.Request
	relay  bool
	done   func(best *sip.Response) // all branches have ended; nil: nothing is left to answer
	next   *forking                 // of the same request, under its mu; nil: none
	number int                      // of those of the request

	mu   sync.Mutex
	news []news // yet to be taken
	busy bool   // somebody takes them

	// Of who takes the news.
	targets  []Target
	core     responseContext
	finals   []*sip.Response           // by branch; nil: none, or made by us
	cancels  []context.CancelCauseFunc // by branch; nil: it has not begun
	ready    []int                     // branches to be begun
	giveUp   []int                     // branches to be cancelled, or that are over
	why      error                     // why they are cancelled, for the Reason of the CANCELs; nil: nothing to say
	open     int                       // branches that have begun and not ended
	answered bool                      // the request has its answer from elsewhere
	added    int                       // targets that a redirection has added
	ends     []time.Time               // by branch, those of Target.Wait; nil: there is none
	clock    *time.Timer               // ends all branches; nil: nothing to wait for yet
	stop     func() bool               // of what waits for the end of ctx; nil: nothing does
	slow     func()                    // begins the branch that the handler waits for; nil: there is none

	// Room for the usual request, which has one branch.
	one struct {
		branch [1]branch
		final  [1]*sip.Response
		cancel [1]context.CancelCauseFunc
		giveUp [1]int
		news   [1]news
	}
}

// news is what a branch has to say: a response, or the status that stands for
// none.
type news struct {
	branch int // or what concerns all of them
	resp   *sip.Response
	status sip.Status
	origin origin
}

// What concerns all branches.
const (
	cancelled = -1 - iota // the context has ended
	expired               // the time has
	answered              // the request has its answer, by the handler or another fork
)

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
		var none *sip.Response
		if s.join(nil) {
			none = s.reply(sip.StatusTemporarilyUnavailable)
		}
		done(none)
		return
	}
	f := &forking{s: s, ctx: ctx, values: context.WithoutCancel(ctx), req: req, relay: relay, done: done, targets: targets, busy: true}
	f.news, f.giveUp = f.one.news[:0], f.one.giveUp[:0]
	f.core = responseContext{invite: req.Method() == sip.INVITE, breadth: s.breadth}
	if len(targets) == 1 {
		f.core.branches, f.finals, f.cancels = f.one.branch[:], f.one.final[:], f.one.cancel[:]
	} else {
		f.core.branches = make([]branch, len(targets))
		f.finals = make([]*sip.Response, len(targets))
		f.cancels = make([]context.CancelCauseFunc, len(targets))
		if ctx.Err() == nil || !f.mayRing() { // else all at once, to be cancelled
			for i, turn := range turnsOf(targets) {
				f.core.branches[i] = branch{turn: turn, instance: targets[i].Instance}
			}
		}
	}
	if !s.join(f) {
		done(nil)
		return
	}
	f.bound()
	f.do(f.core.begin(), nil)
	f.work(true)
	if f.slow != nil {
		f.slow()
		f.slow = nil
	}
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

// tell takes news.
func (f *forking) tell(n news) {
	f.mu.Lock()
	f.news = append(f.news, n)
	busy := f.busy
	f.busy = true
	f.mu.Unlock()
	if !busy {
		f.work(false)
	}
}

// work begins what is ready and takes all news there is, and what comes meanwhile.
// The handler may be kept waiting. A func of the program's that is called from here,
// such as a trace, may panic or end the goroutine: what else there is is not lost
// with it, for it is written down before and another goroutine sees to that.
func (f *forking) work(handler bool) {
	over := false
	defer func() {
		if over {
			return
		}
		if v := recover(); v != nil {
			f.s.p.log.Error("panic with a fork", "panic", v, "request", f.s.Request().String(), "stack", string(debug.Stack()))
		}
		go f.work(false) // ends when there is no news
	}()
	for {
		f.stopBranches()
		f.start(handler)
		if f.done != nil && f.open == 0 {
			f.end()
		}
		f.mu.Lock()
		if len(f.news) == 0 {
			f.busy, over = false, true
			f.mu.Unlock()
			return
		}
		n := f.news[0]
		f.news[0] = news{} // not to keep it alive
		if f.news = f.news[1:]; len(f.news) == 0 {
			f.news = f.one.news[:0]
		}
		f.mu.Unlock()
		switch {
		case n.branch < 0 || f.core.branches[n.branch].state == open:
			if f.done != nil {
				f.take(n)
			}
		case f.core.invite && n.status.Success():
			// A further one, or that of a branch that was given up (RFC 3261
			// section 16.7 step 5). There is no more that such a branch has to say.
			f.stopFor(n.status, f.core.late(), n.resp)
		}
		handler = false
	}
}

// end says what has come of all branches.
func (f *forking) end() {
	f.unbind()
	done, best := f.done, f.best()
	f.let()
	f.s.leave(f)
	done(best)
}

// let lets go of what is of no use any more: a further 2xx may come for half a
// minute, and has the rest of it stay.
func (f *forking) let() {
	f.done, f.req, f.targets, f.finals, f.cancels, f.ends = nil, nil, nil, nil, nil, nil
	f.clock, f.stop, f.giveUp = nil, nil, nil
	f.one.final, f.one.cancel = [1]*sip.Response{}, [1]context.CancelCauseFunc{}
}

// start begins the branches that are ready. Where names have to be looked up and
// connections to be made, the handler waits for a single one, so that what comes
// next of the same call does not overtake it, and nobody waits for others.
func (f *forking) start(handler bool) {
	alone := len(f.ready) == 1
	for len(f.ready) > 0 {
		i := f.ready[0]
		f.ready = f.ready[1:]
		f.open++
		if f.s.spiral != 0 && !f.s.p.spirals.take(f.s.spiral, time.Now()) {
			f.tell(news{branch: i, status: sip.StatusLoopDetected, origin: unreached})
			continue
		}
		isOver := f.ctx.Err() != nil // before it began
		if isOver && !f.mayRing() {
			f.tell(news{branch: i, status: sip.StatusServiceUnavailable, origin: unreached})
			continue
		}
		target, breadth := &f.targets[i], f.core.branches[i].breadth
		out, err := f.s.prepare(f.req, target, breadth, f.relay)
		if err != nil {
			f.tell(news{branch: i, status: statusOf(err, out.flow), origin: unreached})
			continue
		}
		out.seed = f.s.seed(f.number, target)
		switch {
		case isOver:
			why := context.Cause(f.ctx)
			go func() { // ends when the request is on its way
				if cancel := f.try(f.values, i, out); cancel != nil {
					cancel(why)
				}
			}()
		case out.quick && f.isInTime():
			f.cancels[i] = f.try(f.values, i, out)
			f.await(i)
		case handler && alone:
			ctx := f.within(i)
			f.await(i)
			f.slow = func() { f.try(ctx, i, out) }
		default:
			ctx := f.within(i)
			f.await(i)
			go f.try(ctx, i, out) // ends when the request is on its way
		}
	}
}

// mayRing reports whether a branch of a request that is cancelled may have begun in an
// earlier run all the same, and its CANCEL not have come. Then it is begun once more,
// and cancelled, and so are all of its fork that Max-Breadth allows for: which of them
// ring is not known.
func (f *forking) mayRing() bool {
	return f.s.Resumed() && len(f.s.p.tc.FlowKey) > 0 && errors.Is(context.Cause(f.ctx), transaction.ErrCancelled)
}

// try begins one branch, and returns what cancels it.
func (f *forking) try(ctx context.Context, i int, out outgoing) (cancel context.CancelCauseFunc) {
	s, flow := f.s, out.flow
	begun := false
	defer func() { // a function of the program's may panic, such as one that asks DNS, or end the goroutine
		if begun {
			return
		}
		if p := recover(); p != nil {
			s.p.log.Error("panic in a branch", "panic", p, "request", out.req.String(), "stack", string(debug.Stack()))
		}
		f.tell(news{branch: i, status: sip.StatusServerInternalError, origin: unreached})
	}()
	cancel = s.Layer().Start(out.context(ctx, string(s.mark[:])), out.req, func(resp *sip.Response, err error) {
		n := news{branch: i, resp: resp}
		switch {
		case err == nil:
			n.status = resp.Status()
		case errors.Is(err, transaction.ErrOverload):
			n.status, n.origin = statusOf(err, flow), heldBack
		default:
			n.status, n.origin = statusOf(err, flow), unreached
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				n.status = sip.StatusRequestTimeout
			}
		}
		f.tell(n)
	})
	begun = true
	return cancel
}

// take takes what a branch says, or what concerns all.
func (f *forking) take(n news) {
	if n.branch == answered {
		f.answered = true
		f.decided(n.status)
	}
	if f.ctx.Err() != nil || f.answered {
		if f.why == nil {
			f.why = context.Cause(f.ctx) // the CANCEL that came, with its Reason (RFC 3326 section 2)
		}
		f.cancel()
	}
	switch {
	case n.branch == expired:
		f.expire()
		return
	case n.branch < 0:
		return
	case !n.status.Final():
		f.do(f.core.provisional(n.branch), n.resp)
		return
	}
	f.open--
	f.giveUp = append(f.giveUp, n.branch)
	var more *further
	// Only for what is ours to find (RFC 3261 section 16.5).
	if f.s.p.cfg.Recurse && f.s.local && !f.core.closed {
		n.resp, more = f.redirect(n)
	}
	f.finals[n.branch] = n.resp
	f.stopFor(n.status, f.core.final(n.branch, n.status, n.origin, more), n.resp)
}

// stopFor does what the response context says of a final response.
func (f *forking) stopFor(status sip.Status, out step, resp *sip.Response) {
	if len(out.cancel) > 0 {
		f.decided(status)
	}
	f.do(out, resp)
}

// decided notes the status for which branches are cancelled: it is the Reason of their
// CANCELs, by which who rang in vain can tell a call that was answered elsewhere from
// one that was missed (RFC 3326 section 3.1).
func (f *forking) decided(status sip.Status) {
	why := sip.Reason{Protocol: "SIP", Cause: int(status), Text: status.Text()}
	if status.Success() {
		why.Text = "Call completed elsewhere"
	}
	f.why = why
}

// do does what the response context says: it passes on, and notes what work is to
// do then.
func (f *forking) do(out step, resp *sip.Response) {
	f.giveUp = append(f.giveUp, out.cancel...)
	f.ready = append(f.ready, out.start...)
	if !out.forward {
		return
	}
	if resp.Status().Success() {
		defer f.s.settle(f, resp.Status()) // RFC 3261 section 16.7 step 10
	}
	f.s.pass(resp)
}

// stopBranches cancels what is to be cancelled, and has those that are over let go
// of what they have.
func (f *forking) stopBranches() {
	for len(f.giveUp) > 0 {
		i := f.giveUp[0]
		if f.giveUp = f.giveUp[1:]; len(f.giveUp) == 0 {
			f.giveUp = f.one.giveUp[:0]
		}
		if cancel := f.cancels[i]; cancel != nil {
			cancel(f.why)
		}
	}
}

// pass passes a response on. A 2xx to an INVITE that has its answer goes without the
// transaction (RFC 3261 section 16.7 step 5), but by the way of its responses: its
// client is to know that somebody has picked up.
func (s *Server) pass(resp *sip.Response) {
	up := s.back(resp)
	if up == nil {
		return
	}
	err := s.Server.Respond(up)
	if errors.Is(err, transaction.ErrCompleted) && resp.Status().Success() && resp.CSeq().Method == sip.INVITE {
		err = s.Layer().Endpoint().Respond(&transport.Inbound{Message: s.Request(), Flow: s.Flow()}, up)
	}
	if err != nil {
		s.p.log.Debug("response not forwarded", "error", err, "call-id", resp.CallID())
	}
}

// back returns a response as it goes to the client: without our Via (RFC 3261
// section 16.7 step 3). The others are as they were in the request, for it is by
// them that it finds its way, here and further on, and whoever answered could have
// aimed it at anybody. It is nil if the response was for us alone.
func (s *Server) back(resp *sip.Response) *sip.Response {
	up := resp.With(sip.Pop("Via"))
	if _, ok := up.Value("Via"); !ok {
		return nil
	}
	var room [8]sip.Field
	vias := room[:0]
	for f := range s.Request().Fields() {
		if isVia(f) {
			vias = append(vias, f)
		}
	}
	if hasVias(up, vias) {
		return up
	}
	edits := []sip.Edit{sip.Del("Via")}
	for _, f := range slices.Backward(vias) {
		edits = append(edits, sip.Push(f))
	}
	return resp.With(edits...)
}

func isVia(f sip.Field) bool { return equalFold(f.Name, "Via") || equalFold(f.Name, "v") }

// hasVias reports whether the Vias of a response are written like these. One that
// writes them in another way, as in a single line, may mean the same.
func hasVias(resp *sip.Response, vias []sip.Field) bool {
	n := 0
	for f := range resp.Fields() {
		if !isVia(f) {
			continue
		}
		if n == len(vias) || f.Value != vias[n].Value {
			return false
		}
		n++
	}
	return n == len(vias)
}
