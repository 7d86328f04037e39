package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/internal/source"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

const cookie = "z9hG4bK" // RFC 3261 section 8.1.1.7

// stateless takes a message that belongs to no transaction, if Config.Stateless
// wants it or a response to it (RFC 3261 section 16.11). It runs on the goroutine
// of the socket. What is not taken gets a transaction, and by that its answer,
// should it be refused.
func (p *Proxy) stateless(in *transport.Inbound) bool {
	switch m := in.Message.(type) {
	case *sip.Response:
		return p.returned(in, m)
	case *sip.Request:
		return p.passed(in, m)
	}
	return false
}

// passed takes a request.
func (p *Proxy) passed(in *transport.Inbound, req *sip.Request) bool {
	var own route
	ep := in.Endpoint()
	pass := passage{p: p, ep: ep, from: in.Flow, counted: true}
	if p.ending.Load() && !isWithin(req) {
		return false // and refused
	}
	out, m, ok := pass.ready(&own, req)
	if !ok {
		return false
	}
	target, ok := p.cfg.Stateless(out, own.arrival(p.know(ep), in.Flow))
	if !ok {
		return false
	}
	pass.relay, pass.onward = target.URI.Scheme == "", own.onward(in.Flow)
	way, err := pass.way(out, &target)
	if err != nil {
		p.unsent(in, out, transport.Flow{}, err)
		return true
	}
	if way.isReliable() != in.Flow.Reliable() && req.Method() != sip.ACK {
		return false // it may be lost where it could not before, or its response; see between
	}
	branch := p.key.statelessBranch(req.Via(), req, m)
	return p.send(p.posted.over, in, &pass, out, way, branch) || p.sendBeside(in, pass, out, way, branch)
}

// isWithin reports whether a request belongs to what has begun before.
func isWithin(req *sip.Request) bool {
	return req.To().Tag() != "" || req.Method() == sip.CANCEL || req.Method() == sip.ACK
}

// between returns the target of a request that Stateless wants to forward, and
// that has a transaction because it goes from UDP to a connection or the other way
// (RFC 3261 section 16.1), or because too many wait already.
func (p *Proxy) between(s *Server, req *sip.Request) (to Target, ok bool) {
	if p.cfg.Stateless == nil || req.MaxForwards() == 0 {
		return to, false
	}
	return p.cfg.Stateless(req, Arrival{Local: s.Local(), Routed: s.Routed()})
}

// ready checks a request and makes it ready, with one copy, before the question
// is put where it goes: what is left then is for a target alone.
func (p *passage) ready(own *route, req *sip.Request) (out *sip.Request, m mark, ok bool) {
	known := p.p.know(p.ep)
	if err := own.read(known, p.ep, req, p.from.LocalAddr(), &p.p.bonds); err != nil || own.forged {
		return nil, m, false
	}
	m = p.p.key.mark(req)
	loops, _ := p.p.key.find(req, m) // with one target, it is no storm
	if validate(req, own, p.p.cfg.Supported, loops) != nil || req.MaxForwards() == 0 {
		return nil, m, false
	}
	breadth, err := breadthOf(req, p.p.cfg.MaxBreadth)
	if err != nil || breadth == 0 {
		return nil, m, false
	}
	out = req
	if uri, changed := stripMaddr(known, own.uri, p.from); changed || own.strict {
		out = out.WithURI(uri)
	}
	var room [4]sip.Edit
	out = out.With(own.edits(append(room[:0], maxForwards(req), sip.MaxBreadth(breadth)))...)
	return out, m, out.Err() == nil
}

// sendBeside sends what has to wait for DNS or a connection beside the socket, and
// reports whether there is a place for it. One that comes again meanwhile is sent
// once.
func (p *Proxy) sendBeside(in *transport.Inbound, pass passage, req *sip.Request, way way, branch string) bool {
	to := &p.posted.requests
	if req.Method() == sip.CANCEL {
		to = &p.posted.cancels
	}
	w := waiter{id: branch + string(req.Method()), hop: way.host(), source: source.Of(in.Flow.RemoteAddr())}
	return p.post(to, w, req, func(ctx context.Context) { p.send(ctx, in, &pass, req, way, branch) })
}

// send sends a request on, to the first of the places that take it. It reports
// whether that is done, for better or worse: if not, it would have to wait, and
// ctx is over.
func (p *Proxy) send(ctx context.Context, in *transport.Inbound, pass *passage, req *sip.Request, way way, branch string) bool {
	out, err := pass.prepare(req, way)
	if err == nil {
		err = deliver(ctx, pass.ep, &out, branch)
	}
	if err == nil {
		return true
	}
	if hadToWait(ctx, err) {
		return false
	}
	p.unsent(in, req, out.flow, err)
	return true
}

// unsent ends a request that could not be sent. What is wrong with it is told as a
// server without state does (RFC 3261 section 8.2.7); it is the same each time.
func (p *Proxy) unsent(in *transport.Inbound, req *sip.Request, flow transport.Flow, err error) {
	if status := statusOf(err, flow); req.Method() != sip.ACK && status < 500 {
		in.Endpoint().Respond(in, in.Message.(*sip.Request).Reply(status))
		return
	}
	p.log.Debug("request not forwarded", "error", err, "call-id", req.CallID())
}

// hadToWait reports whether it is the end of a context that has kept something from
// being sent.
func hadToWait(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}

// deliver sends what has been prepared.
func deliver(ctx context.Context, ep *transport.Endpoint, out *outgoing, branch string) error {
	ctx = out.edited(ctx)
	if !out.flow.IsZero() {
		req, err := ep.PrepareOn(ctx, out.req, out.flow, branch)
		if err == nil {
			err = ep.Send(out.flow, req)
		}
		return err
	}
	targets, err := ep.Resolver().StatelessTargets(ctx, out.hop)
	for _, to := range targets {
		if _, _, err = ep.SendRequest(ctx, out.req, to, branch); err == nil {
			return nil
		}
		if hadToWait(ctx, err) {
			break // and is to be tried before the others
		}
	}
	return err
}

// statelessBranch returns the branch of what is forwarded without a transaction.
// It is the same for every retransmission, and for the CANCEL and the ACK of a
// refusal: a hash of the branch that the request came with (RFC 3261 section
// 16.11), of whose it is and of where its response goes, which whoever answers
// could change; or for a peer of RFC 2543 also of what else tells its requests
// apart. The Request-URI, which the section names too, is not in a
// response, which is to be found to be one of ours by this; nor is the tag of the
// To, which the ACK of a refusal has and its INVITE has not.
//
// The mark follows, as in every branch of ours.
func (k *key) statelessBranch(via sip.Via, of sip.Message, m mark) string {
	var room [len(cookie) + hashSize + 1 + len(m)]byte
	b := append(room[:0], cookie...)
	b = k.stateless(b, via, of)
	return string(append(append(b, '.'), m[:]...))
}

// hashSize is how many digits of a branch are the hash.
const hashSize = 32

// stateless appends the hash.
func (k *key) stateless(dst []byte, via sip.Via, m sip.Message) []byte {
	var room [512]byte
	b := k.hash(room[:0])
	b = lower(field(b, via.Host), len(via.Host))
	b = binary.BigEndian.AppendUint32(b, uint32(via.Port))
	branch := via.Branch()
	b = lower(field(b, branch), len(branch))
	from := via.Received().As16() // of zeros: none
	b = append(b, from[:]...)
	maddr, _ := via.Params.Get("maddr")
	b = lower(field(b, maddr), len(maddr))
	if len(branch) <= len(cookie) || !equalFold(branch[:len(cookie)], cookie) {
		b = field(b, m.From().Tag())
		b = field(b, m.CallID())
		b = binary.BigEndian.AppendUint32(b, m.CSeq().Seq)
	}
	b = append(b, 's')
	return sum(dst, b, hashSize/2)
}

// returned takes a response to a request that was forwarded without a
// transaction: to one that has our branch for the Via below. Other responses that
// nobody waits for go nowhere (RFC 6026 section 7.3).
func (p *Proxy) returned(in *transport.Inbound, resp *sip.Response) bool {
	p.know(in.Endpoint())
	branch, _, _ := strings.Cut(resp.Via().Branch(), ".")
	if len(branch) != len(cookie)+hashSize {
		return false
	}
	up := resp.With(sip.Pop("Via"))
	via := up.Via()
	var room [hashSize]byte
	if via.Host == "" || branch[len(cookie):] != string(p.key.stateless(room[:0], via, resp)) {
		return false
	}
	p.returnBeside(in.Endpoint(), up)
	return true
}

// returnBeside sends a response to where its Via says, beside the socket if it has
// to wait.
func (p *Proxy) returnBeside(ep *transport.Endpoint, up *sip.Response) {
	forward := func(ctx context.Context) (done bool) {
		err := ep.Forward(ctx, up)
		if err != nil && !hadToWait(ctx, err) {
			p.log.Debug("response not forwarded", "error", err, "call-id", up.CallID())
		}
		return !hadToWait(ctx, err)
	}
	via := up.Via()
	host := hostname.Canonical(via.Host)
	if at := via.Received(); at.IsValid() {
		if equalFold(via.Transport, "UDP") {
			forward(p.posted.ctx)
			return
		}
		host = at.String()
	}
	// The source does not count: it has the responses to everybody, and it is not
	// its fault if one of them is gone.
	w := waiter{hop: host}
	if !forward(p.posted.over) && !p.post(&p.posted.responses, w, up, func(ctx context.Context) { forward(ctx) }) {
		p.log.Debug("response lost: too many wait", "to", host, "call-id", up.CallID())
	}
}
