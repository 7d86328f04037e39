package ua

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// PublishOptions are the options of Publish; nil will do.
type PublishOptions struct {
	// Target is the URI of the resource whose state is published; "" means the
	// agent's address of record.
	Target string
	// Expires is how long the server is asked to keep the state between
	// refreshes, in whole seconds; 0 means one hour. The server may shorten it.
	Expires time.Duration
	// OnError is told of a refresh that failed. It is tried again, after a time
	// that grows to half an hour, and not before the server's Retry-After. A
	// panic is logged. nil: the agent's Logger is told.
	OnError func(error)
}

// Publication is state of an event package that is published, and kept so until
// it is closed (RFC 3903). Its methods may be called from any goroutine.
type Publication struct {
	a       *Agent
	target  sip.URI
	event   sip.Event
	tag     string
	callID  string
	onError func(error)

	// Who has the turn of the target may use what follows.
	seq     uint32
	etag    sip.SIPETag   // of our state at the server; "" if there is none that we know of
	body    sip.Body      // that state
	expires time.Duration // asked for

	mu       sync.Mutex
	timer    *time.Timer
	due      time.Time // when the timer rings
	failures int       // in a row
	closed   bool

	gone chan struct{} // closed when the state is removed, or could not be
	err  error         // of that; set before gone is closed
}

// errNotKept is what a 2xx means that gives a state no time.
var errNotKept = errors.New("ua: the server granted the state no time")

var errNothingToSay = errors.New("ua: no state to publish") // RFC 3903 section 4.2

// Publish publishes the state of an event package, such as "presence" with a
// body of application/pidf+xml, and keeps it refreshed until the Publication or
// the agent is closed (RFC 3903). It returns when the server has accepted. A
// refusal is a *StatusError: 489 if the server does not have the package, 415 if
// it does not take the type of the body. ErrPassword says that it was because of
// the password.
//
// When ctx ends before the server has answered, what it has accepted all the
// same is removed in the background.
func (a *Agent) Publish(ctx context.Context, event string, body sip.Body, opts *PublishOptions) (*Publication, error) {
	p, err := a.newPublication(event, opts)
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", event, err)
	}
	if err := p.publish(ctx, body); err != nil {
		a.background(p.remove) // ends with the transactions; if Shutdown has begun, it sees to this
		return nil, fmt.Errorf("publish %s of %s: %w", event, p.target, err)
	}
	return p, nil
}

func (a *Agent) newPublication(event string, opts *PublishOptions) (*Publication, error) {
	if opts == nil {
		opts = &PublishOptions{}
	}
	p := &Publication{
		a: a, target: a.aor, event: sip.Event{Package: event}, tag: rand.Text(), callID: rand.Text(),
		expires: askedFor(opts.Expires), onError: opts.OnError, gone: make(chan struct{}),
	}
	if opts.Target != "" {
		req, err := a.newRequest(sip.PUBLISH, opts.Target)
		if err != nil {
			return nil, err
		}
		p.target = req.URI().Clone()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed != nil {
		return nil, ErrClosed
	}
	if a.pubs == nil {
		a.pubs = map[*Publication]struct{}{}
	}
	a.pubs[p] = struct{}{}
	return p, nil
}

// Update replaces the published state. A refusal is a *StatusError, and leaves
// the state as it was; after Close the error is ErrClosed. When ctx ends before the server has answered, Update
// returns with its error, and the state may still be replaced.
func (p *Publication) Update(ctx context.Context, body sip.Body) error {
	err := p.publish(ctx, body)
	if err != nil {
		return fmt.Errorf("update %s of %s: %w", p.event.Package, p.target, err)
	}
	return nil
}

// publish has a body published in a goroutine of its own, and waits for that or
// for the end of ctx: without the entity-tag in the response, which must not be
// missed, the state can be neither changed nor removed.
func (p *Publication) publish(ctx context.Context, body sip.Body) error {
	switch {
	case ctx.Err() != nil:
		return cause(ctx)
	case body.Content == "":
		return errNothingToSay
	}
	ctx, stop := p.a.whileOpen(ctx)
	defer stop()
	t, err := p.a.begin(func() error { return p.run(ctx, body) }) // ends with its transactions
	if err != nil {
		return err
	}
	return t.wait(ctx)
}

// run publishes a body, or refreshes the state if that is empty, when it is its
// turn: no PUBLISH for the same Request-URI may go out before the one before is
// answered (RFC 3903 section 4). The end of ctx ends the waiting for that, and
// nothing after it.
func (p *Publication) run(ctx context.Context, body sip.Body) error {
	done, err := p.a.publishing.take(ctx, p.target.String())
	if err != nil {
		return cause(ctx)
	}
	defer done()
	switch closed, due := p.state(); {
	case closed:
		return ErrClosed
	case body.Content == "" && !due:
		return nil // what went before has refreshed it, too
	}
	granted, err := p.send(body)
	if err != nil {
		if after, _ := retryAfter(err); after > 0 && body.Content != "" {
			p.postpone(after)
		}
		return err
	}
	p.mu.Lock()
	p.failures = 0
	p.mu.Unlock()
	p.schedule(max(refreshIn(granted), leastRefresh(p.expires)))
	return nil
}

// send publishes a body, or refreshes the state if that is empty, and returns
// how long the server keeps it.
func (p *Publication) send(body sip.Body) (time.Duration, error) {
	whole := body
	if body.Content == "" {
		whole = p.body
	}
	match, brief, again := p.etag, false, false
	for {
		said := body
		if match == "" {
			said = whole
		}
		resp, err := p.roundTrip(match, said, p.expires)
		switch {
		case err != nil:
		case resp.Status() == sip.StatusIntervalTooBrief && !brief:
			// The server wants it longer, and says how long (RFC 3903 section 5).
			if least, err := sip.Get[sip.MinExpires](resp); err == nil && seconds(uint32(least)) > p.expires {
				p.expires, brief = seconds(uint32(least)), true
				continue
			}
		case match != "" && resp.Status() == sip.StatusConditionalFailed:
			p.etag = "" // which must not be used again
			match = ""
			continue
		case match != "" && unknown(resp) && again:
			match = "" // p.etag may still be good, should this fail, too
			continue
		case match != "" && unknown(resp):
			select {
			case <-time.After(unknownTime):
				again = true
				continue
			case <-p.a.ctx.Done():
			}
		}
		if err := p.a.result(resp, err); err != nil {
			return 0, err
		}
		granted := p.expires
		if e, err := sip.Get[sip.Expires](resp); err == nil {
			granted = min(granted, seconds(uint32(e))) // never more (RFC 3903 section 4.2)
		}
		if granted == 0 {
			p.etag = ""
			return 0, errNotKept
		}
		etag, _ := sip.Get[sip.SIPETag](resp) // without one, the next refresh begins anew
		p.etag, p.body = sip.SIPETag(strings.Clone(string(etag))), whole
		return granted, nil
	}
}

// unknown reports whether a conditional PUBLISH may have failed because the
// server does not have that state any more: Kamailio 5.6.3 has been seen to say
// 500 where it is to say 412. Not so if it says when to come back. It may have failed
// for any other reason as well, after which a second state would be one too many: so
// it counts when it is said again unknownTime later.
func unknown(resp *sip.Response) bool {
	_, err := sip.Get[sip.RetryAfter](resp)
	return resp.Status() == sip.StatusServerInternalError && errors.Is(err, sip.ErrMissing)
}

const unknownTime = 5 * time.Second

// roundTrip sends a PUBLISH and returns its final response. There is no Contact:
// it would mean nothing (RFC 3903 section 4).
func (p *Publication) roundTrip(match sip.SIPETag, body sip.Body, expires time.Duration) (resp *sip.Response, err error) {
	edits := []sip.Edit{sip.List(p.a.ways()[0].route...), p.event, sip.Expires(expires / time.Second)}
	if match != "" {
		edits = append(edits, sip.SIPIfMatch(match))
	}
	if body.Content != "" {
		edits = append(edits, body)
	}
	req := p.a.requestTo(sip.PUBLISH, p.target, sip.To{URI: p.target}, p.tag, p.callID, p.seq, edits...)
	if err := req.Err(); err != nil {
		return nil, err
	}
	p.a.keys.address(req)
	p.a.along(p.a.servers.watch(context.Background()), req, func(ctx context.Context, req *sip.Request) error { // ends with the transactions
		p.seq++
		resp, err = p.a.l.Do(ctx, req.With(sip.CSeq{Seq: p.seq, Method: sip.PUBLISH}))
		p.seq = usedUp(p.seq, resp)
		return p.a.result(resp, err)
	})
	return resp, err
}

// Close removes the published state. It waits for the answer, but no longer than
// 2 seconds, which is transaction.ErrTimeout; what takes longer goes on in the
// background. Later calls wait for the same.
func (p *Publication) Close() error {
	p.a.background(p.remove) // ends with the transactions; if Shutdown has begun, it sees to this
	select {
	case <-p.gone:
		return p.err
	case <-time.After(closeTime):
		return fmt.Errorf("unpublish %s of %s: %w", p.event.Package, p.target, transaction.ErrTimeout)
	}
}

// remove removes the state at the server, once, when the PUBLISH before it is
// answered.
func (p *Publication) remove() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	defer close(p.gone)
	defer p.forget()
	done, err := p.a.publishing.take(context.Background(), p.target.String())
	if err != nil {
		return // never: its context does not end
	}
	defer done()
	if p.etag == "" {
		return
	}
	resp, err := p.roundTrip(p.etag, sip.Body{}, 0) // RFC 3903 section 4.5
	err = p.a.result(resp, err)
	if err != nil && !errors.Is(err, sip.StatusConditionalFailed) { // which says that it has gone already
		p.err = fmt.Errorf("unpublish %s of %s: %w", p.event.Package, p.target, err)
	}
}

func (p *Publication) forget() {
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	delete(p.a.pubs, p)
}

// state reports whether the publication was closed, and whether it is time for a
// refresh.
func (p *Publication) state() (closed, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed, !time.Now().Before(p.due)
}

func (p *Publication) schedule(in time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.due = time.Now().Add(in)
	// The timer's goroutine ends with the transactions.
	p.timer = time.AfterFunc(in, p.refresh)
}

// postpone sees to it that no refresh comes in this time.
func (p *Publication) postpone(in time.Duration) {
	p.mu.Lock()
	sooner := p.timer != nil && time.Until(p.due) < in
	p.mu.Unlock()
	if sooner {
		p.schedule(in)
	}
}

func (p *Publication) refresh() {
	err := p.run(context.Background(), sip.Body{})
	if closed, _ := p.state(); err == nil || closed {
		return
	}
	p.mu.Lock()
	p.failures++
	again := retryIn(p.failures-1, 30*time.Second)
	p.mu.Unlock()
	if after, ok := retryAfter(err); ok {
		again = max(again, after)
	}
	err = fmt.Errorf("refresh %s of %s: %w", p.event.Package, p.target, err)
	if p.onError != nil {
		p.a.tell(p.onError, err)
	} else {
		p.a.log.Warn("publication not refreshed", "error", err, "again", again)
	}
	p.schedule(again)
}
