package stun

import "testing"

func TestAllocations(t *testing.T) {
	ask := request(attr(username, "alice"))
	b := begun()
	answer, stray := Respond(b.Request(), client), Respond(request(), client)
	for _, tt := range []struct {
		name  string
		limit float64
		run   func()
	}{
		{"IsMessage", 0, func() { IsMessage(ask) }},
		{"Respond", 1, func() { Respond(ask, client) }},
		{"Respond to nonsense", 0, func() { Respond(ask[1:], client) }},
		{"Answer of another", 0, func() { b.Answer(stray, server) }},
		{"Answer", 0, func() { b.ended = false; b.Answer(answer, server) }},
		{"NewBinding", 1, func() { NewBinding(server) }},
	} {
		if got := testing.AllocsPerRun(100, tt.run); got > tt.limit {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.limit)
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	ask := NewBinding(server).Request()
	b.ReportAllocs()
	for b.Loop() {
		Respond(ask, client)
	}
}

func BenchmarkAnswer(b *testing.B) {
	binding := begun()
	answer := Respond(binding.Request(), client)
	b.ReportAllocs()
	for b.Loop() {
		binding.ended = false
		binding.Answer(answer, server)
	}
}
