package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
)

// slow is a Resolver that takes a second for the addresses of a name, and knows
// nothing else.
type slow struct {
	ttl time.Duration
	err error

	mu       sync.Mutex
	asked    int
	finished int
}

func (r *slow) Lookup(ctx context.Context, name string, t Type) (*Answer, error) {
	if t != TypeA {
		return &Answer{TTL: 24 * time.Hour}, nil
	}
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second):
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished++
	if r.err != nil {
		return nil, r.err
	}
	if strings.HasPrefix(name, "no") {
		return &Answer{TTL: r.ttl}, nil
	}
	return &Answer{TTL: r.ttl, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, nil
}

func (r *slow) expectAsked(t *testing.T, want int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked != want {
		t.Errorf("asked %d times, want %d", r.asked, want)
	}
}

// ask asks for the targets of a name at a port, for which addresses will do.
func ask(ctx context.Context, c *Client, host string) error {
	_, err := c.Targets(ctx, sip.URI{Scheme: "sip", Host: host, Port: 5060})
	return err
}

// An answer is kept for its time to live: not for longer, and whatever case the
// name comes in. It has some bounds.
func TestCacheTTL(t *testing.T) {
	for _, c := range []struct {
		host      string
		ttl, kept time.Duration
	}{
		{"example.com", time.Minute, time.Minute},
		{"example.com", 0, time.Second},
		{"example.com", -time.Hour, time.Second},
		{"example.com", 1 << 62, 24 * time.Hour},
		{"nobody.example.com", time.Minute, time.Minute},
		{"nobody.example.com", 0, time.Second},
		{"nobody.example.com", 24 * time.Hour, time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &slow{ttl: c.ttl}
			client := with(r)
			ask(t.Context(), client, c.host)
			r.expectAsked(t, 1)
			time.Sleep(c.kept - time.Nanosecond)
			ask(t.Context(), client, strings.ToUpper(c.host)+".")
			r.expectAsked(t, 1)
			time.Sleep(time.Nanosecond)
			ask(t.Context(), client, c.host)
			r.expectAsked(t, 2)
		})
	}
}

// A failure is an answer for a second, so that a busy proxy does not bring down
// a name server that is in trouble (RFC 9520 section 3.2).
func TestCacheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &slow{ttl: time.Minute, err: errors.New("out of order")}
		c := with(r)
		for range 3 {
			if err := ask(t.Context(), c, "example.com"); !errors.Is(err, r.err) {
				t.Errorf("%v, want %v", err, r.err)
			}
		}
		r.expectAsked(t, 1)
		time.Sleep(time.Second)
		r.err = nil
		if err := ask(t.Context(), c, "example.com"); err != nil {
			t.Error(err)
		}
	})
}

// A thousand callers ask the same at once, and it is asked once. The one who
// asked first gives up; the others get their answer.
func TestCacheCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &slow{ttl: time.Minute}
		c := with(r)
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error)
		go func() { first <- ask(ctx, c, "example.com") }()
		synctest.Wait()
		others := make(chan error)
		for range 1000 {
			go func() { others <- ask(t.Context(), c, "example.com") }()
		}
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v, want Canceled", err)
		}
		for range 1000 {
			if err := <-others; err != nil {
				t.Fatalf("another: %v", err)
			}
		}
		r.expectAsked(t, 1)
	})
}

// When all who asked have given up, the question is called off, and who asks
// then has a question of its own.
func TestCacheCallsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &slow{ttl: time.Minute}
		c := with(r)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second/2, nil)
		defer cancel()
		if err := ask(ctx, c, "example.com"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want DeadlineExceeded", err)
		}
		synctest.Wait()
		if len(c.cache.flights) != 0 || r.finished != 0 {
			t.Errorf("%d questions on their way, %d answered, want none", len(c.cache.flights), r.finished)
		}
		if err := ask(t.Context(), c, "example.com"); err != nil {
			t.Error(err)
		}
		r.expectAsked(t, 2)
	})
}

// What is kept has an end, in number and in bytes. What was used last stays.
func TestSurvivesManyNames(t *testing.T) {
	c := with(many(40))
	for i := range 3 * maxEntries {
		<-c.cache.ask(t.Context(), key{"", fmt.Sprintf("name%d.example", i), TypeSRV}).flight.done
		if often := c.cache.ask(t.Context(), key{"", "often.example", TypeSRV}); often.flight != nil {
			<-often.flight.done
		}
	}
	if n := len(c.cache.entries); n > maxEntries || n != c.cache.recent.Len() {
		t.Errorf("%d answers are kept, %d in order, want %d at most", n, c.cache.recent.Len(), maxEntries)
	}
	if c.cache.bytes > maxBytes {
		t.Errorf("%d bytes are kept, want %d at most", c.cache.bytes, maxBytes)
	}
	sum := 0
	for _, el := range c.cache.entries {
		sum += el.Value.(*entry).bytes
	}
	if sum != c.cache.bytes {
		t.Errorf("%d bytes are kept, but %d counted", sum, c.cache.bytes)
	}
	if c.cache.entries[key{"", "often.example", TypeSRV}] == nil {
		t.Error("the answer used last is gone")
	}
}

// A Resolver may return what net.Resolver does, nothing at all, or records that
// were not asked for; its lists stay as they are.
func TestTidy(t *testing.T) {
	a, err := tidy(TypeA, nil, &net.DNSError{IsNotFound: true})
	if err != nil || len(a.Addrs) != 0 {
		t.Errorf("not found: %v, %v", a, err)
	}
	if a, err = tidy(TypeSRV, nil, nil); err != nil || len(a.SRV) != 0 {
		t.Errorf("nothing: %v, %v", a, err)
	}
	from := &Answer{
		Addrs: []netip.Addr{{}, netip.IPv6Unspecified(), netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("fe80::1%eth0")},
		SRV:   []SRV{{Priority: 2}, {Priority: 1}},
	}
	a, _ = tidy(TypeA, from, nil)
	if fmt.Sprint(a.Addrs) != "[192.0.2.1 fe80::1]" || a.SRV != nil {
		t.Errorf("addresses: %v", a)
	}
	a, _ = tidy(TypeSRV, from, nil)
	if a.SRV[0].Priority != 1 || from.SRV[0].Priority != 2 || a.Addrs != nil {
		t.Errorf("SRV: %v from %v", a, from)
	}
}
