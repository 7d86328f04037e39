package digest

import "testing"

func BenchmarkAuthorize(b *testing.B) {
	c := alice()
	c.Challenged([]string{asked("dcd98b7102dd2f0e8b11d0f600bfb0c093", "")})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Authorize("AUTH", uri); err != nil {
			b.Fatal(err)
		}
	}
}

// refused is what a relay gets from whoever tries passwords.
func refused(tb testing.TB, s *Server) string {
	return login(tb, s, &Client{Username: "alice", Password: "guess"})
}

func BenchmarkVerify(b *testing.B) {
	s := newServer(b, ServerConfig{})
	value := refused(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Verify(b.Context(), "conn", value, "AUTH", uri); err != ErrRefused {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyForeignNonce(b *testing.B) {
	s := newServer(b, ServerConfig{})
	value := refused(b, newServer(b, ServerConfig{}))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Verify(b.Context(), "conn", value, "AUTH", uri); err != ErrStale {
			b.Fatal(err)
		}
	}
}

func TestAllocations(t *testing.T) {
	c, s := alice(), newServer(t, ServerConfig{})
	c.Challenged(s.Challenge("conn", false))
	guess := refused(t, s)
	foreign := refused(t, newServer(t, ServerConfig{}))
	for _, test := range []struct {
		name  string
		f     func()
		limit float64
	}{
		{"Authorize", func() { c.Authorize("AUTH", uri) }, 10},
		{"Challenge", func() { s.Challenge("conn", false) }, 14},
		{"Verify", func() { verify(t, s, guess) }, 14},
		{"Verify of a foreign nonce", func() { verify(t, s, foreign) }, 10},
	} {
		if got := testing.AllocsPerRun(100, test.f); got > test.limit {
			t.Errorf("%s allocates %v times, want %v at most", test.name, got, test.limit)
		}
	}
}
