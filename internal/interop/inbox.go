package interop

import (
	"sync"
	"testing"
	"time"
)

// An Event is something that happened to a peer.
//
// Of a baresip the type is for example "CALL_INCOMING", "CALL_RINGING",
// "CALL_ESTABLISHED" or "CALL_CLOSED". Of a browser it is "connected",
// "disconnected", "registered", "unregistered", "registrationFailed",
// "message", "delivered", "undelivered", "call", "callFailed" or "error"; of one
// that speaks MSRP also "path" and "reported".
type Event struct {
	Type    string
	Param   string // why a call was closed; the text of a message; the response to a REGISTER; the status or cause of a failure
	PeerURI string
}

// An inbox holds what happened to a peer until the test asks for it.
type inbox struct {
	who string // for the log

	mu     sync.Mutex
	events []Event
	taken  int // events that Expect has looked at
}

func (b *inbox) add(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

// Expect waits for an event of this type, at most ten seconds, and returns it.
// Events before it are passed over, so a list of expectations is an order.
func (b *inbox) Expect(t testing.TB, typ string) Event {
	t.Helper()
	var found Event
	if !Eventually(10*time.Second, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for b.taken < len(b.events) {
			found = b.events[b.taken]
			b.taken++
			if found.Type == typ {
				return true
			}
		}
		return false
	}) {
		b.mu.Lock()
		defer b.mu.Unlock()
		t.Fatalf("%s: no %s after 10 s, only %v", b.who, typ, b.events)
	}
	return found
}
