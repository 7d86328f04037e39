package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// SubscribeOptions are the options of Subscribe and Fetch; nil will do.
type SubscribeOptions struct {
	// Expires is how long the notifier is asked to keep the subscription between
	// refreshes, in whole seconds; 0 means one hour. The notifier may shorten it.
	Expires time.Duration
	// Accept names the media types that are taken, such as "application/pidf+xml";
	// nil means the one that is the default of the event package.
	Accept []string
	// Body goes with the SUBSCRIBE that begins a subscription: filters (RFC 4660),
	// say. The zero Body is none.
	Body sip.Body
	// Header is what else goes into every SUBSCRIBE.
	Header []sip.Edit
	// Lists says that the resource may be a list, of which NOTIFYs tell in
	// multipart/related (RFC 4662).
	Lists bool

	// OnFork is called, in a goroutine of its own, for each further notifier that a
	// forked SUBSCRIBE has reached: a Subscription to be read, and to be closed, as
	// the first one, but that it is not made anew when it has ended. When the first one is
	// made anew, which forks as well, those of before end as if they were closed. Of one
	// SUBSCRIBE there are no more than 32 subscriptions. A panic is
	// logged. nil has one subscription alone, with the notifier whose NOTIFY comes
	// first, as most event packages want it (RFC 6665 section 5.4.9): the others
	// get 481.
	OnFork func(*Subscription)
	// OnError is told when a refresh has failed, when the subscription was lost and is
	// made anew, and when its notifier has ended it and there is none for a while: a
	// *TerminatedError. A panic is logged. nil: the agent's Logger is told.
	OnError func(error)
}

// errRefer says that only who sends a REFER can subscribe to what becomes of it
// (RFC 3515 section 2.4.4).
var errRefer = errors.New("ua: a subscription to refer begins with a REFER")

// Subscribe subscribes to the state of a resource, and keeps the subscription
// refreshed until it or the agent is closed (RFC 6665). event is the event package,
// such as "presence" or "presence.winfo", maybe with parameters as the Event
// header field has them: "dialog;id=7", "presence;max-rate=0.1" (RFC 6446). It cannot
// be "refer", which a REFER subscribes to.
//
// It returns when a notifier has accepted: with a 2xx or with a NOTIFY, whichever
// comes first. What it sends is read from Notifies. A refusal is a *StatusError: 489
// if there is no such package, 403 if we may not see that. ErrPassword says that it
// was because of the password.
//
// When ctx ends before, a notifier that has accepted all the same is told that
// there is no subscription.
//
// A subscription that ends is made anew, in a dialog of its own: at once, or when
// its notifier wants it, within a day, unless it says that there is no use in that.
func (a *Agent) Subscribe(ctx context.Context, target, event string, opts *SubscribeOptions) (*Subscription, error) {
	s, err := a.newSubscription(target, event, opts)
	if err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s of %s: %w", event, target, err)
	}
	return s, nil
}

// Fetch asks for the state of a resource once (RFC 6665 section 4.4.3). It returns
// the first NOTIFY that comes, which may be without a body. Of opts, Expires and
// OnFork mean nothing. If none comes in 64*T1, 32 seconds, the error is ErrNoNotify;
// others are as those of Subscribe.
func (a *Agent) Fetch(ctx context.Context, target, event string, opts *SubscribeOptions) (*Notify, error) {
	s, err := a.newSubscription(target, event, opts)
	var n *Notify
	if err == nil {
		s.m.expires, s.onFork = 0, nil
		n, err = s.fetch(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch %s of %s: %w", event, target, err)
	}
	return n, nil
}

func (s *Subscription) fetch(ctx context.Context) (*Notify, error) {
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		s.abandon(err)
	}
	return n, err
}

func (a *Agent) newSubscription(target, event string, opts *SubscribeOptions) (*Subscription, error) {
	if opts == nil {
		opts = &SubscribeOptions{}
	}
	e, err := sip.Event{}.ParseValue(strings.Clone(event))
	if err != nil {
		return nil, err
	}
	if e.Package == "refer" {
		return nil, errRefer
	}
	s := a.subscription(target, e)
	s.onFork, s.onError = opts.OnFork, opts.OnError
	s.m.expires = askedFor(opts.Expires)
	s.edits = []sip.Edit{e}
	var types []sip.Accept
	for _, t := range opts.Accept {
		types = append(types, sip.Accept{Type: t})
	}
	if len(types) > 0 {
		s.edits = append(s.edits, sip.List(types...))
	}
	if opts.Lists {
		options := sip.Supported{sip.OptionEventList}
		if a.hasOutbound() {
			options = append(options, sip.OptionOutbound)
		}
		s.edits = append(s.edits, options)
	}
	s.edits = append(s.edits, opts.Header...)
	s.first = slices.Clip(s.edits)
	if opts.Body.Type != "" || opts.Body.Content != "" {
		s.first = append(s.first, opts.Body)
	}
	_, err = a.newRequest(sip.SUBSCRIBE, target, s.first...)
	return s, err
}

// subscription makes one that is still to begin.
func (a *Agent) subscription(target string, event sip.Event) *Subscription {
	s := &Subscription{
		a: a, target: target, event: event,
		turn: make(chan struct{}, 1), accepted: make(chan struct{}), gone: make(chan struct{}),
	}
	s.m = subscriber{expires: defaultExpires, timerN: 64 * a.l.Transactions().Timers().T1, due: time.Now()}
	return s
}

// start sends the first request, and waits until it is accepted or refused.
func (s *Subscription) start(ctx context.Context) error {
	if ctx.Err() != nil {
		return cause(ctx)
	}
	ctx, stop := s.a.whileOpen(ctx)
	defer stop()
	s.mu.Lock()
	added := s.m.phase != subscriberOver && s.a.subs.add(s) // it may have been closed already
	s.mu.Unlock()
	if !added || !s.a.background(s.step) { // ends with the transaction
		s.abandon(ErrClosed)
	}
	select {
	case <-s.accepted:
	case <-s.gone:
	case <-ctx.Done():
		s.giveUp(cause(ctx))
	}
	select {
	case <-s.accepted: // maybe terminated at once: Notifies tells
		return nil
	default:
		return s.err // s.gone is closed
	}
}

// begin sends a SUBSCRIBE that begins a subscription, with a Call-ID and a tag of its
// own (RFC 6665 section 4.1.2.2), and returns its response.
func (s *Subscription) begin(t *try, expires sip.Expires) (*sip.Response, error) {
	req, err := s.a.newRequest(sip.SUBSCRIBE, s.target, append(slices.Clip(s.first), expires)...)
	if err != nil {
		return nil, err
	}
	s.a.keys.address(req)
	var resp *sip.Response
	s.a.along(s.a.servers.watch(t.ctx), req, func(ctx context.Context, req *sip.Request) error {
		var contact sip.Contact
		if contact, _, err = s.a.contactFor(ctx, req, false); err != nil {
			return err
		}
		resp, err = s.a.l.Subscribe(ctx, req.With(contact), t)
		return s.a.result(resp, err)
	})
	return resp, err
}

// try is one SUBSCRIBE that begins a subscription. It is the Value of the dialogs that
// come of it.
type try struct {
	s   *Subscription
	ctx context.Context
	end context.CancelFunc
}

func newTry(s *Subscription) *try {
	t := &try{s: s}
	t.ctx, t.end = context.WithCancel(context.Background())
	return t
}
