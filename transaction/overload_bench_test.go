package transaction

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// BenchmarkOverload is what overload control costs a request: admit and start as
// long as nobody waits, and while it watches; the stamp of a response to a client
// that takes part and to one that does not; allow and learn of a client.
func BenchmarkOverload(b *testing.B) {
	o := newOverload(&Overload{Offer: true}, 500*time.Millisecond)
	plain := request(sip.INVITE, bobURI, sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: ";branch=z9hG4bK776asdhds;rport=5060;received=192.0.2.1"}))
	offering := plain.With(replaced(plain.Via().WithOverloadControl(sip.OverloadControl{Offer: true, Algo: "loss,rate"}))...)
	in := &transport.Inbound{Message: plain, Time: time.Now()}
	server := netip.MustParseAddrPort("192.0.2.2:5060")
	resp := plain.Reply(sip.StatusOK)
	sent := new(client)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"quiet/admit and start", func() { o.admit(in, plain); o.start(in.Time, 0) }},
		{"quiet/stamp", func() { o.stamp(in, plain, resp) }},
		{"quiet/stamp offered", func() { o.stamp(in, offering, resp) }},
		{"quiet/allow", func() { o.allow(server, plain) }},
		{"quiet/learn", func() { o.learn(in, sent, resp) }},
		{"quiet/forwarded", func() { forwarded(plain) }},
		{"watching/admit and start", func() {
			o.mu.Lock()
			o.watch(in.Time)
			o.mu.Unlock()
			o.admit(in, plain)
			o.start(in.Time, 0)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
		})
	}
}

// As long as nobody waits, overload control allocates nothing.
func TestAllocationsOfOverload(t *testing.T) {
	o := newOverload(&Overload{Offer: true}, 500*time.Millisecond)
	r := invites(1)[0]
	in := &transport.Inbound{Message: r, Time: time.Now()}
	resp := r.Reply(sip.StatusOK)
	sent := new(client)
	got := testing.AllocsPerRun(100, func() {
		o.admit(in, r)
		o.start(in.Time, 0)
		o.stamp(in, r, resp)
		o.allow(netip.AddrPort{}, r)
		o.learn(in, sent, resp)
		forwarded(r)
	})
	if got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
