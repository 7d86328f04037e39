package dialog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Authorizer answers the challenges of 401 and 407 responses (RFC 3261 section
// 22). digest.Client is one.
type Authorizer interface {
	// Prepare returns the request with credentials that are known to be asked
	// for, or as it is.
	Prepare(req *sip.Request) *sip.Request
	// Authorize returns the request with credentials for the challenges in the
	// response. An error says why there are none, and ends the attempt.
	Authorize(req *sip.Request, resp *sip.Response) (*sip.Request, error)
}

// Config holds the options of a Layer.
type Config struct {
	// OnInvite is called for each INVITE that arrives, in a goroutine of its
	// own. Its context ends when the peer gives up, with the cause: for CANCEL
	// transaction.ErrCancelled, for BYE ErrBye, for the end of the time that
	// the INVITE names ErrExpired. Within a call, Session of
	// the Invitation says which one is to be changed. It may return as soon as
	// Accept has: a call that is up needs no goroutine. An INVITE that is
	// neither accepted nor rejected when it returns gets 480. nil refuses
	// every INVITE with 405.
	OnInvite func(ctx context.Context, in *Invitation)

	// OnRequest is called for any other request, but ACK and BYE: s is the
	// call that it belongs to, nil if it is outside of a dialog. nil refuses
	// them all with 405.
	OnRequest func(tx *transaction.Server, req *sip.Request, s *Session)

	// Auth answers challenges; nil takes them as refusals.
	Auth Authorizer

	// OnEnd is called once for each call that was answered and is over, when
	// its Done is closed, from the goroutine that found out. nil: nobody is
	// told.
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
	cfg Config
	tl  *transaction.Layer

	ready chan struct{} // closed when tl is set

	ctx context.Context // ended by Close
	end context.CancelCauseFunc

	mu       sync.Mutex // never taken while a Session's is held, nor the other way
	closed   bool
	sessions map[ID]*Session // calls, early ones of the peer's, and those whose BYE is unanswered
	answers  map[inviteKey]*answers
	frozen   []*Session     // what there was when the Layer was closed
	tasks    sync.WaitGroup // goroutines that end calls nobody wants
}

// Listen binds the sockets and runs a Layer on them. cfg may be nil.
func Listen(tc *transport.Config, cfg *Config) (*Layer, error) {
	l := &Layer{
		sessions: map[ID]*Session{},
		answers:  map[inviteKey]*answers{},
		ready:    make(chan struct{}),
	}
	if cfg != nil {
		l.cfg = *cfg
	}
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
	close(l.ready)
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
	open := slices.Collect(maps.Values(l.sessions))
	for _, a := range l.answers {
		a.expiry.Stop()
	}
	clear(l.answers)
	l.mu.Unlock()
	l.end(transport.ErrClosed)
	for _, s := range open {
		s.terminate(transport.ErrClosed)
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
// higher.
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
// each.
func (l *Layer) roundTrip(ctx context.Context, req *sip.Request, seq func(*sip.Request) uint32,
	each func(*sip.Response)) (*sip.Request, error) {

	defer l.tl.Busy()() // until the last retry is answered
	if l.cfg.Auth != nil {
		req = l.cfg.Auth.Prepare(req)
	}
	for try := 1; ; try++ {
		var challenge *sip.Response
		for resp, err := range l.tl.Responses(ctx, req) {
			if err != nil {
				return req, err
			}
			status := resp.Status()
			if l.cfg.Auth != nil && try < maxTries && ctx.Err() == nil &&
				(status == sip.StatusUnauthorized || status == sip.StatusProxyAuthRequired) {
				challenge = resp
				continue
			}
			each(resp)
		}
		if challenge == nil {
			return req, nil
		}
		next, err := l.cfg.Auth.Authorize(req, challenge)
		if err != nil {
			each(challenge)
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
		l.mu.Lock()
		s := l.sessions[ID{req.CallID(), tag, req.From().Tag()}]
		l.mu.Unlock()
		switch {
		case s != nil:
			s.request(tx, req)
		case method != sip.ACK:
			tx.Reply(sip.StatusCallDoesNotExist)
		}
		return
	}
	switch {
	case method == sip.ACK:
	case method == sip.BYE:
		tx.Reply(sip.StatusCallDoesNotExist)
	case method == sip.INVITE && l.cfg.OnInvite != nil:
		l.invited(tx, req)
	case method != sip.INVITE && l.cfg.OnRequest != nil:
		l.cfg.OnRequest(tx, req, nil)
	default:
		tx.Reply(sip.StatusMethodNotAllowed, l.allow())
	}
}

// allow names the methods that are served.
func (l *Layer) allow() sip.Allow {
	methods := sip.Allow{sip.ACK, sip.BYE, sip.CANCEL}
	if l.cfg.OnRequest != nil {
		methods = append(methods, sip.OPTIONS)
	}
	if l.cfg.OnInvite != nil {
		methods = append(methods, sip.INVITE)
	}
	return methods
}

// add makes a session known. It fails if the dialog is there already, as when a
// peer answers with tags that are in use.
func (l *Layer) add(s *Session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addLocked(s)
}

func (l *Layer) addLocked(s *Session) error {
	switch {
	case l.closed:
		return transport.ErrClosed
	case l.sessions[s.d.id] != nil:
		return errInUse
	}
	l.sessions[s.d.id] = s
	return nil
}

func (l *Layer) remove(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions[s.d.id] == s {
		delete(l.sessions, s.d.id)
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
		defer done()
		f()
	})
	return true
}

func wrap(what string, req *sip.Request, err error) error {
	return fmt.Errorf("%s %s: %w", what, req.URI(), err)
}
