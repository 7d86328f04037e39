package transport

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/goparley/parley/sip"
)

// Receive yields the messages that arrive, until ctx ends or the Endpoint is
// closed; the last error says which. It may run on as many goroutines as you
// like: each message goes to one of them. It is for an Endpoint without a
// Config.Handle. While nobody receives, a few messages wait and the rest is
// left to the sockets' own queues.
func (e *Endpoint) Receive(ctx context.Context) iter.Seq2[*Inbound, error] {
	return func(yield func(*Inbound, error) bool) {
		for {
			select {
			case in := <-e.inbox:
				if !yield(in, nil) {
					return
				}
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			case <-e.ctx.Done():
				yield(nil, ErrClosed)
				return
			}
		}
	}
}

func (e *Endpoint) enqueue(in *Inbound) {
	select {
	case e.inbox <- in:
	case <-e.ctx.Done():
	}
}

// datagram takes what a UDP socket read.
func (e *Endpoint) datagram(f Flow, text string) {
	m, err := sip.Parse(text)
	if err != nil {
		e.malformed(f, text, err)
		return
	}
	e.deliver(f, m, text)
}

// deliver hands a parsed message over.
func (e *Endpoint) deliver(f Flow, m sip.Message, text string) {
	in := &Inbound{Message: m, Flow: f, Time: time.Now()}
	e.traceReceived(in, text)
	switch m := m.(type) {
	case *sip.Request:
		in.Message = stamp(m, f.remote)
	case *sip.Response:
		if !e.isSentBy(m.Via()) {
			e.count.strayResponses.Add(1)
			return
		}
	}
	e.fence(in)
}

// fence hands a message to user code. A panic there is a bug of the user's or
// of ours, and costs this message alone.
func (e *Endpoint) fence(in *Inbound) {
	defer func() {
		if p := recover(); p != nil {
			e.cfg.Logger.Error("panic while handling a message", "panic", p, "flow", in.Flow.String(),
				"message", in.Message.String(), "stack", string(debug.Stack()))
		}
	}()
	e.cfg.Handle(in)
}

// malformed counts what was no message and answers a request that can be
// answered.
func (e *Endpoint) malformed(f Flow, text string, err error) {
	e.traceMalformed(f, text, err)
	var syntax *sip.SyntaxError
	if !errors.As(err, &syntax) || syntax.Status == 0 {
		e.count.malformedResponses.Add(1)
		return
	}
	e.count.malformedRequests.Add(1)
	reply := syntax.Reply()
	if reply == nil {
		return
	}
	// The request cannot be trusted to say where it came from, so the answer
	// goes to where it did come from.
	e.Send(f, replaceVia(reply, stampedVia(reply.Via(), f.remote)))
}

// stamp notes in the topmost Via where a request came from (RFC 3261 section
// 18.2.1, RFC 3581 section 4).
func stamp(r *sip.Request, from netip.AddrPort) *sip.Request {
	via := r.Via()
	stamped := stampedVia(via, from)
	if stamped == via {
		return r
	}
	if out := r.With(sip.Pop("Via"), sip.Push(stamped)); out.Err() == nil {
		return out
	}
	return r
}

func stampedVia(via sip.Via, from netip.AddrPort) sip.Via {
	host, err := netip.ParseAddr(trimBrackets(via.Host))
	_, rport := via.RPort()
	// A received that the client wrote itself could send the response to
	// anybody.
	via.Params = via.Params.Without("received")
	if rport {
		via.Params = via.Params.With("rport", strconv.Itoa(int(from.Port())))
	}
	// With rport, received is there even if it says nothing new.
	if rport || err != nil || host.Unmap() != from.Addr() {
		via.Params = via.Params.With("received", from.Addr().WithZone("").String())
	}
	return via
}

// replaceVia exchanges the topmost Via of a response.
func replaceVia(r *sip.Response, via sip.Via) *sip.Response {
	return r.With(sip.Pop("Via"), sip.Push(via))
}
