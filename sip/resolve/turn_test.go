package resolve

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
)

// evilIsSilent is a Resolver with a server that says nothing of names with
// "evil" in them, which takes two servers of 2 seconds, asked twice.
type evilIsSilent struct {
	asked, most atomic.Int32 // of those names, at once
}

func (r *evilIsSilent) Lookup(ctx context.Context, name string, t Type) (*Answer, error) {
	if !strings.Contains(name, "evil") {
		a := &Answer{TTL: time.Second}
		if t == TypeA {
			a.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		}
		return a, nil
	}
	n := r.asked.Add(1)
	defer r.asked.Add(-1)
	if n > r.most.Load() {
		r.most.Store(n)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(8 * time.Second):
		return nil, timedOut(name)
	}
}

// flood has requests come for names, so many a second, until stop is called.
func flood(t *testing.T, c *Client, perSecond int, name func(i int) string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends with ctx
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; i++ {
			go c.Targets(ctx, sip.URI{Scheme: "sip", Host: name(i)}) // ends with ctx
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		c.Close()
	}
}

// expectWithin has a host looked up, again and again, and found in time.
func expectWithin(t *testing.T, c *Client, host string, most time.Duration) {
	t.Helper()
	for range 10 {
		start := time.Now()
		got, err := c.Targets(t.Context(), sip.URI{Scheme: "sip", Host: host})
		if took := time.Since(start); len(got) != 1 || err != nil || took > most {
			t.Errorf("%s: %v, %v after %v, want one target within %v", host, got, err, took, most)
			return
		}
		time.Sleep(1700 * time.Millisecond)
	}
}

// Requests come for one name after the other below a domain whose servers say
// nothing. They wait for each other, and nobody else waits for them.
func TestSurvivesSilentDomain(t *testing.T) {
	for _, evil := range []string{"a%d.evil.example", "b.a%d.evil.example", "a%d.c.evil.example"} {
		for _, perSecond := range []int{10, 40} {
			synctest.Test(t, func(t *testing.T) {
				r := &evilIsSilent{}
				c := with(r)
				defer flood(t, c, perSecond, func(i int) string { return fmt.Sprintf(evil, i) })()
				time.Sleep(30 * time.Second)
				expectWithin(t, c, "good.example", 0)
				if n := r.most.Load(); n < maxOfTwo/3 || n > maxOfTwo {
					t.Errorf("%s: %d questions at once, want %d at most", evil, n, maxOfTwo)
				}
				c.cache.mu.Lock()
				if n := len(c.cache.flights); n > maxFlights/4 {
					t.Errorf("%s: %d questions in all, want %d at most", evil, n, maxFlights/4)
				}
				c.cache.mu.Unlock()
			})
		}
	}
}

// The domains of a country share more than one label. One of them that is silent
// leaves places for the others.
func TestSurvivesSilentNeighbor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &evilIsSilent{}
		c := with(r)
		defer flood(t, c, 40, func(i int) string { return fmt.Sprintf("a%d.evil.co.uk", i) })()
		time.Sleep(30 * time.Second)
		expectWithin(t, c, "good.co.uk", 0)
		if n := r.most.Load(); n != maxOfTwo/3 {
			t.Errorf("%d questions at once, want %d", n, maxOfTwo/3)
		}
	})
}

// Many domains are silent at once. Each has its places, and there is still one
// for the next.
func TestSurvivesSilentDomains(t *testing.T) {
	for _, domains := range []int{2, 20, 180} {
		synctest.Test(t, func(t *testing.T) {
			r := &evilIsSilent{}
			c := with(r)
			defer flood(t, c, 200, func(i int) string { return fmt.Sprintf("a%d.evil%d.example", i, i%domains) })()
			time.Sleep(30 * time.Second)
			expectWithin(t, c, "good.example", 0)
			if n := int(r.most.Load()); n < min(domains*20, 100) || n >= maxQuestions {
				t.Errorf("%d domains: %d questions at once, want a good part of %d", domains, n, maxQuestions)
			}
		})
	}
}

// When all is over nothing is left of it.
func TestSharesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := with(&evilIsSilent{})
		stop := flood(t, c, 100, func(i int) string { return fmt.Sprintf("a%d.evil%d.example", i, i%3) })
		time.Sleep(30 * time.Second)
		expectWithin(t, c, "good.example", time.Second)
		stop()
		synctest.Wait()
		if s := c.cache.turns; len(s.below) != 0 || s.asked != 0 || s.queue.Len() != 0 {
			t.Errorf("%d shares, %d asked, %d wait, want none", len(s.below), s.asked, s.queue.Len())
		}
	})
}

func TestLastLabels(t *testing.T) {
	for _, c := range []struct{ name, two, three string }{
		{"a.b.example.com", "example.com", "b.example.com"},
		{"b.example.com.", "example.com", "b.example.com"},
		{"example.com", "example.com", "example.com"},
		{"com", "com", "com"},
		{"", "", ""},
	} {
		if two, three := lastLabels(c.name, 2), lastLabels(c.name, 3); two != c.two || three != c.three {
			t.Errorf("last labels of %q: %q, %q, want %q, %q", c.name, two, three, c.two, c.three)
		}
	}
}
