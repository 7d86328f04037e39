package transport

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/goparley/parley/nat/stun"
	"github.com/goparley/parley/sip/resolve"
)

// stunKey is the transaction ID of a Binding request.
type stunKey [12]byte

func stunKeyOf(msg []byte) stunKey { return stunKey(msg[8:20]) }

// stunQuery is a Binding request on its way, with its retransmissions.
type stunQuery struct {
	s    *udpSocket
	flow Flow                        // by s, to the server
	done func(netip.AddrPort, error) // called once, unless it is cancelled

	mu      sync.Mutex
	binding *stun.Binding
	timer   *time.Timer
	over    bool
}

// ask sends a Binding request on a flow by a socket and calls done with what
// comes of it: the address that the server sees us at, or an error.
func (s *udpSocket) ask(f Flow, done func(netip.AddrPort, error)) *stunQuery {
	q := &stunQuery{s: s, flow: f, done: done, binding: stun.NewBinding(f.remote)}
	s.e.mu.Lock()
	s.e.stun[stunKeyOf(q.binding.Request())] = q // an answer may be quick
	s.e.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timer = time.AfterFunc(0, q.step)
	return q
}

// step sends the request when it is due.
func (q *stunQuery) step() {
	q.mu.Lock()
	if q.over {
		q.mu.Unlock()
		return
	}
	send, next, err := q.binding.Step(time.Now())
	if err == nil {
		q.timer.Reset(time.Until(next))
	}
	request := q.binding.Request()
	q.mu.Unlock()
	if send {
		// An error may pass; if it does not, no answer comes.
		q.s.write(request, q.flow)
	}
	if err != nil && q.end() {
		q.done(netip.AddrPort{}, err)
	}
}

// answer takes a datagram that has the transaction ID of the request.
func (q *stunQuery) answer(msg []byte, from netip.AddrPort) {
	q.mu.Lock()
	mapped, ok, err := q.binding.Answer(msg, from)
	q.mu.Unlock()
	if ok && q.end() {
		q.done(mapped, err)
	}
}

func (q *stunQuery) cancel() { q.end() }

// end forgets the query, and reports whether it was under way.
func (q *stunQuery) end() bool {
	q.mu.Lock()
	ended := !q.over
	q.over = true
	q.timer.Stop()
	key := stunKeyOf(q.binding.Request())
	q.mu.Unlock()
	q.s.e.mu.Lock()
	defer q.s.e.mu.Unlock()
	delete(q.s.e.stun, key)
	return ended
}

// stun takes a datagram that is a STUN message: it answers a Binding request
// (RFC 5626 section 5.4) and looks up who waits for a response.
func (s *udpSocket) stun(msg []byte, f Flow) {
	s.e.mu.Lock()
	q := s.e.stun[stunKeyOf(msg)]
	s.e.mu.Unlock()
	// Several sockets may share an address, and either get the answer.
	if q != nil && q.s.local == s.local {
		q.answer(msg, f.remote)
		return
	}
	if answer := stun.Respond(msg, f.remote); answer != nil {
		s.write(answer, f)
	}
}

// Discover asks a STUN server, named as "stun.example.com" or with a port, for
// the public addresses of our UDP sockets, and has Via and Contact name them
// from now on. It returns that of the first socket that has found one; the error
// is that of the first socket, if none has: stun.ErrTimeout, a *stun.Error, that
// of ctx, or ErrNoFlow if no socket reaches the server. Where a NAT gives each
// peer another address it is of no use, as is every such address; what helps
// there is rport, which is always asked for, and keeping the flow. Port 3478 is
// the default (RFC 8489 section 8.1).
func (e *Endpoint) Discover(ctx context.Context, server string) (netip.AddrPort, error) {
	targets, err := e.stunServer(ctx, server)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("discover address at %s: %w", server, err)
	}
	found, errs := make([]netip.AddrPort, len(e.udp)), make([]error, len(e.udp))
	var asking sync.WaitGroup
	for i, s := range e.udp {
		asking.Go(func() { found[i], errs[i] = s.discover(ctx, targets) }) // ends with its requests, or ctx
	}
	asking.Wait()
	for _, mapped := range found {
		if mapped.IsValid() {
			return mapped, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("discover address at %s: %w", server, cmp.Or(cmp.Or(errs...), ErrNoFlow))
}

// stunServer returns the addresses of a STUN server.
func (e *Endpoint) stunServer(ctx context.Context, server string) ([]resolve.Target, error) {
	uri, err := parseHostPort(server)
	switch {
	case err != nil:
		return nil, err
	case len(e.udp) == 0:
		return nil, ErrNoFlow
	}
	if uri.Port == 0 {
		uri.Port = 3478
	}
	uri.Params = ";transport=udp"
	return e.resolver.Targets(ctx, uri)
}

// discover asks the addresses of a server, one after the other, until one
// answers, and notes what it says. Nothing and no error is what comes of a
// server that the socket does not reach.
func (s *udpSocket) discover(ctx context.Context, targets []resolve.Target) (mapped netip.AddrPort, err error) {
	for _, to := range targets {
		if !reaches(s.local.Addr(), to.Addr.Addr()) {
			continue
		}
		mapped, err = s.mapped(ctx, to.Addr)
		if err == nil {
			s.public.Store(&mapped)
			s.e.noteHost(hostText(mapped.Addr().String()))
			return mapped, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return netip.AddrPort{}, err
}

// mapped asks one address.
func (s *udpSocket) mapped(ctx context.Context, server netip.AddrPort) (netip.AddrPort, error) {
	type outcome struct {
		mapped netip.AddrPort
		err    error
	}
	answered := make(chan outcome, 1)
	q := s.ask(Flow{via: s, remote: server}, func(mapped netip.AddrPort, err error) { answered <- outcome{mapped, err} })
	defer q.cancel()
	select {
	case o := <-answered:
		return o.mapped, o.err
	case <-ctx.Done():
		return netip.AddrPort{}, ctx.Err()
	case <-s.e.ctx.Done():
		return netip.AddrPort{}, ErrClosed
	}
}
