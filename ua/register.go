package ua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// RegisterOptions are the options of Register; nil will do.
type RegisterOptions struct {
	// Registrar is the URI to register with; "" means the domain of the
	// agent's address, by the transport that it says if it does.
	Registrar string
	// Proxies are the URIs of the outbound proxies to register through, the
	// most wanted first (RFC 5626 section 4.2.1). Where the registrar keeps
	// flows, there is one by each of them, and each is kept up by itself; the
	// agent's requests outside of dialogs go by one that is up. Where it does
	// not, there is one binding, by the first proxy that works. nil means that
	// of the agent, Config.Proxy.
	Proxies []string
	// Expires is how long the registrar is asked to keep the binding between
	// refreshes, in whole seconds; 0 means one hour. The registrar decides.
	Expires time.Duration
	// Push asks for a push notification when something is to come for an agent
	// that sleeps (RFC 8599). When one has arrived, the program calls Refresh.
	// Where no proxy knows the service, Register returns a *StatusError of 555,
	// or the Response says nothing of it. The zero value asks for none.
	Push sip.PushParams
	// GRUU puts the GRUU that the registrar gives into the Contact of our calls and
	// subscriptions (RFC 5627 section 4.4), so that they can be reached from
	// anywhere and transferred as RFC 7647 wants it. Their requests then depend on
	// the registrar: one that forgets its bindings when it is started anew, or whose
	// proxy does not look GRUUs up within a dialog, cuts calls off. false has the
	// address there; PublicGRUU tells the GRUU nevertheless.
	GRUU bool
	// Watch subscribes to the state of the registration (RFC 3680), so that the registrar
	// can tell of its end, or that a binding was shortened, before the next refresh:
	// what was deactivated is registered anew at once, what is on probation when the
	// registrar says so, within a day, and what was rejected or unregistered by somebody
	// else is over, but that a flow is made again while there is another one. A registrar
	// that goes on ending bindings waits for the next one longer each time. One that does
	// not have the package is asked in vain.
	Watch bool
	// OnError is told of a refresh that failed, of the end of the registration if the
	// registrar ends it, and of that of a binding that is not made again at once. A refresh is tried again, after a
	// time that grows to half an hour, or when the registrar says so. It may be
	// called for several flows at once. A panic is logged. nil: the agent's
	// Logger is told.
	OnError func(error)
}

// ErrUnregistered says that the registrar has ended a registration for good, or
// that somebody else has removed it there (RFC 3680 section 5.1). It is not made
// again.
var ErrUnregistered = errors.New("ua: registration ended by the registrar")

// Registration is a binding of the agent's address of record to where it
// listens, kept until it is closed; with outbound, one for each flow. Its methods
// may be called from any goroutine.
type Registration struct {
	a         *Agent
	registrar sip.URI
	proxies   []sip.URI // to register through; none: to the registrar itself
	expires   time.Duration
	regID     int // of the first binding; those of the others follow
	useGRUU   bool
	onError   func(error)

	ctx context.Context // of all but the last REGISTER; ended by Close
	end context.CancelFunc

	// Of every binding, guarded by mu, as is what binding says of itself.
	mu       sync.Mutex
	bindings []*binding // the first one, and with outbound those by the other proxies
	push     sip.PushParams
	self     *Subscription // to our own state; nil: none
	watching *time.Timer   // until self is tried again; nil: it was not
	answer   answer        // the newest 2xx
	ended    error         // why there are no more REGISTERs, but for Close
	closed   chan struct{} // nil until close begins, closed when it is done
}

// Register binds the agent's address of record to its sockets, and keeps the
// binding refreshed until the Registration or the agent is closed. It returns
// when the registrar has accepted the first binding; the flows by further
// proxies are made in the background. A refusal is a *StatusError; ErrPassword
// says that it was because of the password. When ctx ends before that, or no
// answer comes, the binding that may be there all the same is removed in the
// background.
//
// The agent asks for outbound (RFC 5626) and for GRUUs (RFC 5627), and does
// without what the registrar does not have. What a Service-Route names (RFC 3608)
// is gone through by its later requests outside of dialogs.
func (a *Agent) Register(ctx context.Context, opts *RegisterOptions) (*Registration, error) {
	r, err := a.newRegistration(opts)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	if a.closed != nil {
		a.mu.Unlock()
		r.end()
		return nil, fmt.Errorf("register %s: %w", a.aor, ErrClosed)
	}
	a.number(r)
	a.regs = append(a.regs, r)
	a.mu.Unlock()
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	if err := r.begin(ctx); err != nil {
		if ctx.Err() != nil {
			err = cause(ctx)
		}
		r.undo()
		return nil, fmt.Errorf("register %s: %w", a.aor, err)
	}
	if opts != nil && opts.Watch {
		r.watchSelf(0)
	}
	return r, nil
}

// number gives a registration reg-ids of its own, for the agent has one instance: to a
// registrar, a flow with the number of another one takes its place (RFC 5626 section 6).
// The first one has 1 and up, after each start. a.mu is held.
func (a *Agent) number(r *Registration) {
	after := func(r *Registration) int { return r.regID + max(1, len(r.proxies)) }
	taken := func(other *Registration) bool { return r.regID < after(other) && other.regID < after(r) }
	for r.regID = 1; slices.ContainsFunc(a.regs, taken); r.regID++ {
	}
	r.bindings[0].regID = r.regID
}

func (a *Agent) newRegistration(opts *RegisterOptions) (*Registration, error) {
	registrar, proxies, err := a.registrar(opts)
	if err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &RegisterOptions{}
	}
	r := &Registration{
		a: a, registrar: registrar, proxies: proxies, expires: askedFor(opts.Expires),
		onError: opts.OnError, push: opts.Push, useGRUU: opts.GRUU,
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.bindings = []*binding{newBinding(r, 1)}
	return r, nil
}

// registrar returns where opts, or else the agent's own address, say that a REGISTER is to
// go, and through which proxies; none: straight there.
func (a *Agent) registrar(opts *RegisterOptions) (registrar sip.URI, proxies []sip.URI, err error) {
	registrar = sip.URI{Scheme: a.aor.Scheme, Host: a.aor.Host, Port: a.aor.Port}
	for _, name := range []string{"transport", "maddr"} { // how to get there
		if value, ok := a.aor.Params.Get(name); ok {
			registrar.Params = registrar.Params.With(name, value)
		}
	}
	if a.proxy.Host != "" {
		proxies = []sip.URI{a.proxy}
	}
	if opts == nil {
		return registrar, proxies, nil
	}
	if opts.Registrar != "" {
		if registrar, err = parseURI(opts.Registrar); err != nil {
			return sip.URI{}, nil, fmt.Errorf("register %s with %q: %w", a.aor, opts.Registrar, err)
		}
		// RFC 3261 section 10.2: the name of a domain.
		registrar.User, registrar.Password = "", ""
		a.servers.configured(registrar)
	}
	if len(opts.Proxies) > 0 {
		proxies = nil
	}
	for _, text := range opts.Proxies {
		proxy, err := parseProxy(text)
		if err != nil {
			return sip.URI{}, nil, fmt.Errorf("register %s through %q: %w", a.aor, text, err)
		}
		proxies = append(proxies, proxy)
		a.servers.configured(proxy) // one of ours, as that of the agent is
	}
	return registrar, proxies, nil
}

// tryTime is how long a proxy has for its first answer while there is another one
// to try.
const tryTime = 5 * time.Second

// begin makes the first binding, by the first proxy that works.
func (r *Registration) begin(ctx context.Context) error {
	first := r.bindings[0]
	var errs []error
	lacking := -1 // the first proxy that cannot do outbound
	for n, i := max(1, len(r.proxies)), 0; i < n; i++ {
		first.takeProxy(i)
		limited, cancel := ctx, func() {}
		if i < n-1 {
			limited, cancel = context.WithTimeoutCause(ctx, tryTime, transaction.ErrTimeout)
		}
		err := overdue(limited, first.register(limited))
		cancel()
		if err == nil {
			r.spread()
			return nil
		}
		if errors.Is(err, sip.StatusFirstHopLacksOutboundSupport) && lacking < 0 {
			lacking = i
		}
		errs = append(errs, err)
		if ctx.Err() != nil || !elsewhere(err) {
			break
		}
	}
	if lacking >= 0 && ctx.Err() == nil {
		// RFC 5626 section 4.2.1: a proxy on the way cannot keep flows, and
		// there is none that can.
		first.takeProxy(lacking)
		first.doWithout()
		return first.register(ctx)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// spread makes a flow by each of the proxies that the first binding does not go
// by, those that have failed later, if the registrar keeps flows. Else one
// binding is all there is to be (RFC 5626 section 4.2.1).
func (r *Registration) spread() {
	r.mu.Lock()
	first := r.bindings[0]
	var more []*binding
	for i := range r.proxies {
		if first.outbound && i != first.proxy {
			b := newBinding(r, r.regID+1+len(more))
			b.proxy = i
			more = append(more, b)
		}
	}
	if len(r.bindings) > 1 || r.closed != nil || r.ended != nil {
		more = nil
	}
	r.bindings = append(r.bindings, more...)
	r.mu.Unlock()
	for _, b := range more {
		in := time.Duration(0)
		if b.proxy < first.proxy { // it was tried before
			in = b.failed(nil)
		}
		b.schedule(in)
	}
}

// elsewhere reports whether another proxy, or another flow, may do for a request
// where one has failed.
func elsewhere(err error) bool {
	if isUnanswered(err) {
		return true
	}
	for _, status := range []sip.Status{
		sip.StatusRequestTimeout, sip.StatusFlowFailed, sip.StatusFirstHopLacksOutboundSupport, sip.StatusServerInternalError,
		sip.StatusBadGateway, sip.StatusServiceUnavailable, sip.StatusServerTimeout,
	} {
		if errors.Is(err, status) {
			return true
		}
	}
	return false
}

// isUnanswered reports whether nothing has come back, for all that the other side
// has to do with it.
func isUnanswered(err error) bool {
	return errors.As(err, new(*net.OpError)) || errors.As(err, new(*net.DNSError)) || errors.Is(err, transaction.ErrTimeout) || errors.Is(err, transaction.ErrTransport) ||
		errors.Is(err, transport.ErrNoFlow) || errors.Is(err, transport.ErrBacklog)
}

// undo ends a registration that has failed.
func (r *Registration) undo() {
	if !r.bindings[0].mayBeBound() {
		r.forget()
		return
	}
	// If Shutdown has begun, it sees to this.
	r.a.background(func() { r.close(context.Background()) }) // ends with the transaction
}

// Close removes the bindings at the registrar, but for one that another Registration of
// the agent has, too. It waits for the answer, but no longer than 2 seconds, which is
// transaction.ErrTimeout. Later calls wait for the first.
func (r *Registration) Close() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeTime, transaction.ErrTimeout)
	defer cancel()
	return r.close(ctx)
}

func (r *Registration) close(ctx context.Context) error {
	r.mu.Lock()
	if closed := r.closed; closed != nil {
		r.mu.Unlock()
		select {
		case <-closed:
			return nil
		case <-ctx.Done():
			return cause(ctx)
		}
	}
	r.closed = make(chan struct{})
	defer close(r.closed)
	for _, b := range r.bindings {
		b.stop()
	}
	r.mu.Unlock()
	r.end()
	var wg sync.WaitGroup
	bindings := r.all()
	errs := make([]error, len(bindings))
	for i, b := range bindings {
		wg.Go(func() { errs[i] = overdue(ctx, b.unregister(ctx)) }) // ends with the transaction, or ctx
	}
	wg.Wait()
	r.forget()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("unregister %s: %w", r.a.aor, err)
	}
	return nil
}

// forget has the agent know of it no more.
func (r *Registration) forget() {
	r.end()
	r.unwatch()
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	r.a.regs = slices.DeleteFunc(r.a.regs, func(other *Registration) bool { return other == r })
}

// all returns the bindings there are now.
func (r *Registration) all() []*binding {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bindings)
}

// Refresh sends a REGISTER for each flow now, as a program does when a push
// notification has arrived (RFC 8599 section 4.1.3), and returns when they are
// answered. Flows that are down wait on, unless all are: then each is tried. The
// error is nil if one has succeeded.
func (r *Registration) Refresh(ctx context.Context) error {
	up := r.up()
	if len(up) == 0 {
		up = r.all()
	}
	if err := r.renew(ctx, up); err != nil {
		return fmt.Errorf("refresh %s: %w", r.a.aor, err)
	}
	return nil
}

// renew sends a REGISTER for each of some bindings now. The error is nil if one has
// succeeded.
func (r *Registration) renew(ctx context.Context, bindings []*binding) error {
	ctx, stop := r.whileOpen(ctx)
	defer stop()
	var wg sync.WaitGroup
	errs := make([]error, len(bindings))
	for i, b := range bindings {
		wg.Go(func() { _, errs[i] = b.renew(ctx) }) // ends with the transaction, or ctx
	}
	wg.Wait()
	if slices.Contains(errs, nil) {
		return nil
	}
	return errors.Join(errs...)
}

// SetPush refreshes with other push parameters, as when the service has given out
// a new PRID (RFC 8599 section 4.1.1). Later refreshes have them, too, also if
// this one fails. The zero value asks for push notifications no more.
func (r *Registration) SetPush(ctx context.Context, push sip.PushParams) error {
	r.mu.Lock()
	r.push = push
	r.mu.Unlock()
	return r.Refresh(ctx)
}

// whileOpen returns a context that ends with the registration, too.
func (r *Registration) whileOpen(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.ctx, func() { cancel(r.why()) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// why returns why there are no more refreshes.
func (r *Registration) why() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != nil {
		return r.ended
	}
	return ErrClosed
}

// Err returns nil while a binding is there and its flow works, as far as is known;
// else what the last REGISTER has come to, or what has ended the registration:
// ErrUnregistered, ErrClosed.
func (r *Registration) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended != nil:
		return r.ended
	case r.closed != nil:
		return ErrClosed
	}
	for _, b := range r.bindings {
		if b.isUp() {
			return nil
		}
	}
	for _, b := range r.bindings {
		if b.err != nil {
			return b.err
		}
	}
	return errNotBound // any more
}

// Expires returns when the last of the bindings ends, unless it is refreshed. The
// time may be over; it is zero for a registration that was closed.
func (r *Registration) Expires() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.until()
}

// until does it while r.mu is held.
func (r *Registration) until() (until time.Time) {
	for _, b := range r.bindings {
		if b.until.After(until) {
			until = b.until
		}
	}
	return until
}

// up returns the bindings whose flows work, as far as is known.
func (r *Registration) up() (up []*binding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bindings {
		if b.isUp() {
			up = append(up, b)
		}
	}
	return up
}

// tell tells the program, or the log.
func (r *Registration) tell(err error, again time.Duration) {
	err = fmt.Errorf("register %s: %w", r.a.aor, err)
	if r.onError == nil {
		r.a.log.Warn("registration not refreshed", "error", err, "again", again)
		return
	}
	r.a.tell(r.onError, err)
}

// name is the user or the whole of a URI, for messages.
func name(u sip.URI) string {
	if u.User != "" {
		return u.Username()
	}
	return strings.TrimPrefix(u.String(), u.Scheme+":")
}
