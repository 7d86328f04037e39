package dialog

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// ofSession reports whether requests of a method belong to the call that a dialog
// has, and to nothing else (RFC 5057 section 5.3).
func ofSession(method sip.Method) bool {
	switch method {
	case sip.INVITE, sip.ACK, sip.BYE, sip.PRACK, sip.UPDATE, sip.INFO:
		return true
	}
	return false
}

// effect is what the failure of a request within a dialog ends (RFC 5057 section
// 5.1).
type effect int

const (
	endsNothing effect = iota
	endsUsage          // the call or the subscription that the request belongs to
	endsDialog         // all of them
)

// effectOf tells what a request has ended (RFC 5057 table 2 and section 5.2, for
// subscriptions RFC 6665 sections 4.1.2.2 and 4.2.2).
func effectOf(method sip.Method, resp *sip.Response, err error) effect {
	switch {
	case timedOut(err):
		return statusEnds(method, sip.StatusRequestTimeout)
	case err != nil:
		return endsNothing
	}
	return statusEnds(method, resp.Status())
}

// EndsSubscription reports whether a subscription is over with this response to a SUBSCRIBE
// that was to refresh it, or to a NOTIFY, at either side. A Dialog sees to it by itself; its
// user may have more to do.
func EndsSubscription(method sip.Method, status sip.Status) bool {
	return statusEnds(method, status) != endsNothing
}

// statusEnds is effectOf for a response.
func statusEnds(method sip.Method, status sip.Status) effect {
	event := method == sip.SUBSCRIBE || method == sip.NOTIFY
	switch status {
	case sip.StatusNotFound, sip.StatusGone, sip.StatusUnsupportedURIScheme, sip.StatusLoopDetected,
		sip.StatusTooManyHops, sip.StatusAddressIncomplete, sip.StatusAmbiguous, sip.StatusBadGateway,
		sip.StatusDoesNotExistAnywhere:
		return endsDialog
	case sip.StatusTemporarilyUnavailable, sip.StatusCallDoesNotExist:
		if ofSession(method) || event {
			return endsUsage
		}
	case sip.StatusRequestTimeout:
		// A subscription whose refresh is lost lasts until it expires.
		if ofSession(method) || method == sip.NOTIFY {
			return endsUsage
		}
	case sip.StatusMethodNotAllowed, sip.StatusNotImplemented:
		// Of what a usage cannot do without. A peer without UPDATE has a call.
		if method == sip.INVITE || event {
			return endsUsage
		}
	case sip.StatusBadEvent:
		if event {
			return endsUsage
		}
	}
	return endsNothing
}

// subscription is a use of the dialog by SUBSCRIBE or REFER, at either side. All
// that is kept of it here is how long the dialog is needed for it.
type subscription struct {
	ours  bool          // we are the one who subscribes, and gets the NOTIFYs
	event string        // the package
	id    string        // of the Event
	first bool          // of the REFERs: its NOTIFYs may go without an id (RFC 3515 section 2.4.6)
	other string        // of a REFER of ours that was passed on: the id that it has on the other leg; "": it was not
	asked bool          // our request is not answered yet
	most  time.Duration // that was asked for; what is said beyond that does not count
	until time.Time
	end   *time.Timer // fires then
}

var errSubscriptions = errors.New("dialog: too many subscriptions in one dialog")

const (
	// maxSubscriptions bounds what a peer can have kept by REFERs in a row.
	maxSubscriptions = 32
	// referTime is how long a REFER is waited for, whatever its NOTIFYs say.
	referTime = time.Hour
	// unasked bounds what a package has that a SUBSCRIBE does not ask anything of. Some
	// have subscriptions of days (RFC 3842 section 3.4).
	unasked = 7 * 24 * time.Hour
)

// asks returns how long a request subscribes for at most.
func asks(req *sip.Request) time.Duration {
	if req.Method() != sip.SUBSCRIBE {
		return referTime
	}
	if expires, err := sip.Get[sip.Expires](req); err == nil {
		return time.Duration(expires) * time.Second
	}
	return unasked
}

// begins returns what a request subscribes to.
func begins(req *sip.Request) (event, id string, ok bool) {
	switch req.Method() {
	case sip.REFER:
		return "refer", referID(req.CSeq().Seq), true
	case sip.SUBSCRIBE:
		e, err := sip.Get[sip.Event](req)
		return e.Package, e.ID(), err == nil
	}
	return "", "", false
}

// referID returns the id of the events of a REFER (RFC 3515 section 2.4.6).
func referID(seq uint32) string { return strconv.FormatUint(uint64(seq), 10) }

// subscriber reports whether it is us who subscribes with a request of one side, or is
// notified by it.
func subscriber(from side, method sip.Method) bool { return (from == local) == (method != sip.NOTIFY) }

// find returns the subscription of an event. It is called with d.mu held.
func (d *Dialog) find(ours bool, event, id string) *subscription {
	for _, s := range d.subs {
		if s.ours == ours && s.event == event && (s.id == id || id == "" && s.first) {
			return s
		}
	}
	return nil
}

// requested notes that a SUBSCRIBE or REFER of ours with these edits is on its way, which
// a NOTIFY may answer before the response does. It is false if there are too many. It is
// called with d.mu held.
func (d *Dialog) requested(req *sip.Request, edits []sip.Edit) bool {
	if event, id, ok := begins(req); ok && d.find(true, event, id) == nil {
		sub := d.subscribe(true, event, id)
		if sub == nil {
			return false
		}
		sub.asked = true
		sub.most = asks(req)
		for _, e := range edits {
			if passedOn, ok := e.(sip.CSeq); ok && req.Method() == sip.REFER {
				sub.other = referID(passedOn.Seq)
			}
		}
	} else if ok {
		d.find(true, event, id).most = asks(req)
	}
	return true
}

// concerned reports whether a request of the peer is of a subscription that is known,
// and whether it would begin one too many. It is called with d.mu held.
func (d *Dialog) concerned(req *sip.Request) (known, full bool) {
	event, id, begun := begins(req)
	if req.Method() == sip.NOTIFY {
		if e, err := sip.Get[sip.Event](req); err == nil {
			event, id = e.Package, e.ID()
		}
	}
	known = d.find(subscriber(remote, req.Method()), event, id) != nil
	return known, begun && !known && len(d.subs) == maxSubscriptions
}

// subscribe notes another use of the dialog, unless there are too many. It is
// called with d.mu held.
func (d *Dialog) subscribe(ours bool, event, id string) *subscription {
	if len(d.subs) == maxSubscriptions {
		return nil
	}
	sub := &subscription{ours: ours, event: strings.Clone(event), id: strings.Clone(id)}
	by := remote
	if ours {
		by = local
	}
	sub.first = event == "refer" && !d.d.referred[by] && !slices.ContainsFunc(d.subs, func(s *subscription) bool { return s.ours == ours && s.event == event })
	d.subs = append(d.subs, sub)
	d.keep(sub, referTime)
	return sub
}

// keep says how long a subscription lasts unless something is heard of it. It is
// called with d.mu held.
func (d *Dialog) keep(sub *subscription, life time.Duration) {
	life += 64 * d.l.tl.Timers().T1 // for the NOTIFY that tells its end
	sub.until = time.Now().Add(life)
	if sub.end != nil {
		sub.end.Reset(life)
		return
	}
	sub.end = time.AfterFunc(life, func() { d.expired(sub) })
}

// limit returns how long a subscription is to last of which its notifier says so. Where that
// is us, it may be what another peer has said.
func (s *subscription) limit(said time.Duration) time.Duration {
	return min(said, max(s.most, referTime))
}

// expired is called when nothing was heard of a subscription for its time.
func (d *Dialog) expired(sub *subscription) {
	d.mu.Lock()
	over := !time.Now().Before(sub.until) // else it was refreshed in this moment
	d.mu.Unlock()
	if over {
		d.drop(sub)
	}
}

// responded takes the final response to a request of either side that concerns a
// subscription; nil if there is none.
func (d *Dialog) responded(from side, req *sip.Request, resp *sip.Response) {
	method := req.Method()
	ours := subscriber(from, method)
	ok := resp != nil && resp.Status().Success()
	var over *subscription
	kept := false
	d.mu.Lock()
	switch event, id, begun := begins(req); {
	case begun && ok:
		sub := d.find(ours, event, id)
		if sub == nil {
			sub = d.subscribe(ours, event, id)
		}
		if sub == nil {
			break
		}
		sub.asked, sub.most, kept = false, asks(req), true
		if refer, err := sip.Get[sip.ReferSub](resp); method == sip.REFER && err == nil && !refer.Subscribe {
			over = sub // RFC 4488 section 4
		} else if expires, err := sip.Get[sip.Expires](resp); err == nil {
			d.keep(sub, sub.limit(time.Duration(expires)*time.Second))
		}
	case begun:
		if sub := d.find(ours, event, id); sub != nil && sub.asked {
			over = sub
		}
	case method == sip.NOTIFY:
		e, err := sip.Get[sip.Event](req)
		sub := d.find(ours, e.Package, e.ID())
		if err != nil || sub == nil {
			break
		}
		sub.asked = false
		state, err := sip.Get[sip.SubscriptionState](req)
		if expires, limited := state.Expires(); err == nil && state.State == "terminated" {
			over = sub
		} else if limited {
			d.keep(sub, sub.limit(time.Duration(expires)*time.Second))
		}
	}
	if method == sip.REFER && (ok || resp == nil) { // nothing is told of one that was refused
		d.d.referred[from] = true
	}
	d.mu.Unlock()
	if over != nil {
		d.drop(over)
	} else if kept {
		d.stay()
	}
}

// Forget says that a subscription of ours is of no use any more, whatever the peer has
// said of how long it lasts: its NOTIFYs get 481 from now on, and the dialog goes with its
// last use. That of a REFER has the event "refer", with the number of the REFER as its id.
func (d *Dialog) Forget(event sip.Event) {
	d.mu.Lock()
	sub := d.find(true, event.Package, event.ID())
	d.mu.Unlock()
	if sub != nil {
		d.drop(sub)
	}
}

// unsubscribe forgets the subscription that a request of one side is of.
func (d *Dialog) unsubscribe(from side, req *sip.Request) {
	e, err := sip.Get[sip.Event](req)
	if err != nil {
		return
	}
	d.mu.Lock()
	sub := d.find(subscriber(from, req.Method()), e.Package, e.ID())
	d.mu.Unlock()
	if sub != nil {
		d.drop(sub)
	}
}

// unsubscribeAll forgets all of them.
func (d *Dialog) unsubscribeAll() {
	d.mu.Lock()
	for _, sub := range d.subs {
		sub.end.Stop()
	}
	d.subs = nil
	d.mu.Unlock()
	d.leave()
}

// drop forgets a subscription, and the dialog if it was the last use.
func (d *Dialog) drop(sub *subscription) {
	d.mu.Lock()
	sub.end.Stop()
	d.subs = slices.DeleteFunc(d.subs, func(s *subscription) bool { return s == sub })
	d.mu.Unlock()
	d.leave()
}
