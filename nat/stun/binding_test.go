package stun

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

var (
	server = netip.MustParseAddrPort("192.0.2.10:3478")
	client = netip.MustParseAddrPort("203.0.113.1:61234")
)

// begun returns a transaction whose request has been sent once.
func begun() *Binding {
	b := NewBinding(server)
	b.Step(time.Unix(0, 0))
	return b
}

// RFC 8489 section 6.2.1: requests at 0, 500, 1500, 3500, 7500, 15500 and
// 31500 ms, and the end at 39500 ms.
func TestBindingIsRetransmitted(t *testing.T) {
	b, began := NewBinding(server), time.Unix(1_000_000, 0)
	now := began
	for _, ms := range []int{0, 500, 1500, 3500, 7500, 15500, 31500} {
		if got := now.Sub(began); got != time.Duration(ms)*time.Millisecond {
			t.Errorf("request at %v, want %d ms", got, ms)
		}
		send, next, err := b.Step(now)
		if !send || err != nil {
			t.Fatalf("at %d ms: Step() = %v, %v, want the request", ms, send, err)
		}
		if send, again, err := b.Step(next.Add(-1)); send || again != next || err != nil {
			t.Errorf("too early: Step() = %v, %v, %v, want nothing before %v", send, again, err, next)
		}
		now = next
	}
	if got := now.Sub(began); got != 39500*time.Millisecond {
		t.Errorf("gives up at %v, want 39.5 s", got)
	}
	for range 2 {
		if send, _, err := b.Step(now); send || !errors.Is(err, ErrTimeout) {
			t.Errorf("at the end: Step() = %v, %v, want ErrTimeout", send, err)
		}
	}
}

// A machine that slept does not make up for what it missed all at once.
func TestBindingAfterASleep(t *testing.T) {
	b, now := NewBinding(server), time.Unix(1_000_000, 0)
	b.Step(now)
	now = now.Add(time.Hour)
	if send, next, err := b.Step(now); !send || next.Sub(now) != time.Second || err != nil {
		t.Errorf("Step() = %v, %v, %v, want the request and one second", send, next.Sub(now), err)
	}
}

func TestAnswerEndsBinding(t *testing.T) {
	b := begun()
	answer := Respond(b.Request(), client)
	if mapped, ok, err := b.Answer(answer, server); mapped != client || !ok || err != nil {
		t.Errorf("Answer() = %v, %v, %v, want %v", mapped, ok, err, client)
	}
	if send, next, err := b.Step(time.Unix(100, 0)); send || !next.IsZero() || err != nil {
		t.Errorf("after the answer: Step() = %v, %v, %v, want nothing", send, next, err)
	}
	if _, ok, err := b.Answer(answer, server); ok || err != nil {
		t.Errorf("the answer again: Answer() = %v, %v, want none", ok, err)
	}
}
