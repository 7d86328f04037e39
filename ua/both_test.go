package ua

import (
	"context"
	"errors"
	"testing"
)

// What fails because the agent is closed finds its context ended: at once, also where somebody waits
// for that.
func TestBothEnds(t *testing.T) {
	for range 100 {
		closed, end := context.WithCancel(t.Context())
		b := &both{one: t.Context(), other: closed, reason: ErrClosed}
		done := b.Done()
		end()
		if err := b.Err(); !errors.Is(err, context.Canceled) || cause(b) != ErrClosed {
			t.Fatalf("Err() = %v, and the cause %v, want context.Canceled and ErrClosed", err, cause(b))
		}
		<-done
		b.end()
	}
}
