package resolve

import (
	"cmp"
	"container/list"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long answers are kept: those with records, those without (RFC 2308
// section 5), and failures to get one: a second, and if nobody answered, which
// has cost those who wait much more than that, five seconds, then twice as long
// each time up to a minute (RFC 9520 section 3.2).
const (
	keepAtLeast       = time.Second
	keepAtMost        = 24 * time.Hour
	keepNoneAtMost    = time.Hour
	keepFailure       = time.Second
	keepTimeout       = 5 * time.Second
	keepTimeoutAtMost = time.Minute
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
type cache struct {
	resolver Resolver
	log      *slog.Logger

	mu      sync.Mutex
	entries map[key]*list.Element // *entry
	recent  list.List             // the one used last is in front
	bytes   int
	flights map[key]*flight
	turns   *share // the root
	closed  bool
}

type entry struct {
	key
	*result
	until  time.Time
	failed time.Duration // how long it is remembered that nobody answered
	bytes  int
}

type result struct {
	answer Answer
	err    error
}

func newCache(r Resolver, log *slog.Logger) *cache {
	return &cache{
		resolver: r,
		log:      log,
		turns:    newTurns(),
		entries:  make(map[key]*list.Element),
		flights:  make(map[key]*flight),
	}
}

// known returns what is known, or nil and for how long it was remembered that
// nobody had answered. c.mu is held.
func (c *cache) known(k key) (known *result, failed time.Duration) {
	el := c.entries[k]
	if el == nil {
		return nil, 0
	}
	e := el.Value.(*entry)
	if time.Now().Before(e.until) {
		c.recent.MoveToFront(el)
		return e.result, 0
	}
	c.remove(el)
	return nil, e.failed
}

// keep puts an answer among those that are known. c.mu is held.
func (c *cache) keep(f *flight) {
	e := &entry{key: f.key, result: f.result}
	e.bytes = e.size()
	if e.bytes > maxAnswer {
		return // names so long are nobody's
	}
	if isTimeout(e.err) {
		e.failed = min(max(2*f.failed, keepTimeout), keepTimeoutAtMost)
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
func (e *entry) holds() time.Duration {
	a := &e.answer
	switch {
	case e.failed > 0:
		return e.failed
	case e.err != nil:
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

// tidy returns what is of use in an answer, and no more of it than that: SRV and
// NAPTR records in an order that theirs in the message has no part in, addresses
// in that of the message. It leaves the Resolver's as it is.
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
			if addr = addr.Unmap().WithZone(""); isServer(addr) {
				a.Addrs = append(a.Addrs, addr)
			}
		}
		if len(a.Addrs) > maxRecords {
			slices.SortFunc(a.Addrs, netip.Addr.Compare) // the same ones stay whatever their order
		}
		a.Addrs = clip(a.Addrs)
	case TypeSRV:
		a.SRV = slices.Clone(from.SRV)
		for i := range a.SRV {
			a.SRV[i].Target = undotted(a.SRV[i].Target)
		}
		slices.SortFunc(a.SRV, func(x, y SRV) int {
			return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(y.Weight, x.Weight),
				cmp.Compare(strings.ToLower(x.Target), strings.ToLower(y.Target)), cmp.Compare(x.Port, y.Port))
		})
		a.SRV = clip(a.SRV)
	case TypeNAPTR:
		a.NAPTR = slices.Clone(from.NAPTR)
		for i := range a.NAPTR {
			a.NAPTR[i].Replacement = undotted(a.NAPTR[i].Replacement)
		}
		slices.SortFunc(a.NAPTR, func(x, y NAPTR) int {
			return cmp.Or(cmp.Compare(x.Order, y.Order), cmp.Compare(x.Preference, y.Preference),
				cmp.Compare(x.Service, y.Service), cmp.Compare(strings.ToLower(x.Replacement), strings.ToLower(y.Replacement)))
		})
		a.NAPTR = clip(a.NAPTR)
	}
	return a, nil
}

// undotted returns a name without the dot of the root, as all are asked for. The
// root itself stays.
func undotted(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// isServer reports whether an address may be that of a server. A record that
// leads to a group of hosts, or to all there are, would have one request go to
// every one of them.
func isServer(addr netip.Addr) bool {
	return addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// clip returns the first records, without the memory of the rest.
func clip[R any](records []R) []R {
	if len(records) > maxRecords {
		return slices.Clone(records[:maxRecords])
	}
	return records
}
