package ua

import (
	"errors"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Watcher is a subscription of somebody to a resource of ours. Its methods may be
// called from any goroutine. While nothing happens it has one timer and no
// goroutine.
type Watcher struct {
	n        *Notifier
	a        *Agent
	d        *dialog.Dialog // nil until it is accepted
	resource sip.URI
	from     sip.Address
	asserted []sip.Address
	user     string
	event    sip.Event // of the first SUBSCRIBE

	turn chan struct{} // full while the Package is asked about it, after the first time

	mu      sync.Mutex
	m       notifying
	types   []string
	version uint32 // of the next document
	full    bool   // likewise
	value   any
	timer   *time.Timer
	moved   bool // the next NOTIFY is to say where we are now
}

// Resource returns what is watched: a sip URI of a user and a host.
func (w *Watcher) Resource() sip.URI { return w.resource }

// From returns who says that they watch; within a dialog, that they are its peer.
func (w *Watcher) From() sip.Address { return w.from }

// User returns who has proved to watch, by a password, as Config.Authenticate says; ""
// if nobody has.
func (w *Watcher) User() string { return w.user }

// Asserted returns who the network says has sent the SUBSCRIBE that the subscription began
// with, as that of an Invitation does.
func (w *Watcher) Asserted() []sip.Address { return w.asserted }

// Event returns the Event of the SUBSCRIBE that the subscription began with.
func (w *Watcher) Event() sip.Event { return w.event }

// Types returns those of the types of the Package that the watcher takes, the one
// that it likes best first.
func (w *Watcher) Types() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.types
}

// State returns the state of the subscription: "pending", "active" or "terminated";
// "" before Authorize has said.
func (w *Watcher) State() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.m.state
}

// Expires returns when the subscription expires unless it is refreshed.
func (w *Watcher) Expires() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.m.until
}

// Version is for State of a Package: the number of the document that it is asked
// for, 0 for the first one of the subscription, and one more each time.
func (w *Watcher) Version() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.version
}

// Full is for State of a Package whose documents may say what has changed: it reports
// whether this one is to say all, for the watcher has asked, or may have missed the
// one before.
func (w *Watcher) Full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.full
}

// SetValue keeps something of the Package's with the watcher, such as which view of
// the state it is to see.
func (w *Watcher) SetValue(v any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.value = v
}

// Value returns what SetValue was given last, nil before that.
func (w *Watcher) Value() any {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.value
}

// Notify tells this watcher that its state has changed: it gets a NOTIFY with what
// State of the Package gives, as soon as it may. One that is pending gets none. It
// does not wait.
func (w *Watcher) Notify() {
	w.mu.Lock()
	if w.m.state == "active" {
		w.m.changed = true
	}
	w.mu.Unlock()
	w.advance()
}

// Activate lets a pending watcher see the state, and tells it so. It counts also if it
// comes before Authorize has returned ErrPending, as Terminate does.
func (w *Watcher) Activate() {
	w.mu.Lock()
	done := w.m.activate()
	w.mu.Unlock()
	if done {
		w.tell("approved")
		w.advance()
	}
}

// Terminate ends the subscription, and tells the watcher why: "rejected" if it may
// not see the state any more, "noresource" if there is none, "deactivated" to have it
// subscribe again, somewhere else maybe, "probation" or "giveup" likewise, but not
// before retryAfter, whole seconds of which 0 says nothing (RFC 6665 section 4.1.3).
// "" gives no reason, nor does what is not a token. The last state goes with it unless
// it was rejected.
func (w *Watcher) Terminate(reason string, retryAfter time.Duration) {
	if token, err := (sip.Event{}).ParseValue(reason); err != nil || token.Package != reason {
		reason = ""
	}
	w.mu.Lock()
	done := w.m.terminate(strings.Clone(reason), retryAfter)
	w.mu.Unlock()
	if done {
		w.tell(reason)
		w.advance()
	}
}

// refresh takes a further SUBSCRIBE.
func (w *Watcher) refresh(tx *dialog.Server, req *sip.Request, event sip.Event, expires time.Duration, types []string) {
	if w.State() == "terminated" { // its last NOTIFY is on its way
		noSubscription(tx)
		return
	}
	err := w.authorize(tx, req)
	if err != nil && !errors.Is(err, ErrPending) {
		status := refusedWith(err)
		if status >= 500 && status <= 599 && !dialog.EndsSubscription(sip.SUBSCRIBE, status) {
			// It lasts as long as it was granted (RFC 6665 section 4.1.2.2).
			tx.Reply(status, sip.RetryAfter{Seconds: 15})
			return
		}
		tx.Reply(status)
		w.Terminate("rejected", 0)
		return
	}
	now := time.Now()
	w.mu.Lock()
	activated := err == nil && w.m.activate()
	was := w.m.state
	w.m.asking++
	if was != "terminated" { // by the program, meanwhile
		w.m.asked(now, now.Add(expires), readRates(event.Params))
		w.types = types
	}
	ended := was != w.m.state
	w.mu.Unlock()
	tx.Reply(sip.StatusOK, sip.Expires(expires/time.Second), w.a.watchable())
	w.mu.Lock()
	w.m.asking--
	w.mu.Unlock()
	if activated {
		w.tell("approved")
	}
	if ended {
		w.tell("timeout")
	}
	w.advance()
}

// authorize asks the Package about a further SUBSCRIBE, when it is its turn.
func (w *Watcher) authorize(tx *dialog.Server, req *sip.Request) error {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-tx.Context().Done(): // the agent is closed while State is asked
		return sip.StatusServerInternalError
	}
	return w.n.pkg.Authorize(tx.Context(), w, req)
}

// advance has sent what is due.
func (w *Watcher) advance() {
	w.mu.Lock()
	send, ended := w.schedule()
	w.mu.Unlock()
	if ended {
		w.tell(w.reason())
	}
	if send {
		w.a.notify(w.send)
	}
}

// schedule asks what is due. If that is a NOTIFY, it is the caller's to send, and
// else the timer is set. It is called with w.mu held.
func (w *Watcher) schedule() (send, ended bool) {
	if w.d == nil {
		return false, false
	}
	send, next, ended := w.m.due(time.Now())
	switch {
	case send:
		w.m.busy = true
	case next.IsZero():
		if w.timer != nil {
			w.timer.Stop()
		}
	case w.timer == nil:
		w.timer = time.AfterFunc(time.Until(next), w.advance)
	default:
		w.timer.Reset(time.Until(next))
	}
	return send, ended
}

// send sends NOTIFYs, one after the other, as long as there is one due. Hurried, it waits for
// an answer no longer than patience.
func (w *Watcher) send(hurried bool) {
	for again := true; again; {
		w.relocate()
		w.mu.Lock()
		if w.m.asking > 0 { // since this was due; who answers has it sent then
			w.m.busy = false
			w.mu.Unlock()
			return
		}
		state := w.m.begin(time.Now())
		shown := w.m.seen && w.m.reason != "rejected"
		w.full, w.m.full = w.m.full, false
		w.mu.Unlock()
		edits := []sip.Edit{w.head(), state}
		if shown {
			edits = append(edits, w.body()...)
		}
		ctx, cancel := answerTime(hurried)
		resp, err := w.d.Do(ctx, sip.NOTIFY, edits...) // ends with the transaction, or ctx
		cancel()
		var status sip.Status
		var after time.Duration
		if err == nil {
			status = resp.Status()
			retry, _ := sip.Get[sip.RetryAfter](resp)
			after = seconds(retry.Seconds)
		}
		w.mu.Lock()
		lost := errors.Is(err, transaction.ErrTimeout) || errors.Is(err, transport.ErrClosed) || errors.Is(err, dialog.ErrEnded)
		ended := w.m.done(time.Now(), state.State, status, lost, after)
		if status.Success() {
			w.answered(resp)
		}
		var expired bool
		again, expired = w.schedule()
		over := w.m.over
		w.mu.Unlock()
		if over {
			w.n.forget(w)
		}
		if ended || expired {
			w.tell("timeout")
		}
	}
}

// answered takes the 2xx to a NOTIFY. It may have other rates in it, if the SUBSCRIBE
// had some (RFC 6446 section 4.1).
func (w *Watcher) answered(resp *sip.Response) {
	if w.m.rates == (rates{}) {
		return
	}
	if event, err := sip.Get[sip.Event](resp); err == nil && event.Package == w.event.Package {
		w.m.rates = readRates(event.Params).adjusted(w.m.interval, time.Until(w.m.until))
	}
}

// head returns the Event of NOTIFYs: that of the SUBSCRIBE, without what it asks for.
func (w *Watcher) head() sip.Event {
	e := sip.Event{Package: w.event.Package}
	if id := w.event.ID(); id != "" {
		e.Params = e.Params.With("id", id)
	}
	return e
}

// body asks the Package for what there is to be seen, nil if there is nothing.
func (w *Watcher) body() (edits []sip.Edit) {
	defer func() {
		if p := recover(); p != nil {
			w.a.panicked(p, debug.Stack())
			edits = nil
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if edits == nil {
			w.m.full = true // the next one
		} else {
			w.version++
		}
	}()
	w.turn <- struct{}{} // soon: Authorize decides within seconds
	defer func() { <-w.turn }()
	body, err := w.n.pkg.State(w.a.parting, w)
	if err != nil {
		w.a.log.Warn("state not known", "event", w.event.Package, "resource", w.resource, "error", err)
	}
	if err != nil || body == (sip.Body{}) {
		return nil
	}
	return []sip.Edit{body}
}

func (w *Watcher) reason() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.m.reason
}

// tell tells the program of a change of the subscription.
func (w *Watcher) tell(event string) {
	if w.n.opts.OnWatcher == nil {
		return
	}
	defer w.a.fence()
	w.n.opts.OnWatcher(w, event)
}

// shut ends the subscription because the agent is closed: the watcher is to come
// again later. It calls done when that is answered.
func (w *Watcher) shut(done func()) {
	w.mu.Lock()
	terminated := w.m.terminate("probation", 0)
	send, _ := w.schedule()
	w.mu.Unlock()
	if terminated {
		w.tell("probation")
	}
	if !send {
		done()
		return
	}
	w.a.senders.run(func(hurried bool) {
		defer done()
		w.send(hurried)
	})
}

// watchers returns those of the agent, of all its notifiers.
func (a *Agent) watchers() (all []*Watcher) {
	for _, n := range a.cfg.Notifiers {
		n.accepting.Lock() // those that are being made are there then, and no others come
		there := n.watchers(sip.URI{})
		n.accepting.Unlock()
		for _, w := range there {
			if w.a == a {
				all = append(all, w)
			}
		}
	}
	return all
}

// dismiss ends the subscriptions of all watchers.
func (a *Agent) dismiss() {
	all := a.watchers()
	var wg sync.WaitGroup
	wg.Add(len(all))
	for _, w := range all {
		w.shut(wg.Done)
	}
	wg.Wait()
}
