package ua

import (
	"hash/maphash"
	"sync"

	"github.com/goparley/parley/sip"
)

// addressed are the requests that are for whom the program itself has named, and the
// dialogs that they begin: the Request-URI, by Call-ID and our tag. To whom a call was
// redirected, or whom the peer of a call or the sender of a REFER names, is not here.
//
// It has what was met last, maxAddressed at least and twice as many at most, in hashes.
type addressed struct {
	seed maphash.Seed

	mu         sync.Mutex
	young, old map[uint64]uint64
}

const maxAddressed = 8192

func newAddressed() *addressed {
	return &addressed{seed: maphash.MakeSeed(), young: map[uint64]uint64{}}
}

// add takes a request for whom the program has named.
func (s *addressed) add(req *sip.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(s.key(req), s.uri(req))
}

// remove takes a request out, and the dialogs that it begins.
func (s *addressed) remove(req *sip.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.young, s.key(req))
	delete(s.old, s.key(req))
}

// has reports whether a request goes to whom the program has named, and on its way to
// nobody else; or, within a dialog, to who has answered that.
func (s *addressed) has(req *sip.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.key(req)
	uri, ok := s.young[key]
	if !ok {
		uri, ok = s.old[key]
	}
	if !ok {
		return false
	}
	s.put(key, uri) // it is in use
	if req.To().Tag() != "" {
		return true
	}
	_, routed := req.Value("Route")
	return !routed && uri == s.uri(req)
}

func (s *addressed) put(key, uri uint64) {
	if _, ok := s.young[key]; !ok && len(s.young) >= maxAddressed {
		s.young, s.old = map[uint64]uint64{}, s.young
	}
	s.young[key] = uri
}

func (s *addressed) key(req *sip.Request) uint64 {
	return maphash.Comparable(s.seed, struct{ callID, tag string }{req.CallID(), req.From().Tag()})
}

func (s *addressed) uri(req *sip.Request) uint64 {
	return maphash.String(s.seed, req.URI().String())
}
