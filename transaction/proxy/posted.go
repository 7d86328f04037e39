package proxy

import (
	"context"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/goparley/parley/sip"
)

// posted is what is sent without a transaction and has to wait for DNS or for a
// connection: each message in a goroutine of its own, beside the socket. What can
// be sent at once is, on the goroutine of the socket, and takes no place here.
type posted struct {
	ctx  context.Context
	end  context.CancelFunc
	over context.Context // has ended: with it, what would have to wait is not sent

	requests  places
	cancels   places // as many as there are requests to be cancelled
	responses places
}

// maxPosted is how many messages of a kind may wait, and maxPostedOfOne how many
// of them with one next hop, or from one source: who sends to where nobody answers
// keeps others waiting for that alone.
const (
	maxPosted      = 512
	maxPostedOfOne = 64
)

func (p *posted) init() {
	p.ctx, p.end = context.WithCancel(context.Background())
	over, end := context.WithCancel(p.ctx)
	end()
	p.over = over
}

// places are those of the messages that wait.
type places struct {
	mu      sync.Mutex
	all     int
	hops    map[string]int
	sources map[netip.Prefix]int
	waiting map[string]struct{} // by waiter.id
}

// A waiter is a message that waits.
type waiter struct {
	id     string       // of a request, which may come again meanwhile; "": none
	hop    string       // the host that it goes to
	source netip.Prefix // that it comes from; not valid: it does not count
}

// enter takes a place, unless there is none. What waits already is there twice.
func (p *places) enter(w waiter) (ok, twice bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, twice = p.waiting[w.id]; twice {
		return false, true
	}
	if p.all == maxPosted || p.hops[w.hop] == maxPostedOfOne || p.sources[w.source] == maxPostedOfOne {
		return false, false
	}
	if p.hops == nil {
		p.hops, p.sources, p.waiting = map[string]int{}, map[netip.Prefix]int{}, map[string]struct{}{}
	}
	p.all++
	p.hops[w.hop]++
	if w.source.IsValid() {
		p.sources[w.source]++
	}
	if w.id != "" {
		p.waiting[w.id] = struct{}{}
	}
	return true, false
}

// leave gives a place back.
func (p *places) leave(w waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.hops[w.hop]--; p.hops[w.hop] == 0 {
		delete(p.hops, w.hop)
	}
	if w.source.IsValid() {
		if p.sources[w.source]--; p.sources[w.source] == 0 {
			delete(p.sources, w.source)
		}
	}
	delete(p.waiting, w.id)
}

// post sends a message beside the socket. It reports whether that, or the same
// message before it, has a place.
func (p *Proxy) post(in *places, w waiter, m sip.Message, send func(context.Context)) bool {
	w.hop = strings.Clone(w.hop) // it may outlive its message, as that of the next
	ok, twice := in.enter(w)
	if !ok {
		return twice
	}
	go func() { // ends when the message is sent, or with the Proxy
		defer in.leave(w)
		defer func() { // of a function of the program's, such as a trace
			if v := recover(); v != nil {
				p.log.Error("panic beside the socket", "panic", v, "message", m.String(), "stack", string(debug.Stack()))
			}
		}()
		send(p.posted.ctx)
	}()
	return true
}
