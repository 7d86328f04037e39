package ua

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
)

// CompositorConfig holds the options of a Compositor. The zero value takes the
// presence of everybody from themselves.
type CompositorConfig struct {
	// Packages names the event packages that are served, and the media types that
	// each takes; none means any. nil means "presence" in application/pidf+xml.
	Packages map[string][]string

	// Exists says whether there is such an address of record; those that there
	// are not get 404. Its error is answered with 500. nil means that all exist.
	Exists func(ctx context.Context, aor sip.URI) (bool, error)
	// Authorize is asked whether a state may be published, before anything else is
	// said of it. A sip.Status as its error refuses the request with that code,
	// another error with 403. nil lets everybody publish their own state and no
	// other. Who they are is what From says, and the password that
	// Config.Authenticate has asked for: without that, and without a proxy in front
	// that asks, anybody can write anything into From.
	Authorize func(ctx context.Context, p PublishRequest) error
	// OnChange is called when the states of an address of record have changed: one
	// more or less, or another body. A refresh changes nothing. It is called after
	// the response went out, maybe by several goroutines at once, and is not to
	// wait: States tells what there is. A panic is logged. nil: nobody is told.
	OnChange func(aor sip.URI, event string)

	// MinExpires, MaxExpires and DefaultExpires are how long a state is kept
	// without a refresh, in whole seconds. A PUBLISH that asks for less than
	// MinExpires gets 423, one that asks for more than MaxExpires gets that, and
	// one that does not say gets DefaultExpires. 0 means 60 s, an hour, and an
	// hour. What does not lie between the first two is brought there.
	MinExpires, MaxExpires, DefaultExpires time.Duration

	// MaxSize is how many bytes a body may have, beyond which it gets 413; 0 means
	// 64 KiB. MaxStates is how many states an address of record has in one package,
	// MaxTotal how many there are in all, and MaxBytes how many bytes their bodies
	// take together, with their types; 0 means 32, 100,000, and 256 MiB. Where there is no room, a
	// PUBLISH gets 503 with a Retry-After; but 480 with one for too many states of
	// the same address, lest a client take the whole server for overloaded.
	MaxSize, MaxStates, MaxTotal, MaxBytes int

	// Logger is told of panics and of errors of Exists; nil means slog.Default.
	Logger *slog.Logger
}

// PublishRequest is a PUBLISH that wants to be let in.
type PublishRequest struct {
	AOR     sip.URI      // whose state it is about: a sip URI of a user and a host
	Event   string       // the package; "" if that is not said
	From    sip.Address  // who says that they sent it
	User    string       // who has proved to have sent it, by a password; "" if Config.Authenticate has not asked
	Request *sip.Request // all of it
}

// own reports whether somebody publishes a state of their own. As at a registrar,
// the user alice is alice at every host, and alice@example.com that one alone.
func (p PublishRequest) own() bool {
	from, ok := resource(p.From.URI)
	name := p.AOR.Username()
	return ok && from == p.AOR && (p.User == "" || p.User == name || p.User == name+"@"+p.AOR.Host)
}

// EventState is what one device has published (RFC 3903 section 2, "event soft
// state").
type EventState struct {
	ETag    string    // its name, until it is refreshed or changed
	Body    sip.Body  // as it came, but without a transfer encoding
	Changed time.Time // when it got that body
	Expires time.Time // when it goes, if nobody refreshes it
}

// Compositor is an event state compositor (RFC 3903): it holds what the devices
// of each address of record have published, until they remove it or it expires.
// To make one document of them and to tell watchers is up to the program, which
// learns of changes by OnChange.
//
// It belongs in Config.Compositor of an Agent, or of several. It needs no
// closing: it has one timer and no goroutine.
type Compositor struct {
	cfg    CompositorConfig
	log    *slog.Logger
	events sip.AllowEvents // the packages, in alphabetical order

	mu     sync.Mutex
	states map[stateKey][]*state // those that changed last are last
	ends   expiries              // all of them
	bytes  int                   // of all bodies, and their types
	timer  *time.Timer           // rings when the first of them expires; nil until there was one
}

// stateKey names what one document is composed of.
type stateKey struct {
	aor   sip.URI
	event string
}

type state struct {
	EventState
	key stateKey
	at  int // its index in Compositor.ends
}

// weight is what a body counts for MaxBytes.
func weight(b sip.Body) int { return len(b.Type) + len(b.Content) }

// NewCompositor makes a Compositor. cfg may be nil.
func NewCompositor(cfg *CompositorConfig) *Compositor {
	c := &Compositor{states: map[stateKey][]*state{}}
	if cfg != nil {
		c.cfg = *cfg
	}
	if c.cfg.Packages == nil {
		c.cfg.Packages = map[string][]string{"presence": {"application/pidf+xml"}}
	}
	c.cfg.Packages = maps.Clone(c.cfg.Packages)
	c.events = slices.Sorted(maps.Keys(c.cfg.Packages))
	grants(&c.cfg.MinExpires, &c.cfg.MaxExpires, &c.cfg.DefaultExpires, time.Hour)
	c.cfg.MaxSize = cmp.Or(c.cfg.MaxSize, 64<<10)
	c.cfg.MaxStates = cmp.Or(c.cfg.MaxStates, 32)
	c.cfg.MaxTotal = cmp.Or(c.cfg.MaxTotal, 100_000)
	c.cfg.MaxBytes = cmp.Or(c.cfg.MaxBytes, 256<<20)
	if c.log = c.cfg.Logger; c.log == nil {
		c.log = slog.Default()
	}
	return c
}

// States returns what is published of an address of record in a package. Of two
// that say different things the one that changed last comes last. Parameters of
// the URI, its port, and whether it is sip or sips do not count.
func (c *Compositor) States(aor sip.URI, event string) []EventState {
	aor, _ = resource(aor)
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []EventState
	for _, s := range c.states[stateKey{aor, event}] {
		if now.Before(s.Expires) {
			all = append(all, s.EventState)
		}
	}
	return all
}

// serve takes a PUBLISH as RFC 3903 section 6 has it, once its general parts are
// found to be in order. user is who has proved to have sent it, or "".
//
// Those for one Request-URI are to be processed in the order in which they came:
// those of one Call-ID are, as all requests. Of others it cannot be told who was
// first where Exists or Authorize take their time; it makes no difference but for
// two that want to replace the same state, of which the second gets 412.
func (c *Compositor) serve(tx *dialog.Server, req *sip.Request, user string) {
	aor, ok := resource(req.URI())
	if !ok {
		tx.Reply(sip.StatusNotFound)
		return
	}
	event, eventErr := sip.Get[sip.Event](req)
	key := stateKey{aor, strings.Clone(event.Package)}
	// Step 1, and who may do it (section 14.1).
	if !c.exists(tx, aor) {
		return
	}
	if err := c.authorize(tx, PublishRequest{aor, key.event, sip.Address(req.From()), user, req}); err != nil {
		tx.Reply(refusedWith(err))
		return
	}
	// Step 2.
	types, ok := c.cfg.Packages[key.event]
	switch {
	case eventErr != nil && !errors.Is(eventErr, sip.ErrMissing):
		tx.Refuse(eventErr)
		return
	case !ok:
		tx.Reply(sip.StatusBadEvent, c.events)
		return
	}
	resp, changed := c.publish(req, key, types)
	tx.Respond(resp)
	if changed {
		c.tell(key)
	}
}

// exists asks Config.Exists, and refuses the request if it does not say yes.
func (c *Compositor) exists(tx *dialog.Server, aor sip.URI) bool {
	if c.cfg.Exists == nil {
		return true
	}
	exists, err := c.cfg.Exists(tx.Context(), aor)
	switch {
	case err != nil:
		c.log.Error("event state compositor: not known whether there is such a user", "aor", aor, "error", err)
		// With a time, lest the client take it for a sign that its state is lost.
		tx.Reply(sip.StatusServerInternalError, sip.RetryAfter{Seconds: 60})
	case !exists:
		tx.Reply(sip.StatusNotFound)
	}
	return err == nil && exists
}

func (c *Compositor) authorize(tx *dialog.Server, p PublishRequest) error {
	switch {
	case c.cfg.Authorize != nil:
		return c.cfg.Authorize(tx.Context(), p)
	case !p.own():
		return sip.StatusForbidden
	}
	return nil
}

// wanted is what a PUBLISH asks for.
type wanted struct {
	match   string        // the entity-tag; "" begins a new state
	expires time.Duration // 0 removes it
	body    sip.Body      // "" leaves it as it is
}

// publish does steps 3 to 6, all or nothing. changed says that there is
// something else to be seen.
func (c *Compositor) publish(req *sip.Request, key stateKey, types []string) (resp *sip.Response, changed bool) {
	match, err := sip.Get[sip.SIPIfMatch](req)
	if err != nil && !errors.Is(err, sip.ErrMissing) {
		return req.Refuse(err), false
	}
	w, refusal := c.read(req, types)
	w.match = string(match)
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.find(key, w.match, now)
	switch {
	case w.match != "" && s == nil:
		return req.Reply(sip.StatusConditionalFailed), false
	case refusal != nil:
		return refusal, false
	case s == nil && w.body.Content == "":
		return req.Reply(sip.StatusBadRequest, sip.ReasonPhrase("Missing Body")), false
	case w.expires > 0:
		if status, until := c.room(key, s, w); status != 0 {
			after := max(until.Sub(now)+time.Second-1, time.Second)
			return req.Reply(status, sip.RetryAfter{Seconds: uint32(after / time.Second)}), false
		}
	}
	// Nobody can guess it, and there was none like it before.
	etag := rand.Text()
	changed = c.put(key, s, w, etag, now)
	c.schedule(now)
	return req.Reply(sip.StatusOK, sip.SIPETag(etag), sip.Expires(w.expires/time.Second)), changed
}

// read reads steps 4 and 5 of a PUBLISH, or says how to refuse it.
func (c *Compositor) read(req *sip.Request, types []string) (w wanted, refusal *sip.Response) {
	w.expires = c.cfg.DefaultExpires
	expires, err := sip.Get[sip.Expires](req)
	switch {
	case err == nil:
		w.expires = min(seconds(uint32(expires)), c.cfg.MaxExpires)
	case !errors.Is(err, sip.ErrMissing):
		return w, req.Refuse(err)
	}
	if w.expires > 0 && w.expires < c.cfg.MinExpires {
		return w, req.Reply(sip.StatusIntervalTooBrief, sip.MinExpires(c.cfg.MinExpires/time.Second))
	}
	if req.Body() == "" {
		return w, nil
	}
	mediaType, err := sip.MediaType(req)
	if err != nil {
		return w, req.Refuse(err, sip.ReasonPhrase("Bad Content-Type")) // or none
	}
	var accepted []sip.Accept
	for _, t := range types {
		accepted = append(accepted, sip.Accept{Type: t})
	}
	if len(types) > 0 && !slices.ContainsFunc(types, mediaType.Is) {
		return w, req.Reply(sip.StatusUnsupportedMediaType, sip.List(accepted...))
	}
	content, err := sip.Content(req)
	switch {
	case err != nil:
		return w, req.Refuse(err, acceptEncoding)
	case len(content) > c.cfg.MaxSize:
		return w, req.Reply(sip.StatusRequestEntityTooLarge)
	}
	w.body = sip.Body{Type: strings.Clone(mediaType.Type + string(mediaType.Params)), Content: strings.Clone(content)}
	return w, nil
}

// find returns the state with an entity-tag, nil if there is none.
func (c *Compositor) find(key stateKey, etag string, now time.Time) *state {
	for _, s := range c.states[key] {
		if s.ETag == etag && now.Before(s.Expires) {
			return s
		}
	}
	return nil
}

// room returns 0 if there is room for what is wanted, in place of s if that is
// not nil. Otherwise it is how to refuse it, and until when.
func (c *Compositor) room(key stateKey, s *state, w wanted) (status sip.Status, until time.Time) {
	states := c.states[key]
	if s == nil && len(states) >= c.cfg.MaxStates {
		first := slices.MinFunc(states, func(a, b *state) int { return a.Expires.Compare(b.Expires) })
		return sip.StatusTemporarilyUnavailable, first.Expires
	}
	size := c.bytes + weight(w.body)
	if s != nil {
		size -= weight(s.Body)
	}
	if w.body.Content != "" && size > c.cfg.MaxBytes || s == nil && len(c.ends) >= c.cfg.MaxTotal {
		if len(c.ends) > 0 {
			until = c.ends[0].Expires
		}
		return sip.StatusServiceUnavailable, until
	}
	return 0, time.Time{}
}

// put makes, changes, refreshes or removes a state.
func (c *Compositor) put(key stateKey, s *state, w wanted, etag string, now time.Time) (changed bool) {
	if w.expires == 0 {
		if s != nil {
			c.drop(s)
		}
		return s != nil
	}
	begun := s == nil
	if begun {
		s = &state{key: key}
	}
	s.ETag, s.Expires = etag, now.Add(w.expires)
	if begun {
		heap.Push(&c.ends, s)
	} else {
		heap.Fix(&c.ends, s.at)
	}
	if w.body.Content == "" || w.body == s.Body {
		return false
	}
	c.bytes += weight(w.body) - weight(s.Body)
	s.Body, s.Changed = w.body, now
	others := slices.DeleteFunc(c.states[key], func(other *state) bool { return other == s })
	c.states[key] = append(others, s)
	return true
}

// drop removes a state.
func (c *Compositor) drop(s *state) {
	heap.Remove(&c.ends, s.at)
	c.bytes -= weight(s.Body)
	c.states[s.key] = slices.DeleteFunc(c.states[s.key], func(other *state) bool { return other == s })
	if len(c.states[s.key]) == 0 {
		delete(c.states, s.key)
	}
}

// schedule has the timer ring when the first state expires.
func (c *Compositor) schedule(now time.Time) {
	switch {
	case len(c.ends) == 0:
		if c.timer != nil {
			c.timer.Stop()
		}
	case c.timer == nil:
		// The timer's goroutine ends when OnChange has returned.
		c.timer = time.AfterFunc(c.ends[0].Expires.Sub(now), c.expire)
	default:
		c.timer.Reset(c.ends[0].Expires.Sub(now))
	}
}

// expire drops what has expired, and tells of it.
func (c *Compositor) expire() {
	now := time.Now()
	c.mu.Lock()
	changed := map[stateKey]bool{}
	for len(c.ends) > 0 && !now.Before(c.ends[0].Expires) {
		changed[c.ends[0].key] = true
		c.drop(c.ends[0])
	}
	c.schedule(now)
	c.mu.Unlock()
	for key := range changed {
		c.tell(key)
	}
}

// tell calls OnChange. A panic there is logged.
func (c *Compositor) tell(key stateKey) {
	if c.cfg.OnChange == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in OnChange of an event state compositor", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.cfg.OnChange(key.aor, key.event)
}

// expiries is a heap: the state that expires first is on top.
type expiries []*state

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].Expires.Before(e[j].Expires) }
func (e expiries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].at, e[j].at = i, j
}
func (e *expiries) Push(s any) {
	s.(*state).at = len(*e)
	*e = append(*e, s.(*state))
}
func (e *expiries) Pop() any {
	old := *e
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	return last
}
