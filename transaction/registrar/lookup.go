package registrar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction/proxy"
)

// ErrNotFound says that a URI is none of ours, or is not valid any more: a
// request to it is to be answered with 404.
var ErrNotFound = errors.New("registrar: no such user")

// Lookup returns where a request to an address-of-record or a GRUU goes (RFC 3261
// section 16.5, RFC 5627 section 6.1): the targets with the highest q first, and
// of those with the same the latest. None, without an error, means that the user
// exists and is not registered: a proxy answers with 480. ErrNotFound is for
// users that do not exist, as far as that is known by Config.Exists, for URIs of
// other domains, and for temporary GRUUs that are over; another error is that of
// the Store.
//
// The bindings of one user agent have the same Instance, so that a proxy tries
// one at a time (RFC 5626 section 7). Those whose flow ended with a connection to
// this node are left out, if they have outbound: their client makes another one.
// Other nodes do not know of that. They send the request here, get 430, and try
// the next flow.
//
// A Contact that is an address-of-record of ours, as of a user who is forwarded to
// a colleague, stands for the targets of that user, with the q of the Contact
// before theirs: no request comes back to us for it. Eight users are asked for one
// URI and none of them twice, and there are 100 targets at the most. A Contact with
// a reg-id is a flow and never a user.
//
// A tel URI leads to the user of Domains, the first eight, who is bound with its
// number for a name, without visual separators; a local number to that of its
// phone-context. Where nobody is, the error is ErrNotFound, unless Config.Exists
// knows of such a user.
//
// A Store that does not answer is waited for until ctx ends, and 32 s at most. A
// handler that calls Lookup, and not Forward, tells overload control of that itself
// (transaction.Server.Waiting).
//
// A sips URI has the targets that were registered with sips alone. To a sip URI
// these are targets, too, as sip and by TLS (RFC 5630 section 5.3).
func (r *Registrar) Lookup(ctx context.Context, uri sip.URI) ([]proxy.Target, error) {
	if r.waits {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	if uri.Scheme == "tel" {
		return r.lookupTel(ctx, uri)
	}
	x := search{r: r, ctx: ctx, scheme: uri.Scheme}
	found, err := x.find(uri)
	if err == nil {
		err = x.add(found, first(), 0, false)
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", uri, err)
	}
	return x.result(), nil
}

// Forward forwards a request to where Lookup finds the user of its Request-URI, as
// Forward of its Server does. Without a target the answer is 480, 404 for
// ErrNotFound, and 500 where the Store failed, with a Retry-After. Time that the Store
// takes counts as it does in Register. What is Resumed is looked up though it was
// cancelled, for the CANCEL has to go where the request went.
func (r *Registrar) Forward(tx *proxy.Server, req *sip.Request) {
	done := r.waiting(tx.Server)
	ctx := context.Background()
	if r.waits {
		if ctx = tx.Context(); tx.Resumed() {
			ctx = context.WithoutCancel(ctx)
		}
	}
	targets, err := r.Lookup(ctx, req.URI())
	done()
	switch {
	case err == nil:
		tx.Forward(req, targets...)
	case errors.Is(err, ErrNotFound):
		tx.Reply(sip.StatusNotFound)
	default:
		r.fail(tx, "user not looked up", err)
	}
}

// patience is how long Lookup waits for a Store: 64*T1, after which whoever has
// asked has given up (RFC 3261 section 17.1.2.2).
const patience = 32 * time.Second

// find returns the bindings that a URI stands for, those that are to be tried first
// first. The error may be ErrNotFound.
func (x *search) find(uri sip.URI) ([]Binding, error) {
	which, err := x.r.whose(uri)
	if err != nil {
		return nil, err
	}
	x.users = append(x.users, which.key)
	all, _, err := x.r.load(x.ctx, which.key, time.Now())
	if err != nil {
		return nil, err
	}
	found := all[:0]
	for _, b := range all {
		if which.has(&b) {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		if which.epoch != 0 {
			return nil, ErrNotFound
		}
		if len(all) == 0 {
			return nil, x.r.exists(x.ctx, which.key)
		}
	}
	if len(found) > 1 {
		slices.SortStableFunc(found, func(a, b Binding) int {
			return cmp.Or(cmp.Compare(b.Contact.Q(), a.Contact.Q()), b.Updated.Compare(a.Updated))
		})
	}
	return found, nil
}

// target returns what a binding is for a request to a sip or a sips URI.
func target(b *Binding, scheme string) (proxy.Target, bool) {
	t := proxy.Target{URI: b.Contact.URI, Q: b.Contact.Q(), Route: b.Path, Instance: b.instance()}
	switch {
	case t.URI.Scheme != "sip" && t.URI.Scheme != "sips":
		return t, false // not for a proxy
	case scheme == "sips":
		return t, t.URI.Scheme == "sips"
	case t.URI.Scheme == "sips":
		t.URI.Scheme = "sip"
		// That it is to be TLS has to be said elsewhere than in the scheme. With
		// a Path, the proxy at its end has the flow.
		if kind, _ := t.URI.Param("transport"); len(t.Route) == 0 && (kind == "" || kind == "tcp") {
			t.URI = t.URI.WithParam("transport", "tls")
		}
	}
	return t, true
}

// whose is what a URI stands for: an address-of-record, or one user agent of it.
type whose struct {
	key      string
	instance string // of a public GRUU
	epoch    uint64 // of a temporary one
}

// has reports whether a URI stands for a binding.
func (w *whose) has(b *Binding) bool {
	return (w.instance == "" || w.instance == b.instance()) && (w.epoch == 0 || w.epoch == b.epoch)
}

// whose reads a URI. The error is ErrNotFound.
func (r *Registrar) whose(uri sip.URI) (w whose, err error) {
	key, ok := aorKey(uri)
	if !ok || !r.serves(uri) {
		return w, ErrNotFound
	}
	gr, ok := uri.Param("gr")
	switch {
	case !ok:
		w.key = key
	case gr != "":
		w.key, w.instance = key, instanceKey(gr)
	default:
		if w.key, w.epoch, ok = r.gruus.open(uri.Username()); !ok || hostKey(aorURI(w.key, "sip")) != hostKey(uri) {
			return w, ErrNotFound
		}
	}
	return w, nil
}

// exists returns ErrNotFound for a user who does not exist.
func (r *Registrar) exists(ctx context.Context, key string) error {
	if r.cfg.Exists == nil {
		return nil
	}
	ok, err := r.cfg.Exists(ctx, aorURI(key, "sip"))
	switch {
	case err != nil:
		return fmt.Errorf("ask whether %s exists: %w", key, err)
	case !ok:
		return ErrNotFound
	}
	return nil
}

// Bindings returns the bindings of an address-of-record. The error is ErrNotFound
// for a URI that is none of our domains, or that of the Store.
func (r *Registrar) Bindings(ctx context.Context, aor sip.URI) ([]Binding, error) {
	key, ok := aorKey(aor)
	if !ok || !r.serves(aor) {
		return nil, fmt.Errorf("bindings of %s: %w", aor, ErrNotFound)
	}
	list, _, err := r.load(ctx, key, time.Now())
	if err != nil {
		err = fmt.Errorf("bindings of %s: %w", aor, err)
	}
	return list, err
}

// Watch yields the bindings of an address-of-record as they are, and again when a
// REGISTER has changed or refreshed one, at whichever node, until ctx ends, the
// loop is left or the Store fails. Of changes that follow each other fast the
// last one is enough. That a binding has run out while others are left is told by
// its Expires alone.
func (r *Registrar) Watch(ctx context.Context, aor sip.URI) iter.Seq2[[]Binding, error] {
	return func(yield func([]Binding, error) bool) {
		key, ok := aorKey(aor)
		if !ok || !r.serves(aor) {
			yield(nil, fmt.Errorf("watch %s: %w", aor, ErrNotFound))
			return
		}
		for value, err := range r.store.Watch(ctx, key) {
			var list []Binding
			if err == nil {
				list, err = decode(value, time.Now())
			}
			if err != nil {
				yield(nil, fmt.Errorf("watch %s: %w", aor, err))
				return
			}
			if !yield(list, nil) {
				return
			}
		}
	}
}

// load reads the bindings of a key, without those that are over.
func (r *Registrar) load(ctx context.Context, key string, now time.Time) ([]Binding, uint64, error) {
	value, revision, err := r.store.Get(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	list, err := decode(value, now)
	return list, revision, err
}
