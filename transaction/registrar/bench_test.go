package registrar

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// registered is a registrar with one binding, by a flow, and the REGISTER that
// refreshes it.
func registered(t testing.TB) (*scene, *sip.Request) {
	s := newScene(t, siptest.NewNetwork(nil), nil)
	s.phone.byTCP().register(200, contact(flowOne), knows("outbound", "path", "gruu"))
	return s, s.phone.request(contact(flowOne), knows("outbound", "path", "gruu"))
}

// BenchmarkRefresh is what a REGISTER costs that refreshes a binding, without the
// transaction, the flow token, and the 200.
func BenchmarkRefresh(b *testing.B) {
	s, req := registered(b)
	ctx := context.Background()
	b.ReportAllocs()
	seq := req.CSeq().Seq
	for b.Loop() {
		if err := s.location.admit(ctx, req); err != nil {
			b.Fatal(err)
		}
		a, err := s.location.read(req, true)
		if err != nil {
			b.Fatal(err)
		}
		seq++
		a.seq = seq
		if err := s.location.commit(ctx, a, time.Now(), fits); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegister is a REGISTER that refreshes a binding and its 200, two
// transactions and the in-memory network included.
func BenchmarkRegister(b *testing.B) {
	s, _ := registered(b)
	b.ReportAllocs()
	for b.Loop() {
		s.phone.register(200, contact(flowOne), knows("outbound", "path", "gruu"))
	}
}

// BenchmarkLookup finds the one binding of a user.
func BenchmarkLookup(b *testing.B) {
	s, _ := registered(b)
	ctx, aor := context.Background(), uri(b, aliceAOR)
	b.ReportAllocs()
	for b.Loop() {
		if targets, err := s.location.Lookup(ctx, aor); err != nil || len(targets) != 1 {
			b.Fatal(targets, err)
		}
	}
}

// To look a user up costs no more than this many allocations.
func TestAllocations(t *testing.T) {
	s, _ := registered(t)
	ctx, aor := context.Background(), uri(t, aliceAOR)
	if n := testing.AllocsPerRun(100, func() { s.location.Lookup(ctx, aor) }); n > 16 {
		t.Errorf("Lookup allocates %v times, want 16 at most", n)
	}
}
