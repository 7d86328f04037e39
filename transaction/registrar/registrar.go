package registrar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/internal/source"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Registrar answers REGISTERs and knows where users are. It may be used by many
// goroutines.
type Registrar struct {
	cfg       Config
	store     Store
	callers   *digest.Server  // Users, as a proxy asks them
	waits     bool            // for a Store or an Exists that may take their time
	domains   map[string]bool // nil: any
	route     []sip.ServiceRoute
	gruus     *gruus
	lines     lines
	mu        sync.Mutex                            // of writing endpoints
	endpoints atomic.Pointer[[]*transport.Endpoint] // those that REGISTERs have come by
}

// New returns a Registrar. cfg may be nil, for one in memory that asks for no
// passwords. The error is for options that contradict each other, or that no
// Registrar could keep to.
func New(cfg *Config) (*Registrar, error) {
	r := new(Registrar)
	if cfg != nil {
		r.cfg = *cfg
	}
	err := r.cfg.check()
	if err == nil {
		r.cfg.Node, err = r.cfg.node()
	}
	if err == nil {
		r.route, err = r.cfg.route()
	}
	if err != nil {
		return nil, err
	}
	if r.store = r.cfg.Store; r.store == nil {
		r.store = NewMemory(nil)
	}
	if r.cfg.Users != nil {
		r.callers = r.cfg.Users.ForProxy()
	}
	_, here := r.store.(*Memory)
	r.waits = !here || r.cfg.Exists != nil
	r.cfg.MinExpires = atLeastSecond(r.cfg.MinExpires, time.Minute)
	r.cfg.MaxExpires = atLeastSecond(r.cfg.MaxExpires, max(time.Hour, r.cfg.MinExpires))
	r.cfg.DefaultExpires = atLeastSecond(r.cfg.DefaultExpires, max(time.Hour, r.cfg.MinExpires))
	r.cfg.MinExpires = min(r.cfg.MinExpires, r.cfg.MaxExpires, r.cfg.DefaultExpires)
	r.cfg.MaxBindings = cmp.Or(r.cfg.MaxBindings, 10)
	r.cfg.Logger = cmp.Or(r.cfg.Logger, slog.Default())
	if r.cfg.Domains != nil {
		r.domains = map[string]bool{}
		for _, host := range r.cfg.Domains {
			r.domains[hostKey(sip.URI{Host: host})] = true
		}
	}
	r.gruus = newGRUUs(r.cfg.GRUUKey)
	return r, nil
}

// Register answers a REGISTER, by the steps of RFC 3261 section 10.3. All that it
// asks for is done, or nothing. Another method gets 405.
//
// The domain of the Request-URI is one of Config.Domains; what is for others a
// proxy forwards, and gets 404 here. A REGISTER that is not newer than what it
// wants to change, as its CSeq tells, gets 500, and so does one that the Store
// failed, with a Retry-After; a Store that has not answered after 64*T1 has failed.
// There are no more statuses of its own than those of the section, 401, 403 for a Contact
// that leads back to its user or to a second user of our domains, 420, 439 of RFC
// 5626, and what the fields of Config tell of. 400 is for an instance of more than
// 200 bytes, too, and 513 for more than 4096 bytes of one binding or 24 KiB of all,
// or with GRUUs 48 KiB, and for a REGISTER whose 200 would have more than 60 KiB.
//
// The time that a Store other than a Memory takes, and Exists and Users, is time that
// the request waits (transaction.Server.Waiting): where it gets long for many, overload
// control refuses some with 503. One of these that takes its time when it has nothing
// else to do needs a transaction.Overload.Tolerance of more than twice that time.
func (r *Registrar) Register(tx *transaction.Server, req *sip.Request) {
	ok, err := r.register(tx, req)
	var status *refusal
	var syntax *sip.SyntaxError
	var denied *denial
	switch {
	case err == nil:
		tx.Respond(ok)
	case errors.As(err, &status):
		tx.Reply(status.status, status.edits...)
	case errors.As(err, &syntax):
		tx.Refuse(err)
	case errors.As(err, &denied):
		r.deny(tx, r.cfg.Users, "registration failed", denied.err)
	case errors.Is(err, errTooMany):
		tx.Reply(sip.StatusForbidden, sip.ReasonPhrase("Too Many Contacts"))
	case errors.Is(err, errOrder):
		tx.Reply(sip.StatusServerInternalError, sip.ReasonPhrase("CSeq Is Not Higher"))
	default:
		r.fail(tx, "registration failed", err)
	}
}

// A server is a transaction.Server or a proxy.Server.
type server interface {
	Context() context.Context
	Request() *sip.Request
	Respond(resp *sip.Response) error
}

// deny answers a request that Users has refused, or failed to decide on.
func (r *Registrar) deny(tx server, users *digest.Server, what string, err error) {
	switch resp := users.Reply(tx.Request(), err); {
	case resp == nil: // to an ACK
	case resp.Status() == sip.StatusServerInternalError:
		r.fail(tx, what, err)
	default:
		tx.Respond(resp)
	}
}

// fail answers a request that the Store or Users failed. One that was cancelled
// meanwhile is no failure, and is answered by the layer.
func (r *Registrar) fail(tx server, what string, err error) {
	if tx.Context().Err() != nil {
		return
	}
	r.cfg.Logger.Error(what, "error", err, "call-id", tx.Request().CallID())
	tx.Respond(tx.Request().Reply(sip.StatusServerInternalError, sip.RetryAfter{Seconds: 5 + rand.Uint32N(10)}))
}

// supported are the options that a REGISTER may require.
var supported = []string{sip.OptionPath, sip.OptionOutbound, sip.OptionGRUU}

// register does what a REGISTER asks for, and returns the 200.
func (r *Registrar) register(tx *transaction.Server, req *sip.Request) (*sip.Response, error) {
	ctx, cancel := whileAsked(tx)
	defer cancel()
	if r.waits || r.cfg.Users != nil {
		defer tx.Waiting()()
	}
	if req.Method() != sip.REGISTER {
		return nil, refuse(sip.StatusMethodNotAllowed, sip.Allow{sip.REGISTER})
	}
	if err := r.admit(ctx, req); err != nil {
		return nil, err
	}
	ep, flow := flowOf(tx)
	r.meet(ep)
	first := source.IsClient(sip.All[sip.Via](req))
	a, err := r.read(req, first)
	if err != nil {
		return nil, err
	}
	received := slices.Clone(a.path)
	if first && len(a.contacts) > 0 && !a.star && (a.outbound || needsFlow(flow, req)) {
		own, err := r.ownPath(ctx, ep, flow, a)
		if err != nil {
			return nil, fmt.Errorf("register %s: %w", a.key, err)
		}
		a.path = slices.Insert(a.path, 0, own)
	}
	if err := a.bound(); err != nil {
		return nil, err
	}
	now := time.Now().Truncate(time.Millisecond) // as it is stored
	var ok *sip.Response
	err = r.commit(ctx, a, now, func(bindings []Binding) error {
		edits := []sip.Edit{r.list(a, bindings, now), sip.Date(now)}
		if len(received) > 0 && a.supports(sip.OptionPath) { // RFC 3327 section 5.3
			path := make([]sip.Path, len(received))
			for i, hop := range received {
				path[i] = sip.Path(hop)
			}
			edits = append(edits, sip.List(path...))
		}
		if len(r.route) > 0 {
			edits = append(edits, sip.List(r.route...))
		}
		if a.outbound && a.supports(sip.OptionOutbound) {
			edits = append(edits, sip.Require{sip.OptionOutbound})
			if first && r.cfg.FlowTimer >= 0 {
				edits = append(edits, r.flowTimer(flow))
			}
		}
		if ok = req.Reply(sip.StatusOK, edits...); ok.Err() != nil || len(ok.String()) > maxReply {
			return refuse(sip.StatusMessageTooLarge)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", a.key, err)
	}
	return ok, nil
}

// whileAsked returns a context that ends when whoever has sent a request has cancelled
// it or given up (RFC 3261 section 17.1.2.2). It has a UDP socket read on by another
// goroutine, so it is for who is about to wait.
func whileAsked(tx *transaction.Server) (context.Context, context.CancelFunc) {
	return context.WithTimeout(tx.Context(), 64*tx.Layer().Timers().T1)
}

// waiting tells overload control that a request waits for a Store, or for Exists, if
// they may take their time, until done.
func (r *Registrar) waiting(tx *transaction.Server) (done func()) {
	if !r.waits {
		return func() {}
	}
	return tx.Waiting()
}

// flowTimer says within what time a keepalive is to come.
func (r *Registrar) flowTimer(flow transport.Flow) sip.FlowTimer {
	switch {
	case r.cfg.FlowTimer > 0:
		return sip.FlowTimer(max(1, r.cfg.FlowTimer/time.Second))
	case flow.Reliable():
		return 120
	}
	return 25 // NATs forget UDP soon
}

// denial is a request that Users has refused.
type denial struct{ err error }

func (d *denial) Error() string { return d.err.Error() }

// admit takes the steps 1 to 5 of RFC 3261 section 10.3, in their order.
func (r *Registrar) admit(ctx context.Context, req *sip.Request) error {
	target, aor := req.URI(), req.To().URI
	if target.Scheme != "sip" && target.Scheme != "sips" {
		return refuse(sip.StatusUnsupportedURIScheme)
	}
	if !r.serves(target) {
		return refuse(sip.StatusNotFound)
	}
	for options, err := range sip.All[sip.Require](req) {
		if err != nil {
			return err
		}
		unknown := slices.DeleteFunc(slices.Clone(options), func(o string) bool {
			return slices.ContainsFunc(supported, func(s string) bool { return strings.EqualFold(s, o) })
		})
		if len(unknown) > 0 {
			return refuse(sip.StatusBadExtension, sip.Unsupported(unknown))
		}
	}
	if r.cfg.Users != nil {
		user, err := r.cfg.Users.Verify(ctx, req)
		if err != nil {
			return &denial{err}
		}
		if !r.allows(user, aor) {
			return refuse(sip.StatusForbidden)
		}
	}
	key, ok := aorKey(aor)
	if !ok || !r.serves(aor) || r.domains == nil && hostKey(aor) != hostKey(target) {
		return refuse(sip.StatusNotFound)
	}
	err := r.exists(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return refuse(sip.StatusNotFound)
	}
	return err
}

// isOwn reports whether an address-of-record is that of a user. A user with an @
// is the one of that host, however it is written: an escaped @ in an address-of-record
// is no other way to say it.
func isOwn(user string, aor sip.URI) bool {
	name := aor.Username()
	if at := strings.LastIndexByte(user, '@'); at >= 0 {
		if hostname.Canonical(user[at+1:]) != hostname.Canonical(aor.Host) {
			return false
		}
		user = user[:at]
	}
	return name != "" && user == name
}

const (
	// maxValue bounds what is kept of one user, in bytes.
	maxValue = 24 << 10
	// maxListed bounds the same with its GRUUs, which are not kept: each client
	// of the user is to get all of it in a 200.
	maxListed = 48 << 10
	// maxReply bounds a 200, with what it repeats of its request: a UDP packet
	// holds no more than 65,507 bytes.
	maxReply = 60 << 10
)

// tries bounds how often a change is tried that others are faster with.
const tries = 16

// commit changes the bindings of a user (RFC 3261 section 10.3 step 7). Without
// Contacts, it reads them. Before anything is changed answer gets the bindings as
// they will be: what cannot be told to the client is not done.
func (r *Registrar) commit(ctx context.Context, a *asked, now time.Time, answer func([]Binding) error) error {
	if len(a.contacts) > 0 {
		leave, err := r.lines.enter(ctx, a.key)
		if err != nil {
			return err
		}
		defer leave()
	}
	epoch := newEpoch()
	for try := 1; ; try++ {
		start := time.Now()
		have, revision, err := r.load(ctx, a.key, now)
		have = slices.DeleteFunc(have, r.gone(a))
		if err != nil {
			return err
		}
		if len(a.contacts) == 0 {
			return answer(have)
		}
		bindings, err := update(have, a, now, epoch, r.cfg.MaxBindings)
		if err != nil {
			return err
		}
		if a.forwards && r.forwards(a.key, bindings) > 1 {
			return refuse(sip.StatusForbidden, sip.ReasonPhrase("More Than One Contact In Our Domains"))
		}
		value := encode(bindings)
		if _, err := decode(value, now); err != nil { // nobody could read or change it
			return err
		}
		if len(value) > maxValue || len(value)+gruuRoom(a.key, bindings) > maxListed {
			return refuse(sip.StatusMessageTooLarge)
		}
		if err := answer(bindings); err != nil {
			return err
		}
		if value != nil || revision != 0 {
			err = r.store.CompareAndSet(ctx, a.key, revision, value, lifetime(bindings, now))
		}
		if err == nil || !errors.Is(err, ErrConflict) || try == tries {
			return err
		}
		// The others go first. They are at other nodes, and take as long as we do.
		round := max(time.Since(start), time.Millisecond)
		select {
		case <-time.After(rand.N(time.Duration(try) * round)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// forwards counts the bindings to users of ours. One is a call that is passed on to
// a colleague. With k of them for each of two users, who need be but the two
// accounts of one attacker, a call would come back k times as often at each turn,
// and each of the copies is another Request-URI, so that it is no loop to RFC 3261
// section 16.3.
func (r *Registrar) forwards(key string, bindings []Binding) int {
	n := 0
	for i := range bindings {
		if r.leadsHere(bindings[i].Contact.URI, key, bindings[i].here) {
			n++
		}
	}
	return n
}

// gone returns whether a binding ended with its flow, unless the REGISTER is of
// the client that it was of, whose CSeq has to be told by it.
func (r *Registrar) gone(a *asked) func(Binding) bool {
	return func(b Binding) bool { return b.CallID != a.callID && r.lost(&b) }
}

// lifetime returns for how long a value is needed.
func lifetime(bindings []Binding, now time.Time) time.Duration {
	ttl := time.Millisecond
	for i := range bindings {
		ttl = max(ttl, bindings[i].Expires.Sub(now))
	}
	return ttl
}

// list is the Contact header field of a 200 (RFC 3261 section 10.3 step 8), with
// GRUUs for a client that knows them (RFC 5627 section 5.2).
func (r *Registrar) list(a *asked, bindings []Binding, now time.Time) sip.Edit {
	withGRUU := a.supports(sip.OptionGRUU)
	contacts := make([]sip.Contact, len(bindings))
	for i := range bindings {
		b := &bindings[i]
		c := b.Contact.WithExpires(max(1, uint32(b.Expires.Sub(now)/time.Second)))
		if instance := b.Contact.Instance(); withGRUU && instance != "" && b.epoch != 0 {
			scheme := b.Contact.URI.Scheme
			c.Params = c.Params.With("pub-gruu", public(a.key, scheme, instance).String()).
				With("temp-gruu", r.gruus.temporary(a.key, scheme, b.epoch).String())
		}
		contacts[i] = c
	}
	return sip.List(contacts...)
}
