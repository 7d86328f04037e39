package dialog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Authorizer answers the challenges of 401 and 407 responses (RFC 3261 section
// 22). digest.Client is one.
type Authorizer interface {
	// Prepare returns the request with credentials that are known to be asked
	// for, or as it is. An ACK for a 2xx that has the credentials of its INVITE may go
	// elsewhere than that did; it comes back without those that are not to be seen there.
	Prepare(req *sip.Request) *sip.Request
	// Authorize returns the request with credentials for the challenges in the
	// response. An error says why there are none, and ends the attempt.
	Authorize(req *sip.Request, resp *sip.Response) (*sip.Request, error)
}

// Config holds the options of a Layer.
type Config struct {
	// OnInvite is called for each INVITE that arrives, and may take its time. One
	// that waits for something else than its context or what the Invitation does
	// may keep a UDP socket waiting for a moment, as the Handler of
	// transaction.Config says. Its context ends when the peer gives up, with the cause: for CANCEL
	// transaction.ErrCancelled, for BYE ErrBye, for the end of the time that
	// the INVITE names ErrExpired; and when the call is refused because nobody sent
	// a PRACK, ErrNoPRACK, or by Bye, ErrEnded. Within a call, Session of
	// the Invitation says which one is to be changed. It may return as soon as
	// Accept or Start has: a call that is up needs no goroutine. An INVITE that is
	// neither accepted nor rejected when it returns gets 480. nil refuses
	// every INVITE with 405.
	OnInvite func(ctx context.Context, in *Invitation)

	// OnRequest is called for any other request, but ACK and BYE: Dialog of tx
	// is what it belongs to, nil if it is outside of a dialog. A PRACK comes here
	// only if it is for the response that waits for one, and not for one that the Layer
	// repeats by itself, unless it has an offer, an UPDATE with an offer
	// only while no other one is open, and a NOTIFY within a dialog only if it is of
	// a subscription of ours; one that makes its dialog answers Subscribe. nil accepts
	// PRACK, and an UPDATE without an offer, with 200 and refuses all else with 405, but
	// an offer in an UPDATE with 488.
	OnRequest func(tx *Server, req *sip.Request)

	// Auth answers challenges; nil takes them as refusals.
	Auth Authorizer

	// SessionTimer has calls refreshed and ended when that stops (RFC 4028): INVITE
	// and UPDATE and the 2xx to them say so by themselves, unless the program has
	// put a Session-Expires into them, and too short intervals are refused with
	// 422. Relayed leaves out what a peer says of its own, for each leg of a call has a
	// timer then. nil adds nothing, and refreshes nothing: a program that passes on what
	// two others agree on has its calls end by it nevertheless.
	SessionTimer *SessionTimer

	// OnEnd is called once for each call that was answered and is over, when
	// its Done is closed: by Close of those that it cuts off, and else in a goroutine
	// of its own, for which neither Close nor Shutdown waits. So it may call them. A
	// panic in it is logged, and nothing else. nil: nobody is told.
	OnEnd func(s *Session)

	// Restore is called by Listen once the sockets are bound. Messages wait for
	// it: it is where to Restore what an earlier run of the program has left,
	// whose peers' requests would get 481 before. Server transactions beside
	// calls are for Restore of Transaction, which comes after it. An error closes
	// the Layer, and Listen returns it. nil restores nothing.
	Restore func(l *Layer) error

	// Transaction is the configuration of the layer below. Its Handler and
	// Accepted are set by the Layer, its Stateless is asked after it, and its
	// Frozen called.
	Transaction transaction.Config
}

// Layer runs the dialogs on one Endpoint.
type Layer struct {
	cfg     Config
	tl      *transaction.Layer
	allowed sip.Edit // the field that names the methods that are served

	ready chan struct{} // closed when tl is set, and what was there before is restored

	ctx context.Context // ended by Close
	end context.CancelCauseFunc

	mu        sync.Mutex // never taken while a Session's is held, nor the other way
	closed    bool
	dialogs   map[ID]*Dialog // by key: those in use, early ones, and those whose BYE is unanswered
	answers   map[inviteKey]*answers
	asking    map[subscribeKey]*subscribing // SUBSCRIBEs and REFERs of ours that NOTIFYs may answer
	unsettled map[inviteKey]*unsettled      // INVITEs of ours that requests may wait for
	late      map[ID]*latePRACK             // by key: PRACKs that may have crossed a refusal of ours
	frozen    []*Dialog                     // what there was when the Layer was closed
	tasks     sync.WaitGroup                // goroutines that end calls nobody wants
}

// Listen binds the sockets and runs a Layer on them. cfg may be nil.
func Listen(tc *transport.Config, cfg *Config) (*Layer, error) {
	l := &Layer{
		dialogs:   map[ID]*Dialog{},
		answers:   map[inviteKey]*answers{},
		asking:    map[subscribeKey]*subscribing{},
		unsettled: map[inviteKey]*unsettled{},
		late:      map[ID]*latePRACK{},
		ready:     make(chan struct{}),
	}
	if cfg != nil {
		l.cfg = *cfg
	}
	if l.cfg.Transaction.Logger == nil && tc != nil {
		l.cfg.Transaction.Logger = tc.Logger
	}
	if l.cfg.Transaction.Logger == nil {
		l.cfg.Transaction.Logger = slog.Default()
	}
	l.allowed = sip.Field{Name: "Allow", Value: string(l.allow().AppendValue(nil))}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	below := l.cfg.Transaction
	below.Handler = l.handle
	below.Accepted = l.accepted
	below.Stateless = l.stray
	below.Restore = l.begin
	below.Frozen = l.freeze
	if _, err := transaction.Listen(tc, &below); err != nil {
		if l.tl != nil { // what was restored is to end
			l.Close()
		}
		return nil, err
	}
	return l, nil
}

// begin is called when there is a layer below, before its first message.
func (l *Layer) begin(tl *transaction.Layer) error {
	l.tl = tl
	defer close(l.ready)
	if l.cfg.Restore != nil {
		if err := l.cfg.Restore(l); err != nil {
			return err
		}
	}
	if l.cfg.Transaction.Restore != nil {
		return l.cfg.Transaction.Restore(tl)
	}
	return nil
}

// Transactions returns the layer below.
func (l *Layer) Transactions() *transaction.Layer { return l.tl }

// Close cuts off every call and transaction and closes the sockets. Peers are
// not told; who wants them to be says Bye before. What calls there were stays as
// it was at this moment, for Sessions and Snapshot.
func (l *Layer) Close() error {
	err := l.tl.Close()
	l.mu.Lock()
	l.closed = true
	open := slices.Collect(maps.Values(l.dialogs))
	for _, a := range l.answers {
		a.expiry.Stop()
	}
	for _, a := range l.asking {
		a.expiry.Stop()
	}
	for _, p := range l.late {
		p.expiry.Stop()
	}
	clear(l.answers)
	clear(l.asking)
	clear(l.late)
	l.mu.Unlock()
	l.end(transport.ErrClosed)
	for _, d := range open {
		d.unsubscribeAll()
		if s := d.session; s != nil && s.cut(transport.ErrClosed) && s.endPending() {
			s.tellProgram() // before Close returns, which may be the end of the program
		}
	}
	l.tasks.Wait()
	return err
}

// Shutdown takes no new calls, which get 503 with Retry-After, waits until the
// requests that are under way are answered, a call that was given up is over and
// the answers that nobody wants are ended, and closes the Layer. Calls that are
// up are cut off then: who wants their peers to be told says Bye before. When
// ctx ends first the rest is cut off, and the error wraps that of ctx.
func (l *Layer) Shutdown(ctx context.Context) error {
	err := l.tl.Shutdown(ctx)
	return errors.Join(err, l.Close())
}

var errInUse = errors.New("dialog: tags are in use by another call")

// Do sends a request outside of a dialog and returns its final response. A
// challenge is answered by Config.Auth with a further request whose CSeq is one
// higher. The response has the CSeq of the request that it answers, as have all that
// the methods of this package return, whatever the peer has written there.
func (l *Layer) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	var last *sip.Response
	_, err := l.roundTrip(ctx, req, func(*sip.Request) uint32 { return 0 }, func(resp *sip.Response) { last = resp })
	return last, err
}

// maxTries bounds how often one request is sent again with new credentials.
// The Authorizer gives up before: it knows why.
const maxTries = 6

// roundTrip sends a request until an answer comes that is no challenge, and
// returns the request of that answer. seq gives the number of the next try; 0
// is one more than before. Every response that is not a challenge is given to
// each, with the number of its request.
func (l *Layer) roundTrip(ctx context.Context, req *sip.Request, seq func(*sip.Request) uint32,
	each func(*sip.Response)) (*sip.Request, error) {

	defer l.tl.Busy()() // until the last retry is answered
	if l.cfg.Auth != nil {
		req = l.prepare(ctx, req)
	}
	for try := 1; ; try++ {
		var challenge *sip.Response
		for resp, err := range l.tl.Responses(ctx, req) {
			if err != nil {
				return req, err
			}
			if l.cfg.Auth != nil && try < maxTries && ctx.Err() == nil && challenges(resp) {
				challenge = resp
				continue
			}
			each(numbered(resp, req))
		}
		if challenge == nil {
			return req, nil
		}
		next, err := asAsked(ctx, req, func(req *sip.Request) (*sip.Request, error) { return l.cfg.Auth.Authorize(req, challenge) })
		if err != nil {
			each(numbered(challenge, req))
			return req, err
		}
		cseq := req.CSeq()
		if n := seq(req); n != 0 {
			cseq.Seq = n
		} else {
			cseq.Seq++
		}
		req = next.With(cseq)
	}
}

// numbered returns a response with the CSeq of its request, which it has to have (RFC 3261
// section 8.2.6.2). It is a response to that whatever its number says (section 17.1.3),
// and is not to say how our requests are numbered from there on.
func numbered(resp *sip.Response, req *sip.Request) *sip.Response {
	if cseq := req.CSeq(); resp.CSeq() != cseq {
		return resp.With(cseq)
	}
	return resp
}

// prepare has the Authorizer look at a request before it goes out.
func (l *Layer) prepare(ctx context.Context, req *sip.Request) *sip.Request {
	out, _ := asAsked(ctx, req, func(req *sip.Request) (*sip.Request, error) { return l.cfg.Auth.Prepare(req), nil })
	return out
}

// challenges reports whether a response asks for credentials.
func challenges(resp *sip.Response) bool {
	status := resp.Status()
	return status == sip.StatusUnauthorized || status == sip.StatusProxyAuthRequired
}

// strict is the key of a context whose request goes to a strict router.
type strict struct{}

// asAsked has a request looked at by the Authorizer as it goes out: to its Route, or to
// its Request-URI. One to a strict router goes there whatever its Route says, which a
// stranger may have written so that it looks like one to our own proxy; it is shown
// without.
func asAsked(ctx context.Context, req *sip.Request, ask func(*sip.Request) (*sip.Request, error)) (*sip.Request, error) {
	if ctx.Value(strict{}) == nil {
		return ask(req)
	}
	out, err := ask(req.With(sip.Del("Route")))
	if err != nil {
		return nil, err
	}
	var edits []sip.Edit
	for f := range req.Fields() {
		if f.Name == "Route" {
			edits = append(edits, sip.Add(f))
		}
	}
	return out.With(edits...), nil
}

// ContactFor returns the Contact for a request that is to be sent outside of a
// dialog: a user of ours at an address that leads here from where the request
// goes first.
func (l *Layer) ContactFor(ctx context.Context, user string, req *sip.Request) (sip.Contact, error) {
	secure := req.URI().Scheme == "sips"
	if route, err := sip.Get[sip.Route](req); err == nil && route.URI.Params.Has("lr") {
		secure = secure || route.URI.Scheme == "sips"
	}
	self, err := l.tl.Contact(ctx, req)
	if err != nil {
		return sip.Contact{}, err
	}
	return contact(self, user, secure), nil
}

// wantsSIPS reports whether the peer is to reach us at a sips URI in the dialog that its
// request makes (RFC 3261 section 12.1.1).
func wantsSIPS(req *sip.Request) bool {
	if top, err := sip.Get[sip.RecordRoute](req); err == nil {
		return req.URI().Scheme == "sips" || top.URI.Scheme == "sips"
	}
	peer, err := sip.Get[sip.Contact](req)
	return req.URI().Scheme == "sips" || err == nil && peer.URI.Scheme == "sips"
}

// calledAt returns our Contact in the dialog that a request of the peer makes: it reaches us
// as it did just now.
func (l *Layer) calledAt(tx *transaction.Server) (sip.Contact, error) {
	req := tx.Request()
	secure := wantsSIPS(req)
	self, err := l.contactOn(l.ctx, tx.Flow(), secure) // of the system, at once
	if err != nil {
		return sip.Contact{}, err
	}
	return contact(self, req.To().URI.User, secure), nil
}

// contactOn returns the URI, without a user, at which the peer of a flow reaches us: by TLS
// if that is to be secure and the flow is not, where we listen on it.
func (l *Layer) contactOn(ctx context.Context, f transport.Flow, secure bool) (sip.URI, error) {
	if ep := l.tl.Endpoint(); secure && !f.Secure() && ep.Addr("tls").IsValid() {
		return ep.Contact(ctx, resolve.Target{Transport: "TLS", Addr: f.RemoteAddr()})
	}
	return l.tl.Endpoint().ContactOn(ctx, f)
}

// contact returns the Contact of a user at a URI of ours, a sips URI if it is to
// be secure (RFC 3261 sections 8.1.1.8 and 12.1.1).
func contact(uri sip.URI, user string, secure bool) sip.Contact {
	uri.User = strings.Clone(user)
	if secure {
		uri.Scheme = "sips"
		if transport, _ := uri.Params.Get("transport"); transport == "tls" {
			uri.Params = uri.Params.Without("transport") // RFC 3261 section 26.2.2
		}
	}
	return sip.Contact{URI: uri}
}

// handle takes each request that arrives, in the order of its call until it is
// answered.
func (l *Layer) handle(tx *transaction.Server, req *sip.Request) {
	<-l.ready
	method := req.Method()
	if tag := req.To().Tag(); tag != "" {
		id := ID{req.CallID(), tag, req.From().Tag()}
		d := l.find(id)
		if d == nil && method == sip.NOTIFY {
			d = l.notified(req)
		}
		if d == nil && method != sip.ACK {
			d = l.await(tx, id)
		}
		switch {
		case d != nil:
			d.request(tx, req)
		case method != sip.ACK:
			l.replyGone(tx, req, id)
		}
		return
	}
	switch {
	case method == sip.ACK:
	case method == sip.BYE, method == sip.PRACK, method == sip.UPDATE:
		tx.Reply(sip.StatusCallDoesNotExist)
	case method == sip.INVITE && l.cfg.OnInvite != nil:
		l.invited(tx, req)
	case method != sip.INVITE && l.cfg.OnRequest != nil:
		l.cfg.OnRequest(&Server{Server: tx, l: l}, req)
	default:
		tx.Reply(sip.StatusMethodNotAllowed, l.allowed)
	}
}

// allow returns the methods that are served.
func (l *Layer) allow() sip.Allow {
	methods := sip.Allow{sip.ACK, sip.BYE, sip.CANCEL}
	if l.cfg.OnRequest != nil {
		methods = append(methods, sip.OPTIONS)
	}
	if l.cfg.OnInvite != nil {
		methods = append(methods, sip.INVITE, sip.PRACK)
		if l.cfg.OnRequest == nil {
			methods = append(methods, sip.UPDATE)
		}
	}
	return methods
}

// Dialog returns the dialog with an ID, in which requests may be sent, or nil: it is
// how a Replaces or Join is looked up (RFC 3891 section 3), or a Target-Dialog. So the
// RemoteTag "0" is also that of a peer without one (section 6.1).
func (l *Layer) Dialog(id ID) *Dialog {
	d := l.find(id)
	if d == nil && id.RemoteTag == noTag {
		id.RemoteTag = ""
		d = l.find(id)
	}
	return d
}

func (l *Layer) find(id ID) *Dialog {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lookup(id)
}

// lookup is find with l.mu held. It makes no string: each request within a dialog comes here.
func (l *Layer) lookup(id ID) *Dialog {
	var local, remote [64]byte
	us, peer := appendTagKey(local[:0], id.LocalTag), appendTagKey(remote[:0], id.RemoteTag)
	return l.dialogs[ID{id.CallID, string(us), string(peer)}]
}

// add makes a dialog known. It fails if it is there already, as when a peer answers
// with tags that are in use.
func (l *Layer) add(d *Dialog) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addLocked(d)
}

func (l *Layer) addLocked(d *Dialog) error {
	known := l.lookup(d.d.id)
	switch {
	case l.closed:
		return transport.ErrClosed
	case known != nil && known != d:
		return errInUse
	}
	l.dialogs[d.d.id.key()] = d
	return nil
}

func (l *Layer) remove(d *Dialog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lookup(d.d.id) == d {
		delete(l.dialogs, d.d.id.key())
		l.branchEnds(d.d.id)
	}
}

// background runs f in a goroutine that Shutdown and Close wait for. After Close
// there is nothing that it could send, and it is not run.
func (l *Layer) background(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	done := l.tl.Busy()
	l.tasks.Go(func() {
		goroutine.Grow()
		defer done()
		defer l.fence()
		f()
	})
	return true
}

func wrap(what string, req *sip.Request, err error) error {
	return fmt.Errorf("%s %s: %w", what, req.URI(), err)
}
