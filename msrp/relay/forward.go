package relay

import (
	"strings"

	"github.com/goparley/parley/msrp/frame"
)

// forward passes on a request that is not a message: a REPORT, an AUTH for the next relay, a
// NICKNAME, or what is not known yet (RFC 4976 section 6.4.2).
func (c *connection) forward(rt *route, h *frame.Head, body []byte) {
	f := &forwarded{c: c, rt: rt, h: h}
	if h.Method == frame.AUTH {
		if f.counts = !c.isRelay(h); c.isGuarded(h) {
			c.respond(h, frame.StatusTimeout)
			return
		}
	}
	out := *h
	out.To, out.From = rt.to, rt.from
	item := letter{head: &out, body: body}
	if h.Method != frame.REPORT && h.FailureReport != frame.FailureReportNo {
		if f.asked(1) > maxAsked {
			f.asked(-1)
			c.respond(h, frame.StatusTimeout)
			return
		}
		item.owner = f
	}
	rt.out.out.post(item)
}

// A forwarded request waits for its response.
type forwarded struct {
	c      *connection
	rt     *route
	h      *frame.Head
	counts bool // an AUTH of a client, whose wrong passwords count
}

// asked counts the request for who pays for it, or with -1 no more, and returns what there is then.
func (f *forwarded) asked(n int64) int64 {
	return f.rt.payer().asked.Add(n * int64(512+len(f.h.To)+len(f.h.From)))
}

// Answered is that of link.Owner. The response goes back the whole way (RFC 4976 section 6.4.3).
func (f *forwarded) Answered(_ frame.Range, response *frame.Head, err error) {
	f.asked(-1)
	if response == nil {
		if resp := answer(f.h, frame.StatusTimeout); resp != nil {
			f.c.out.post(letter{head: resp})
		}
		return
	}
	resp := response.Clone()
	resp.ID, resp.To, resp.From = f.h.ID, f.h.From, f.rt.ours+" "+response.From
	resp.HasBody = false
	f.c.out.post(letter{head: resp})
	f.guess(response)
}

// guess counts passwords of a client that another relay does not take (RFC 4976 section 6.3). Another relay counts
// those of its own clients.
func (f *forwarded) guess(response *frame.Head) {
	if !f.counts {
		return
	}
	if _, tried := f.h.Get("Authorization"); !tried || response.Status != frame.StatusUnauthorized {
		if response.Status == frame.StatusOK {
			f.c.guesses.forgive()
		}
		return
	}
	challenge, _ := response.Get("WWW-Authenticate")
	if strings.Contains(strings.ToLower(challenge), "stale=true") {
		return
	}
	if f.c.guesses.add(); f.c.guesses.over() {
		f.c.guard(f.h)
	}
}

// report tells the sender of a message that part of it has not arrived (RFC 4976 section 6.4.1).
func (c *connection) report(rt *route, h *frame.Head, r frame.Range, status frame.Status) {
	if h.FailureReport == frame.FailureReportNo || h.MessageID == "" {
		return
	}
	first, _ := cutFirst(rt.ours)
	c.out.post(letter{head: &frame.Head{
		Method: frame.REPORT, To: h.From, From: first, MessageID: h.MessageID, Range: r, Report: status,
	}})
}
