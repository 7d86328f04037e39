package transaction

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// isBusy reports whether handlers have as many requests as they may. A fifth is
// kept for requests within a dialog: those that end calls, above all.
func (l *Layer) isBusy(in *transport.Inbound, inDialog bool) bool {
	free := int64(l.cfg.MaxHandlers) - l.open.Load()
	switch {
	case free > l.keptPlaces():
		return false
	case free <= 0 || !inDialog:
		return true
	}
	return !l.kept.allows(in, free)
}

// keptPlaces returns how many of MaxHandlers are for requests within a dialog.
func (l *Layer) keptPlaces() int64 { return int64(l.cfg.MaxHandlers) / 5 }

// opened counts a request that is for a handler, and answered counts it out when
// it has its final response, or is done with. Its handler may go on, as that of a
// call does until the call is over.
func (l *Layer) opened(s *Server) {
	if int64(l.cfg.MaxHandlers)-l.open.Add(1) < l.keptPlaces() {
		l.kept.add(s)
	}
}

func (l *Layer) answered(s *Server) {
	if s.joined && !s.answered.Swap(true) {
		l.open.Add(-1)
		l.kept.remove(s)
	}
}

// kept are the requests that have one of the places which are kept for those
// within a dialog. Anybody can write a To tag, so a source may have no more of them
// than are left for others: half of all, if it is the only one.
type kept struct {
	number atomic.Int64 // of requests: most servers have none

	mu      sync.Mutex
	sources map[*Server]netip.Prefix
	counts  map[netip.Prefix]int64 // of requests, by source
}

// allows reports whether a source may have one more, with so many left.
func (k *kept) allows(in *transport.Inbound, left int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts[sourceOf(in.Flow.RemoteAddr())] < left
}

func (k *kept) add(s *Server) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sources == nil {
		k.sources, k.counts = map[*Server]netip.Prefix{}, map[netip.Prefix]int64{}
	}
	source := sourceOf(s.in.Flow.RemoteAddr())
	k.sources[s] = source
	k.counts[source]++
	k.number.Store(int64(len(k.sources)))
}

func (k *kept) remove(s *Server) {
	if k.number.Load() == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	source, ok := k.sources[s]
	if !ok {
		return
	}
	delete(k.sources, s)
	if k.counts[source]--; k.counts[source] == 0 {
		delete(k.counts, source)
	}
	k.number.Store(int64(len(k.sources)))
}

// later tells who is refused for want of places when to come back: within ten
// seconds, and not all at once.
func later() sip.RetryAfter { return sip.RetryAfter{Seconds: 1 + rand.N(uint32(10))} }
