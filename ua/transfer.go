package ua

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// TransferOptions are the options of Transfer and TransferTo; nil will do.
type TransferOptions struct {
	// OnProgress is called for each status that the peer tells of the call that it
	// places: 100, 180, and the final one. nil: nobody is told.
	OnProgress func(sip.Status)
	// Header is what else goes into the REFER.
	Header []sip.Edit
	// Blind asks the peer not to tell what becomes of it, and Transfer returns when
	// it has accepted (RFC 4488). A peer that cannot do that tells nevertheless.
	Blind bool
	// Keep keeps the call when the transfer has worked; else it is hung up then.
	Keep bool
}

// ErrNotAnswered says that a call is not answered yet, and so cannot be transferred to.
var ErrNotAnswered = errors.New("ua: the call is not answered")

// ErrTransfer says that the peer does not tell what became of a transfer.
var ErrTransfer = errors.New("ua: what became of the transfer is not known")

// Transfer has the peer call target in place of this agent (RFC 5589 section 6), and returns
// when that call is answered: then this one is hung up. A *StatusError says that the peer
// refused, or that who it called did; then this call goes on. If the peer does not tell, or no
// more, in the time that it has said it would, an hour at most, the error is ErrTransfer; when
// ctx ends, its error, and when the agent is closed ErrClosed, and the transfer may come about
// all the same. A peer that has had a REFER in this call before has to say which one it tells of
// (RFC 3515 section 2.4.6): else what becomes of this one is not known. A peer that has hung up
// is waited for like any other: it may tell nevertheless.
func (c *Call) Transfer(ctx context.Context, target string, opts *TransferOptions) error {
	uri, err := sip.ParseURI(target)
	if err == nil {
		err = c.transfer(ctx, uri, nil, opts)
	}
	if err != nil {
		return fmt.Errorf("transfer %s to %s: %w", name(c.s.Remote().URI), target, err)
	}
	return nil
}

// TransferTo has the peer of this call talk to that of another one, in place of this agent: the
// call that it places takes the place of the other, which so ends with ErrReplaced or by its
// peer's BYE (RFC 5589 section 7). It is like Transfer otherwise. A call that rings at other's
// peer cannot be taken over (RFC 3891 section 3): the error is ErrNotAnswered.
func (c *Call) TransferTo(ctx context.Context, other *Call, opts *TransferOptions) error {
	if !other.answered.Load() {
		return fmt.Errorf("transfer %s to %s: %w", name(c.s.Remote().URI), name(other.Remote().URI), ErrNotAnswered)
	}
	if err := c.transfer(ctx, other.ReferTo(), other, opts); err != nil {
		return fmt.Errorf("transfer %s to %s: %w", name(c.s.Remote().URI), name(other.Remote().URI), err)
	}
	return nil
}

// Refer asks a peer to call target, where there is no call with the peer (RFC 3515): a telephone
// that is to dial, say. With the ReferTo of a call as its target, the peer takes the place of this
// agent in that call, as a server does that parks it or plays music. Refer returns when the call
// is answered, and its errors are those of Transfer. Keep of opts means nothing.
func (a *Agent) Refer(ctx context.Context, peer, target string, opts *TransferOptions) error {
	var req *sip.Request
	uri, err := sip.ParseURI(target)
	if err == nil {
		req, err = a.newRequest(sip.REFER, peer, a.referring(uri, a.aor, opts)...)
	}
	if err == nil {
		ctx, stop := a.whileOpen(ctx)
		defer stop()
		a.keys.address(req)
		t := a.newTransfer(opts)
		resp, failed := a.refer(ctx, req, t, false)
		err = a.outcome(ctx, t, resp, failed)
	}
	if err != nil {
		return fmt.Errorf("refer %s to %s: %w", peer, target, err)
	}
	return nil
}

// ReferTo returns the URI by which somebody else calls the peer of this call and takes the place
// of this agent: to its Contact if others can reach that, else to its address, where nobody else
// is to take the call for a new one (RFC 5589 section 7.3).
func (c *Call) ReferTo() sip.URI {
	uri := c.s.Target()
	byAddress := !uri.Params.Has("gr") && c.s.Routed()
	if byAddress {
		uri = c.s.Remote().URI
	}
	uri.Headers = ""
	uri = uri.WithHeader("Replaces", string(c.Replaces().AppendValue(nil)))
	if byAddress {
		uri = uri.WithHeader("Require", sip.OptionReplaces)
	}
	return uri
}

// transfer is a REFER of ours whose outcome is waited for.
type transfer struct {
	onProgress func(sip.Status)
	first      bool          // of the REFERs in its call: its NOTIFYs may name none
	grace      time.Duration // timer N: how late a NOTIFY may be (RFC 6665 section 4.1.2.4)
	news       chan struct{} // full: something has come

	mu     sync.Mutex
	id     string       // of the Event; "" before the REFER is answered
	told   []sip.Status // not passed on yet
	status sip.Status   // the last one
	heard  bool         // a NOTIFY has come
	over   bool         // the last one has
	until  time.Time    // when the peer has to have told more; zero: the REFER is not answered yet
}

func (a *Agent) newTransfer(opts *TransferOptions) *transfer {
	t := &transfer{news: make(chan struct{}, 1), grace: 64 * a.l.Transactions().Timers().T1}
	if opts != nil {
		t.onProgress = opts.OnProgress
	}
	return t
}

// referring returns what goes into a REFER by somebody.
func (a *Agent) referring(target, by sip.URI, opts *TransferOptions) []sip.Edit {
	edits := []sip.Edit{sip.ReferTo{URI: target}, sip.ReferredBy{URI: by}, a.supported()}
	if opts == nil {
		return edits
	}
	if opts.Blind {
		edits = append(edits, sip.ReferSub{Subscribe: false})
	}
	return append(edits, opts.Header...)
}

// outcome waits for what becomes of a REFER, once it is answered.
func (a *Agent) outcome(ctx context.Context, t *transfer, resp *sip.Response, err error) error {
	if err := a.result(resp, err); err != nil {
		return err
	}
	if sub, err := sip.Get[sip.ReferSub](resp); err == nil && !sub.Subscribe {
		return nil
	}
	return t.wait(ctx)
}

// maxTold bounds what waits for a slow OnProgress. Those beyond are passed over, but the
// last one is not.
const maxTold = 16

// transfer sends the REFER and waits for its outcome. other is the call that is taken over, nil
// for none: who is in that knows us by what we are called there (RFC 3891 section 3).
func (c *Call) transfer(ctx context.Context, target sip.URI, other *Call, opts *TransferOptions) error {
	ctx, stop := c.a.whileOpen(ctx)
	defer stop()
	by := c.a.aor
	if other != nil {
		by = other.s.Local().URI
	}
	if local := c.s.Local().URI; isAnonymous(local) {
		by = local // else it would say who has called
	}
	t := c.a.newTransfer(opts)
	defer c.a.removeTransfer(c, t)
	defer t.forget(c)
	resp, err := c.refer(ctx, t, c.a.referring(target, by, opts))
	if err := c.a.outcome(ctx, t, resp, err); err != nil {
		return c.whyNot(err)
	}
	if opts == nil || !opts.Keep {
		leave(c.s)
	}
	return nil
}

// forget says that NOTIFYs of the REFER, should any come, tell nobody anything.
func (t *transfer) forget(c *Call) {
	t.mu.Lock()
	id := t.id
	t.mu.Unlock()
	if id != "" {
		c.s.Forget(sip.Event{Package: "refer", Params: sip.Params(";id=" + id)})
	}
}

// refer sends the REFER: within the call, or to a peer that has a GRUU, and has said that it
// knows Target-Dialog, outside of it, as RFC 7647 section 4 wants it. Linphone has the first
// alone, and declines what comes outside.
func (c *Call) refer(ctx context.Context, t *transfer, edits []sip.Edit) (*sip.Response, error) {
	target := c.s.Target()
	if !target.Params.Has("gr") || !c.tdialog.Load() {
		return c.referWithin(ctx, t, edits)
	}
	private := isAnonymous(c.s.Local().URI)
	if private {
		edits = append(anonymous(), edits...)
	}
	id := c.s.ID()
	req, err := c.a.newRequest(sip.REFER, target.String(), append(edits, sip.TargetDialog{
		CallID: sip.CallID(id.CallID), LocalTag: named(id.RemoteTag), RemoteTag: id.LocalTag,
	}, sip.Require{sip.OptionTDialog})...) // RFC 4538 section 3
	if err != nil {
		return nil, err
	}
	if private {
		req = keepID(req)
	}
	return c.a.refer(ctx, req, t, private)
}

// referWithin sends a REFER within the call: one after the other, because before it is answered
// nobody knows the number that its NOTIFYs have.
func (c *Call) referWithin(ctx context.Context, t *transfer, edits []sip.Edit) (*sip.Response, error) {
	answered, err := c.a.refers.take(ctx, c)
	if err != nil {
		return nil, cause(ctx)
	}
	defer answered()
	t.first = !c.referred.Load()
	c.a.addTransfer(c, t)
	resp, err := c.s.Do(ctx, sip.REFER, edits...)
	if resp == nil || resp.Status().Success() {
		c.referred.Store(true) // NOTIFYs of it may come
	}
	if resp != nil {
		t.known(resp)
	}
	if err != nil && ctx.Err() != nil {
		err = cause(ctx) // and not that Shutdown has hung up
	}
	return resp, err
}

// refer sends a REFER outside of any dialog.
func (a *Agent) refer(ctx context.Context, req *sip.Request, t *transfer, private bool) (resp *sip.Response, err error) {
	a.along(ctx, req, func(ctx context.Context, req *sip.Request) error {
		var contact sip.Contact
		if contact, _, err = a.contactFor(ctx, req, private); err != nil {
			return err
		}
		resp, err = a.l.Subscribe(ctx, req.With(contact), t)
		return a.result(resp, err)
	})
	if resp != nil {
		t.known(resp)
	}
	return resp, err
}

// known takes the response to the REFER, with the number that its NOTIFYs have. The first of
// them is to come soon.
func (t *transfer) known(resp *sip.Response) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id = fmt.Sprint(resp.CSeq().Seq)
	if !t.heard {
		t.until = time.Now().Add(t.grace)
	}
}

// wait waits for the outcome, as long as the peer says that it will tell, and tells how it gets
// on: here, where a panic of the program's belongs, and where one waits for the one before.
func (t *transfer) wait(ctx context.Context) error {
	for {
		t.mu.Lock()
		told, status, over, until := t.told, t.status, t.over, t.until
		t.told = nil
		t.mu.Unlock()
		for _, s := range told {
			if t.onProgress != nil {
				t.onProgress(s)
			}
		}
		if len(told) > 0 {
			continue // which may have taken its time
		}
		switch {
		case status.Success():
			return nil
		case status.Final():
			return &StatusError{Status: status, Reason: status.Text()}
		case over, !until.IsZero() && !time.Now().Before(until):
			return ErrTransfer
		case ctx.Err() != nil:
			return cause(ctx)
		}
		var late <-chan time.Time
		if !until.IsZero() {
			late = time.After(time.Until(until))
		}
		select {
		case <-t.news:
		case <-late:
		case <-ctx.Done():
		}
	}
}

// is reports whether a NOTIFY with an id in its Event is of this REFER. Those of the first one
// in a call may have none (RFC 3515 section 2.4.6), and those that overtake the answer to the
// REFER have one that is not known yet. A peer that never sends one tells of the first alone:
// taking its word on a later one could mean to hang up for an older one that has worked.
func (t *transfer) is(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id == "" {
		return t.first
	}
	return t.id == "" || t.id == id
}

// notified takes a NOTIFY of event refer and reports whether it is of a REFER of ours.
func (a *Agent) notified(tx *dialog.Server, req *sip.Request, event sip.Event) bool {
	d := tx.Dialog()
	if d == nil {
		return false
	}
	t, ok := d.Value().(*transfer)
	if c, inCall := d.Value().(*Call); inCall {
		t = a.transferOf(c, event.ID())
		ok = t != nil
	}
	if !ok {
		return false
	}
	status, err := sipfrag(req)
	if err != nil {
		tx.Refuse(err)
		return true
	}
	state, _ := sip.Get[sip.SubscriptionState](req)
	t.take(status, state) // before the answer, upon which the next one may come
	tx.Reply(sip.StatusOK)
	select {
	case t.news <- struct{}{}:
	default:
	}
	return true
}

// sipfrag returns the status in a NOTIFY, 0 if it has no body.
func sipfrag(req *sip.Request) (sip.Status, error) {
	if req.Body() == "" {
		return 0, nil
	}
	body, err := sip.FindBody(req, "message/sipfrag", "session")
	if err != nil {
		body.Content = req.Body() // whatever it is called
	}
	// The first line says it. That of baresip 1.0 ends with LF alone.
	line, _, _ := strings.Cut(body.Content, "\n")
	f, err := sip.ParseFragment(strings.TrimSuffix(line, "\r"))
	if err != nil {
		return 0, err
	}
	return f.Status(), nil
}

// take takes what the peer tells, and for how long it will go on to.
func (t *transfer) take(status sip.Status, state sip.SubscriptionState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	if status != 0 && status != t.status {
		t.status = status
		if len(t.told) == maxTold {
			t.told = t.told[:maxTold-1]
		}
		t.told = append(t.told, status)
	}
	t.over = state.State == "terminated" || status.Final()
	// No longer than the dialog keeps the subscription: NOTIFYs get 481 after that.
	life := longestRefer
	seconds, said := state.Expires()
	if said {
		life = min(life, time.Duration(seconds)*time.Second)
	}
	if said || !t.heard {
		t.until = time.Now().Add(life + t.grace)
	}
	t.heard = true
}

func (a *Agent) addTransfer(c *Call, t *transfer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.transfers[c] = append(a.transfers[c], t)
}

func (a *Agent) removeTransfer(c *Call, t *transfer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var others []*transfer
	for _, other := range a.transfers[c] {
		if other != t {
			others = append(others, other)
		}
	}
	if a.transfers[c] = others; others == nil {
		delete(a.transfers, c)
	}
}

// transferOf returns the REFER of ours that a NOTIFY is of, nil for none.
func (a *Agent) transferOf(c *Call, id string) *transfer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.transfers[c] {
		if t.is(id) {
			return t
		}
	}
	return nil
}
