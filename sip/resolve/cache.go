package resolve

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long answers are kept: those with records, those without (RFC 2308
// section 5), and failures to get one (RFC 9520 section 3.2 asks for a second).
const (
	keepAtLeast    = time.Second
	keepAtMost     = 24 * time.Hour
	keepNoneAtMost = time.Hour
	keepFailure    = time.Second
)

// How much is kept.
const (
	maxEntries = 4096
	maxBytes   = 4 << 20
	maxRecords = 64       // of an answer
	maxAnswer  = 64 << 10 // bytes; larger ones are not kept
)

// A key is a question. It has two parts so that asking for a name with a
// prefix costs no memory.
type key struct {
	prefix, name string
	t            Type
}

// A cache asks the Resolver what it does not know, each question once at a time.
// It starts a goroutine for each, which ends with Resolver.Lookup.
type cache struct {
	resolver Resolver

	mu      sync.Mutex
	entries map[key]*list.Element // *entry
	recent  list.List             // the one used last is in front
	bytes   int
	flights map[key]*flight
}

type entry struct {
	key
	*result
	until time.Time
	bytes int
}

type result struct {
	answer Answer
	err    error
}

// A flight is a question on its way. Whoever asks it waits for done; when none
// of them is left, it is called off.
type flight struct {
	cache   *cache
	key     key
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int     // cache.mu guards it
	result  *result // set before done is closed
}

// pending is a result, or the flight that will bring it. It must be waited for.
type pending struct {
	flight *flight
	result *result
}

func newCache(r Resolver) *cache {
	return &cache{resolver: r, entries: make(map[key]*list.Element), flights: make(map[key]*flight)}
}

// ask returns what is known, or starts to find out.
func (c *cache) ask(ctx context.Context, k key) pending {
	k.prefix, k.name = strings.ToLower(k.prefix), strings.ToLower(k.name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.entries[k]; el != nil {
		if e := el.Value.(*entry); time.Now().Before(e.until) {
			c.recent.MoveToFront(el)
			return pending{result: e.result}
		}
		c.remove(el)
	}
	f := c.flights[k]
	if f == nil {
		if err := ctx.Err(); err != nil {
			return pending{result: &result{err: err}}
		}
		k.prefix, k.name = strings.Clone(k.prefix), strings.Clone(k.name) // part of a message, maybe
		f = &flight{cache: c, key: k, done: make(chan struct{})}
		ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		c.flights[k] = f
		go c.fly(ctx, f) // ends with Lookup
	}
	f.waiting++
	return pending{flight: f}
}

// wait returns the answer, or the error of ctx if that ends before.
func (p pending) wait(ctx context.Context) (Answer, error) {
	r := p.result
	if p.flight != nil {
		select {
		case <-p.flight.done:
			r = p.flight.result
		case <-ctx.Done():
			p.flight.cache.leave(p.flight)
			return Answer{}, ctx.Err()
		}
	}
	return r.answer, r.err
}

// leave is that of one who does not wait any longer.
func (c *cache) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting--
	if f.waiting == 0 && c.flights[f.key] == f {
		delete(c.flights, f.key) // who comes now asks anew
		f.cancel()
	}
}

func (c *cache) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	answer, err := c.resolver.Lookup(ctx, f.key.prefix+f.key.name, f.key.t)
	answer, err = tidy(f.key.t, answer, err)
	f.result = &result{*answer, err}
	c.mu.Lock()
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
		c.keep(f)
	}
	c.mu.Unlock()
	close(f.done)
}

// keep puts an answer among those that are known. c.mu is held.
func (c *cache) keep(f *flight) {
	e := &entry{key: f.key, result: f.result}
	e.bytes = e.size()
	if e.bytes > maxAnswer {
		return // names so long are nobody's
	}
	e.until = time.Now().Add(e.holds())
	c.entries[f.key] = c.recent.PushFront(e)
	c.bytes += e.bytes
	for len(c.entries) > maxEntries || c.bytes > maxBytes {
		c.remove(c.recent.Back())
	}
}

func (c *cache) remove(el *list.Element) {
	e := c.recent.Remove(el).(*entry)
	delete(c.entries, e.key)
	c.bytes -= e.bytes
}

// holds returns for how long an answer is good.
func (r *result) holds() time.Duration {
	a := &r.answer
	switch {
	case r.err != nil:
		return keepFailure
	case len(a.Addrs)+len(a.SRV)+len(a.NAPTR) == 0:
		return min(max(a.TTL, keepAtLeast), keepNoneAtMost)
	}
	return min(max(a.TTL, keepAtLeast), keepAtMost)
}

// size returns how much memory an answer holds, in bytes, roughly.
func (e *entry) size() int {
	n := 400 + len(e.prefix) + len(e.name) + 24*len(e.answer.Addrs)
	for _, r := range e.answer.SRV {
		n += 24 + len(r.Target)
	}
	for _, r := range e.answer.NAPTR {
		n += 56 + len(r.Flags) + len(r.Service) + len(r.Replacement)
	}
	return n
}

// tidy returns what is of use in an answer, in order, and no more of it than
// that. It leaves the Resolver's as it is.
func tidy(t Type, from *Answer, err error) (*Answer, error) {
	if from == nil {
		from = &Answer{}
	}
	a := &Answer{TTL: from.TTL}
	if err != nil {
		var unknown *net.DNSError
		if errors.As(err, &unknown) && unknown.IsNotFound {
			err = nil
		}
		return a, err
	}
	switch t {
	case TypeA, TypeAAAA:
		for _, addr := range from.Addrs {
			if addr = addr.Unmap().WithZone(""); addr.IsValid() && !addr.IsUnspecified() && len(a.Addrs) < maxRecords {
				a.Addrs = append(a.Addrs, addr)
			}
		}
	case TypeSRV:
		a.SRV = slices.Clone(from.SRV)
		slices.SortStableFunc(a.SRV, func(x, y SRV) int { return cmp.Compare(x.Priority, y.Priority) })
		a.SRV = clip(a.SRV)
	case TypeNAPTR:
		a.NAPTR = slices.Clone(from.NAPTR)
		slices.SortStableFunc(a.NAPTR, func(x, y NAPTR) int {
			return cmp.Or(cmp.Compare(x.Order, y.Order), cmp.Compare(x.Preference, y.Preference))
		})
		a.NAPTR = clip(a.NAPTR)
	}
	return a, nil
}

// clip returns the first records, without the memory of the rest.
func clip[R any](records []R) []R {
	if len(records) > maxRecords {
		return slices.Clone(records[:maxRecords])
	}
	return records
}
