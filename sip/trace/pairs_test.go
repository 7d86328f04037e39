package trace

import (
	"fmt"
	"testing"
)

// Recorders hold a bounded amount of memory: of messages seen at one end only,
// the last 1024 are known when the other end tells of them, however many there
// have been.
func TestMessagesSeenOnceAreBounded(t *testing.T) {
	const alice, bob = "192.0.2.1:5060", "192.0.2.2:5060"
	all := make([]passing, 5000)
	for i := range all {
		all[i] = passing{"UDP", alice, bob, 0, invite(t, fmt.Sprint(i), "")}
	}
	p := newPairs()
	for i, m := range all {
		if p.isSecond(m.sent(), true) {
			t.Fatalf("message %d was taken for another", i)
		}
		if len(p.waiting) > 1024 || len(p.order) > 1024 || cap(p.order) > 8*1024 {
			t.Fatalf("after %d messages %d and %d (of %d) are remembered, want at most 1024", i+1, len(p.waiting), len(p.order), cap(p.order))
		}
	}
	last := len(all) - 1024
	if !p.isSecond(all[last].received(), false) {
		t.Error("the oldest of 1024 messages is not known again")
	}
	if p.isSecond(all[last-1].received(), false) {
		t.Error("the one before them is known again, want it forgotten")
	}

	// Retransmissions of one message are bounded like any others.
	p = newPairs()
	for range 5000 {
		p.isSecond(all[0].sent(), true)
	}
	for _, n := range p.waiting {
		if n != 1024 {
			t.Errorf("%d retransmissions are remembered, want 1024", n)
		}
	}
}
