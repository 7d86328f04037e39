package ua

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/goparley/parley/sip"
)

// Response returns the newest 2xx of the registrar: the bindings of all agents of
// the user are its Contacts, Feature-Caps says what proxies on the way can do (RFC
// 8599 section 4.1), P-Associated-URI which addresses are registered with this one.
func (r *Registration) Response() *sip.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answer.resp
}

// Bindings asks for the bindings of the agent's address of record, and changes
// nothing (RFC 3261 section 10.2.3): those of all agents of the user. Registrar and
// Proxies of opts say whom to ask; nil will do. A refusal is a *StatusError.
func (a *Agent) Bindings(ctx context.Context, opts *RegisterOptions) ([]sip.Contact, error) {
	resp, err := a.ask(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("bindings of %s: %w", a.aor, err)
	}
	var contacts []sip.Contact
	for c, err := range sip.All[sip.Contact](resp) {
		if err != nil {
			return nil, fmt.Errorf("bindings of %s: %w", a.aor, err)
		}
		contacts = append(contacts, c.Clone())
	}
	return contacts, nil
}

// RemoveBindings removes all bindings of the agent's address of record, those of
// other agents of the user, too (RFC 3261 section 10.2.2). Registrations of this
// agent come back with their next refresh: they are for Close to end. Registrar and
// Proxies of opts say whom to ask; nil will do. A refusal is a *StatusError.
func (a *Agent) RemoveBindings(ctx context.Context, opts *RegisterOptions) error {
	_, err := a.ask(ctx, opts, sip.Contact{Star: true}, sip.Expires(0))
	if err != nil {
		return fmt.Errorf("remove bindings of %s: %w", a.aor, err)
	}
	return nil
}

// ask sends a REGISTER that binds nothing, by the first proxy that works.
func (a *Agent) ask(ctx context.Context, opts *RegisterOptions, edits ...sip.Edit) (resp *sip.Response, err error) {
	registrar, proxies, err := a.registrar(opts)
	if err != nil {
		return nil, err
	}
	if a.isClosed() {
		return nil, ErrClosed
	}
	ctx, stop := a.whileOpen(ctx)
	defer stop()
	for i := range max(1, len(proxies)) {
		var route []sip.Route
		if len(proxies) > 0 {
			route = []sip.Route{{URI: proxies[i]}}
		}
		// A proxy on the way may add a Path, also where it is of no use.
		all := append([]sip.Edit{sip.List(route...), sip.Supported{sip.OptionPath}}, edits...)
		resp, err = a.l.Do(a.servers.watch(ctx), a.requestTo(sip.REGISTER, registrar, sip.To{URI: a.aor}, rand.Text(), rand.Text(), 1, all...))
		if err = a.result(resp, err); ctx.Err() != nil && err != nil {
			return nil, cause(ctx)
		}
		if err == nil || !elsewhere(err) {
			return resp, err
		}
	}
	return nil, err
}
