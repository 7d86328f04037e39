package registrar

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/goparley/parley/transaction/proxy"
)

// A search collects the targets of one URI, those of the users that it is forwarded
// to included. A location service may do that (RFC 3261 section 16.5), and to send
// the request to ourselves in place of it would have us ask its sender for a
// password once more, and spend hops on it.
type search struct {
	r       *Registrar
	ctx     context.Context
	scheme  string   // of the URI
	users   []string // that have been looked up, by their keys
	targets []proxy.Target
}

const (
	// maxUsers bounds how many users are looked up. One forwards to one other of
	// ours at most, so that a chain has this length.
	maxUsers = 8
	// maxTargets bounds what is found of all of them.
	maxTargets = 100
)

// add adds the targets of one user. Those with a q of 1 have the preference top, the
// others less by up to width. If the way here was secure, only what is secure counts.
func (x *search) add(bindings []Binding, top, width float64, secure bool) error {
	key := x.users[len(x.users)-1]
	for i := range bindings {
		b := &bindings[i]
		t, ok := target(b, x.scheme)
		if isSIPS := b.Contact.URI.Scheme == "sips"; !ok || secure && !isSIPS || x.r.lost(b) {
			continue
		}
		if width < 1 {
			t.Q = top - width*(1-t.Q)
		}
		if x.r.isColleague(b, key) {
			there, err := x.colleague(b, t.Q, width)
			if err != nil {
				return err
			}
			if there {
				continue
			}
		}
		if len(x.targets) == maxTargets {
			return nil
		}
		x.targets = append(x.targets, t)
	}
	return nil
}

// isColleague reports whether a binding is to a user of ours: no client has the
// address of a domain for its own, but for one that is known by its flow.
func (r *Registrar) isColleague(b *Binding, key string) bool {
	return !b.outbound && !b.Contact.URI.Params.Has("maddr") && r.leadsHere(b.Contact.URI, key, b.here)
}

// qStep is less than what two values of q differ by, of three decimals (RFC 3261
// section 25.1): what there is of a colleague comes before what has a lower q.
const qStep = 1.0 / 1024

// colleague adds the targets of the user that a binding is to. It reports false
// where that user is nowhere, and the Contact may be what some client calls itself
// that is reached by a Path.
func (x *search) colleague(b *Binding, top, width float64) (there bool, err error) {
	uri := b.Contact.URI
	which, err := x.r.whose(uri)
	if err != nil || slices.Contains(x.users, which.key) || len(x.users) == maxUsers {
		return true, nil // and is no target
	}
	found, err := x.find(uri)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && len(found) == 0:
		return len(b.Path) == 0, nil
	case err != nil:
		return true, err
	}
	return true, x.add(found, top, width*qStep, uri.Scheme == "sips")
}

// result returns the targets, those with the highest q first.
func (x *search) result() []proxy.Target {
	if len(x.users) > 1 {
		slices.SortStableFunc(x.targets, func(a, b proxy.Target) int { return cmp.Compare(b.Q, a.Q) })
	}
	return x.targets
}
