package confinfo

import (
	"fmt"
	"testing"
)

// room returns a conference with n users, each of whom has one endpoint.
func room(n int) *Conference {
	c := &Conference{Entity: "sip:room@example.com", Version: 1, Activity: Activity{UserCount: new(uint32(n))}}
	for i := range n {
		c.Users = append(c.Users, User{
			Entity: fmt.Sprintf("sip:user%d@example.com", i), Nickname: fmt.Sprintf("User %d", i),
			Endpoints: []Endpoint{{Entity: fmt.Sprintf("sip:user%d@192.0.2.1", i), Status: "connected", JoiningMethod: "dialed-in"}},
		})
	}
	return c
}

// What 100 users take: a few allocations for each of them, and one to write them all.
func TestAllocations(t *testing.T) {
	big := room(100)
	doc := string(big.Append(nil))
	bigger := room(101)
	update := string(Diff(big, bigger).Append(nil))
	known, err := Apply(nil, doc)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 0, 1<<16)
	for _, c := range []struct {
		name  string
		limit float64
		f     func()
	}{
		{"Apply all", 1700, func() { Apply(nil, doc) }},
		{"Apply one who joins", 50, func() { Apply(known, update) }},
		{"Append", 10, func() { big.Append(b) }},
		{"Diff", 40, func() { Diff(big, bigger) }},
	} {
		if got := testing.AllocsPerRun(20, c.f); got > c.limit {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.limit)
		}
	}
}

func BenchmarkApplyFull(b *testing.B) {
	doc := string(room(100).Append(nil))
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		Apply(nil, doc)
	}
}

func BenchmarkApplyPartial(b *testing.B) {
	update := string(Diff(room(100), room(101)).Append(nil))
	known, err := Apply(nil, string(room(100).Append(nil)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Apply(known, update)
	}
}

func BenchmarkAppend(b *testing.B) {
	c := room(100)
	buf := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		c.Append(buf)
	}
}

func BenchmarkDiff(b *testing.B) {
	old, now := room(100), room(101)
	b.ReportAllocs()
	for b.Loop() {
		Diff(old, now)
	}
}
