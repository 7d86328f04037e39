package transport

import (
	"context"
	"errors"
	"iter"
	"runtime/debug"
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

// deliver hands over a message that came by a connection.
func (e *Endpoint) deliver(f Flow, m sip.Message, raw []byte) {
	e.hand(&Inbound{Message: m, Flow: f, Time: time.Now()}, raw)
}

// handStamped hands over a request that was stamped before it was parsed. raw is
// how it came.
func (e *Endpoint) handStamped(in *Inbound, raw []byte) {
	if e.isTraced() {
		stamped := in.Message
		in.Message, _ = sip.ParseBytes(raw) // what is well-formed when stamped was so before
		e.traceReceived(in, raw)
		in.Message = stamped
	} else {
		e.count.received.Add(1)
	}
	e.handle(in)
}

// hand hands a parsed message over. raw is how it came, nil if that is the text
// of the message.
func (e *Endpoint) hand(in *Inbound, raw []byte) {
	f := in.Flow
	switch m := in.Message.(type) {
	case *sip.Request:
		if c, ok := f.via.(*conn); ok && m.Via().Params.Has("alias") {
			e.alias(c, m.Via().Port)
		}
		stamped := stamp(m, f.remote)
		if err := stamped.Err(); err != nil {
			text := m.String()
			if raw != nil {
				text = string(raw)
			}
			e.unstamped(f, m, text, err)
			return
		}
		e.traceReceived(in, raw) // as it came
		in.Message = stamped
	case *sip.Response:
		e.traceReceived(in, raw)
		if !e.isSentBy(m.Via(), f) {
			e.count.strayResponses.Add(1)
			return
		}
	}
	e.handle(in)
}

// handle gives a message to the program, unless Close has begun. Close does not wait
// for the goroutine from here on, and so may return before Handle is called.
func (e *Endpoint) handle(in *Inbound) {
	if in.reader != nil {
		in.reader.shift.leave()
	} else if c, ok := in.Flow.via.(*conn); ok {
		c.shift.leave()
	}
	if e.ctx.Err() == nil {
		e.cfg.Handle(in)
	}
}

// pace holds back what comes by a connection from a source that has sent more
// than Config.MaxRate: its reader waits, and so does who writes to it. It does
// not wait on for a connection that is over. The longer it takes the more seldom
// it looks, for there may be a thousand that wait.
func (e *Endpoint) pace(c *conn) {
	wait := 10 * time.Millisecond
	for c.reason() == nil && !e.pacer.allow(c.remote.Addr(), time.Since(e.began)) {
		e.count.paced.Add(1)
		select {
		case <-time.After(wait):
			wait = min(2*wait, 320*time.Millisecond)
		case <-e.ctx.Done():
			return
		}
	}
}

// fence is deferred around what is done with one message. A panic there is a
// bug of the user's or of ours, and costs this message alone. m is the message,
// if there is one.
func (e *Endpoint) fence(f Flow, m sip.Message) {
	if p := recover(); p != nil {
		text := ""
		if m != nil {
			text = m.String()
		}
		e.panicked(p, f, text)
	}
}

// panicked logs a panic that was recovered from.
func (e *Endpoint) panicked(p any, f Flow, message string) {
	e.cfg.Logger.Error("panic while handling a message", "panic", p, "flow", f.String(),
		"message", message, "stack", string(debug.Stack()))
}

// malformed counts what was no message and answers a request that can be
// answered.
func (e *Endpoint) malformed(f Flow, text string, err error) {
	e.traceMalformed(f, text, err)
	var syntax *sip.SyntaxError
	if !errors.As(err, &syntax) || syntax.Status == 0 { // nothing is answered to a response
		e.count.malformedResponses.Add(1)
		return
	}
	e.count.malformedRequests.Add(1)
	reply := syntax.Reply()
	if reply == nil {
		return
	}
	// What is broken in the request is as broken in the answer, and can keep
	// it from being edited. It then goes back with the Via as it came.
	if stamped := reply.With(popVia, sip.Push(stampedVia{reply.Via(), f.remote})); stamped.Err() == nil {
		reply = stamped
	}
	e.Send(responseFlow(reply.Via(), f), reply)
}

// unstamped refuses a request in which it cannot be noted where it came from:
// there is no room for that, or its Via has a NUL, which may be quoted and yet
// not be written again. It may carry a received of its sender's making, so it
// is not handed over.
func (e *Endpoint) unstamped(f Flow, r *sip.Request, text string, err error) {
	refused := &sip.SyntaxError{Where: "Via", Msg: "received cannot be added: " + err.Error(), Status: sip.StatusBadRequest}
	if syntax := new(sip.SyntaxError); errors.As(err, &syntax) && syntax.Status == sip.StatusMessageTooLarge {
		refused.Status = syntax.Status
	}
	e.traceMalformed(f, text, refused)
	e.count.malformedRequests.Add(1)
	if r.Method() != sip.ACK {
		e.Send(responseFlow(r.Via(), f), r.Refuse(refused))
	}
}
