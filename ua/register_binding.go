package ua

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// binding is one binding of a Registration: the one that there is or, with
// outbound, one flow (RFC 5626 section 4.2). It has no goroutine, and one timer.
type binding struct {
	r           *Registration
	regID       int
	tag, callID string // of its own: each flow has a Call-ID (section 4.2.1)

	// turn is full while a REGISTER is not answered: the next may not be sent
	// before (RFC 3261 section 10.2). Whoever has it may use what follows.
	turn    chan struct{}
	seq     uint32
	sent    bool          // a REGISTER, which may have been accepted
	contact sip.Contact   // of the last one that was to bind
	bound   sip.Contact   // of the last one that has
	expires time.Duration // asked for
	keeping keeping       // how kept is kept alive, or was,
	keeper  func()        // until this is called
	making  int           // of moves, when the last REGISTER was made

	// Guarded by r.mu.
	proxy         int            // that it goes by, of r.proxies
	lacksOutbound bool           // the first hop cannot do it
	sentBy        transport.Flow // the last REGISTER
	kept          transport.Flow // of the last one that was accepted
	alive         bool           // something keeps kept alive
	local         where          // leads to its peer, for watch
	up            bool           // as far as is known kept works
	doubted       bool           // but another request has come to nothing on it
	moves         int            // of the network
	made          int            // after how many of them kept was: if not after all, the next REGISTER is to make a new flow
	refused       bool           // the last REGISTER
	outbound      bool           // the registrar keeps the flow
	until         time.Time      // it is bound; zero: never was
	told          sip.URI        // of the Contact that is bound
	route         []sip.Route    // of the Service-Route
	failures      int            // in a row
	err           error          // of the last REGISTER
	timer         *time.Timer    // for the next one
	since         time.Time      // the last 2xx
	listed        bool           // told was among what the registrar has told of the registration
	ends          int            // in a row: times that the registrar has ended or shortened it soon after that
}

func newBinding(r *Registration, regID int) *binding {
	return &binding{
		r: r, regID: regID, tag: rand.Text(), callID: rand.Text(), turn: make(chan struct{}, 1), expires: r.expires,
	}
}

// isUp does it while r.mu is held.
func (b *binding) isUp() bool { return b.up && time.Now().Before(b.until) }

func (b *binding) hasOutbound() bool {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	return b.outbound
}

func (b *binding) takeProxy(i int) {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	b.proxy = i
}

// doWithout has it register without outbound.
func (b *binding) doWithout() {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	b.lacksOutbound = true
}

// mayBeBound reports whether there may be something to remove, which somebody else
// may be about.
func (b *binding) mayBeBound() bool {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
		return b.sent
	default:
		return true
	}
}

// errNotGranted is what a 2xx means that gives a binding no time.
var errNotGranted = errors.New("ua: the registrar granted no time")

// register makes or refreshes the binding (RFC 3261 section 10.2), and sees to
// the next refresh when it was accepted.
func (b *binding) register(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	b.r.mu.Lock()
	left, until := b.bound, b.until
	b.r.mu.Unlock()
	got, err := b.send(ctx, true)
	if err != nil {
		return err
	}
	b.accepted(got)
	b.keep(got)
	if left.URI.Host != "" && !got.outbound && time.Now().Before(until) && got.lists(left, b.bound) {
		// Where we were before (section 10.2.4). Of a flow that outbound has
		// replaced nothing is left. The binding ends by itself if this fails.
		if err := b.remove(ctx, left); err != nil && ctx.Err() == nil {
			b.r.a.log.Debug("old binding not removed", "error", err, "contact", left.URI.String())
		}
	}
	return nil
}

// unregister removes the binding, unless another Registration has it, too.
func (b *binding) unregister(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer b.lost()
	b.letGo()
	if !b.sent || b.shared() != nil {
		return nil
	}
	_, err := b.send(ctx, false)
	if other := b.shared(); other != nil {
		other.schedule(0) // was bound meanwhile, and is no more
	}
	return err
}

// lost notes that there is no binding any more.
func (b *binding) lost() {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	b.up, b.until, b.route = false, time.Time{}, nil
}

// leave ends what there is of a binding that is not to be made again, and sends
// nothing.
func (b *binding) leave() {
	b.turn <- struct{}{} // soon: the context of a REGISTER has ended
	defer func() { <-b.turn }()
	b.letGo()
	b.lost()
	b.sent = false
}

// remove removes a binding that was left behind.
func (b *binding) remove(ctx context.Context, left sip.Contact) error {
	_, err := b.send1(ctx, false, &left)
	return err
}

// flowTime is how long the answer to a refresh may take before the flow is replaced.
// It is that for a pong (RFC 5626 section 4.4.1): a phone that was woken has no time
// for more, and its connections may have died in its sleep.
const flowTime = 10 * time.Second

// send sends a REGISTER that makes or removes the binding. Where the registrar
// keeps the flow it is refreshed on that (RFC 5626 section 4.2.2), and on a new
// one if it comes to nothing there.
func (b *binding) send(ctx context.Context, bind bool) (*granted, error) {
	b.r.mu.Lock()
	flow, last, known, fresh := b.kept, b.sentBy, b.outbound && b.up, b.made != b.moves
	b.making = b.moves
	b.r.mu.Unlock()
	ep := b.r.a.l.Transactions().Endpoint()
	if !fresh && known && flow.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, flowTime)
		got, err := b.send1(transaction.WithFlow(limited, flow), bind, nil)
		silent := limited.Err() != nil || isUnanswered(err)
		cancel()
		if err == nil || !silent || ctx.Err() != nil {
			return got, err
		}
		fresh = true
	}
	if fresh {
		ep.Retire(flow)
		ep.Retire(last) // made on the network before this one, maybe
	}
	got, err := b.send1(ctx, bind, nil)
	if fresh && errors.Is(err, transaction.ErrTransport) && ctx.Err() == nil {
		// An address of ours that is gone is seen when it is sent from.
		got, err = b.send1(ctx, bind, nil)
	}
	return got, err
}

// send1 sends a REGISTER, and once more if the registrar says how it wants it.
// left is another Contact to remove than that of the binding.
func (b *binding) send1(ctx context.Context, bind bool, left *sip.Contact) (*granted, error) {
	a := b.r.a
	ctx = transaction.WithSent(ctx, func(f transport.Flow, req *sip.Request) {
		a.servers.sent(f, req)
		b.r.mu.Lock()
		defer b.r.mu.Unlock()
		b.sentBy = f
	})
	before := b.sent
	for try := 0; ; try++ {
		req, err := b.request(ctx, bind, left)
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b.sent = true
		resp, err := a.l.Do(ctx, req)
		b.seq = usedUp(b.seq, resp)
		// 423: the registrar wants it longer, and says how long (RFC 3261
		// section 10.2.8).
		if err == nil && resp.Status() == sip.StatusIntervalTooBrief && try == 0 && bind {
			if least, err := sip.Get[sip.MinExpires](resp); err == nil && seconds(uint32(least)) > b.expires {
				b.expires = seconds(uint32(least))
				continue
			}
		}
		if err := a.result(resp, err); err != nil {
			if errors.As(err, new(*StatusError)) {
				b.sent = before // nothing has changed
			}
			return nil, err
		}
		if !bind {
			return nil, nil
		}
		got := b.granted(resp)
		if got.life == 0 {
			b.sent = false
			b.lost()
			return nil, errNotGranted
		}
		b.bound = b.contact
		return got, nil
	}
}

// maxChallenges is how many challenges one request answers at most: numbers
// that a request without an answer may have used up.
const maxChallenges = 8

// usedUp returns the highest number that a request may have had that was begun with seq:
// challenges were answered in between, or may have been if there is no response.
func usedUp(seq uint32, resp *sip.Response) uint32 {
	if resp == nil {
		return seq + maxChallenges
	}
	return max(seq, resp.CSeq().Seq)
}

// request makes the next REGISTER: the same Call-ID, a higher CSeq.
func (b *binding) request(ctx context.Context, bind bool, left *sip.Contact) (*sip.Request, error) {
	a, r := b.r.a, b.r
	r.mu.Lock()
	withOutbound, push, proxy := !b.lacksOutbound, r.push, b.routeTo()
	r.mu.Unlock()
	b.seq++
	expires := sip.Expires(0)
	if bind {
		expires = sip.Expires(b.expires / time.Second)
	}
	supported := sip.Supported{sip.OptionPath}
	if withOutbound {
		supported = append(supported, sip.OptionOutbound)
	}
	supported = append(supported, sip.OptionGRUU)
	req := a.requestTo(sip.REGISTER, r.registrar, sip.To{URI: a.aor}, b.tag, b.callID, b.seq, sip.List(proxy...), expires, supported)
	if !bind { // what is removed is what was made
		contact := b.bound
		switch {
		case left != nil:
			contact = *left
		case contact.URI.Host == "": // nothing was, as far as we know
			contact = b.contact
		}
		// RFC 8599 section 4.1.2: so push notifications end, too.
		contact.URI.Params = contact.URI.Params.Without("pn-prid")
		return req.With(contact), nil
	}
	a.discover(ctx)
	contact, err := a.l.ContactFor(ctx, a.aor.User, req)
	if err != nil {
		return nil, err
	}
	contact.Params = a.features()
	if push.Provider != "" {
		contact.URI = contact.URI.WithPushParams(sip.PushParams{Provider: push.Provider, Param: push.Param, PRID: push.PRID})
		// We have a timer of our own (RFC 8599 section 4.1.4).
		contact.Params = contact.Params.WithFeature("+sip.pnsreg", "")
	}
	contact = contact.WithInstance(a.cfg.Instance)
	if withOutbound {
		contact.Params = contact.Params.With("reg-id", strconv.Itoa(b.regID))
	}
	b.contact = contact
	return req.With(contact), nil
}

// routeTo returns the Route of a REGISTER. r.mu is held.
func (b *binding) routeTo() []sip.Route {
	if len(b.r.proxies) == 0 {
		return nil
	}
	return []sip.Route{{URI: b.r.proxies[b.proxy]}}
}

// accepted notes what a REGISTER has come to, and sees to the next one.
func (b *binding) accepted(got *granted) {
	r := b.r
	r.mu.Lock()
	b.made = b.making
	b.up, b.refused = true, false
	b.doubted = b.made != b.moves // the network is another again
	b.failures, b.err = 0, nil
	b.kept, b.outbound, b.route = b.sentBy, got.outbound, got.route
	now := time.Now()
	if now.Before(b.until) && now.Sub(b.since) >= settled {
		b.ends = 0
	}
	b.since, b.until = now, now.Add(got.life)
	b.listed = b.listed && b.told.Equal(b.contact.URI)
	b.told = b.contact.URI
	if local := localOf(b.kept); local.known {
		b.local = local
	}
	r.answer = got.answer
	r.mu.Unlock()
	b.schedule(max(got.refreshIn(), leastRefresh(b.expires)))
}

// failed notes that there was no 2xx, and returns when to try again (RFC 5626
// section 4.5). err is nil for one that is known already.
func (b *binding) failed(err error) time.Duration {
	r := b.r
	r.mu.Lock()
	defer r.mu.Unlock()
	b.failures++
	if b.err = err; err == nil {
		b.err = errNotBound
	}
	b.refused = false
	base := 30 * time.Second
	for _, other := range r.bindings {
		if other != b && other.isUp() {
			base = 90 * time.Second
		}
	}
	failures := b.failures
	switch {
	case isUnanswered(err):
		b.up = false
	case errors.As(err, new(*StatusError)) && !elsewhere(err):
		// RFC 3608 section 6.1: nor is its Service-Route good any more.
		b.up, b.refused = false, true
	}
	if errors.Is(err, sip.StatusFirstHopLacksOutboundSupport) && len(r.bindings) == 1 && !b.lacksOutbound {
		b.lacksOutbound, b.outbound = true, false // a new one has taken the place of the proxy
		return 0
	}
	if !b.outbound && len(r.bindings) == 1 && len(r.proxies) > 1 && elsewhere(err) {
		// One binding goes by each proxy in turn, and waits when all have failed.
		b.proxy = (b.proxy + 1) % len(r.proxies)
		if failures%len(r.proxies) != 0 {
			return 0
		}
		failures /= len(r.proxies)
	}
	after, ok := retryAfter(err)
	if ok && after == 0 && b.failures == 1 && errors.Is(err, sip.StatusServiceUnavailable) {
		return 0 // at once, as section 4.2.1 has it
	}
	return max(retryIn(failures, base), after)
}

// errNotBound says that there has been no 2xx yet, or that its time is over.
var errNotBound = errors.New("ua: not registered")

// renew refreshes the binding, and sees to the next refresh whatever comes of it,
// unless ctx has ended.
func (b *binding) renew(ctx context.Context) (again time.Duration, err error) {
	err = b.register(ctx)
	switch {
	case err == nil:
		b.r.spread()
	case ctx.Err() == nil:
		again = b.failed(err)
		b.schedule(again)
	}
	return again, err
}

// refresh is what the timer calls.
func (b *binding) refresh() {
	if again, err := b.renew(b.r.ctx); err != nil && b.r.ctx.Err() == nil {
		b.r.tell(err, again)
	}
}

func (b *binding) schedule(in time.Duration) {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	if b.r.closed != nil || b.r.ended != nil {
		return
	}
	b.stop()
	// The timer's goroutine ends with the transaction.
	b.timer = time.AfterFunc(in, b.refresh)
}

// stop stops the timer. r.mu is held.
func (b *binding) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}
