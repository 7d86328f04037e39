package registrar

import (
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
	ranks   []rank // of these
}

const (
	// maxUsers bounds how many users are looked up. One forwards to one other of
	// ours at most, so that a chain has this length.
	maxUsers = 8
	// maxTargets bounds what is found of all of them.
	maxTargets = 100
)

// A rank is where a target comes: by the q of the Contact that leads there at each user
// on the way, and 1 from there on. What there is of a colleague so comes before what has
// a lower q than the Contact to that one.
type rank [maxUsers]float64

func first() (r rank) {
	for i := range r {
		r[i] = 1
	}
	return r
}

// add adds the targets of one user, who is so many users from the first. If the way
// here was secure, only what is secure counts.
func (x *search) add(bindings []Binding, at rank, from int, secure bool) error {
	key := x.users[len(x.users)-1]
	for i := range bindings {
		b := &bindings[i]
		t, ok := target(b, x.scheme)
		if isSIPS := b.Contact.URI.Scheme == "sips"; !ok || secure && !isSIPS || x.r.lost(b) {
			continue
		}
		at[from] = t.Q
		if x.r.isColleague(b, key) {
			there, err := x.colleague(b, at, from+1)
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
		x.targets, x.ranks = append(x.targets, t), append(x.ranks, at)
	}
	return nil
}

// isColleague reports whether a binding is to a user of ours: no client has the
// address of a domain for its own, but for one that is known by its flow.
func (r *Registrar) isColleague(b *Binding, key string) bool {
	return !b.outbound && !b.Contact.URI.Params.Has("maddr") && r.leadsHere(b.Contact.URI, key, b.here)
}

// colleague adds the targets of the user that a binding is to. It reports false
// where that user is nowhere, and the Contact may be what some client calls itself
// that is reached by a Path.
func (x *search) colleague(b *Binding, at rank, from int) (there bool, err error) {
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
	return true, x.add(found, at, from, uri.Scheme == "sips")
}

// qStep is what the values of q differ by that are given to targets of different ranks
// with the same q at the first user. All of them together are less than what two of
// three decimals differ by (RFC 3261 section 25.1).
const qStep = 0.001 / (maxTargets + 1)

// result returns the targets, those with the highest q first.
func (x *search) result() []proxy.Target {
	if len(x.users) == 1 {
		return x.targets
	}
	order := make([]int, len(x.targets))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(x.ranks[b][:], x.ranks[a][:]) })
	out, steps := make([]proxy.Target, len(order)), 0
	for i, of := range order {
		switch at := x.ranks[of]; {
		case i == 0 || at[0] != x.ranks[order[i-1]][0]:
			steps = 0
		case at != x.ranks[order[i-1]]:
			steps++
		}
		out[i] = x.targets[of]
		out[i].Q = x.ranks[of][0] - float64(steps)*qStep
	}
	return out
}
