package ua

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// RegisterOptions are the options of Register; nil will do.
type RegisterOptions struct {
	// Registrar is the URI to register with; "" means the domain of the
	// agent's address.
	Registrar string
	// Expires is how long the registrar is asked to keep the binding between
	// refreshes, in whole seconds; 0 means one hour. The registrar decides.
	Expires time.Duration
	// OnError is told of a refresh that failed. It is tried again, after a
	// time that grows to half an hour. A panic is logged. nil: the agent's Logger is told.
	OnError func(error)
}

// Registration is a binding of the agent's address of record to where it
// listens, kept until it is closed.
type Registration struct {
	a         *Agent
	registrar sip.URI
	tag       string
	callID    string
	onError   func(error)

	ctx context.Context // of all but the last REGISTER; ended by Close
	end context.CancelFunc

	// turn is full while a REGISTER is not answered: the next may not be sent
	// before (RFC 3261 section 10.2). Whoever has it may use what follows.
	turn    chan struct{}
	seq     uint32
	sent    bool // a REGISTER, which may have been accepted
	contact sip.Contact
	expires time.Duration // asked for

	lacksOutbound bool           // the first hop cannot do it
	flow          transport.Flow // of the last REGISTER
	kept          transport.Flow // what is kept alive,
	keeping       keeping        // how,
	keeper        func()         // until this is called

	outbound atomic.Bool // the registrar keeps flows

	mu       sync.Mutex
	timer    *time.Timer
	failures int           // in a row
	closed   chan struct{} // nil until close begins, closed when it is done
}

const (
	defaultExpires = time.Hour
	maxExpires     = math.MaxUint32 * time.Second
)

// Register binds the agent's address of record to its sockets, and keeps the
// binding refreshed until the Registration or the agent is closed. It returns
// when the registrar has accepted. A refusal is a *StatusError; ErrPassword
// says that it was because of the password. When ctx ends before that, or no
// answer comes, the binding that may be there all the same is removed in the
// background.
func (a *Agent) Register(ctx context.Context, opts *RegisterOptions) (*Registration, error) {
	if opts == nil {
		opts = &RegisterOptions{}
	}
	r := &Registration{
		a: a, tag: rand.Text(), callID: rand.Text(), onError: opts.OnError, turn: make(chan struct{}, 1),
		registrar: sip.URI{Scheme: a.aor.Scheme, Host: a.aor.Host, Port: a.aor.Port},
	}
	if r.expires = opts.Expires; r.expires == 0 {
		r.expires = defaultExpires
	}
	r.expires = min(max(r.expires, time.Second), maxExpires) // less would remove the binding
	if opts.Registrar != "" {
		var err error
		if r.registrar, err = parseURI(opts.Registrar); err != nil {
			return nil, fmt.Errorf("register %s with %q: %w", a.aor, opts.Registrar, err)
		}
		// RFC 3261 section 10.2: the name of a domain.
		r.registrar.User, r.registrar.Password = "", ""
	}
	r.ctx, r.end = context.WithCancel(context.Background())

	a.mu.Lock()
	if a.closed != nil {
		a.mu.Unlock()
		r.end()
		return nil, fmt.Errorf("register %s: %w", a.aor, ErrClosed)
	}
	a.regs[r] = struct{}{}
	a.mu.Unlock()
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	granted, err := r.send(ctx, true)
	if err != nil {
		if ctx.Err() != nil {
			err = cause(ctx)
		}
		r.undo(err)
		return nil, fmt.Errorf("register %s: %w", a.aor, err)
	}
	r.schedule(refreshIn(granted))
	return r, nil
}

// undo ends a registration that has failed.
func (r *Registration) undo(err error) {
	if errors.As(err, new(*StatusError)) || errors.Is(err, errNotGranted) {
		r.forget() // there is no binding
		return
	}
	// If Shutdown has begun, it sees to this.
	r.a.background(func() { r.close(context.Background()) }) // ends with the transaction
}

// Close removes the binding at the registrar. It waits for the answer, but no
// longer than 2 seconds. Later calls wait for the first.
func (r *Registration) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
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
			return ctx.Err()
		}
	}
	r.closed = make(chan struct{})
	defer close(r.closed)
	if r.timer != nil {
		r.timer.Stop()
	}
	r.mu.Unlock()
	r.end()
	_, err := r.send(ctx, false)
	r.forget()
	if err != nil {
		return fmt.Errorf("unregister %s: %w", r.a.aor, err)
	}
	return nil
}

func (r *Registration) forget() {
	r.end()
	r.a.mu.Lock()
	delete(r.a.regs, r)
	r.a.mu.Unlock()
}

// errNotGranted is what a 2xx means that gives a binding no time.
var errNotGranted = errors.New("ua: the registrar granted no time")

// send sends a REGISTER that makes or removes the binding and returns how long
// it was granted for (RFC 3261 section 10.2).
func (r *Registration) send(ctx context.Context, bind bool) (time.Duration, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if !bind {
		r.letGo()
		if !r.sent {
			return 0, nil
		}
	}
	ctx = transaction.WithSent(ctx, func(f transport.Flow, _ *sip.Request) { r.flow = f })
	for try := 0; ; try++ {
		req, err := r.request(ctx, bind)
		if err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		r.sent = true
		resp, err := r.a.l.Do(ctx, req)
		if resp != nil {
			r.seq = max(r.seq, resp.CSeq().Seq) // challenges were answered in between
		} else {
			r.seq += maxChallenges // may have been answered in between
		}
		// 423: the registrar wants it longer, and says how long (section
		// 10.2.8).
		if err == nil && resp.Status() == sip.StatusIntervalTooBrief && try == 0 && bind {
			if least, err := sip.Get[sip.MinExpires](resp); err == nil && seconds(uint32(least)) > r.expires {
				r.expires = seconds(uint32(least))
				continue
			}
		}
		// RFC 5626 section 6: a proxy on the way cannot keep flows.
		if err == nil && resp.Status() == sip.StatusFirstHopLacksOutboundSupport && !r.lacksOutbound && bind {
			r.lacksOutbound = true
			continue
		}
		if err := r.a.result(resp, err); err != nil {
			return 0, err
		}
		granted := r.granted(resp)
		if bind && granted == 0 {
			return 0, errNotGranted
		}
		if bind {
			r.keep(resp)
		}
		return granted, nil
	}
}

// maxChallenges is how many challenges one request answers at most: numbers
// that a request without an answer may have used up.
const maxChallenges = 8

// request makes the next REGISTER: the same Call-ID, a higher CSeq.
func (r *Registration) request(ctx context.Context, bind bool) (*sip.Request, error) {
	r.seq++
	expires := sip.Expires(0)
	if bind {
		expires = sip.Expires(r.expires / time.Second)
	}
	req := r.a.requestTo(sip.REGISTER, r.registrar, sip.To{URI: r.a.aor}, r.tag, r.callID, r.seq, expires)
	// The binding that is removed is the one that was made.
	if bind || r.contact.URI.Host == "" {
		r.a.discover(ctx)
		contact, err := r.a.l.ContactFor(ctx, r.a.aor.User, req)
		if err != nil {
			return nil, err
		}
		r.contact = contact
		if !r.lacksOutbound {
			r.contact.Params = r.contact.Params.WithFeature("+sip.instance", sip.Feature("<"+r.a.cfg.Instance+">")).With("reg-id", "1")
		}
	}
	if !r.lacksOutbound {
		req = req.With(sip.Supported{sip.OptionPath, sip.OptionOutbound})
	}
	return req.With(r.contact), nil
}

// granted returns how long our binding lives: its own expires parameter, else
// the Expires header field, else what we asked for (RFC 3261 section 10.2.4).
// If none of the bindings is ours as we wrote it, something on the way has
// rewritten it, and the one that ends first counts.
func (r *Registration) granted(resp *sip.Response) time.Duration {
	all := r.expires
	if e, err := sip.Get[sip.Expires](resp); err == nil {
		all = seconds(uint32(e))
	}
	least := all
	for c, err := range sip.All[sip.Contact](resp) {
		if err != nil {
			continue
		}
		life := all
		if n, ok := c.Expires(); ok {
			life = seconds(n)
		}
		if c.URI.Equal(r.contact.URI) {
			return life
		}
		if life > 0 {
			least = min(least, life)
		}
	}
	return least
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// refreshIn returns when to refresh a binding: at 90 % of its life, 5 s before
// its end at the latest, and up to a tenth earlier, so that a thousand agents
// do not come at once.
func refreshIn(life time.Duration) time.Duration {
	d := life / 10 * 9
	if life > 10*time.Second {
		d = min(d, life-5*time.Second)
	}
	return max(d-mathrand.N(d/10+1), time.Second)
}

// retryIn returns when to try again after some failures in a row: 30 s times a
// power of 2, at most 30 min, and a random part of that between a half and the
// whole (RFC 5626 section 4.5).
func retryIn(failures int) time.Duration {
	d := min(30*time.Second<<min(failures-1, 10), 30*time.Minute)
	return d/2 + mathrand.N(d/2+1)
}

func (r *Registration) schedule(in time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed != nil {
		return
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	// The timer's goroutine ends with the transaction.
	r.timer = time.AfterFunc(in, r.refresh)
}

func (r *Registration) refresh() {
	granted, err := r.send(r.ctx, true)
	if r.ctx.Err() != nil {
		return
	}
	if err == nil {
		r.mu.Lock()
		r.failures = 0
		r.mu.Unlock()
		r.schedule(refreshIn(granted))
		return
	}
	r.mu.Lock()
	r.failures++
	again := retryIn(r.failures)
	r.mu.Unlock()
	err = fmt.Errorf("register %s: %w", r.a.aor, err)
	if r.onError != nil {
		r.tell(err)
	} else {
		r.a.log.Warn("registration not refreshed", "error", err, "again", again)
	}
	r.schedule(again)
}

// tell calls OnError. A panic there is logged.
func (r *Registration) tell(err error) {
	defer func() {
		if p := recover(); p != nil {
			r.a.panicked(p, debug.Stack())
		}
	}()
	r.onError(err)
}

// name is the user or the whole of a URI, for messages.
func name(u sip.URI) string {
	if u.User != "" {
		return u.Username()
	}
	return strings.TrimPrefix(u.String(), u.Scheme+":")
}
