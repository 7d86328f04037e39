package websocket_test

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

const (
	idle  = 10 * time.Minute
	whole = 32 * time.Second
)

// patient waits ten minutes for the next message, and 32 seconds for the rest
// of one.
func patient(begun, heard time.Time) time.Time {
	at := heard.Add(idle)
	if t := begun.Add(whole); !begun.IsZero() && t.Before(at) {
		at = t
	}
	return at
}

// A peer that says nothing is waited for until patience ends, and so is one
// that drips a message, a fragment or a ping byte by byte.
func TestPatience(t *testing.T) {
	endless := masked(text, "")
	for range 10000 {
		endless += masked(more, "")
	}
	for name, c := range map[string]struct {
		sent  string
		drip  string // then one byte of this a second
		after time.Duration
	}{
		"silent":                      {"", "", idle},
		"silent after a message":      {masked(fin|text, options), "", idle},
		"silent after a ping":         {masked(fin|ping, ""), "", idle},
		"half a header":               {masked(fin|text, options)[:1], "", whole},
		"half a message":              {masked(fin|text, options)[:20], "", whole},
		"half a message and pings":    {masked(text, "half") + masked(fin|ping, ""), "", whole},
		"a message behind another":    {masked(fin|text, options) + masked(text, "half"), "", whole},
		"a message that drips":        {"", masked(fin|text, options), whole},
		"empty fragments for ever":    {"", endless, whole},
		"a ping that drips":           {"", masked(fin|ping, options), 10 * time.Second}, /* a header takes 5 s, and 5 s are for the rest */
		"a close frame cut in pieces": {masked(fin|closing, closeFrame(1000, ""))[:7], "", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws, p := accepted(t, &websocket.Config{Patience: patient})
				p.listen()
				results := reads(ws)
				start := time.Now()
				p.send(c.sent)
				for i := range len(c.drip) {
					if p.gone() {
						break
					}
					p.send(c.drip[i : i+1])
					time.Sleep(time.Second)
				}
				for r := range results {
					if r.err != nil && !errors.Is(r.err, os.ErrDeadlineExceeded) {
						t.Errorf("read %q, %v, want %v", r.text, r.err, os.ErrDeadlineExceeded)
					}
				}
				if got := time.Since(start).Truncate(time.Second); got != c.after {
					t.Errorf("ended after %v, want %v", got, c.after)
				}
			})
		})
	}
}

// Patience that grows while it is tried, as when something was sent in the
// meantime, is waited out without another byte.
func TestPatienceGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		start := time.Now()
		c, _ := accepted(t, &websocket.Config{Patience: func(begun, heard time.Time) time.Time {
			return start.Add(idle + time.Duration(sent.Load()))
		}})
		results := reads(c)
		time.Sleep(idle / 2)
		sent.Store(int64(idle / 2))
		time.Sleep(idle - time.Second)
		quiet(t, results)
		time.Sleep(time.Second)
		if got := next(t, results); !errors.Is(got.err, os.ErrDeadlineExceeded) {
			t.Errorf("read %q, %v, want %v", got.text, got.err, os.ErrDeadlineExceeded)
		}
	})
}
