package ua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// Package is an event package (RFC 6665 section 5): who may watch a resource, and
// what they see. Its methods may be called from several goroutines at once, but for
// one Watcher one after the other.
type Package interface {
	// Name returns the name that stands in Event: "presence", "presence.winfo".
	Name() string
	// Types returns the media types of the bodies that State gives. The first is for
	// who does not say what it takes. None means that bodies are of any type.
	Types() []string
	// Authorize is asked when somebody subscribes, and whenever the subscription is
	// refreshed. nil lets the watcher see the state, ErrPending leaves that open until
	// Watcher.Activate or Terminate, a sip.Status refuses with that code, as 404 for
	// what is not there, another error with 403. One that was let in before stays so
	// with ErrPending. With a status of 500 to 599 but 501 and 502, for what cannot be
	// told now, a refresh is refused with a Retry-After and the subscription goes on until
	// it expires; other refusals end it. It is to decide within seconds, by what the SUBSCRIBE says.
	Authorize(ctx context.Context, w *Watcher, subscribe *sip.Request) error
	// State returns what a watcher is to see now, of the first type of its Types that
	// will do; the zero Body is nothing. An error is logged, and the NOTIFY goes
	// without a body. A watcher that is pending is not asked for, and sees nothing. ctx
	// ends with Shutdown of the agent, which has had the last NOTIFY sent by then.
	State(ctx context.Context, w *Watcher) (sip.Body, error)
}

// ErrPending is what Authorize of a Package returns for a watcher that is to wait.
var ErrPending = errors.New("ua: not decided yet")

// NotifierOptions are the options of NewNotifier; nil will do. Intervals are whole
// seconds.
type NotifierOptions struct {
	// MinExpires, MaxExpires and DefaultExpires are how long a subscription lasts
	// without a refresh. A SUBSCRIBE that asks for less than MinExpires, and for less
	// than an hour, gets 423, one that asks for more than MaxExpires gets that, and one
	// that does not say gets DefaultExpires. 0 means 60 s, two hours, and an hour.
	MinExpires, MaxExpires, DefaultExpires time.Duration
	// MinInterval is how long after a NOTIFY the next one is sent to the same watcher
	// at the earliest, unless it asks, or its subscription begins or ends. What changes
	// meanwhile is told by one. A watcher can want them further apart (RFC 6446). 0
	// means 5 s, as RFC 3856 section 6.10 has it for presence; a negative one that
	// every change is told at once.
	MinInterval time.Duration
	// MaxWatchers is how many watchers there are at most, and MaxPerResource how many
	// of one resource; others get 503 with a Retry-After. 0 means 10,000 and 1,000. All
	// who watch share them: one peer that answers its NOTIFYs can have all of them. Where
	// that matters, Authorize refuses a further one to who has enough of those that
	// Watchers of the Notifier yields, by their User, say. One gets 513 of whose SUBSCRIBE
	// more than 4 KiB would be kept: From, To, Call-ID, Contact, Event and Record-Route
	// together.
	MaxWatchers, MaxPerResource int
	// Filters names the media types of bodies of SUBSCRIBEs that the Package reads in
	// Authorize. A SUBSCRIBE with another one gets 415. nil: all with one do.
	Filters []string
	// OnWatcher is called when a watcher comes, with the event "subscribe", when it is
	// let in later, with "approved", and when it goes, with the reason: "timeout" if it
	// went by itself or is lost (RFC 3857 section 4.7). State of the Watcher is what it
	// is by now. It is not to wait. A panic is logged. nil: nobody is told.
	OnWatcher func(w *Watcher, event string)
}

// Notifier lets others watch resources by one event package: it keeps their
// subscriptions (RFC 6665 section 4.2), and tells them when the program says that
// something has changed. It belongs in Config.Notifiers of an Agent, or of several.
// A resource is an address of record, of which one agent may have many: it is what the
// Request-URI names, or the agent's own if that has its user, as its Contact does.
type Notifier struct {
	pkg  Package
	name string
	opts NotifierOptions

	// accepting is held for reading while a watcher is made, whose next SUBSCRIBE may
	// come as soon as it has its 200. The end of an agent waits for it.
	accepting sync.RWMutex

	mu        sync.Mutex
	count     int // of watchers, and of those that are about to be
	resources map[sip.URI]*watched
	within    map[*dialog.Dialog][]*Watcher
}

// watched is a resource that somebody watches.
type watched struct {
	count    int // as that of the Notifier
	watchers map[*Watcher]struct{}
}

// NewNotifier makes a Notifier. opts may be nil.
func NewNotifier(pkg Package, opts *NotifierOptions) *Notifier {
	n := &Notifier{pkg: pkg, name: pkg.Name(), resources: map[sip.URI]*watched{}, within: map[*dialog.Dialog][]*Watcher{}}
	if opts != nil {
		n.opts = *opts
	}
	o := &n.opts
	grants(&o.MinExpires, &o.MaxExpires, &o.DefaultExpires, 2*time.Hour)
	o.MinInterval = max(cmp.Or(o.MinInterval, 5*time.Second), 0)
	o.MaxWatchers = cmp.Or(o.MaxWatchers, 10_000)
	o.MaxPerResource = cmp.Or(o.MaxPerResource, 1000)
	return n
}

// checkNotifiers says what is wrong with Config.Notifiers.
func (a *Agent) checkNotifiers() error {
	for i, n := range a.cfg.Notifiers {
		switch {
		case n == nil:
			return errors.New("notifiers: one is nil")
		case n.name == "refer":
			return fmt.Errorf("notifiers: %w", errRefer)
		case slices.ContainsFunc(a.cfg.Notifiers[:i], func(other *Notifier) bool { return other.name == n.name }):
			return fmt.Errorf("notifiers: there are two of %s", n.name)
		}
	}
	return nil
}

// Changed tells the watchers of a resource that it has changed: each gets a NOTIFY
// with what State gives, as soon as it may. It does not wait. The zero URI is every
// resource.
func (n *Notifier) Changed(aor sip.URI) {
	for w := range n.Watchers(aor) {
		w.Notify()
	}
}

// Watchers yields the watchers of a resource that there are when it is called, in no
// order; of every resource, for the zero URI.
func (n *Notifier) Watchers(aor sip.URI) iter.Seq[*Watcher] {
	return func(yield func(*Watcher) bool) {
		for _, w := range n.watchers(aor) {
			if !yield(w) {
				return
			}
		}
	}
}

func (n *Notifier) watchers(aor sip.URI) (all []*Watcher) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if aor == (sip.URI{}) {
		for _, r := range n.resources {
			for w := range r.watchers {
				all = append(all, w)
			}
		}
		return all
	}
	aor, _ = resource(aor)
	if r := n.resources[aor]; r != nil {
		for w := range r.watchers {
			all = append(all, w)
		}
	}
	return all
}

// subscribe takes a SUBSCRIBE. user is who has proved to have sent it.
func (a *Agent) subscribe(tx *dialog.Server, req *sip.Request, user string) {
	event, err := sip.Get[sip.Event](req)
	if err != nil && !errors.Is(err, sip.ErrMissing) {
		tx.Refuse(err)
		return
	}
	for _, n := range a.cfg.Notifiers {
		if n.name == event.Package {
			n.subscribe(a, tx, req, event, user)
			return
		}
	}
	tx.Reply(sip.StatusBadEvent, a.watchable()) // no Event is PINT's, which is none of ours (RFC 6665 section 4.2.3)
}

// watchable names the event packages that others may watch.
func (a *Agent) watchable() (names sip.AllowEvents) {
	for _, n := range a.cfg.Notifiers {
		names = append(names, n.name)
	}
	return names
}

// subscribe takes a SUBSCRIBE for this package (RFC 6665 sections 4.2.1.1 and
// 4.2.1.4).
func (n *Notifier) subscribe(a *Agent, tx *dialog.Server, req *sip.Request, event sip.Event, user string) {
	expires, types, ok := n.read(tx, req)
	if !ok {
		return
	}
	if d := tx.Dialog(); d != nil {
		w := n.find(d, event.ID())
		if w == nil { // maybe not yet
			n.accepting.Lock()
			w = n.find(d, event.ID())
			n.accepting.Unlock()
		}
		switch {
		case w != nil:
			w.refresh(tx, req, event, expires, types)
			return
		case expires == 0:
			noSubscription(tx)
			return
		}
		// A subscription that shares the dialog of a call, or of another one (section
		// 4.5.2): peers of RFC 3265 do that.
	}
	if keeps(req) > maxKept {
		tx.Reply(sip.StatusMessageTooLarge)
		return
	}
	uri := req.URI()
	if d := tx.Dialog(); d != nil {
		uri = d.Local().URI // the Request-URI is our Contact
	}
	aor, ok := resource(uri)
	if ok && aor.Username() == a.aor.Username() {
		aor, ok = resource(a.aor)
	}
	if !ok {
		tx.Reply(sip.StatusNotFound)
		return
	}
	w := &Watcher{n: n, a: a, resource: aor, from: sender(tx, req).Clone(), user: user, types: types, turn: make(chan struct{}, 1)}
	for _, id := range a.asserted(tx.Flow(), req) {
		w.asserted = append(w.asserted, id.Clone())
	}
	w.event = sip.Event{Package: n.name, Params: sip.Params(strings.Clone(string(event.Params)))}
	n.begin(w, tx, req, expires)
}

// maxKept bounds what keeps returns.
const maxKept = 4 << 10

// keeps returns how many bytes of a SUBSCRIBE a watcher and its dialog keep.
func keeps(req *sip.Request) (size int) {
	for _, name := range []string{"From", "To", "Call-ID", "Contact", "Event"} {
		value, _ := req.Value(name)
		size += len(value)
	}
	for f := range req.Fields() {
		if strings.EqualFold(f.Name, "Record-Route") || strings.EqualFold(f.Name, "P-Asserted-Identity") {
			size += len(f.Value)
		}
	}
	return size
}

// begin makes the subscription of a watcher, or refuses it.
func (n *Notifier) begin(w *Watcher, tx *dialog.Server, req *sip.Request, expires time.Duration) {
	if w.a.isClosed() || !n.reserve(w.resource) {
		noRoom(tx)
		return
	}
	kept := false
	defer func() { // whatever Authorize does
		if !kept {
			n.release(w.resource)
		}
	}()
	w.m.interval = n.opts.MinInterval
	err := n.pkg.Authorize(tx.Context(), w, req)
	if err != nil && !errors.Is(err, ErrPending) {
		tx.Reply(refusedWith(err))
		return
	}
	w.mu.Lock()
	w.m.open(err != nil)
	ended := w.m.state == "terminated"
	w.mu.Unlock()
	kept = n.accept(w, tx, sip.StatusOK, expires, sip.Expires(expires/time.Second), w.a.watchable())
	if kept {
		w.tell("subscribe")
		if ended {
			w.tell(w.reason())
		}
		w.advance()
	}
}

// noRoom refuses a SUBSCRIBE, because there are many watchers or the agent is closed.
func noRoom(tx *dialog.Server) {
	tx.Reply(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 60})
}

// accept answers the request that begins the subscription of a watcher, and has it
// there from then on.
func (n *Notifier) accept(w *Watcher, tx *dialog.Server, status sip.Status, expires time.Duration, edits ...sip.Edit) bool {
	n.accepting.RLock()
	defer n.accepting.RUnlock()
	if w.a.isClosed() { // while Authorize was asked: nobody would tell this one of the end
		noRoom(tx)
		return false
	}
	if own, ok := w.a.ownGRUU(tx); ok {
		edits = append(edits, own)
	}
	d, err := acceptFrom(tx, w.user, status, edits...)
	if d == nil {
		w.a.log.Warn("watcher not accepted", "error", err, "call-id", tx.Request().CallID())
		tx.Refuse(err) // no Contact, say; if it was answered, nothing
		return false
	}
	now := time.Now()
	w.mu.Lock()
	w.d = d
	w.m.asked(now, now.Add(expires), readRates(w.event.Params))
	w.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.within[d] = append(n.within[d], w)
	n.resources[w.resource].watchers[w] = struct{}{}
	return true
}

// ownGRUU returns the Contact of a notifier if there is a GRUU for it (RFC 6665 section
// 4.5.1); another one is made by the layer below.
func (a *Agent) ownGRUU(tx *dialog.Server) (sip.Contact, bool) {
	own, err := tx.Contact()
	if err != nil {
		return sip.Contact{}, false
	}
	contact := a.contact(own, false, false)
	return contact, contact.URI.Params.Has("gr")
}

// refusedWith returns the status that an error of Authorize means.
func refusedWith(err error) sip.Status {
	status := sip.StatusForbidden
	if errors.As(err, &status) && status >= 300 && status <= 699 {
		return status
	}
	return sip.StatusForbidden
}

// read reads what a SUBSCRIBE asks for, or refuses it.
func (n *Notifier) read(tx *dialog.Server, req *sip.Request) (expires time.Duration, types []string, ok bool) {
	err := sip.CheckBody(req, func(t sip.ContentType, _ sip.ContentDisposition) bool {
		return slices.ContainsFunc(n.opts.Filters, t.Is)
	})
	if syntax := (*sip.SyntaxError)(nil); errors.As(err, &syntax) && syntax.Status == sip.StatusUnsupportedMediaType {
		filters := []sip.Accept{}
		for _, t := range n.opts.Filters {
			filters = append(filters, sip.Accept{Type: t})
		}
		if len(filters) == 0 {
			filters = []sip.Accept{{}}
		}
		tx.Refuse(err, sip.List(filters...), acceptEncoding)
		return 0, nil, false
	}
	if err == nil {
		types, err = n.acceptable(req)
	}
	expires = n.opts.DefaultExpires
	if err == nil {
		var e sip.Expires
		if e, err = sip.Get[sip.Expires](req); err == nil {
			expires = min(seconds(uint32(e)), n.opts.MaxExpires)
		} else if errors.Is(err, sip.ErrMissing) {
			err = nil
		}
	}
	switch {
	case err != nil:
		tx.Refuse(err)
	case len(types) == 0 && len(n.pkg.Types()) > 0:
		tx.Reply(sip.StatusNotAcceptable) // RFC 6665 section 4.1.2.1
	case expires > 0 && expires < n.opts.MinExpires && expires < time.Hour:
		tx.Reply(sip.StatusIntervalTooBrief, sip.MinExpires(n.opts.MinExpires/time.Second))
	default:
		return expires, types, true
	}
	return 0, nil, false
}

// acceptable returns those of the types of the package that a SUBSCRIBE accepts,
// what it likes best first. Without an Accept that is the first one.
func (n *Notifier) acceptable(req *sip.Request) ([]string, error) {
	all := n.pkg.Types()
	liked := map[string]float64{}
	some := false
	for accept, err := range sip.All[sip.Accept](req) {
		if err != nil {
			return nil, err
		}
		some = true
		for _, t := range all {
			if accept.Matches(t) {
				liked[t] = max(liked[t], accept.Q())
			}
		}
	}
	if !some {
		return all[:min(len(all), 1)], nil
	}
	var types []string
	for _, t := range all {
		if liked[t] > 0 {
			types = append(types, t)
		}
	}
	slices.SortStableFunc(types, func(s, t string) int { return cmp.Compare(liked[t], liked[s]) })
	return types, nil
}

// reserve makes room for a watcher.
func (n *Notifier) reserve(aor sip.URI) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.resources[aor]
	if n.count >= n.opts.MaxWatchers || r != nil && r.count >= n.opts.MaxPerResource {
		return false
	}
	if r == nil {
		r = &watched{watchers: map[*Watcher]struct{}{}}
		n.resources[aor] = r
	}
	n.count++
	r.count++
	return true
}

// release undoes reserve.
func (n *Notifier) release(aor sip.URI) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count--
	r := n.resources[aor]
	if r.count--; r.count == 0 {
		delete(n.resources, aor)
	}
}

// find returns the watcher with an id of Event within a dialog, nil if there is none.
func (n *Notifier) find(d *dialog.Dialog, id string) *Watcher {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.within[d] {
		if w.event.ID() == id {
			return w
		}
	}
	return nil
}

// forget removes a watcher.
func (n *Notifier) forget(w *Watcher) {
	n.mu.Lock()
	rest := slices.DeleteFunc(n.within[w.d], func(other *Watcher) bool { return other == w })
	if n.within[w.d] = rest; len(rest) == 0 {
		delete(n.within, w.d)
	}
	delete(n.resources[w.resource].watchers, w)
	n.mu.Unlock()
	n.release(w.resource)
}
