package transaction

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// What a client offers in its Via, and the algorithm that it gets (RFC 7339
// sections 4.1, 4.2 and 5.1).
func TestOffers(t *testing.T) {
	for _, c := range []struct{ params, want string }{
		{``, ""},
		{`;oc-algo="loss"`, ""},
		{`;oc;oc-algo="loss"`, "loss"},
		{`;OC;OC-Algo="LOSS"`, "loss"},
		{`;oc`, "loss"},
		{`;oc;oc-algo=loss`, "loss"},
		{`;oc;oc-algo="loss,rate"`, "rate"},
		{`;oc;oc-algo="rate , loss"`, "rate"},
		{`;oc;oc-algo="A,loss"`, "loss"},
		{`;oc;oc-algo="A"`, ""},
		{`;oc=50;oc-algo="loss"`, ""},
		{`;oc=;oc-algo="loss"`, "loss"},
		{`;oc;oc-algo=",,,"`, ""},
		{`;oc-validity=0`, ""},
	} {
		if got := offeredBy(sip.Via{Params: sip.Params(";branch=z9hG4bK1;rport" + c.params)}).String(); got != c.want {
			t.Errorf("offeredBy(%s) = %q, want %q", c.params, got, c.want)
		}
	}
}

// Everybody gets as much as any other, and what one does not want is for the
// others.
func TestLevel(t *testing.T) {
	hungry := math.Inf(1)
	for _, c := range []struct {
		supply float64
		wants  []float64
		share  float64
	}{
		{90, []float64{50, 50, 50}, 30},
		{90, []float64{10, 50, hungry}, 40},
		{90, []float64{hungry, 10, 10, 10}, 60},
		{90, []float64{hungry}, 90},
		{90, []float64{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 40, 40}, 20},
		{90, []float64{20, 40}, 55}, // enough for both, and 15 more for each
		{90, nil, 90},
		{90, []float64{0}, 90},
	} {
		var wants []want
		for _, demand := range c.wants {
			wants = append(wants, want{demand: demand})
		}
		if got := level(c.supply, wants); math.Abs(got-c.share) > 1e-9 {
			t.Errorf("level(%v, %v) = %v, want %v", c.supply, c.wants, got, c.share)
		}
	}
}

// A flood of addresses, forged say, takes a table of fixed size, and the server
// goes on to serve.
func TestNeighboursAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(500*time.Millisecond, now, 0, rand.Float64)
	var a [4]byte
	for i := range 200000 {
		a[0], a[1], a[2], a[3] = 10, byte(i>>16), byte(i>>8), byte(i)
		now = now.Add(10 * time.Microsecond)
		l.admit(now, netip.AddrPortFrom(netip.AddrFrom4(a), 5060), algo(i%3), fresh)
		l.note(now, i)
	}
	if n := l.neighbours.len(); n > maxNeighbours || l.neighbours.order.Len() != n {
		t.Errorf("%d neighbours, want %d at most", n, maxNeighbours)
	}
	if n := l.newcomers.len(); n > maxNeighbours || l.newcomers.order.Len() != n {
		t.Errorf("%d newcomers, want %d at most", n, maxNeighbours)
	}
	if !l.limiting || l.target < 1 || math.IsNaN(l.share) || l.share < 0 {
		t.Errorf("limiting %v, target %v, share %v", l.limiting, l.target, l.share)
	}
}
