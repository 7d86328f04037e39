package ua

import (
	"context"
	"sync"
	"time"
)

// senders send the NOTIFYs of an agent: many at a time, but not one goroutine for each of
// ten thousand watchers that do not answer. Nor can those keep the others waiting for long:
// half of the NOTIFYs at a time may take as long as a transaction does, the others are
// hurried. The zero value is ready.
type senders struct {
	mu      sync.Mutex
	busy    int
	patient int                  // of those
	due     []func(hurried bool) // that wait for a sender; as a Watcher has one NOTIFY at a time, no more than there are
}

const (
	// maxSenders is how many NOTIFYs are sent, or not answered, at a time.
	maxSenders = 1024
	// patience is how long the answer to one that is hurried may take: it has been sent
	// four times then. It is sent again later.
	patience = 4 * time.Second
)

// run has f called in a goroutine, now or when a sender is free. f ends with the transactions
// of its NOTIFYs, and when it is hurried after patience.
func (s *senders) run(f func(hurried bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = append(s.due, f)
	if s.busy == maxSenders {
		return
	}
	s.busy++
	go func() { // ends when nothing is due
		for s.one() {
		}
	}()
}

// one calls what is due the longest, and reports whether there was something.
func (s *senders) one() bool {
	s.mu.Lock()
	if len(s.due) == 0 {
		s.busy--
		s.due = nil
		s.mu.Unlock()
		return false
	}
	f := s.due[0]
	s.due[0] = nil
	s.due = s.due[1:]
	hurried := s.patient == maxSenders/2
	if !hurried {
		s.patient++
	}
	s.mu.Unlock()
	f(hurried)
	if !hurried {
		s.mu.Lock()
		s.patient--
		s.mu.Unlock()
	}
	return true
}

// notify has a function run by one of the senders, that Shutdown waits for unless it has begun.
func (a *Agent) notify(f func(hurried bool)) {
	a.mu.Lock()
	awaited := a.closed == nil
	if awaited {
		a.tasks.Add(1)
	}
	a.mu.Unlock()
	a.senders.run(func(hurried bool) {
		if awaited {
			defer a.tasks.Done()
		}
		f(hurried)
	})
}

// answerTime returns the context that a NOTIFY is sent with.
func answerTime(hurried bool) (context.Context, context.CancelFunc) {
	if hurried {
		return context.WithTimeout(context.Background(), patience)
	}
	return context.Background(), func() {}
}
