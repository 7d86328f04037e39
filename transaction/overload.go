package transaction

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// Overload holds the options of overload control. As a server a Layer measures
// how long requests wait between their arrival and their handler, and refuses
// with 503 what is too much: at 80 % of Tolerance what is new, above 100 % all but
// what completes or ends a call. Before it comes to that it shares out what it can
// take among the addresses that requests come from, whatever they are, and tells
// its clients that ask for it how much to send (RFC 7339, RFC 7415). As a client it
// heeds what servers say.
type Overload struct {
	// Tolerance is how long a request may wait. Zero means Timers.T1, 500 ms:
	// one that waits longer is sent again over UDP, and is twice the work.
	// Negative means for ever: nothing is refused.
	Tolerance time.Duration

	// Offer has requests say that we hold back what a server does not want, by
	// loss or by rate, and has us do so: Responses, Do and Send then end with
	// ErrOverload, or go to the next target (RFC 7339 section 5.1). A server that
	// leaves two requests without an answer gets none for a while (section 5.9).
	// One that wants nothing gets a request a second, and urgent ones; and it is
	// believed when two of its answers agree that it takes part, and as long as
	// others do not say that it does not: they may be made up by somebody behind it.
	// It is for proxies and gateways, who send a lot to few. A phone sends too
	// little to be held back, and each request gets longer by 27 bytes: so it is
	// off by default.
	Offer bool

	// RetryAfter is the most that a refused client is told to wait, in whole
	// seconds, a random part of it each, if it does not take part in overload
	// control. Zero means that nothing is said: a neighbour that sends the
	// requests of many would stop altogether and then send all at once (RFC 7339
	// section 5.10.2). It suits a server of phones alone.
	RetryAfter time.Duration

	// Urgent says which requests go before others: they are refused or held back
	// last. It must not block. nil means calls to urn:service:sos and its kinds,
	// and what has a Resource-Priority above the lowest in the namespaces dsn,
	// drsn, q735, ets, wps and esnet. Anybody can write that, so such requests go
	// before others of the same client, and at twice the Tolerance it counts no
	// more.
	Urgent func(*sip.Request) bool
}

// ErrOverload means that a request was not sent because its server has asked for
// less of them (RFC 7339), or does not answer at all (section 5.9).
var ErrOverload = errors.New("transaction: held back from a server that is overloaded")

// overload is what a Layer asks about each request and response. A nil overload
// takes and sends everything.
//
// As long as nobody waits it counts, and looks at nothing. What looks like a queue
// has it watch: then each request goes through the limiter, until there was
// nothing to see for two seconds.
type overload struct {
	Overload
	epoch    time.Time
	waiting  atomic.Int64 // requests that were admitted and have not started
	watching atomic.Bool  // changes with mu held

	mu      sync.Mutex
	limiter limiter

	targets targets
	waits   waits
}

func newOverload(options *Overload, t1 time.Duration) *overload {
	o := &overload{epoch: time.Now()}
	if options != nil {
		o.Overload = *options
	}
	if o.Tolerance == 0 {
		o.Tolerance = t1
	}
	if o.Urgent == nil {
		o.Urgent = isUrgent
	}
	o.targets.rand = rand.Float64
	o.targets.throttles = newRecent[netip.AddrPort, throttle](maxThrottles)
	return o
}

// params returns what our Vias are to carry.
func (o *overload) params() sip.Params {
	if o == nil || !o.Offer {
		return ""
	}
	return sip.Via{}.WithOverloadControl(sip.OverloadControl{Offer: true, Algo: "loss,rate"}).Params
}

// admit reports whether a new request is to be taken. One that is has to be told
// of by started or left, once.
func (o *overload) admit(in *transport.Inbound, r *sip.Request) bool {
	if o == nil || o.Tolerance < 0 {
		return true
	}
	counted := !o.watching.Load()
	if counted && o.waiting.Add(1) < suspicious {
		return true
	}
	return o.judge(timeOf(in), in, r, counted)
}

// judge is admit while there is something to watch. The request may have been
// counted before that.
func (o *overload) judge(now time.Time, in *transport.Inbound, r *sip.Request, counted bool) bool {
	from, algo, class := in.Flow.RemoteAddr(), offeredBy(r.Via()), classOfRequest(r)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watch(now)
	if !counted {
		o.waiting.Add(1)
	}
	ok := o.limiter.admit(now, from, algo, class)
	if !ok {
		o.waiting.Add(-1)
	}
	o.look(now)
	return ok
}

// spares reports whether a request that admit has refused is to be taken all the
// same, because it is urgent. It asks the user: no lock is held meanwhile. What is
// true of admit is true of it.
func (o *overload) spares(in *transport.Inbound, r *sip.Request) bool {
	now := timeOf(in)
	return o.takesUrgent(now, in, r, false) && o.Urgent(r) && o.takesUrgent(now, in, r, true)
}

// takesUrgent reports whether an urgent request can be taken, and counts one that
// is.
func (o *overload) takesUrgent(now time.Time, in *transport.Inbound, r *sip.Request, taken bool) bool {
	from, algo := in.Flow.RemoteAddr(), offeredBy(r.Via())
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watch(now)
	if !o.limiter.takesUrgent(now, from, algo, taken) {
		return false
	}
	if taken {
		o.waiting.Add(1)
		o.look(now)
	}
	return true
}

// watch begins to watch, if that is not so already. It is called with o.mu held.
func (o *overload) watch(now time.Time) {
	if !o.watching.Load() {
		o.limiter = newLimiter(o.Tolerance, now, int(o.waiting.Load()), rand.Float64)
		o.watching.Store(true)
	}
}

// look notes how many wait, and stops to watch when there is nothing to see. It is
// called with o.mu held.
func (o *overload) look(now time.Time) {
	o.limiter.note(now, int(o.waiting.Load()))
	if o.limiter.isQuiet() {
		o.watching.Store(false)
		o.limiter = limiter{}
	}
}

// started says that the handler of a request starts.
func (o *overload) started(s *Server) {
	if o == nil || o.Tolerance < 0 || s.machine == nil || s.queued {
		return
	}
	arrived := s.Arrived()
	now := time.Now()
	o.start(now, now.Sub(arrived))
}

// left says that a request waits for something else than the others do.
func (o *overload) left(s *Server) {
	if s.queued = true; o != nil && o.Tolerance >= 0 && s.machine != nil {
		o.waiting.Add(-1)
	}
}

// start says that the wait of a request is over, and how long it was.
func (o *overload) start(now time.Time, delay time.Duration) {
	o.waiting.Add(-1)
	if !o.watching.Load() && delay < o.Tolerance/notable {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watch(now)
	o.limiter.start(delay)
	o.limiter.advance(now)
	o.look(now)
}

// restart takes start back: the request goes on to wait.
func (o *overload) restart(now time.Time, delay time.Duration) {
	if o.waiting.Add(1) >= suspicious || o.watching.Load() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.watch(now)
		o.limiter.unstart(delay)
		o.look(now)
	}
}

// retryAfter returns what the 503 to a client that takes no part is to say.
func (o *overload) retryAfter(r *sip.Request) []sip.Edit {
	if o.RetryAfter < time.Second || offeredBy(r.Via()) != noAlgo {
		return nil
	}
	return []sip.Edit{sip.RetryAfter{Seconds: uint32(rand.N(o.RetryAfter/time.Second + 1))}}
}

// stamp returns what puts our word on overload into the topmost Via of a response,
// if the client has asked for it, and nil if not. resp is nil for one that is yet
// to be made by Reply.
func (o *overload) stamp(in *transport.Inbound, r *sip.Request, resp *sip.Response) []sip.Edit {
	if o == nil {
		return nil
	}
	via := r.Via()
	algo := offeredBy(via)
	if resp != nil {
		via = resp.Via()
	}
	if algo == noAlgo {
		if resp == nil || !via.Params.Has("oc") {
			return nil
		}
		// What a server behind us has written there is not ours, and nothing
		// that the client has asked for (RFC 7339 section 11).
		if oc, ok := via.OverloadControl(); ok && oc.Offer {
			return nil
		}
		return replaced(withoutOverload(via))
	}
	now := time.Now()
	oc := sip.OverloadControl{Algo: algo.String()}
	if o.watching.Load() {
		o.mu.Lock()
		if o.watching.Load() {
			oc = o.limiter.feedback(now, in.Flow.RemoteAddr(), algo)
		}
		o.mu.Unlock()
	}
	oc.Seq = uint64(o.epoch.UnixMicro()+now.Sub(o.epoch).Microseconds()) / 10
	return replaced(via.WithOverloadControl(oc))
}

// replaced returns the edits that put another Via in place of the topmost.
func replaced(via sip.Via) []sip.Edit { return []sip.Edit{sip.Pop("Via"), sip.Push(via)} }

// withoutOverload returns a Via without the parameters of overload control.
func withoutOverload(via sip.Via) sip.Via {
	for _, name := range [...]string{"oc", "oc-algo", "oc-validity", "oc-seq"} {
		via.Params = via.Params.Without(name)
	}
	return via
}

// forwarded returns a request without the offer of the client that it came from,
// which is none to the server that it goes to (RFC 7339 section 5.6).
func forwarded(r *sip.Request) *sip.Request {
	via := r.Via()
	if !via.Params.Has("oc") {
		return r
	}
	return r.With(replaced(withoutOverload(via))...)
}

// allow reports whether a request may be sent to a server now.
func (o *overload) allow(server netip.AddrPort, r *sip.Request) bool {
	if o == nil || !o.Offer || !o.targets.any.Load() || r.Method() == sip.ACK {
		return true
	}
	return o.targets.allow(time.Now(), server, func(closed bool) bool {
		return !closed && classOfRequest(r) != fresh || o.Urgent(r)
	})
}

// learn takes what a server says in a response to a request of ours. A response
// from elsewhere says nothing about that server (RFC 7339 section 5.4).
func (o *overload) learn(in *transport.Inbound, c *client, resp *sip.Response) {
	if o == nil || !o.Offer {
		return
	}
	c.mu.Lock()
	server, over := c.flow.RemoteAddr(), c.over
	c.mu.Unlock()
	if in.Flow.RemoteAddr() != server {
		return
	}
	now := timeOf(in)
	o.targets.answered(now, server)
	oc, ok := resp.Via().OverloadControl()
	if !ok {
		oc = sip.OverloadControl{Offer: true} // nothing is said
	}
	o.targets.learn(now, server, oc, resp.Status().Final() && !over)
}

// heeds reports whether a 503 tells us how much to send: then the server is not to
// be avoided.
func (o *overload) heeds(resp *sip.Response) bool {
	if o == nil || !o.Offer {
		return false
	}
	oc, ok := resp.Via().OverloadControl()
	return ok && !oc.Offer && oc.Validity > 0
}

// failed says that a request to a server came to nothing.
func (o *overload) failed(server netip.AddrPort) {
	if o != nil && o.Offer && server.IsValid() {
		o.targets.failed(time.Now(), server)
	}
}
