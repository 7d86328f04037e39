package ua

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
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

// checkInstance says what is wrong with Config.Instance.
func (a *Agent) checkInstance() error {
	if a.cfg.Instance != "" && !isURN(a.cfg.Instance) {
		return fmt.Errorf("instance %q is no URN", a.cfg.Instance)
	}
	return nil
}

// isURN reports whether a text is a URN (RFC 2141 section 2), as far as who it names can tell,
// and can stand in a +sip.instance.
func isURN(s string) bool {
	scheme, rest, _ := strings.Cut(s, ":")
	nid, nss, _ := strings.Cut(rest, ":")
	return strings.EqualFold(scheme, "urn") && nss != "" && nid != "" && nid[0] != '-' &&
		!strings.ContainsFunc(nid, func(r rune) bool {
			return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) &&
		!strings.ContainsFunc(nss, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"<>\`, r) })
}

// keeping is how a registrar wants a flow to be kept alive.
type keeping struct {
	flow     transport.Flow
	interval time.Duration
	answered bool
}

// keep keeps the flow of a REGISTER that was accepted alive, so that calls come
// in by it through the NATs on the way (RFC 5626 section 4.4). It is called by
// who has the turn.
func (b *binding) keep(got *granted) {
	b.r.mu.Lock()
	how := keeping{flow: b.kept, interval: got.flowTimer, answered: got.outbound}
	same := b.alive && b.keeping == how
	b.alive = true
	b.r.mu.Unlock()
	if same {
		return
	}
	b.letGo()
	b.keeping = how
	began := time.Now()
	b.keeper = b.r.a.l.Transactions().Endpoint().KeepAlive(how.flow, &transport.KeepAlive{
		Interval: how.interval, Answered: how.answered,
		Dead: func(error) { b.flowDied(how.flow, began) },
	})
}

// contactFor returns the Contact for a request that is to make a dialog, and where
// we are reached ourselves, whatever it says: for session descriptions.
func (a *Agent) contactFor(ctx context.Context, req *sip.Request, private bool) (contact sip.Contact, own sip.URI, err error) {
	a.discover(ctx)
	contact, err = a.l.ContactFor(ctx, a.aor.User, req)
	return a.contact(contact, true, private), contact.URI, err
}

// letGo ends keep.
func (b *binding) letGo() {
	if b.keeper != nil {
		b.keeper()
	}
	b.keeper = nil
	b.keeping = keeping{}
}

// lived is how long a flow has to have lived for it to be replaced at once. It
// stands for the first answer to a keepalive (RFC 5626 section 4.5), which comes
// after 30 seconds over UDP, and two minutes on a connection.
const lived = 30 * time.Second

// flowDied makes a new flow in place of one that is dead: at once if it has
// lived for a while, else as after a refresh that failed (RFC 5626 section 4.5).
func (b *binding) flowDied(flow transport.Flow, began time.Time) {
	b.r.mu.Lock()
	current := b.r.ctx.Err() == nil && b.kept == flow
	if current {
		b.up, b.alive = false, false
	}
	b.r.mu.Unlock()
	switch {
	case !current:
	case time.Since(began) < lived:
		b.schedule(b.failed(nil))
	default:
		b.schedule(0)
	}
}

// hasOutbound reports whether a registrar of the agent keeps flows.
func (a *Agent) hasOutbound() bool {
	for _, r := range a.registrations() {
		for _, b := range r.all() {
			if b.hasOutbound() {
				return true
			}
		}
	}
	return false
}

const (
	// stunTime is how long a STUN server has for its answer: a call does not wait long
	// for what it can do without.
	stunTime = 3 * time.Second
	// stunAgain is how long one that has not answered is left alone, no longer than a
	// registration that has failed waits.
	stunAgain = 30 * time.Second
)

// checkSTUN says what is wrong with Config.STUN.
func (a *Agent) checkSTUN() error {
	if a.cfg.STUN == "" {
		return nil
	}
	uri, err := sip.ParseURI("sip:" + a.cfg.STUN)
	if err != nil || uri.User != "" || uri.Params != "" || uri.Headers != "" {
		return fmt.Errorf("STUN server %q is neither a host nor host:port", a.cfg.STUN)
	}
	return nil
}

// discover asks the STUN server for our public address, unless it is known where we are
// now. Without an answer requests name the address that there is.
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
	endpoint := a.l.Transactions().Endpoint()
	for {
		moves := a.moves.Load()
		if moves == a.asked && (a.found || time.Now().Before(a.askAgain)) {
			return
		}
		limited, cancel := context.WithTimeout(ctx, stunTime)
		_, err := endpoint.Discover(limited, a.cfg.STUN)
		cancel()
		if err != nil && ctx.Err() != nil {
			return
		}
		if err != nil {
			a.log.Warn("public address not found", "error", err)
		}
		a.asked, a.found, a.askAgain = moves, err == nil, time.Now().Add(stunAgain)
		if a.moves.Load() == moves {
			return
		}
		endpoint.ForgetRoutes() // it is the address of the network before
	}
}
