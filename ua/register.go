package ua

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
)

// RegisterOptions are the options of Register; nil will do.
type RegisterOptions struct {
	// Registrar is the URI to register with; "" means the domain of the
	// agent's address.
	Registrar string
	// Expires is how long the registrar is asked to keep the binding between
	// refreshes; 0 means one hour. The registrar decides.
	Expires time.Duration
	// OnError is told of a refresh that failed. It is tried again, after a
	// time that grows to half an hour. nil: the agent's Logger is told.
	OnError func(error)
}

// Registration is a binding of the agent's address of record to where it
// listens, kept until it is closed.
type Registration struct {
	a         *Agent
	registrar sip.URI
	opts      RegisterOptions
	tag       string
	callID    string

	turn chan struct{} // holds one token: whoever has it may send

	mu       sync.Mutex
	seq      uint32
	contact  sip.Contact
	timer    *time.Timer
	failures int
	closed   bool
	ctx      context.Context // of refreshes; ended by Close
	end      context.CancelFunc
}

const defaultExpires = time.Hour

// Register binds the agent's address of record to its sockets, and keeps the
// binding refreshed until the Registration or the agent is closed. It returns
// when the registrar has accepted. A refusal is a *StatusError; ErrPassword
// says that it was because of the password.
func (a *Agent) Register(ctx context.Context, opts *RegisterOptions) (*Registration, error) {
	r := &Registration{a: a, tag: rand.Text(), callID: rand.Text(), turn: make(chan struct{}, 1)}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.Expires == 0 {
		r.opts.Expires = defaultExpires
	}
	r.registrar = sip.URI{Scheme: a.aor.Scheme, Host: a.aor.Host, Port: a.aor.Port}
	if r.opts.Registrar != "" {
		var err error
		if r.registrar, err = sip.ParseURI(r.opts.Registrar); err != nil {
			return nil, fmt.Errorf("register %s: %w", a.aor, err)
		}
	}
	r.turn <- struct{}{}
	r.ctx, r.end = context.WithCancel(context.Background())

	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil, fmt.Errorf("register %s: %w", a.aor, ErrClosed)
	}
	a.regs[r] = struct{}{}
	a.mu.Unlock()
	granted, err := r.send(ctx, r.opts.Expires)
	if err != nil {
		r.forget()
		return nil, fmt.Errorf("register %s: %w", a.aor, err)
	}
	r.schedule(refreshIn(granted))
	return r, nil
}

// Close removes the binding at the registrar. It waits for the answer, but no
// longer than 2 seconds.
func (r *Registration) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return r.close(ctx)
}

func (r *Registration) close(ctx context.Context) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
	r.mu.Unlock()
	r.end()
	_, err := r.send(ctx, 0)
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

// send sends a REGISTER for a binding of that length and returns the length
// that was granted (RFC 3261 section 10.2).
func (r *Registration) send(ctx context.Context, expires time.Duration) (time.Duration, error) {
	// The next may not be sent before the last is answered (section 10.2).
	select {
	case <-r.turn:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { r.turn <- struct{}{} }()

	for try := 0; ; try++ {
		req, err := r.request(ctx, expires)
		if err != nil {
			return 0, err
		}
		resp, err := r.a.l.Do(ctx, req)
		if resp != nil {
			r.mu.Lock()
			r.seq = max(r.seq, resp.CSeq().Seq) // challenges were answered in between
			r.mu.Unlock()
		}
		// 423: the registrar wants it longer, and says how long (section
		// 10.2.8).
		if err == nil && resp.Status() == sip.StatusIntervalTooBrief && try == 0 && expires > 0 {
			if least, err := sip.Get[sip.MinExpires](resp); err == nil && seconds(uint32(least)) > expires {
				expires = seconds(uint32(least))
				r.opts.Expires = expires
				continue
			}
		}
		if err := r.a.result(resp, err); err != nil {
			return 0, err
		}
		return r.granted(resp, expires), nil
	}
}

// request makes the next REGISTER: the same Call-ID, a higher CSeq.
func (r *Registration) request(ctx context.Context, expires time.Duration) (*sip.Request, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	req := r.a.requestTo(sip.REGISTER, r.registrar, sip.To{URI: r.a.aor}, r.tag, r.callID, r.seq,
		sip.Expires(expires/time.Second))
	// The binding that is removed is the one that was made.
	if r.contact.URI.Host == "" || expires > 0 {
		contact, err := r.a.l.ContactFor(ctx, r.a.aor.User, req)
		if err != nil {
			return nil, err
		}
		r.contact = contact
	}
	return req.With(r.contact), nil
}

// granted returns how long our binding lives: its own expires parameter, else
// the Expires header field, else what we asked for (RFC 3261 section 10.2.4).
func (r *Registration) granted(resp *sip.Response, asked time.Duration) time.Duration {
	for c, err := range sip.All[sip.Contact](resp) {
		if err != nil || !c.URI.Equal(r.contact.URI) {
			continue
		}
		if n, ok := c.Expires(); ok {
			return seconds(n)
		}
	}
	if e, err := sip.Get[sip.Expires](resp); err == nil {
		return seconds(uint32(e))
	}
	return asked
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// refreshIn returns when to refresh a binding: at 90 % of its life, 5 s before
// its end at the latest, and up to a tenth earlier, so that a thousand agents
// do not come at once.
func refreshIn(life time.Duration) time.Duration {
	d := life * 9 / 10
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
	if r.closed {
		return
	}
	// The timer's goroutine ends with the transaction.
	r.timer = time.AfterFunc(in, r.refresh)
}

func (r *Registration) refresh() {
	granted, err := r.send(r.ctx, r.opts.Expires)
	if err == nil {
		r.failures = 0
		r.schedule(refreshIn(granted))
		return
	}
	if r.ctx.Err() != nil || errors.Is(err, ErrClosed) {
		return
	}
	err = fmt.Errorf("register %s: %w", r.a.aor, err)
	if r.opts.OnError != nil {
		r.opts.OnError(err)
	} else {
		r.a.log.Warn("registration not refreshed", "error", err)
	}
	r.failures++
	r.schedule(retryIn(r.failures))
}

// name is the user or the whole of a URI, for messages.
func name(u sip.URI) string {
	if u.User != "" {
		return u.Username()
	}
	return strings.TrimPrefix(u.String(), u.Scheme+":")
}
