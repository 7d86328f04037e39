package ua

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/goparley/parley/sip/transport"
)

// watch looks every now and then whether another local address leads to the
// proxies of the registrations, for Config.WatchNetwork. It asks the system as
// Endpoint does for Vias, and sends nothing.
type watch struct {
	a    *Agent
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (a *Agent) startWatch() {
	w := &watch{a: a, dial: new(net.Dialer).DialContext}
	if a.cfg.Network != nil {
		w.dial = a.cfg.Network.DialContext
	}
	w.wait()
}

// wait has the next look taken. The timer's goroutine ends with that; there is none
// once Shutdown has begun, which stops the timer.
func (w *watch) wait() {
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	if w.a.closed == nil {
		w.a.watching = time.AfterFunc(w.a.cfg.WatchNetwork, func() { w.a.background(w.look) })
	}
}

// look compares, and says NetworkChanged if it must.
func (w *watch) look() {
	defer w.wait()
	defer w.a.fence()
	changed := false
	for _, r := range w.a.registrations() {
		for _, b := range r.all() {
			changed = w.hasMoved(b) || changed
		}
	}
	if changed {
		if err := w.a.NetworkChanged(w.a.ctx); err != nil {
			w.a.log.Debug("network has changed", "error", err)
		}
	}
}

// hasMoved reports whether another address leads to where a binding was made, or
// one does again.
func (w *watch) hasMoved(b *binding) bool {
	b.r.mu.Lock()
	to, before := b.kept.RemoteAddr(), b.local
	b.r.mu.Unlock()
	if !to.IsValid() || w.a.ctx.Err() != nil {
		return false
	}
	var now netip.Addr // none, if no way leads there
	if c, err := w.dial(w.a.ctx, "udp", to.String()); err == nil {
		if addr, ok := c.LocalAddr().(*net.UDPAddr); ok {
			now = addr.AddrPort().Addr().Unmap()
		}
		c.Close()
	}
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	b.local = where{now, true}
	return before.known && now.IsValid() && now != before.addr
}

// where is the local address that leads to a peer.
type where struct {
	addr  netip.Addr // not valid: none does
	known bool
}

// localOf returns ours of a flow, if that is known.
func localOf(f transport.Flow) where {
	addr := f.LocalAddr().Addr()
	return where{addr, addr.IsValid() && !addr.IsUnspecified()}
}
