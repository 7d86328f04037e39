package transaction

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// told is a throttle that believes its server, and has learned what the Via
// parameters say, in order, a second apart from the first.
func told(t *testing.T, now *time.Time, params ...string) *throttle {
	t.Helper()
	th := newThrottle(rand.New(rand.NewPCG(1, 2)).Float64)
	th.credit = maxCredit
	for i, p := range params {
		if i > 0 {
			*now = now.Add(time.Second)
		}
		via := sip.Via{Params: sip.Params(";branch=z9hG4bK1" + p)}
		if oc, ok := via.OverloadControl(); ok {
			th.learn(*now, oc)
		}
	}
	return &th
}

// sent returns how many of so many requests a second are sent in a while.
func (t *throttle) sent(now time.Time, perSecond int, seconds int, spared bool) (n int) {
	for i := range perSecond * seconds {
		if t.allow(now.Add(time.Duration(i)*time.Second/time.Duration(perSecond)), spared) {
			n++
		}
	}
	return n
}

// What a server says, and what of it counts. Each says last that nothing, half or
// all of it is held back.
func TestWhatAServerSays(t *testing.T) {
	const long = `;oc-validity=30000`
	for _, c := range []struct {
		name   string
		params []string
		want   float64 // what part of the requests is sent in the next second
	}{
		{"section 4.1: nothing", []string{""}, 1},
		{"section 4.1: the offer came back as it was", []string{`;oc;oc-algo="loss,rate"`}, 1},
		{"section 4.1: oc is no number", []string{`;oc=x;oc-algo="loss";oc-seq=1.0` + long}, 1},
		{"section 4.1: oc is negative", []string{`;oc=-1;oc-algo="loss";oc-seq=1.0` + long}, 1},
		{"section 4.1: oc is 2^40", []string{`;oc=1099511627776;oc-algo="loss";oc-seq=1.0` + long}, 1},
		{"section 4.2: no algorithm", []string{`;oc=100;oc-seq=1.0` + long}, 1},
		{"section 4.2: one that was not offered", []string{`;oc=100;oc-algo="A";oc-seq=1.0` + long}, 1},
		{"section 4.2: two", []string{`;oc=100;oc-algo="loss,rate";oc-seq=1.0` + long}, 1},
		{"section 4.3: validity without oc", []string{`;oc-algo="loss";oc-seq=1.0` + long}, 1},
		{"section 4.3: no validity is 500 ms", []string{`;oc=100;oc-algo="loss";oc-seq=1.0`}, 0.5},
		{"section 4.3: validity 0 is no control", []string{`;oc=100;oc-algo="loss";oc-validity=0;oc-seq=1.0`}, 1},
		{"section 4.3: validity 2^32 is none that can be read", []string{`;oc=100;oc-algo="loss";oc-validity=4294967296;oc-seq=1.0`}, 0.5},
		{"section 4.3: it has ended", []string{`;oc=100;oc-algo="loss";oc-validity=900;oc-seq=1.0`, ""}, 1},
		{"section 4.4: a later one counts", []string{`;oc=100;oc-algo="loss";oc-seq=1.0` + long, `;oc=0;oc-algo="loss";oc-seq=1.1` + long}, 1},
		{"section 4.4: a tardy one does not", []string{`;oc=0;oc-algo="loss";oc-seq=1282321615.782` + long, `;oc=100;oc-algo="loss";oc-seq=1282321614.782` + long}, 1},
		{"section 4.4: much less is a new count", []string{`;oc=0;oc-algo="loss";oc-seq=1282321615.782` + long, `;oc=100;oc-algo="loss";oc-seq=1.0` + long}, 0},
		{"section 4.4: none is none", []string{`;oc=0;oc-algo="loss";oc-seq=1282321615.782` + long, `;oc=100;oc-algo="loss"` + long}, 1},
		{"section 5.4: the same again is a replay", []string{`;oc=0;oc-algo="loss";oc-seq=5.0` + long, `;oc=100;oc-algo="loss";oc-seq=5.0` + long}, 1},
		{"section 5.4: after the end nothing is a replay", []string{`;oc=0;oc-algo="loss";oc-validity=900;oc-seq=5.0`, `;oc=100;oc-algo="loss";oc-seq=4.0` + long}, 0},
		{"section 5.7: the server ends it", []string{`;oc=100;oc-algo="loss";oc-seq=5.0` + long, `;oc=0;oc-validity=0;oc-seq=6.0`}, 1},
		{"section 5.7: what was said before the end, late", []string{`;oc=100;oc-algo="loss";oc-seq=5.0` + long, `;oc=0;oc-validity=0;oc-seq=7.0`, `;oc=100;oc-algo="loss";oc-seq=6.0` + long}, 1},
		{"section 5.8: another algorithm", []string{`;oc=100;oc-algo="loss";oc-seq=5.0` + long, `;oc=500;oc-algo="rate";oc-seq=6.0` + long}, 0.5},
		{"section 7.1: 50 %", []string{`;oc=50;oc-algo="loss";oc-seq=1.0` + long}, 0.5},
		{"section 7.1: 100 %", []string{`;oc=100;oc-algo="loss";oc-seq=1.0` + long}, 0},
		{"section 7.1: 101 %", []string{`;oc=101;oc-algo="loss";oc-seq=1.0` + long}, 1},
		{"section 7.1: 0 %", []string{`;oc=0;oc-algo="loss";oc-seq=1.0` + long}, 1},
		{"RFC 7415 section 3.5.1: no requests at all", []string{`;oc=0;oc-algo="rate";oc-seq=1.0` + long}, 0},
		{"RFC 7415 section 3.5.1: the end", []string{`;oc=0;oc-algo="rate";oc-seq=1.0` + long, `;oc=0;oc-algo="rate";oc-validity=0;oc-seq=2.0`}, 1},
		{"RFC 7415 section 3.5.1: 500 of 1000", []string{`;oc=500;oc-algo="rate";oc-seq=1.0` + long}, 0.5},
		{"RFC 7415 section 3.5.1: more than there are", []string{`;oc=4294967295;oc-algo="rate";oc-seq=1.0` + long}, 1},
	} {
		now := time.Unix(1e9, 0)
		th := told(t, &now, c.params...)
		got := float64(th.sent(now, 1000, 1, false)) / 1000
		if got < c.want-0.05 || got > c.want+0.05 {
			t.Errorf("%s: %v of the requests are sent, want %v", c.name, got, c.want)
		}
	}
}

// A server is not believed for weeks.
func TestValidityIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	th := told(t, &now, `;oc=100;oc-algo="loss";oc-validity=4294967295;oc-seq=1.0`)
	if !th.active(now.Add(maxValidity-time.Second)) || th.active(now.Add(maxValidity)) {
		t.Errorf("a validity of 49 days ends before or after %v", maxValidity)
	}
}

// Of the requests that may be held back so many are that the part of all is
// right; the others go unscathed until there is no other way (RFC 7339 section
// 7.2).
func TestLossByPriority(t *testing.T) {
	for _, c := range []struct{ oc, plain, spared int }{ // sent of 800 plain ones and 200 others
		{10, 700, 200}, {40, 400, 200}, {80, 0, 200}, {90, 0, 100}, {100, 0, 0},
	} {
		now := time.Unix(1e9, 0)
		th := newThrottle(rand.New(rand.NewPCG(1, 2)).Float64)
		th.credit = maxCredit
		var plain, spared int
		for i := range 20000 { // the first half shows the mix
			if i%1000 == 0 {
				th.learn(now, sip.OverloadControl{OC: uint32(c.oc), Algo: "loss", Validity: 10 * time.Second, Seq: uint64(i + 1)})
			}
			now = now.Add(time.Millisecond)
			ok := th.allow(now, i%5 == 0)
			switch {
			case i < 10000 || !ok:
			case i%5 == 0:
				spared++
			default:
				plain++
			}
		}
		near := func(got, want int) bool { return got > want-40 && got < want+40 }
		if !near(plain/10, c.plain) || !near(spared/10, c.spared) {
			t.Errorf("oc=%d: %d plain and %d spared requests are sent, want %d and %d", c.oc, plain/10, spared/10, c.plain, c.spared)
		}
	}
}

// Over any time no more is sent than the rate allows, and a burst (RFC 7415
// section 3.5.1). Spared requests have room of their own in the bucket (section
// 3.5.2).
func TestRate(t *testing.T) {
	now := time.Unix(1e9, 0)
	th := told(t, &now, `;oc=10;oc-algo="rate";oc-validity=60000;oc-seq=1.0`)
	if n := th.sent(now, 1000, 10, false); n < 98 || n > 101 {
		t.Errorf("%d requests in 10 s at 10 a second", n)
	}
	now = now.Add(10 * time.Second)
	if n := th.sent(now, 1000, 1, true); n < 13 || n > 16 {
		t.Errorf("%d spared requests in a second after that, want 15", n)
	}
	// After a rest the bucket is empty: six at once.
	now = now.Add(20 * time.Second)
	n := 0
	for range 100 {
		if th.allow(now, false) {
			n++
		}
	}
	if n < 5 || n > 7 {
		t.Errorf("%d requests at once, want 6", n)
	}
}

// A rate that was low once does not make the client wait when it is raised.
func TestRateIsRaised(t *testing.T) {
	now := time.Unix(1e9, 0)
	th := told(t, &now, `;oc=1;oc-algo="rate";oc-validity=60000;oc-seq=1.0`)
	th.sent(now, 100, 10, true)
	now = now.Add(10 * time.Second)
	th.learn(now, sip.OverloadControl{OC: 100, Algo: "rate", Validity: time.Minute, Seq: 1e9})
	if n := th.sent(now, 1000, 1, false); n < 90 {
		t.Errorf("%d requests in the second after the rate was raised to 100", n)
	}
}

// A server that wants nothing gets a request a second, and what is urgent beside
// that: it is heard from all the same.
func TestAClosedServerIsAsked(t *testing.T) {
	for _, params := range []string{`;oc=0;oc-algo="rate"`, `;oc=100;oc-algo="loss"`} {
		now := time.Unix(1e9, 0)
		th := told(t, &now, params+`;oc-validity=60000;oc-seq=1.0`)
		if th.allow(now, false) {
			t.Errorf("%s: a request is sent at once", params)
		}
		plain, urgent := 0, 0
		for i := range 20 * 100 {
			now = now.Add(10 * time.Millisecond)
			if i%500 == 0 && th.allow(now, true) {
				urgent++
			}
			if th.allow(now, false) {
				plain++
			}
		}
		if urgent != 4 || plain < 15 || plain > 20 {
			t.Errorf("%s: in 20 s %d of 4 urgent requests are sent, and %d others; want 4 and 16 or so", params, urgent, plain)
		}
	}
}

// What is said among answers that say nothing comes from somebody behind the
// server, who is not believed. It takes two that agree, and the others end it.
func TestWhoIsBelieved(t *testing.T) {
	for _, c := range []struct {
		answers string // s: it says to send nothing; u: the parameters are untouched
		want    bool
	}{
		{"s", false},
		{"ss", true},
		{"us", false}, // of the first nothing is remembered, as with most servers
		{"uss", true},
		{"sus", false},
		{"suss", false},
		{"ssu", false},
		{"ssussss", true},
		{"ssssssssssss", true},
		{"ssssssssu", true}, // one that is made by something else on that server
		{"ssssssssuu", false},
		{"ssssssssususuussss", false},
		{"suuuuuuuuuuuuuuuuuussssssssss", false},
		{"suuuuuuuuuuuuuuuuuussssssssssssssssss", true}, // it has learned it
	} {
		o := newOverload(&Overload{Offer: true}, time.Second)
		server := netip.MustParseAddrPort("192.0.2.1:5060")
		now := time.Unix(1e9, 0)
		for i, a := range c.answers {
			now = now.Add(100 * time.Millisecond)
			oc := sip.OverloadControl{OC: 100, Algo: "loss", Validity: time.Minute, Seq: uint64(i + 1)}
			if a == 'u' {
				oc = sip.OverloadControl{Offer: true}
			}
			o.targets.learn(now, server, oc, true)
		}
		if got, _ := o.targets.state(now, server); got != c.want {
			t.Errorf("%s: it has requests held back: %v, want %v", c.answers, got, c.want)
		}
	}
}

// A server that leaves requests without an answer is left alone, but for one now
// and then that finds out (RFC 7339 section 5.9).
func TestSilentServer(t *testing.T) {
	now := time.Unix(1e9, 0)
	th := newThrottle(rand.Float64)
	th.failed(now)
	if !th.allow(now, false) {
		t.Error("one failure holds requests back")
	}
	for range 100 {
		th.failed(now) // sent together, failed together
	}
	var at []time.Duration
	for d := time.Duration(0); d < 3*time.Minute; d += 100 * time.Millisecond {
		if th.allow(now.Add(d), false) {
			at = append(at, d)
			th.failed(now.Add(d))
		}
	}
	want := []time.Duration{1, 3, 7, 15, 31, 63, 123}
	if len(at) != len(want) {
		t.Fatalf("requests at %v, want %v seconds", at, want)
	}
	for i := range want {
		if at[i] != want[i]*time.Second {
			t.Errorf("requests at %v, want %v seconds", at, want)
		}
	}
	th.answered()
	if n := th.sent(now.Add(3*time.Minute), 10, 1, false); n != 10 {
		t.Errorf("%d of 10 requests are sent after an answer", n)
	}
}

// The table is bounded, and what there is to say about a server ends.
func TestThrottlesAreForgotten(t *testing.T) {
	o := newOverload(&Overload{Offer: true}, time.Second)
	now := time.Unix(1e9, 0)
	control := sip.OverloadControl{OC: 100, Algo: "loss", Validity: time.Second, Seq: 1}
	server := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(i))
	}
	for i := range 5000 {
		o.targets.learn(now, server(i), control, true)
	}
	if n := o.targets.throttles.len(); n != maxThrottles {
		t.Errorf("%d servers are remembered, want %d", n, maxThrottles)
	}
	now = now.Add(creditTime)
	for i := range 5000 {
		if !o.targets.allow(now, server(i), func(bool) bool { return false }) {
			t.Fatalf("server %d is held back from after the end", i)
		}
	}
	if n := o.targets.throttles.len(); n != 0 || o.targets.any.Load() {
		t.Errorf("%d servers are remembered after that", n)
	}
}
