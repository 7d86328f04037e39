package resolve

import (
	"cmp"
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
}

type failure struct {
	tr   *transport
	addr netip.AddrPort
	host string // in lower case
}

// avoided is until when, and whose it is: the last labels of the host.
type avoided struct {
	until      time.Time
	two, three string
}

// newAvoided counts hosts that are addresses as one domain: each is the only
// target there is for its URI, which comes last and first.
func newAvoided(host string, until time.Time) avoided {
	if !isName(host) {
		return avoided{until: until}
	}
	return avoided{until, lastLabels(host, 2), lastLabels(host, 3)}
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
		f.avoided = make(map[failure]avoided)
	}
	if _, again := f.avoided[k]; !again && len(f.avoided) >= maxFailures {
		f.makeRoom(now)
	}
	f.avoided[k] = e
}

// makeRoom forgets what is over, or else one of the domain that has the most
// failures, and of the domains below that, and of these the one that would be
// remembered the longest. A stranger, who can have any number of names fail, and
// say for how long, only takes room from himself.
func (f *failures) makeRoom(now time.Time) {
	of := make(map[string]int)
	for k, e := range f.avoided {
		if !e.until.After(now) {
			delete(f.avoided, k)
			continue
		}
		of[e.two]++
		if e.three != e.two {
			of[e.three]++
		}
	}
	if len(f.avoided) < maxFailures {
		return
	}
	var worst failure
	var most avoided
	for k, e := range f.avoided {
		if cmp.Or(cmp.Compare(of[e.two], of[most.two]), cmp.Compare(of[e.three], of[most.three]), e.until.Compare(most.until)) > 0 {
			worst, most = k, e
		}
	}
	delete(f.avoided, worst)
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
			delete(f.avoided, k)
		}
		good = append(good, t)
	}
	return append(good, failed...)
}
