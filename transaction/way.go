package transaction

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/goparley/parley/internal/stall"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/transport"
)

type nextHop struct{}

// WithNextHop returns a context in which Responses, Do and Send send requests
// to uri, whatever their Route and Request-URI say. It is for a strict router,
// which stands in the Request-URI while the Route names those behind it (RFC
// 3261 section 12.2.1.1).
func WithNextHop(ctx context.Context, uri sip.URI) context.Context {
	return context.WithValue(ctx, nextHop{}, uri)
}

type givenFlow struct{}

// WithFlow returns a context in which Responses, Do and Send send requests by a
// flow that is there already, whatever their Route and Request-URI say: how an
// edge proxy reaches a client behind a NAT (RFC 5626 section 5.3.1). Should the
// flow be gone, the error wraps transport.ErrNoFlow, and nothing else is tried.
func WithFlow(ctx context.Context, f transport.Flow) context.Context {
	return context.WithValue(ctx, givenFlow{}, f)
}

type onSent struct{}

// WithSent returns a context in which Responses and Do tell sent each time that
// they have begun to send a request: by which flow, and as it went out. It must
// not block.
func WithSent(ctx context.Context, sent func(transport.Flow, *sip.Request)) context.Context {
	return context.WithValue(ctx, onSent{}, sent)
}

type givenBranch struct{}

// WithBranch returns a context in which the branch of a request ends with id, a
// token (RFC 3261 section 25.1); anything else is an error of whatever is to send
// the request. Send sends with the magic cookie and id: a
// stateless proxy needs the same branch for the same request (section 16.11).
// Responses and Do put something random between the two, and a dot, for each try
// wants a branch of its own: a proxy finds its mark again where a request comes
// by once more (RFC 5393 section 4.2).
func WithBranch(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, givenBranch{}, id)
}

type branchSeed struct{}

// WithBranchSeed returns a context in which the branches of what Responses, Start
// and Do send are made of seed and of the target, where they are random otherwise.
// A server that has the request by an earlier run of the program takes it for a
// retransmission, and so goes on with it (RFC 3261 section 17.2.3); with another
// branch it would refuse it as merged (section 8.2.2.2). What WithBranch asks for
// follows as ever.
//
// The seed is to be the same after a restart, nothing that others can guess, and
// for this one request: best a keyed hash of all that tells it from others. Should
// a transaction be there with the branch that it gives, the branch is random. Such a
// branch cannot be known again when its transaction is over: a response that comes
// then goes to Config.Stateless, as for all that an earlier run has sent.
func WithBranchSeed(ctx context.Context, seed string) context.Context {
	return context.WithValue(ctx, branchSeed{}, seed)
}

// way is where a request goes: by a flow, or to one of several targets.
type way struct {
	flow     transport.Flow // zero: to the targets
	targets  []resolve.Target
	raced    int // so many of the targets have been tried for a connection
	finished bool
}

// find is how targets are looked up: Targets, or StatelessTargets for who keeps
// no transaction, so that a retransmission goes where the request went (RFC 3263
// section 4.4).
type find func(*resolve.Client, context.Context, sip.URI) ([]resolve.Target, error)

// way finds out where a request goes (RFC 3261 section 8.1.2). A strict router
// stands in the Request-URI already.
func (l *Layer) way(ctx context.Context, r *sip.Request, find find) (*way, error) {
	if err := r.Err(); err != nil {
		return nil, err
	}
	if id, ok := ctx.Value(givenBranch{}).(string); ok && !isToken(id) {
		return nil, fmt.Errorf("branch ends with %q: no token", id)
	}
	if flow, ok := ctx.Value(givenFlow{}).(transport.Flow); ok {
		return &way{flow: flow}, nil
	}
	uri, ok := ctx.Value(nextHop{}).(sip.URI)
	if !ok {
		uri = r.URI()
		route, err := sip.Get[sip.Route](r)
		switch {
		case err == nil && route.URI.Params.Has("lr"):
			uri = route.URI
		case err != nil && !errors.Is(err, sip.ErrMissing):
			return nil, err
		}
	}
	if r.URI().Scheme == "sips" {
		uri.Scheme = "sips" // whatever a Route says (RFC 3261 section 8.1.2)
	}
	if !uri.Addr().IsValid() {
		stall.Begin(ctx) // the name may have to be asked for
	}
	targets, err := find(l.ep.Resolver(), ctx, uri)
	if err != nil && l.closed.Load() {
		err = l.awaitEnd() // which takes back what was asked
	}
	return &way{targets: targets[:min(len(targets), maxTries)]}, err
}

// isToken reports whether s is a token (RFC 3261 section 25.1).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// maxTries bounds the targets that are tried for one request. Over UDP each may
// take 32 seconds to be given up.
const maxTries = 16

// String returns where the next try goes.
func (w *way) String() string {
	if len(w.targets) == 0 {
		return w.flow.String()
	}
	return w.targets[0].String()
}

// target returns what is tried next, zero if that is a flow.
func (w *way) target() resolve.Target {
	if len(w.targets) == 0 {
		return resolve.Target{}
	}
	return w.targets[0]
}

// transport returns the transport that is tried next.
func (w *way) transport() string {
	if len(w.targets) == 0 {
		return w.flow.Transport()
	}
	return w.targets[0].Transport
}

// addr returns the address that is tried next.
func (w *way) addr() netip.AddrPort {
	if len(w.targets) == 0 {
		return w.flow.RemoteAddr()
	}
	return w.targets[0].Addr
}

// more reports whether there is something left to try.
func (w *way) more() bool { return !w.finished }

func (w *way) isLast() bool { return len(w.targets) < 2 }

// next gives up what was tried last. The last target stays, to be named.
func (w *way) next() {
	if w.finished = w.isLast(); !w.finished {
		w.targets = w.targets[1:]
		w.raced = max(0, w.raced-1)
	}
}

// failed has later requests avoid what was tried last, for a while or as long
// as its server has asked for (RFC 3263 section 4.3).
func (w *way) failed(ep *transport.Endpoint, wait time.Duration) {
	if len(w.targets) > 0 {
		ep.Resolver().Failed(w.targets[0], wait)
	}
}

// prepare returns the flow of the next try and the request for it.
func (w *way) prepare(ctx context.Context, l *Layer, r *sip.Request, branch string) (transport.Flow, *sip.Request, error) {
	if len(w.targets) == 0 {
		out, err := l.ep.PrepareOn(ctx, r, w.flow, branch)
		return w.flow, out, err
	}
	if err := w.race(ctx, l); err != nil {
		return transport.Flow{}, nil, err
	}
	flow, out, err := l.ep.Prepare(ctx, r, w.targets[0], branch)
	if ctx.Err() == nil && isUnreachable(err) {
		w.failed(l.ep, 0)
	}
	return flow, out, err
}

// Contact returns the URI, without a user, at which requests for us arrive from
// where a request goes first: what its Contact is to say. It depends on the
// connection where we do not listen on its transport, so targets that cannot be
// reached are passed over, as they will be by Responses.
func (l *Layer) Contact(ctx context.Context, r *sip.Request) (sip.URI, error) {
	w, err := l.way(ctx, r, (*resolve.Client).Targets)
	if err != nil {
		return sip.URI{}, err
	}
	if len(w.targets) == 0 {
		return l.ep.ContactOn(ctx, w.flow)
	}
	for ; ; w.next() {
		var uri sip.URI
		if err = w.race(ctx, l); err == nil {
			uri, err = l.ep.Contact(ctx, w.targets[0])
		}
		switch {
		case err == nil:
			return uri, nil
		case ctx.Err() != nil:
			return uri, err
		case isUnreachable(err):
			w.failed(l.ep, 0)
		}
		if w.isLast() {
			return uri, fmt.Errorf("%w: %w", ErrTransport, err)
		}
	}
}

// isUnreachable reports whether an error is the network's word about a target.
// A certificate that names somebody else, and what this machine is short of,
// say nothing about it.
func isUnreachable(err error) bool {
	for _, ours := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
		if errors.Is(err, ours) {
			return false
		}
	}
	var network *net.OpError
	return errors.As(err, &network)
}

// race puts the address of a server first that is the first to take a
// connection, where it has several. If none does, they are all given up but the
// last, which is for next to give up.
func (w *way) race(ctx context.Context, l *Layer) error {
	if w.raced > 0 {
		return nil
	}
	first, n := w.targets[0], 1
	for n < len(w.targets) && w.targets[n].SameServer(first) {
		n++
	}
	if first.Transport == "UDP" || n == 1 {
		return nil
	}
	more := int64(n-1) * stack // a goroutine for each
	l.bytes.Add(more)
	defer l.bytes.Add(-more)
	i, err := l.ep.Connect(ctx, w.targets[:n])
	if err == nil {
		w.raced = n
		fastest := w.targets[i]
		copy(w.targets[1:i+1], w.targets[:i])
		w.targets[0] = fastest
		return nil
	}
	for ; n > 0; n-- {
		if ctx.Err() == nil && isUnreachable(err) {
			w.failed(l.ep, 0)
		}
		if n > 1 {
			w.targets = w.targets[1:]
		}
	}
	return err
}

// send sends a request without a transaction.
func (w *way) send(ctx context.Context, l *Layer, r *sip.Request, branch string) (transport.Flow, *sip.Request, error) {
	if len(w.targets) > 0 {
		if err := w.race(ctx, l); err != nil {
			return transport.Flow{}, nil, err
		}
		return l.ep.SendRequest(ctx, r, w.targets[0], branch)
	}
	out, err := l.ep.PrepareOn(ctx, r, w.flow, branch)
	if err == nil {
		err = l.ep.Send(w.flow, out)
	}
	return w.flow, out, err
}
