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
	mu      sync.Mutex
	avoided map[failure]avoided
	of      map[lastOf]int // how many there are
}

type failure struct {
	tr   *transport
	addr netip.AddrPort
	host string // in lower case
}

// avoided is until when, and whose it is: the last labels of the host.
type avoided struct {
	until      time.Time
	two, three lastOf
}

// lastOf is the last labels of a host, n of them at most.
type lastOf struct {
	n      int
	labels string
}

// newAvoided counts hosts that are addresses as one domain: each is the only
// target there is for its URI, which comes last and first.
func newAvoided(host string, until time.Time) avoided {
	if !isName(host) {
		return avoided{until, lastOf{2, ""}, lastOf{3, ""}}
	}
	return avoided{until, lastOf{2, lastLabels(host, 2)}, lastOf{3, lastLabels(host, 3)}}
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
	e := newAvoided(k.host, now.Add(wait))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.avoided == nil {
		f.avoided, f.of = make(map[failure]avoided), make(map[lastOf]int)
	}
	f.forget(k)
	if len(f.avoided) >= maxFailures {
		f.makeRoom(now)
	}
	f.avoided[k] = e
	f.count(e, 1)
}

func (f *failures) forget(k failure) {
	if e, ok := f.avoided[k]; ok {
		delete(f.avoided, k)
		f.count(e, -1)
	}
}

func (f *failures) count(e avoided, more int) {
	for _, labels := range [2]lastOf{e.two, e.three} {
		if f.of[labels] += more; f.of[labels] == 0 {
			delete(f.of, labels)
		}
	}
}

// makeRoom forgets what is over, or else one of the domain that has the most
// failures, and of the domains below that, and of these the one that would be
// remembered the longest. A stranger, who can have any number of names fail, and
// say for how long, only takes room from himself.
func (f *failures) makeRoom(now time.Time) {
	for k, e := range f.avoided {
		if !e.until.After(now) {
			f.forget(k)
		}
	}
	if len(f.avoided) < maxFailures {
		return
	}
	var worst failure
	var longest time.Time
	two, three := 0, 0 // how many the worst is one of
	for k, e := range f.avoided {
		n := f.of[e.two]
		if n < two {
			continue
		}
		if m := f.of[e.three]; n > two || m > three || m == three && e.until.After(longest) {
			worst, longest, two, three = k, e.until, n, m
		}
	}
	f.forget(worst)
}

// last moves the targets that failed behind the others, in the order that they
// have. It changes the list.
func (f *failures) last(targets []Target) []Target {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.avoided) == 0 || len(targets) < 2 {
		return targets
	}
	now := time.Now()
	var failed []Target
	good := targets[:0]
	for _, t := range targets {
		k := failureOf(t)
		e, ok := f.avoided[k]
		if ok && e.until.After(now) {
			failed = append(failed, t)
			continue
		}
		if ok {
			f.forget(k)
		}
		good = append(good, t)
	}
	return append(good, failed...)
}
