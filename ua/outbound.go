package ua

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// newInstance returns a random UUID as a URN (RFC 5626 section 4.1, RFC 9562
// section 5.4).
func newInstance() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// keep keeps the flow of a REGISTER that was accepted alive, so that calls come
// in by it through the NATs on the way (RFC 5626 section 4.4). It is called by
// who has the turn.
func (r *Registration) keep(resp *sip.Response) {
	require, _ := sip.Get[sip.Require](resp)
	how := keeping{answered: slices.Contains(require, sip.OptionOutbound)}
	if seconds, err := sip.Get[sip.FlowTimer](resp); err == nil && seconds > 0 {
		how.interval = time.Duration(seconds) * time.Second
	}
	r.outbound.Store(how.answered)
	if r.kept == r.flow && r.keeping == how {
		return
	}
	r.letGo()
	r.keeping = how
	began := time.Now()
	r.kept = r.flow
	r.keeper = r.a.l.Transactions().Endpoint().KeepAlive(r.flow, &transport.KeepAlive{
		Interval: how.interval, Answered: how.answered,
		Dead: func(error) { r.flowDied(began) },
	})
}

// keeping is how a registrar wants a flow to be kept alive.
type keeping struct {
	interval time.Duration
	answered bool
}

// hasOutbound reports whether a registrar of the agent keeps flows.
func (a *Agent) hasOutbound() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for r := range a.regs {
		if r.outbound.Load() {
			return true
		}
	}
	return false
}

// letGo ends keep.
func (r *Registration) letGo() {
	if r.keeper != nil {
		r.keeper()
	}
	r.kept, r.keeper = transport.Flow{}, nil
}

// flowDied makes a new flow in place of one that is dead: at once if it has
// lived for a while, else as after a refresh that failed (RFC 5626 section 4.5).
func (r *Registration) flowDied(began time.Time) {
	if r.ctx.Err() != nil {
		return
	}
	again := time.Duration(0)
	if time.Since(began) < 30*time.Second {
		again = retryIn(1)
	}
	r.schedule(again)
}

// stunTime is how long a STUN server has for its answer.
const stunTime = 3 * time.Second

// discover asks the STUN server for our public address, once. Without an answer
// requests name the address that there is.
func (a *Agent) discover(ctx context.Context) {
	if a.cfg.STUN == "" {
		return
	}
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	case <-ctx.Done():
		return
	}
	if a.asked {
		return
	}
	a.asked = true
	// A call does not wait long for what it can do without.
	limited, cancel := context.WithTimeout(ctx, stunTime)
	defer cancel()
	_, err := a.l.Transactions().Endpoint().Discover(limited, a.cfg.STUN)
	if ctx.Err() != nil {
		a.asked = false
		return
	}
	if err != nil {
		a.log.Warn("public address not found", "error", err)
	}
}
