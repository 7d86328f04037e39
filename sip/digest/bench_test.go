package digest

import (
	"testing"

	"github.com/goparley/parley/internal/race"
)

func BenchmarkAuthorize(b *testing.B) {
	c := NewClient(alice())
	req := register(b, "reg")
	resp := refuse(b, req, false, `Digest realm="sip.test", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth", algorithm=SHA-256`,
		`Digest realm="sip.test", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth", algorithm=MD5`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Authorize(req, resp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	c := NewClient(alice())
	req := register(b, "reg")
	accept(b, c, req, refuse(b, req, false, `Digest realm="sip.test", nonce="n", qop="auth", algorithm=SHA-256`))
	b.ReportAllocs()
	for b.Loop() {
		if c.Prepare(req) == req {
			b.Fatal("nothing to prepare with")
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	s := newServer(b, ServerConfig{})
	req := login(b, s, NewClient(alice()), register(b, "reg"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReply(b *testing.B) {
	s := newServer(b, ServerConfig{})
	req := register(b, "reg")
	b.ReportAllocs()
	for b.Loop() {
		if s.Reply(req, ErrNoCredentials).Err() != nil {
			b.Fatal("no reply")
		}
	}
}

// Most of it is the message that With makes, and the hashes.
func TestAllocations(t *testing.T) {
	c, s := NewClient(alice()), newServer(t, ServerConfig{})
	req := register(t, "reg")
	resp := s.Reply(req, ErrNoCredentials)
	out, err := c.Authorize(req, resp)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		f     func()
		limit float64
	}{
		"Authorize": {func() { c.Authorize(req, resp) }, 20},
		"Prepare":   {func() { c.Prepare(req) }, 20},
		"Verify":    {func() { s.Verify(t.Context(), out) }, 12},
	} {
		if got := testing.AllocsPerRun(100, test.f); got > test.limit+race.PoolMisses {
			t.Errorf("%s allocates %v times, want %v at most", name, got, test.limit)
		}
	}
}
