package ua

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
)

// granted is what a 2xx says to a REGISTER.
type granted struct {
	life  time.Duration // of our binding
	route []sip.Route   // the Service-Route (RFC 3608)

	outbound  bool          // the registrar keeps the flow (RFC 5626 section 6)
	flowTimer time.Duration // 0: it does not say

	pushed     bool          // a proxy wakes us by push notifications (RFC 8599)
	pushBefore time.Duration // and wants a refresh so long before the end; 0: it wakes us for that, too

	answer
}

// answer is what is kept of a 2xx for all bindings of a registration.
type answer struct {
	resp      *sip.Response // in memory of its own
	pub, temp sip.URI       // GRUUs; zero: none
	purr      string        // RFC 8599 section 6.2.1
}

// maxServiceRoute bounds the hops that each request of ours is sent through.
const maxServiceRoute = 16

// granted reads a 2xx. Who has the turn calls it.
func (b *binding) granted(resp *sip.Response) *granted {
	if m, err := sip.Parse(strings.Clone(resp.String())); err == nil {
		if own, ok := m.(*sip.Response); ok {
			resp = own // what is kept pins this, and not what it came with
		}
	}
	g := &granted{answer: answer{resp: resp}}
	require, _ := sip.Get[sip.Require](resp)
	g.outbound = slices.Contains(require, sip.OptionOutbound)
	if n, err := sip.Get[sip.FlowTimer](resp); err == nil {
		g.flowTimer = seconds(uint32(n))
	}
	g.readContacts(b)
	g.life = min(g.life, b.expires) // a registrar gives no more (RFC 3261 section 10.3 step 7)
	g.readServiceRoute()
	g.readFeatureCaps(b.contact.URI)
	return g
}

// readContacts finds our binding: how long it lives, by its own expires parameter,
// else the Expires header field, else what we asked for (RFC 3261 section 10.2.4).
// If none of the bindings is ours as we wrote it, something on the way has
// rewritten it, and the one that ends first counts.
func (g *granted) readContacts(b *binding) {
	all := b.expires
	if e, err := sip.Get[sip.Expires](g.resp); err == nil {
		all = seconds(uint32(e))
	}
	life := func(c sip.Contact) time.Duration {
		if n, ok := c.Expires(); ok {
			return seconds(n)
		}
		return all
	}
	g.life = all
	same := false // by its URI alone
	for c, err := range sip.All[sip.Contact](g.resp) {
		switch {
		case err != nil || c.Star:
		case b.isOwn(c):
			g.take(c, life(c))
			return
		case c.URI.Equal(b.contact.URI) && c.RegID() == 0:
			same = true
			g.take(c, life(c))
		case !same && life(c) > 0:
			g.life = min(g.life, life(c))
		}
	}
}

// isOwn reports whether a Contact of the registrar's is this binding, by instance
// and reg-id (RFC 5626 section 6).
func (b *binding) isOwn(c sip.Contact) bool {
	return c.Instance() == b.r.a.cfg.Instance && c.RegID() == b.regID
}

// take takes our own Contact, with its GRUUs (RFC 5627 section 4.2).
func (g *granted) take(c sip.Contact, life time.Duration) {
	g.life = life
	g.pub, _ = c.PubGRUU()
	g.temp, _ = c.TempGRUU()
}

// lists reports whether a 2xx has a binding beside our new one.
func (g *granted) lists(left, bound sip.Contact) bool {
	old := withoutPush(left.URI)
	if old.Equal(withoutPush(bound.URI)) {
		return false // whoever removes one of them removes both
	}
	for c, err := range sip.All[sip.Contact](g.resp) {
		if err == nil && !c.Star && withoutPush(c.URI).Equal(old) && (c.Instance() == left.Instance() || c.Instance() == "") {
			return true
		}
	}
	return false
}

// readServiceRoute reads the Service-Route. One that cannot be followed is none.
func (g *granted) readServiceRoute() {
	for hop, err := range sip.All[sip.ServiceRoute](g.resp) {
		if err != nil || hop.URI.Scheme != "sip" && hop.URI.Scheme != "sips" ||
			!hop.URI.Params.Has("lr") || len(g.route) == maxServiceRoute { // RFC 3608 section 6.3 requires lr
			g.route = nil
			return
		}
		g.route = append(g.route, sip.Route(hop))
	}
}

// readFeatureCaps reads what proxies on the way say of push notifications (RFC
// 8599 sections 4.1.1, 4.1.4 and 6.1.1).
func (g *granted) readFeatureCaps(contact sip.URI) {
	asked, ok := contact.PushParams()
	if !ok {
		return
	}
	for caps, err := range sip.All[sip.FeatureCaps](g.resp) {
		if err != nil {
			continue
		}
		if pns, ok := caps.Params.Feature("+sip.pns"); ok && strings.EqualFold(string(pns), asked.Provider) {
			g.pushed = true
			if before, ok := caps.Params.Feature("+sip.pnsreg"); ok {
				n, _ := strconv.ParseUint(string(before), 10, 32)
				g.pushBefore = max(time.Second, seconds(uint32(n)))
			}
		}
		if purr, ok := caps.Params.Feature("+sip.pnspurr"); ok {
			g.purr = string(purr)
		}
	}
}

// refreshIn returns when the binding is to be refreshed.
func (g *granted) refreshIn() time.Duration {
	switch {
	case g.pushed && g.pushBefore == 0:
		// RFC 8599 section 4.1.4: a push notification comes in time. If none
		// has, the binding is gone and is to be made anew.
		return g.life
	case g.pushed:
		return min(refreshIn(g.life), max(g.life-g.pushBefore, time.Second))
	case g.temp.Host != "" && g.life > 64*time.Second:
		// Temporary GRUUs end with the binding, so that the refresh is to be
		// over by then, answered or not (RFC 5627 section 4.2).
		return min(refreshIn(g.life), g.life-32*time.Second)
	case g.temp.Host != "":
		return min(refreshIn(g.life), max(g.life/2, time.Second))
	}
	return refreshIn(g.life)
}

// withoutPush returns the URI of a Contact without what is for push notifications.
func withoutPush(uri sip.URI) sip.URI { return uri.WithPushParams(sip.PushParams{}) }
