package transport

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
)

// Trace is told of every message that passes an Endpoint. Any of its functions
// may be nil. They are called from the goroutine that sends or receives, so
// they must be quick, must not call back into the Endpoint, and are called from
// several goroutines at once. A panic in one is logged, and harms nothing.
type Trace struct {
	// Received is called for each message that arrived whole and well-formed.
	Received func(TraceMessage)
	// Sent is called for each message that goes out, before the socket has it,
	// so that no answer is seen before what it answers. A message that the
	// system then refuses to send, as too large or for want of a route, has
	// been shown all the same.
	Sent func(TraceMessage)
	// Malformed is called for what arrived and was no message. Err says why;
	// it is a *sip.SyntaxError, or wraps sip.ErrFraming for a stream.
	Malformed func(TraceMessage)
}

// TraceMessage is one message on its way.
type TraceMessage struct {
	Time      time.Time
	Transport string         // "UDP", "TCP", "TLS", "WS", "WSS"
	Local     netip.AddrPort // our side; for a wildcard the address that leads to the peer
	Remote    netip.AddrPort
	Message   sip.Message // nil if malformed
	Text      string      // what was on the wire; "" for a stream that cannot be framed
	Err       error       // why it is malformed
}

// Stats counts what an Endpoint has seen since it was made.
type Stats struct {
	Received           uint64 // well-formed messages
	Sent               uint64
	MalformedRequests  uint64 // answered with a 4xx or 5xx, or dropped where no answer is due
	MalformedResponses uint64 // dropped
	StrayResponses     uint64 // dropped: the topmost Via is not ours (RFC 3261 section 18.1.2)
	UnframedStreams    uint64 // connections closed because their stream made no sense
	RefusedConns       uint64 // connections closed at once, or not opened for a response: Config.MaxConns, MaxConnsPerSource
	FailedHandshakes   uint64 // connections whose handshake of TLS or WebSocket failed or took too long
	Limited            uint64 // datagrams dropped for Config.MaxRate
	Paced              uint64 // times that a connection was kept waiting for Config.MaxRate
	CrowdedOut         uint64 // connections closed with a message unfinished, as there was no room below Config.MaxBytes
}

type counters struct {
	received, sent, malformedRequests, malformedResponses, strayResponses, unframedStreams, refusedConns, failedHandshakes, limited, paced, crowdedOut atomic.Uint64
}

// Stats returns the counters as they stand.
func (e *Endpoint) Stats() Stats {
	return Stats{
		Received:           e.count.received.Load(),
		Sent:               e.count.sent.Load(),
		MalformedRequests:  e.count.malformedRequests.Load(),
		MalformedResponses: e.count.malformedResponses.Load(),
		StrayResponses:     e.count.strayResponses.Load(),
		UnframedStreams:    e.count.unframedStreams.Load(),
		RefusedConns:       e.count.refusedConns.Load(),
		FailedHandshakes:   e.count.failedHandshakes.Load(),
		Limited:            e.count.limited.Load(),
		Paced:              e.count.paced.Load(),
		CrowdedOut:         e.count.crowdedOut.Load(),
	}
}

// isTraced reports whether somebody is told of what arrives.
func (e *Endpoint) isTraced() bool { return e.cfg.Trace != nil && e.cfg.Trace.Received != nil }

func (e *Endpoint) traceReceived(in *Inbound, raw []byte) {
	e.count.received.Add(1)
	if e.isTraced() {
		text := in.Message.String()
		if raw != nil {
			text = string(raw)
		}
		e.tell(e.cfg.Trace.Received, in.Flow, e.traced(in.Flow, in.Time, in.Message, text, nil))
	}
}

func (e *Endpoint) traceSending(f Flow, m sip.Message) {
	if t := e.cfg.Trace; t != nil && t.Sent != nil {
		e.tell(t.Sent, f, e.traced(f, time.Now(), m, m.String(), nil))
	}
}

func (e *Endpoint) traceMalformed(f Flow, text string, err error) {
	if t := e.cfg.Trace; t != nil && t.Malformed != nil {
		e.tell(t.Malformed, f, e.traced(f, time.Now(), nil, text, err))
	}
}

// tell calls a function of a Trace. A panic in it does not harm the message.
func (e *Endpoint) tell(traced func(TraceMessage), f Flow, m TraceMessage) {
	defer e.fence(f, m.Message)
	traced(m)
}

func (e *Endpoint) traced(f Flow, at time.Time, m sip.Message, text string, err error) TraceMessage {
	local := f.LocalAddr()
	if local.Addr().IsUnspecified() {
		if addr, err := e.route(e.ctx, f.remote); err == nil {
			local = netip.AddrPortFrom(addr, local.Port())
		}
	}
	return TraceMessage{
		Time: at, Transport: f.Transport(), Local: local, Remote: f.remote,
		Message: m, Text: text, Err: err,
	}
}
