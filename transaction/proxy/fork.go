package proxy

import (
	"cmp"
	"context"
	"runtime/debug"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
)

// A forking is a request with its branches: a response context, and the client
// transactions that it is about. It belongs to the goroutine of the handler. The
// branches have goroutines only where there are several of them.
type forking struct {
	s       *Server
	ctx     context.Context // of the server transaction
	req     *sip.Request
	relay   bool
	targets []Target
	core    responseContext
	finals  []*sip.Response      // by branch; nil: none, or made by us
	cancels []context.CancelFunc // by branch; nil: it has none, or no goroutine
	ready   []int                // branches to be begun
	open    int                  // goroutines of branches
	news    chan news            // from them
	left    chan struct{}        // closed when nobody reads news any more
	added   int                  // targets that a redirection has added

	// Room for the usual request, which has one branch.
	one struct {
		branch [1]branch
		final  [1]*sip.Response
		cancel [1]context.CancelFunc
	}
}

// news is what a branch has to say: a response, or the status that stands for
// none. done comes last.
type news struct {
	branch int
	resp   *sip.Response
	status sip.Status
	done   bool
}

// fork forwards a request, and returns the response that it is to be answered
// with.
func (s *Server) fork(req *sip.Request, targets []Target, relay bool) *sip.Response {
	ctx := s.Context()
	targets = distinct(targets)
	switch {
	case req.Method() == sip.ACK:
		if len(targets) > 0 {
			s.acknowledge(ctx, req, &targets[0], relay)
		}
		return nil
	case len(targets) == 0:
		return s.reply(sip.StatusTemporarilyUnavailable)
	}
	f := &forking{s: s, ctx: ctx, req: req, relay: relay, targets: targets}
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
	f.run()
	return f.best()
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

// run runs the branches until all have ended.
func (f *forking) run() {
	f.do(f.core.begin(), nil)
	defer func() {
		if f.left != nil {
			close(f.left)
		}
	}()
	cancelled := f.ctx.Done()
	for {
		switch {
		case len(f.ready) == 0 && f.open == 0:
			return
		case len(f.ready) == 1 && f.open == 0:
			i := f.ready[0]
			f.ready = f.ready[:0]
			f.try(f.ctx, i, f.targets[i], f.core.branches[i].breadth, f.take) // here, as nothing else is going on
			continue
		}
		for _, i := range f.ready {
			f.spawn(i)
		}
		f.ready = f.ready[:0]
		select {
		case n := <-f.news:
			if n.done {
				f.open--
			}
			f.take(n)
		case <-cancelled:
			cancelled = nil
			f.checkCancelled()
		}
	}
}

// spawn begins a branch in a goroutine of its own.
func (f *forking) spawn(i int) {
	if f.news == nil {
		f.news, f.left = make(chan news), make(chan struct{})
	}
	ctx, cancel := context.WithCancel(f.ctx)
	f.cancels[i] = cancel
	f.open++
	target, breadth := f.targets[i], f.core.branches[i].breadth
	tell := func(n news) {
		select {
		case f.news <- n:
		case <-f.left:
		}
	}
	go func() { // ends with the branch: a final response, or 64*T1 after its CANCEL
		defer cancel()
		defer func() {
			n := news{branch: i, done: true}
			if p := recover(); p != nil {
				f.s.p.log.Error("panic in a branch", "panic", p, "request", f.req.String(), "stack", string(debug.Stack()))
				n.status = sip.StatusServerInternalError
			}
			tell(n)
		}()
		f.try(ctx, i, target, breadth, tell)
	}()
}

// try runs one branch, and tells what comes of it.
func (f *forking) try(ctx context.Context, i int, target Target, breadth int, tell func(news)) {
	s, layer := f.s, f.s.Layer()
	out, err := s.prepare(ctx, f.req, &target, breadth, f.relay)
	if err != nil {
		tell(news{branch: i, status: statusOf(err, out.flow)})
		return
	}
	success := false
	if f.core.invite {
		s.p.later.add(out.req, s)
		defer func() { s.p.later.end(out.req, success) }()
	}
	last, limit := time.Now(), layer.Timers().C
	for resp, err := range layer.Responses(out.context(ctx, string(s.mark[:])), out.req) {
		n := news{branch: i, resp: resp}
		switch {
		case err != nil:
			n.status = statusOf(err, out.flow)
		case resp.Status() == sip.StatusRequestTerminated && ctx.Err() == nil && limit > 0 && time.Since(last) >= limit:
			// Of the CANCEL that timer C has sent (RFC 3261 section 16.8).
			n.resp, n.status = nil, sip.StatusRequestTimeout
		default:
			n.status = resp.Status()
			success = n.status.Success()
		}
		last = time.Now()
		tell(n)
	}
}

// take takes what a branch says.
func (f *forking) take(n news) {
	if f.ctx.Err() != nil {
		f.checkCancelled()
	}
	switch {
	case n.status == 0: // the end alone
	case !n.status.Final():
		f.do(f.core.provisional(n.branch), n.resp)
	default:
		var more *further
		if f.s.p.cfg.Recurse && !f.relay && !f.core.closed {
			n.resp, more = f.redirect(n)
		}
		f.finals[n.branch] = n.resp
		f.do(f.core.final(n.branch, n.status, more), n.resp)
	}
}

// checkCancelled tells the context that the client has cancelled, once.
func (f *forking) checkCancelled() {
	if !f.core.cancelled {
		f.do(f.core.cancel(), nil)
	}
}

// do does what the response context says.
func (f *forking) do(out step, resp *sip.Response) {
	if out.forward {
		if up := f.s.back(resp); up != nil {
			if err := f.s.Respond(up); err != nil {
				f.s.p.log.Debug("response not forwarded", "error", err, "call-id", f.req.CallID())
			}
		}
	}
	for _, i := range out.cancel {
		if cancel := f.cancels[i]; cancel != nil {
			cancel()
		}
	}
	f.ready = append(f.ready, out.start...)
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
