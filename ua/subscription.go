package ua

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// Subscription is a subscription to the state of a resource, kept until it is
// closed. Its methods may be called from any goroutine. While nothing happens it
// has one timer and no goroutine.
type Subscription struct {
	a      *Agent
	target string
	event  sip.Event
	first  []sip.Edit // of the SUBSCRIBE that begins it
	edits  []sip.Edit // of those that refresh it

	onFork   func(*Subscription) // nil: none
	onError  func(error)         // nil: the log is told
	onNotify func(*Notify)       // of the agent's own, in place of Notifies; nil: none

	turn     chan struct{} // full while a SUBSCRIBE within the dialog is not answered
	accepted chan struct{} // closed when a notifier has accepted
	gone     chan struct{} // closed when it is over
	err      error         // of that; set before gone is closed

	bound *dialog.Dialog // where its NOTIFYs come; guarded by Agent.subs

	mu    sync.Mutex
	m     subscriber
	try   *try           // the one whose NOTIFYs count; nil: none
	d     *dialog.Dialog // nil before the first NOTIFY
	timer *time.Timer    // rings when the subscriber has something to do
	moved bool           // the next SUBSCRIBE within d is to say where we are now
	news  notifies
	left  chan struct{}   // nil until Close, closed when that is done
	forks []*Subscription // of try; some may be over
}

// Notifies yields what the notifier sends, as it comes. The loop may be left and
// entered again: what comes meanwhile waits, no more than 16 of them, of which the
// oldest go first.
//
// It ends when the Subscription is closed, and else with an error: a
// *TerminatedError if the notifier has ended the subscription for good, a
// *StatusError if it refuses a new one for good, ErrClosed if the agent was closed,
// or the error of ctx, after which it may be called again. That of OnFork, which is not
// made anew, ends with whatever has ended it: any reason of a *TerminatedError, a refusal
// of its refresh, ErrNoNotify.
func (s *Subscription) Notifies(ctx context.Context) iter.Seq2[*Notify, error] {
	return func(yield func(*Notify, error) bool) {
		for {
			n, err := s.read(ctx)
			if n == nil && err == nil || !yield(n, err) || err != nil {
				return
			}
		}
	}
}

// read waits for the next NOTIFY. Neither that nor an error means that the
// subscription was closed.
func (s *Subscription) read(ctx context.Context) (*Notify, error) {
	for {
		if ctx.Err() != nil {
			return nil, cause(ctx)
		}
		s.mu.Lock()
		n, more, closed := s.news.pop(), s.news.wait(), s.left != nil
		over := s.m.phase == subscriberOver
		s.mu.Unlock()
		switch {
		case closed && s.a.isClosed():
			return nil, ErrClosed
		case closed:
			return nil, nil
		case n != nil:
			return n, nil
		case over:
			<-s.gone // soon
			return nil, s.err
		}
		select {
		case <-more:
		case <-ctx.Done():
		}
	}
}

// Refresh has the subscription refreshed now, upon which the notifier sends all of
// the state: for who has missed a part of it. It does not wait for that.
func (s *Subscription) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m.phase == subscribed && s.left == nil {
		s.m.due = time.Now()
		s.arm()
	}
}

// step does what is due.
func (s *Subscription) step() {
	s.mu.Lock()
	s.do(s.m.step(time.Now()))
}

// do does what the subscriber says. It is called with s.mu held, and releases it.
func (s *Subscription) do(out subscriberOutput) {
	if s.m.begun {
		select {
		case <-s.accepted:
		default:
			close(s.accepted)
		}
	}
	if out.gone {
		s.drop()
	}
	var forks []*Subscription
	if out.send && s.try == nil {
		s.try = newTry(s)
		forks, s.forks = s.forks, nil
	}
	t, d := s.try, s.d
	again := time.Until(s.m.next())
	if out.end {
		s.finish(out.err)
	} else {
		s.arm()
	}
	s.mu.Unlock()
	for _, f := range forks {
		f.abandon(nil) // the new SUBSCRIBE reaches its notifier again
	}
	if out.err != nil && !out.end {
		s.tell(out.err, again)
	}
	if out.send {
		s.ask(t, d)
	}
}

// drop forgets the dialog that was there: its NOTIFYs get 481 from now on. It is
// called with s.mu held.
func (s *Subscription) drop() {
	if s.try != nil {
		s.try.end()
	}
	if d := s.d; d != nil {
		d.Forget(s.event)
	}
	s.try, s.d, s.moved = nil, nil, false
	s.a.subs.unbind(s)
}

// finish says that it is over. It is called with s.mu held.
func (s *Subscription) finish(err error) {
	select {
	case <-s.gone:
		return
	default:
	}
	s.m.phase = subscriberOver
	s.drop()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.err = err
	close(s.gone)
	s.news.wake()
	s.a.subs.remove(s)
}

// arm sets the timer. It is called with s.mu held.
func (s *Subscription) arm() {
	at := s.m.next()
	switch {
	case s.timer == nil && !at.IsZero():
		// Its goroutine ends with the transaction of the SUBSCRIBE.
		s.timer = time.AfterFunc(time.Until(at), s.step)
	case s.timer != nil && at.IsZero():
		s.timer.Stop()
	case s.timer != nil:
		s.timer.Reset(time.Until(at))
	}
}

// ask sends a SUBSCRIBE and takes what comes of it: the first one of a try, or in
// its dialog a refresh, or the last one.
func (s *Subscription) ask(t *try, d *dialog.Dialog) {
	s.mu.Lock()
	expires, last := sip.Expires(s.m.expires/time.Second), s.m.leaving
	s.mu.Unlock()
	if last {
		expires = 0
	}
	var resp *sip.Response
	var err error
	if d == nil {
		resp, err = s.begin(t, expires)
	} else {
		resp, err = s.askWithin(t, d, expires)
	}
	err = s.a.result(resp, err)
	now := time.Now()
	s.mu.Lock()
	if s.try != t || s.m.leaving != last { // it makes no difference any more
		s.mu.Unlock()
		return
	}
	switch {
	case err == nil:
		granted := time.Duration(-1)
		if e, err := sip.Get[sip.Expires](resp); err == nil {
			granted = seconds(uint32(e))
		}
		out := s.m.accepted(now, granted, resp.Status() == sip.StatusNoNotification)
		s.hurry(now)
		s.do(out)
	default:
		var status sip.Status
		var least sip.MinExpires
		if refused := (*StatusError)(nil); errors.As(err, &refused) {
			status = refused.Status
			least, _ = sip.Get[sip.MinExpires](refused.Response)
		} else if errors.Is(err, dialog.ErrEnded) {
			status = sip.StatusCallDoesNotExist
		}
		after, _ := retryAfter(err)
		s.do(s.m.refused(now, status, err, seconds(uint32(least)), after))
	}
}

// askWithin sends a SUBSCRIBE within the dialog when the one before is answered.
func (s *Subscription) askWithin(t *try, d *dialog.Dialog, expires sip.Expires) (*sip.Response, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-t.ctx.Done():
		return nil, t.ctx.Err()
	}
	if err := s.relocate(t.ctx, d); err != nil {
		return nil, err
	}
	return d.Do(t.ctx, sip.SUBSCRIBE, append(slices.Clip(s.edits), expires)...)
}

// notify takes a NOTIFY within a dialog that is known to be its own, or one that a
// try of its has made. It reports false if that is not a subscription.
func (s *Subscription) notify(t *try, d *dialog.Dialog, state sip.SubscriptionState, n *Notify) bool {
	s.mu.Lock()
	switch {
	case s.try == nil || t != nil && s.try != t:
		s.mu.Unlock()
		return false
	case s.left != nil && s.d == nil:
		s.finish(nil) // with the 481, the notifier forgets it
		s.mu.Unlock()
		return false
	case s.d != nil && s.d != d:
		closed := s.left != nil
		s.mu.Unlock()
		return !closed && s.fork(t, d, state, n)
	case s.d == nil:
		s.d = d
		s.a.subs.bind(s, d)
	}
	n.First = s.m.phase == notifyWait
	now := time.Now()
	out := s.m.notified(now, state)
	s.hurry(now)
	if s.onNotify == nil {
		s.news.push(n)
	}
	s.do(out)
	if s.onNotify != nil {
		s.onNotify(n)
	}
	return true
}

// fork makes a subscription of a further notifier that a try has reached. The layer below
// bounds how many there are of one.
func (s *Subscription) fork(t *try, d *dialog.Dialog, state sip.SubscriptionState, n *Notify) bool {
	if s.onFork == nil {
		return false
	}
	f := s.a.subscription(s.target, s.event)
	f.first, f.edits, f.onError = s.first, s.edits, s.onError
	f.m.single, f.m.phase, f.m.begun, f.m.began = true, notifyWait, true, time.Now()
	f.try = newTry(f)
	if !s.a.subs.add(f) {
		return false
	}
	s.mu.Lock()
	f.m.expires = s.m.expires
	current := s.try == t // or there is a new one, or none, by now
	if current {
		s.forks = append(s.forks, f)
	}
	s.mu.Unlock()
	if !current || !s.a.background(func() { s.forked(f) }) { // ends with OnFork
		f.abandon(ErrClosed)
		return false
	}
	return f.notify(nil, d, state, n)
}

// forked tells the program of a fork.
func (s *Subscription) forked(f *Subscription) {
	defer s.a.fence()
	s.onFork(f)
}

// tell tells the program of an error that is not the end.
func (s *Subscription) tell(err error, again time.Duration) {
	err = fmt.Errorf("subscription to %s of %s: %w", s.event.Package, s.target, err)
	if s.onError == nil {
		s.a.log.Warn("subscription not refreshed", "error", err, "again", again)
		return
	}
	s.a.tell(s.onError, err)
}

// giveUp ends a subscription that nobody has accepted.
func (s *Subscription) giveUp(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.m.begun {
		s.finish(err)
	}
}

// abandon ends it without a word to the notifier, whose next NOTIFY gets 481.
func (s *Subscription) abandon(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(err)
}

// Close ends the subscription, and waits for the notifier's last NOTIFY, but no
// longer than 2 seconds, which is transaction.ErrTimeout; a notifier that has not heard of it by then learns from its
// next NOTIFY. Later calls wait for the first.
func (s *Subscription) Close() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeTime, transaction.ErrTimeout)
	defer cancel()
	return s.close(ctx)
}

func (s *Subscription) close(ctx context.Context) error {
	s.mu.Lock()
	if left := s.left; left != nil {
		s.mu.Unlock()
		select {
		case <-left:
			return nil
		case <-ctx.Done():
			return cause(ctx)
		}
	}
	s.left = make(chan struct{})
	defer close(s.left)
	s.news.unread = nil
	s.news.wake()
	switch {
	case s.m.phase == subscriberOver:
		s.mu.Unlock()
		return nil
	case s.m.phase == subscribed:
		s.m.leave(time.Now())
		s.arm()
		t, d := s.try, s.d
		go s.ask(t, d) // ends with the transaction, or at the end of ctx, with try
	case s.m.phase == notifyWait && !s.m.pending:
		s.m.leaving = true // the first NOTIFY gets 481, if it comes before timer N
	case s.m.begun:
		s.finish(nil)
	default:
		s.finish(ErrClosed)
	}
	s.mu.Unlock()
	var err error
	select {
	case <-s.gone:
		err = s.err
	case <-ctx.Done():
		err = cause(ctx)
		s.abandon(err)
	}
	if err != nil {
		return fmt.Errorf("unsubscribe from %s of %s: %w", s.event.Package, s.target, err)
	}
	return nil
}
