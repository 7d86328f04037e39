package proxy

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"

	"github.com/goparley/parley/sip"
)

// spirals counts the branches of requests that have been here before. Loops are
// found by their mark, but where users point at each other with several Contacts
// each there are as many ways without a loop as there are orders of the Contacts,
// and Max-Breadth bounds only what is open at one time (RFC 5393 sections 3 and 5).
// So all branches together that a request makes each time that it comes back are
// bounded. Those that it makes when it comes for the first time are the handler's
// business.
//
// A request has what is left of its bound, which grows by one a second: that is
// nothing to a storm, and lets a queue try one agent after the other for hours.
type spirals struct {
	most int // at once
	seed maphash.Seed

	mu          sync.Mutex
	now, before map[uint64]spiral // by request; before is what now was when it was full
}

type spiral struct {
	left float64
	at   time.Time
}

const (
	// spiralsPerBreadth is how many branches there may be for one of the
	// Max-Breadth.
	spiralsPerBreadth = 5

	// maxSpirals bounds the requests that are told apart, half of it at least.
	maxSpirals = 8192
)

func (s *spirals) init(breadth int) {
	s.most, s.seed = spiralsPerBreadth*breadth, maphash.MakeSeed()
	s.now = map[uint64]spiral{}
}

// of returns what a request is known by, however it comes by: Call-ID, From tag
// and CSeq number. It is not 0.
func (s *spirals) of(req *sip.Request) uint64 {
	var h maphash.Hash
	var seq [4]byte
	h.SetSeed(s.seed)
	h.WriteString(req.CallID())
	h.WriteByte('\n')
	h.WriteString(req.From().Tag())
	binary.BigEndian.PutUint32(seq[:], req.CSeq().Seq)
	h.Write(seq[:])
	return max(1, h.Sum64())
}

// take reports whether a request may make one more branch, and counts it.
func (s *spirals) take(request uint64, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.now[request]
	if !ok {
		one, ok = s.before[request]
	}
	if ok {
		one.left = min(float64(s.most), one.left+max(0, at.Sub(one.at).Seconds()))
	} else {
		one.left = float64(s.most)
	}
	one.at = at
	may := one.left >= 1
	if may {
		one.left--
	}
	if len(s.now) >= maxSpirals/2 {
		s.before, s.now = s.now, map[uint64]spiral{}
	}
	s.now[request] = one
	return may
}
