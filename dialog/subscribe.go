package dialog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// subscribeKey tells a SUBSCRIBE or REFER of ours outside of a dialog from others.
type subscribeKey struct {
	callID string
	tag    string // ours
}

// subscribing is one that NOTIFYs may answer, each from another fork (RFC 6665
// section 4.4.1).
type subscribing struct {
	req     *sip.Request
	contact string
	made    bool
	value   any
	resp    *sip.Response // the last one; nil before
	early   *Dialog       // made before that by a NOTIFY without a Contact; nil: none
	forks   []string      // keys of the tags of those that have made a dialog, which may be over
	expiry  *time.Timer
}

var errSubscribe = errors.New("dialog: a SUBSCRIBE or REFER has a tag in From and none in To")

// Subscribe sends a SUBSCRIBE or REFER outside of a dialog and returns its final
// response. Not that, but the first NOTIFY makes the dialog, which may come before,
// and from each fork that accepts: it is given to Config.OnRequest, with a Dialog
// that is new and whose Value is value. NOTIFYs of forks are taken until 64*T1, 32
// seconds, after the response (timer N of RFC 6665 section 4.1.2.4). When ctx ends,
// or a refusal comes, none are taken any more, but the dialogs that there are stay.
//
// From needs a tag. A Contact is added if there is none.
func (l *Layer) Subscribe(ctx context.Context, req *sip.Request, value any) (*sip.Response, error) {
	if _, _, ok := begins(req); !ok || req.From().Tag() == "" || req.To().Tag() != "" {
		return nil, wrap("subscribe", req, errSubscribe)
	}
	contact, err := sip.Get[sip.Contact](req)
	made := errors.Is(err, sip.ErrMissing)
	if made {
		contact, err = l.ContactFor(ctx, req.From().URI.User, req)
		req = req.With(contact)
	}
	if err != nil {
		return nil, wrap("subscribe", req, err)
	}
	key := subscribeKey{strings.Clone(req.CallID()), tagKey(strings.Clone(req.From().Tag()))}
	ask := &subscribing{req: req, contact: textOf(contact), made: made, value: value}
	forget := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.asking[key] == ask {
			delete(l.asking, key)
		}
	}
	l.mu.Lock()
	switch {
	case l.closed:
		err = transport.ErrClosed
	case l.asking[key] != nil:
		err = errInUse
	default:
		ask.expiry = time.AfterFunc(1<<62, forget)
		l.asking[key] = ask
	}
	l.mu.Unlock()
	if err != nil {
		return nil, wrap("subscribe", req, err)
	}
	var resp *sip.Response
	_, err = l.roundTrip(ctx, req, func(last *sip.Request) uint32 {
		// The dialogs that it makes count from there.
		again := last.With(sip.CSeq{Seq: last.CSeq().Seq + 1, Method: last.Method()})
		l.mu.Lock()
		defer l.mu.Unlock()
		ask.req = again
		return again.CSeq().Seq
	}, func(last *sip.Response) {
		resp = last
		l.mu.Lock()
		ask.resp = last
		d := ask.early
		l.mu.Unlock()
		if d != nil && last.Status().Success() && strings.EqualFold(last.To().Tag(), d.ID().RemoteTag) {
			d.mu.Lock()
			d.d.follow(req, last)
			d.mu.Unlock()
		}
	})
	if err != nil || !resp.Status().Success() {
		ask.expiry.Stop()
		forget()
	} else {
		ask.expiry.Reset(64 * l.tl.Timers().T1)
	}
	if err != nil {
		return resp, wrap("subscribe", req, err)
	}
	return resp, nil
}

// notified returns the dialog that a NOTIFY makes, nil if it answers nothing of ours.
func (l *Layer) notified(notify *sip.Request) *Dialog {
	e, err := sip.Get[sip.Event](notify)
	if err != nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ask := l.asking[subscribeKey{notify.CallID(), tagKey(notify.To().Tag())}]
	if ask == nil || len(ask.forks) == maxForks || slices.Contains(ask.forks, tagKey(notify.From().Tag())) {
		return nil
	}
	event, id, _ := begins(ask.req)
	if e.Package != event || e.ID() != id && !(event == "refer" && e.ID() == "") {
		return nil
	}
	accepted := ask.resp
	if accepted != nil && (!accepted.Status().Success() || !strings.EqualFold(accepted.To().Tag(), notify.From().Tag())) {
		accepted = nil // it is of another fork
	}
	st, err := newNotified(ask.req, notify, accepted)
	if err != nil {
		return nil
	}
	d := &Dialog{l: l, d: st, contact: ask.contact, made: ask.made, value: ask.value}
	sub := d.subscribe(true, event, id) // nobody else has d yet
	sub.most = asks(ask.req)
	if l.addLocked(d) != nil {
		sub.end.Stop()
		return nil
	}
	ask.forks = append(ask.forks, tagKey(st.id.RemoteTag))
	if _, has := notify.Value("Contact"); !has && ask.resp == nil {
		ask.early = d
	}
	return d
}

// accept makes the dialog of a SUBSCRIBE or REFER of the peer.
func (l *Layer) accept(tx *transaction.Server, req *sip.Request) (*Dialog, error) {
	st, err := newCallee(req, tx.Tag())
	if err != nil {
		return nil, err
	}
	own, err := l.calledAt(tx)
	if err != nil {
		return nil, err
	}
	d := &Dialog{l: l, d: st, contact: textOf(own), made: true}
	if err := l.add(d); err != nil {
		return nil, err
	}
	return d, nil
}
