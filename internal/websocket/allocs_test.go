package websocket_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/race"
)

// A message costs its text and no more; the pipe that carries it here makes two
// allocations for each deadline.
func TestAllocations(t *testing.T) {
	server, client := both(t, nil)
	results := reads(server)
	text := strings.Repeat("x", 1000)
	got := testing.AllocsPerRun(100, func() {
		if err := client.Write(text, time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if r := <-results; r.text != text || r.err != nil {
			t.Fatalf("read %d bytes, %v, want %d", len(r.text), r.err, len(text))
		}
	})
	if want := 3.0 + race.PoolMisses; got > want {
		t.Errorf("%v allocations a message, want %v", got, want)
	}
}
