package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Referral is the wish of somebody that this agent should make a request (RFC 3515):
// call somebody else, mostly, instead of them. One of Invite, Accept and Reject decides.
// Its methods may be called from any goroutine.
type Referral struct {
	a    *Agent
	tx   *dialog.Server
	req  *sip.Request
	to   sip.ReferTo
	call *Call
	user string
	from sip.Address

	mu      sync.Mutex
	decided bool
	d       *dialog.Dialog // in which NOTIFYs go; nil: nobody wants any
	event   sip.Event
	status  sip.Status  // what is to be told, or was
	told    sip.Status  // with the last NOTIFY
	due     bool        // a NOTIFY is wanted, whatever there is to tell
	reason  string      // why the next one is the last; "" if it is not, but for a final status
	until   time.Time   // for how long they are wanted: then the last one is sent
	most    time.Time   // for how long they can be
	timer   *time.Timer // sends the next one
	sending bool
	ended   bool      // the last one was sent, or could not be
	again   time.Time // before it the next one does not go out unless it is urgent
	refused int       // how many in a row were: then none is urgent
	moved   bool      // the next one is to say where we are now
}

// Request returns the REFER.
func (r *Referral) Request() *sip.Request { return r.req }

// Call returns the call that the REFER belongs to: that it came in, or that its
// Target-Dialog names (RFC 4538). It is nil if there is none.
func (r *Referral) Call() *Call { return r.call }

// User returns who has proved to have sent it, as that of an Invitation does. Within a
// dialog that is who has proved to have begun it; "" if it was us.
func (r *Referral) User() string { return r.user }

// Target returns whom to contact. Its URI may be of any scheme.
func (r *Referral) Target() sip.Address { return sip.Address(r.to) }

// Method returns the method of the request that is wanted, sip.INVITE mostly.
func (r *Referral) Method() sip.Method {
	method, _, _ := r.to.URI.Requested()
	return method
}

// From returns who says that they want it: Referred-By, or else From, within a dialog
// that of its peer.
func (r *Referral) From() sip.Address {
	if by, err := sip.Get[sip.ReferredBy](r.req); err == nil {
		return sip.Address(by)
	}
	return r.from
}

const (
	// referTime is how long who refers hears of it, unless a SUBSCRIBE asks for longer.
	referTime = 5 * time.Minute
	// longestRefer bounds what a peer can have kept by one SUBSCRIBE after the other, and how
	// long one is waited for who says nothing of a REFER of ours: so the dialog does.
	longestRefer = time.Hour
)

// referred takes a REFER.
func (a *Agent) referred(tx *dialog.Server, req *sip.Request, call *Call, user string) {
	if a.isClosed() {
		tx.Reply(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 5})
		return
	}
	to, err := only[sip.ReferTo](req)
	switch {
	case err == nil && to == nil:
		err = &sip.SyntaxError{Where: "Refer-To", Msg: "there is none", Status: sip.StatusBadRequest}
		fallthrough
	case err != nil:
		tx.Refuse(err)
		return
	}
	if target, err := sip.Get[sip.TargetDialog](req); err == nil && call == nil && target.RemoteTag != "" {
		// One that fits none, or has not both tags, is ignored (RFC 4538 section 4).
		call, _ = a.callByID(idOf(target.CallID, target.LocalTag, target.RemoteTag))
	}
	r := &Referral{a: a, tx: tx, req: req, to: *to, call: call, user: user, from: sender(tx, req), status: sip.StatusTrying}
	r.to = sip.ReferTo(sip.Address(r.to).Clone())
	ctx, stop := a.whileOpen(tx.Context())
	defer stop()
	returned := false
	defer func() {
		switch {
		case r.decide() && returned:
			tx.Reply(sip.StatusDecline)
		case !returned:
			r.Report(sip.StatusServerInternalError)
		}
	}()
	a.cfg.OnRefer(ctx, r)
	returned = true
}

// decide reports whether the caller is the one to accept or reject.
func (r *Referral) decide() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.decided
	r.decided = true
	return first
}

// Reject refuses with a status of 300 to 699. A REFER that OnRefer leaves without a
// decision gets 603.
func (r *Referral) Reject(status sip.Status, edits ...sip.Edit) error {
	err := error(transaction.ErrCompleted)
	switch {
	case status < 300 || status > 699:
		err = fmt.Errorf("ua: status %d is no refusal", status)
	case r.decide():
		err = r.tx.Reply(status, edits...)
	}
	if err != nil {
		return fmt.Errorf("reject referral to %s: %w", r.to.URI, err)
	}
	return nil
}

// Accept accepts: who has sent the REFER is told so, and that what it wants is being
// tried (100). The program then does it, and tells what has come of it with Report. The error is
// ErrClosed if Shutdown has begun, and the REFER gets 503.
func (r *Referral) Accept() error {
	if err := r.accept(); err != nil {
		return fmt.Errorf("accept referral to %s: %w", r.to.URI, err)
	}
	return nil
}

func (r *Referral) accept() error {
	if !r.decide() {
		return transaction.ErrCompleted
	}
	t, err := r.a.begin(r.take) // ends when the response is sent, or the last NOTIFY of an agent that is closed
	if err != nil {
		r.tx.Reply(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 5})
		return err
	}
	return t.wait(context.Background())
}

// take sends the 200, and has r told of.
func (r *Referral) take() error {
	// RFC 4488: nobody is told if nobody wants to know.
	if sub, err := sip.Get[sip.ReferSub](r.req); err == nil && !sub.Subscribe {
		return r.tx.Reply(sip.StatusOK, sip.ReferSub{Subscribe: false}, r.a.supported())
	}
	d, err := acceptFrom(r.tx, r.user, sip.StatusOK, r.a.supported()) // no 202 any more: RFC 7647 section 5
	if err != nil {
		r.tx.Refuse(err) // no Contact, say; if it was answered, nothing
		return err
	}
	now := time.Now()
	r.mu.Lock()
	r.d = d
	r.event = sip.Event{Package: "refer", Params: sip.Params(";id=" + strconv.FormatUint(uint64(r.req.CSeq().Seq), 10))}
	r.until, r.most = now.Add(referTime), now.Add(longestRefer)
	r.timer = time.AfterFunc(referTime, r.send)
	r.mu.Unlock()
	if !r.a.addReferral(r) {
		r.dismiss(r.a.parting)
		return ErrClosed
	}
	r.send()
	return nil
}

// Report tells who has sent the REFER what has come of it so far, by the status of the
// response: a final one is the end. Provisional ones are told no more than one a second. The
// end is also 5 minutes after the REFER was accepted, unless they ask for longer, an hour at most,
// and then they are told the last one.
func (r *Referral) Report(status sip.Status) {
	r.mu.Lock()
	if r.d == nil || r.status.Final() {
		r.mu.Unlock()
		return
	}
	r.status = status
	r.mu.Unlock()
	r.send()
}

// Invite accepts, and places the call that is wanted, of which who has sent the REFER is
// told how it gets on. The INVITE says by whom it was wanted, with the proof that the REFER may
// have of that, and takes the place of the call that the REFER names, if it does. Of the header
// fields in the URI of Target it has those that Requested of a sip.URI holds harmless; one that
// requires an extension that this agent does not know is not sent, and 420 is what is told. If
// Call is an anonymous one of this agent's, so is this one. Beyond our own servers it has none
// of Config.Credentials. It is like Invite of the Agent otherwise; the call that the REFER came
// in goes on until one side hangs it up, which is mostly the other.
func (r *Referral) Invite(ctx context.Context, opts *InviteOptions) (*Call, error) {
	var o InviteOptions
	if opts != nil {
		o = *opts
	}
	if err := r.Accept(); err != nil {
		r.a.closeAll(o.Streams)
		return nil, err
	}
	edits, status, err := r.wanted()
	if err != nil {
		r.Report(status)
		r.a.closeAll(o.Streams)
		return nil, fmt.Errorf("referral to %s: %w", r.to.URI, err)
	}
	if by, err := sip.Get[sip.ReferredBy](r.req); err == nil {
		edits = append(edits, by)
		if token := r.token(by); token != nil {
			o.Parts = append([]*sip.Part{token}, o.Parts...)
		}
	}
	o.Header = append(edits, o.Header...)
	o.referred = true
	// A peer that is not to know who we are could have us call somebody who tells it.
	o.Anonymous = o.Anonymous || r.call != nil && isAnonymous(r.call.s.Local().URI)
	tell := o.OnProvisional
	o.OnProvisional = func(c *Call, resp *sip.Response) {
		r.Report(resp.Status())
		if tell != nil {
			tell(c, resp)
		}
	}
	status = sip.StatusServerInternalError // for a panic
	defer func() { r.Report(status) }()
	target := r.to.URI
	target.Headers, target.Params = "", target.Params.Without("method")
	call, err := r.a.Invite(ctx, target.String(), &o)
	var refused *StatusError
	switch {
	case err == nil:
		status = sip.StatusOK
	case errors.As(err, &refused):
		status = refused.Status
	case errors.Is(err, transaction.ErrTimeout):
		status = sip.StatusRequestTimeout
	case ctx.Err() != nil:
		status = sip.StatusRequestTerminated
	default:
		status = sip.StatusServiceUnavailable // RFC 3261 section 8.1.3.1
	}
	return call, err
}

// wanted returns what the URI of Refer-To has the INVITE say. If it asks for what this agent
// cannot do the request is not made (RFC 3261 section 19.1.5), and status says why. What the
// session is to be is for our streams to say, not for a stranger.
func (r *Referral) wanted() (edits []sip.Edit, status sip.Status, err error) {
	method, edits, _ := r.to.URI.Requested()
	if method != sip.INVITE {
		return nil, sip.StatusNotImplemented, fmt.Errorf("a %s is wanted", method)
	}
	edits = slices.DeleteFunc(edits, func(e sip.Edit) bool { _, body := e.(sip.Body); return body })
	require, err := sip.Get[sip.Require](sip.NewRequest(method, r.to.URI, edits...))
	switch {
	case errors.Is(err, sip.ErrMissing):
		return edits, 0, nil
	case err != nil:
		return nil, sip.StatusBadRequest, err
	}
	if unknown := r.a.unknown(require); len(unknown) > 0 {
		return nil, sip.StatusBadExtension, fmt.Errorf("an INVITE is wanted that requires %v", unknown)
	}
	return edits, 0, nil
}

// token returns the part of the REFER that proves who has sent it, which is passed on as it is
// (RFC 3892 section 2.2). It is nil if there is none.
func (r *Referral) token(by sip.ReferredBy) *sip.Part {
	cid, ok := sip.Address(by).Params.Get("cid")
	if !ok {
		return nil
	}
	e, _ := sip.FindID(r.req, cid)
	token, _ := e.(*sip.Part)
	return token
}

// referInterval is how often NOTIFYs go out at most (RFC 3515 section 3.10).
const referInterval = time.Second

// send has the NOTIFYs sent that are due, one after the other, or sets the timer.
func (r *Referral) send() {
	r.mu.Lock()
	if r.sending || r.ended || r.d == nil {
		r.mu.Unlock()
		return
	}
	wait := time.Until(r.next())
	r.sending = wait <= 0
	if !r.sending {
		r.timer.Reset(wait)
	}
	r.mu.Unlock()
	if wait <= 0 {
		r.a.background(r.notify) // ends with the transaction; a closed agent dismisses
	}
}

// next returns when a NOTIFY is due: at the latest when the time is over that was told (RFC 6665
// section 4.2.1.4). It is called with r.mu held.
func (r *Referral) next() time.Time {
	urgent := r.due || r.status.Final()
	switch {
	case urgent && r.refused == 0:
		return time.Time{}
	case (urgent || r.told != r.status) && r.again.Before(r.until):
		return r.again
	}
	return r.until
}

func (r *Referral) notify() {
	r.relocate()
	r.mu.Lock()
	d, event, status, state := r.d, r.event, r.status, r.state()
	r.due = false
	r.mu.Unlock()
	resp, err := r.tell(r.a.ctx, d, event, state, status)
	r.mu.Lock()
	r.sending = false
	switch closing := err != nil && r.a.ctx.Err() != nil; {
	case closing: // dismiss tells it
	case state.State == "terminated", errors.Is(err, transaction.ErrTimeout), errors.Is(err, transport.ErrClosed), errors.Is(err, dialog.ErrEnded),
		err == nil && dialog.EndsSubscription(sip.NOTIFY, resp.Status()):
		r.ended = true
	case err == nil && resp.Status().Success():
		r.told, r.again, r.refused = status, time.Now().Add(referInterval), 0
	default: // it lasts, and hears of it later (RFC 6665 section 4.2.2)
		var after sip.RetryAfter
		if err == nil {
			after, _ = sip.Get[sip.RetryAfter](resp)
		}
		r.due = true
		r.refused++
		r.again = time.Now().Add(max(resubscribeIn(r.refused), seconds(after.Seconds)))
	}
	over := r.ended
	if over {
		r.timer.Stop()
	}
	r.mu.Unlock()
	if over {
		r.a.removeReferral(r)
		return
	}
	r.send()
}

// dismiss sends the last NOTIFY of an agent that is closed. It ends with the transaction, or ctx.
func (r *Referral) dismiss(ctx context.Context) {
	r.mu.Lock()
	ended := r.ended
	r.ended, r.reason = true, "noresource"
	r.timer.Stop()
	d, event, status, state := r.d, r.event, r.status, r.state()
	r.mu.Unlock()
	if !ended {
		r.tell(ctx, d, event, state, status)
	}
}

// state returns what the next NOTIFY says of the subscription. It is called with r.mu held.
func (r *Referral) state() sip.SubscriptionState {
	life := time.Until(r.until)
	reason := r.reason
	switch {
	case r.status.Final():
		reason = "noresource"
	case reason == "" && life <= 0:
		reason = "timeout"
	}
	if reason != "" {
		return sip.SubscriptionState{State: "terminated", Params: sip.Params(";reason=" + reason)}
	}
	seconds := int((life + time.Second - 1) / time.Second)
	return sip.SubscriptionState{State: "active", Params: sip.Params(";expires=" + strconv.Itoa(seconds))}
}

// tell sends one NOTIFY (RFC 3515 section 2.4.5).
func (r *Referral) tell(ctx context.Context, d *dialog.Dialog, event sip.Event, state sip.SubscriptionState, status sip.Status) (*sip.Response, error) {
	body := sip.Body{Type: "message/sipfrag;version=2.0", Content: "SIP/2.0 " + strconv.Itoa(int(status)) + " " + status.Text() + "\r\n"}
	return d.Do(ctx, sip.NOTIFY, event, state, body)
}

// addReferral makes one known that is told of, unless the agent was closed.
func (a *Agent) addReferral(r *Referral) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed != nil {
		return false
	}
	a.referrals = append(a.referrals, r)
	return true
}

func (a *Agent) removeReferral(r *Referral) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.referrals = slices.DeleteFunc(a.referrals, func(other *Referral) bool { return other == r })
}

// resubscribed takes a SUBSCRIBE to what became of a REFER: who has sent that wants to hear
// of it for longer, or no more (RFC 3515 section 2.4.4).
func (a *Agent) resubscribed(tx *dialog.Server, req *sip.Request) {
	event, err := sip.Get[sip.Event](req)
	if err != nil {
		tx.Refuse(err)
		return
	}
	expires := sip.Expires(referTime / time.Second)
	if asked, err := sip.Get[sip.Expires](req); err == nil {
		expires = min(expires, asked)
	}
	var found *Referral
	a.mu.Lock()
	for _, r := range a.referrals {
		if r.d == tx.Dialog() && r.d != nil && (event.ID() == "" || event.ID() == r.event.ID()) {
			found = r
			break
		}
	}
	a.mu.Unlock()
	if found == nil {
		tx.Reply(sip.StatusForbidden)
		return
	}
	now := time.Now()
	expires = min(expires, sip.Expires(max(found.most.Sub(now), 0)/time.Second))
	tx.Reply(sip.StatusOK, expires)
	found.mu.Lock()
	found.due, found.refused = true, 0 // at once, whatever was refused before
	found.reason, found.until = "", now.Add(time.Duration(expires)*time.Second)
	if expires == 0 {
		found.reason = "timeout"
	}
	found.mu.Unlock()
	found.send()
}
