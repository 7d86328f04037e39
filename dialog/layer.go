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
	"github.com/goparley/parley/sip/resolve"
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
	// own. Its context ends when the peer cancels. Within a call, Session of
	// the Invitation says which one is to be changed. An INVITE that is
	// neither accepted nor rejected when it returns gets 480. nil refuses
	// every INVITE with 405.
	OnInvite func(ctx context.Context, in *Invitation)

	// OnRequest is called for any other request, but ACK and BYE: s is the
	// call that it belongs to, nil if it is outside of a dialog. nil refuses
	// them all with 405.
	OnRequest func(tx *transaction.Server, req *sip.Request, s *Session)

	// Auth answers challenges; nil takes them as refusals.
	Auth Authorizer

	// OnEnd is called once for each call that is over, when its Done is closed.
	// nil: nobody is told.
	OnEnd func(s *Session)

	// Transaction is the configuration of the layer below. Its Handler and
	// Accepted are set by the Layer.
	Transaction transaction.Config
}

// Layer runs the dialogs on one Endpoint.
type Layer struct {
	cfg Config
	tl  *transaction.Layer

	ready chan struct{} // closed when tl is set

	mu       sync.Mutex
	closed   bool
	sessions map[ID]*Session
	tasks    sync.WaitGroup // goroutines that end calls nobody wants
}

// Listen binds the sockets and runs a Layer on them. cfg may be nil.
func Listen(tc *transport.Config, cfg *Config) (*Layer, error) {
	l := &Layer{sessions: map[ID]*Session{}, ready: make(chan struct{})}
	if cfg != nil {
		l.cfg = *cfg
	}
	below := l.cfg.Transaction
	below.Handler = l.handle
	below.Accepted = l.accepted
	tl, err := transaction.Listen(tc, &below)
	if err != nil {
		return nil, err
	}
	l.tl = tl
	close(l.ready)
	return l, nil
}

// Transactions returns the layer below.
func (l *Layer) Transactions() *transaction.Layer { return l.tl }

// Close cuts off every call and transaction and closes the sockets.
func (l *Layer) Close() error {
	err := l.tl.Close()
	l.mu.Lock()
	l.closed = true
	open := slices.Collect(maps.Values(l.sessions))
	l.mu.Unlock()
	for _, s := range open {
		s.terminate(transport.ErrClosed)
	}
	l.tasks.Wait()
	return err
}

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
	uri := req.URI()
	if route, err := sip.Get[sip.Route](req); err == nil && route.URI.Params.Has("lr") {
		uri = route.URI
	}
	targets, err := resolve.Targets(ctx, l.cfg.Transaction.Resolver, uri)
	if err != nil {
		return sip.Contact{}, err
	}
	return l.contact(ctx, user, targets[0])
}

func (l *Layer) contact(ctx context.Context, user string, to resolve.Target) (sip.Contact, error) {
	uri, err := l.tl.Endpoint().Contact(ctx, to)
	if err != nil {
		return sip.Contact{}, err
	}
	uri.User = strings.Clone(user)
	return sip.Contact{URI: uri}, nil
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
		l.invited(tx, req, nil)
	case method != sip.INVITE && l.cfg.OnRequest != nil:
		l.cfg.OnRequest(tx, req, nil)
	default:
		tx.Reply(sip.StatusMethodNotAllowed, l.allow())
	}
}

// allow names the methods that are served.
func (l *Layer) allow() sip.Allow {
	methods := sip.Allow{sip.ACK, sip.BYE, sip.CANCEL, sip.OPTIONS}
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
	if l.sessions[s.d.id] != nil {
		return errors.New("dialog: tags are in use by another call")
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

// accepted takes a 2xx to an INVITE after the first: the same again, whose ACK
// was lost, or that of another branch of a fork.
func (l *Layer) accepted(invite *sip.Request, resp *sip.Response) {
	l.mu.Lock()
	s := l.sessions[ID{resp.CallID(), resp.From().Tag(), resp.To().Tag()}]
	l.mu.Unlock()
	if s != nil {
		s.ackAgain(resp.CSeq().Seq)
		return
	}
	l.surplus(invite, resp)
}

// surplus ends a call that was answered but is not wanted: ACK, then BYE (RFC
// 3261 section 13.2.2.4). It does not wait.
func (l *Layer) surplus(invite *sip.Request, resp *sip.Response) {
	if resp.To().Tag() == "" || resp.CallID() != invite.CallID() {
		return
	}
	d, err := newCaller(invite, resp)
	if err != nil {
		return // nowhere to send to
	}
	s := newSession(l, d)
	s.invite = ackedBy(invite)
	if l.add(s) != nil {
		return
	}
	l.background(func() { // ends with the transaction of the BYE
		if s.Ack(context.Background()) == nil {
			s.Bye(context.Background())
		}
		s.terminate(ErrEnded)
	})
}

// background runs f in a goroutine that Close waits for. After Close there is
// nothing that it could send, and it is not run.
func (l *Layer) background(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.tasks.Go(f)
	}
}

func wrap(what string, req *sip.Request, err error) error {
	return fmt.Errorf("%s %s: %w", what, req.URI(), err)
}
