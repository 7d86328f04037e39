package resolve

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

// How long a target is avoided, and how many are.
const (
	avoidFor    = time.Minute
	avoidAtMost = time.Hour
	maxFailures = 1024
)

// Failed says that a target could not be reached, did not answer, or answered
// 503 (RFC 3263 section 4.3). For as long as wait it comes last in lists, still
// to be tried when nothing else works. wait is the Retry-After of the 503, an
// hour at most; 0 or less means that there was none, and a minute. A 503 that
// says "Retry-After: 0" asks for no wait, and is not to be told of here.
func (c *Client) Failed(t Target, wait time.Duration) {
	if wait <= 0 {
		wait = avoidFor
	}
	c.failures.add(t, time.Now(), min(wait, avoidAtMost))
}

// failures are the targets that failed, each for the host that it was meant to
// be: whoever has a domain can have it lead to another's server, where it then
// fails, by its certificate for one.
type failures struct {
	mu    sync.Mutex
	until map[failure]time.Time
}

type failure struct {
	tr   *transport
	addr netip.AddrPort
	host string // in lower case
}

// failureOf returns what a failure of a target is known by.
func failureOf(t Target) failure {
	return failure{transportNamed(t.Transport), t.Addr, strings.ToLower(t.Host)}
}

func (f *failures) add(t Target, now time.Time, wait time.Duration) {
	k := failureOf(t)
	if k.tr == nil {
		return
	}
	k.host = strings.Clone(k.host) // part of a message, maybe
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.until == nil {
		f.until = make(map[failure]time.Time)
	}
	if len(f.until) >= maxFailures && f.until[k].IsZero() {
		f.makeRoom(now)
	}
	f.until[k] = now.Add(wait)
}

// makeRoom forgets what is over, or else what will be first.
func (f *failures) makeRoom(now time.Time) {
	var first failure
	var soonest time.Time
	for k, until := range f.until {
		if !until.After(now) {
			delete(f.until, k)
		} else if soonest.IsZero() || until.Before(soonest) {
			first, soonest = k, until
		}
	}
	if len(f.until) >= maxFailures {
		delete(f.until, first)
	}
}

// last moves the targets that failed behind the others, in the order that they
// have. It changes the list.
func (f *failures) last(targets []Target) []Target {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.until) == 0 || len(targets) < 2 {
		return targets
	}
	now := time.Now()
	var failed []Target
	good := targets[:0]
	for _, t := range targets {
		k := failureOf(t)
		until, ok := f.until[k]
		if ok && until.After(now) {
			failed = append(failed, t)
			continue
		}
		if ok {
			delete(f.until, k)
		}
		good = append(good, t)
	}
	return append(good, failed...)
}
