package websocket_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

// Config.Hold is told of the memory that a message takes while it comes in, and
// that it is none when the next is waited for.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := 0
		c, p := accepted(t, &websocket.Config{Hold: func(bytes int) error { held = bytes; return nil }})
		p.listen() // to the pongs
		results := reads(c)
		holds := func(least, most int) {
			t.Helper()
			synctest.Wait()
			if held < least || held > most {
				t.Errorf("%d bytes are held, want %d to %d", held, least, most)
			}
		}
		holds(0, 0)
		long := strings.Repeat("x", 1<<20)
		for range 3 {
			p.send(masked(text, long[:1000]))
			holds(1000, 64<<10)
			p.send(masked(more, long[:500_000]))
			holds(501_000, 1_002_000)
			p.send(masked(fin|ping, "")) // is none of it
			holds(501_000, 1_002_000)
			p.send(masked(fin|more, "."))
			if got := next(t, results); got.err != nil || len(got.text) != 501_001 {
				t.Errorf("read %d bytes, %v, want 501001", len(got.text), got.err)
			}
			holds(0, 0)
			p.send(masked(fin|ping, ""))
			holds(0, 0)
		}
	})
}

// What Config.Hold refuses ends the connection with 1013. A message that takes
// no more than a small one does goes through, whatever was read before.
func TestHoldRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("full")
		limit := 1 << 20
		ws, p := accepted(t, &websocket.Config{Hold: func(bytes int) error {
			if bytes > limit {
				return full
			}
			return nil
		}})
		p.listen()
		results := reads(ws)
		p.send(masked(fin|text, strings.Repeat("x", 50_000))) // its buffer is kept for others
		next(t, results)
		limit = 4 << 10
		for range 10 {
			p.send(masked(fin|text, options))
			if got := next(t, results); got.text != options || got.err != nil {
				t.Errorf("read %q, %v, want a small message", got.text, got.err)
			}
		}
		p.received()
		p.send(masked(text, strings.Repeat("x", 5000)))
		if got := p.received(); !strings.HasPrefix(closed(got), "1013") {
			t.Errorf("answered with %q, want a close frame with 1013", got)
		}
		time.Sleep(time.Second)
		if got := next(t, results); !errors.Is(got.err, full) {
			t.Errorf("read %d bytes, %v, want %v", len(got.text), got.err, full)
		}
	})
}
