package transaction

import (
	"math/rand/v2"
	"net/netip"
	"sync"

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

// What a request has of the places.
const (
	noPlace   = iota // it has its final response, or is for no handler
	anyPlace         // one that is there for all
	keptPlace        // one of those that are kept for dialogs
)

// opened gives a request that is for a handler a place. s.mu is held, or nobody else
// knows of s.
func (l *Layer) opened(s *Server) {
	s.place.Store(anyPlace)
	if int64(l.cfg.MaxHandlers)-l.open.Add(1) < l.keptPlaces() {
		s.place.Store(keptPlace)
		l.kept.add(s.in.Flow, 1)
	}
}

// answered takes back the place of a request that has its final response, or is done
// with. Its handler may go on, as that of a call does until the call is over.
func (l *Layer) answered(s *Server) {
	place := s.place.Swap(noPlace)
	if place != noPlace {
		l.open.Add(-1)
	}
	if place == keptPlace {
		l.kept.add(s.Flow(), -1)
	}
}

// kept are the requests that have one of the places which are kept for those
// within a dialog. Anybody can write a To tag, so a source may have no more of them
// than are left for others: half of all, if it is the only one.
type kept struct {
	mu     sync.Mutex
	counts map[netip.Prefix]int64 // of requests, by source
}

// allows reports whether a source may have one more, with so many left.
func (k *kept) allows(in *transport.Inbound, left int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts[sourceOf(in.Flow.RemoteAddr())] < left
}

// add counts requests that came from there, more or less. A request that comes again
// by another flow comes from the same source (cameBy).
func (k *kept) add(from transport.Flow, n int64) {
	source := sourceOf(from.RemoteAddr())
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.counts == nil {
		k.counts = map[netip.Prefix]int64{}
	}
	if k.counts[source] += n; k.counts[source] == 0 {
		delete(k.counts, source)
	}
}

// later tells who is refused for want of places when to come back: within ten
// seconds, and not all at once.
func later() sip.RetryAfter { return sip.RetryAfter{Seconds: 1 + rand.N(uint32(10))} }
