package ua

import (
	"strings"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// Notify is a NOTIFY of a subscription (RFC 6665 section 4.1.3).
type Notify struct {
	// State is that of the subscription: "active", "pending" while the notifier has
	// not decided yet, "terminated", or another token.
	State string
	// Body is what is told of the resource, without a transfer encoding; the zero
	// Body if there is none, as is usual when State is not "active". sip.Parts takes
	// the Request apart if it is a multipart one.
	Body sip.Body
	// First says that a subscription begins with this one: the versions of its
	// documents do, too. It is said again when the subscription was made anew.
	First bool
	// Missed is how many NOTIFYs came just before this one that nobody has read in
	// time.
	Missed int
	// Request is all of it.
	Request *sip.Request
}

// TerminatedError says that the notifier has terminated the subscription. As the error of
// Notifies it is the end; as that of OnError there is none for a while, and then a new one
// is asked for.
type TerminatedError struct {
	// Reason is "rejected", "noresource" or "invariant", with which there is no use in a
	// new one; "probation" or "giveup", with which it is asked for later; or another
	// token. "" if none was given (RFC 6665 section 4.1.3).
	Reason     string
	RetryAfter time.Duration // what the notifier said of when to try again; 0 if nothing
}

func (e *TerminatedError) Error() string {
	if e.Reason == "" {
		return "ua: subscription terminated"
	}
	return "ua: subscription terminated: " + e.Reason
}

// maxUnread is how many NOTIFYs of a subscription wait for a reader.
const maxUnread = 16

// told takes a NOTIFY. One that is of no subscription of ours gets 481 (RFC
// 6665 section 4.1.3), which has the notifier forget it.
func (a *Agent) told(tx *dialog.Server, req *sip.Request) {
	event, err := sip.Get[sip.Event](req)
	if err != nil {
		tx.Refuse(err)
		return
	}
	state, err := subscriptionState(req)
	if err != nil {
		tx.Refuse(err)
		return
	}
	n := &Notify{State: strings.Clone(state.State), Request: req}
	if n.Body, err = notifyBody(req); err != nil {
		refuseBody(tx, err)
		return
	}
	if d := tx.Dialog(); d == nil || !a.subs.notify(d, event, state, n) {
		noSubscription(tx)
		return
	}
	tx.Reply(sip.StatusOK)
}

func noSubscription(tx *dialog.Server) {
	tx.Reply(sip.StatusCallDoesNotExist, sip.ReasonPhrase("Subscription Does Not Exist"))
}

// subscriptionState reads the Subscription-State. Some peers of RFC 3265 leave it
// out.
func subscriptionState(req *sip.Request) (sip.SubscriptionState, error) {
	state, err := sip.Get[sip.SubscriptionState](req)
	if err == sip.ErrMissing {
		return sip.SubscriptionState{State: "active"}, nil
	}
	return state, err
}

// notifyBody reads the body of a NOTIFY.
func notifyBody(req *sip.Request) (sip.Body, error) {
	if req.Body() == "" {
		return sip.Body{}, nil
	}
	mediaType, err := sip.MediaType(req)
	if err != nil {
		return sip.Body{}, err
	}
	content, err := sip.Content(req)
	return sip.Body{Type: mediaType.Type + string(mediaType.Params), Content: content}, err
}

// notifies are the NOTIFYs that nobody has read yet. Its owner has the lock.
type notifies struct {
	unread []*Notify
	more   chan struct{} // closed when there is something new; nil: nobody waits
}

// push adds one. When too many wait, the oldest is dropped: the newest says what
// is, and of documents that say what has changed each has a number, so that the
// gap is noticed.
func (q *notifies) push(n *Notify) {
	if len(q.unread) == maxUnread {
		oldest := q.unread[0]
		q.unread[0] = nil
		q.unread = q.unread[1:]
		q.unread[0].Missed += oldest.Missed + 1
		q.unread[0].First = q.unread[0].First || oldest.First
	}
	q.unread = append(q.unread, n)
	q.wake()
}

// pop takes the oldest one, nil if there is none.
func (q *notifies) pop() *Notify {
	if len(q.unread) == 0 {
		return nil
	}
	n := q.unread[0]
	q.unread[0] = nil
	if q.unread = q.unread[1:]; len(q.unread) == 0 {
		q.unread = nil
	}
	return n
}

func (q *notifies) wake() {
	if q.more != nil {
		close(q.more)
		q.more = nil
	}
}

// wait returns a channel that is closed when there is something new.
func (q *notifies) wait() <-chan struct{} {
	if q.more == nil {
		q.more = make(chan struct{})
	}
	return q.more
}
