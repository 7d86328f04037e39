package resolve

import (
	"context"
	"net"
	"os"
	"time"
)

// searchFor is how long a search goes on at most, whatever it is that does not
// answer. The request that waits for it has 32 seconds (RFC 3261 section
// 17.1.2.2, timer F), and wants some of them for itself.
const searchFor = 20 * time.Second

// patience is how long an answer is waited for that there is something to try
// without: the other family of a server, a server that stands in for another.
// It is the Resolution Delay of RFC 8305 section 3, which has 50 ms: with that,
// an address that comes later joins the others while they are tried. A list of
// targets is complete when it is handed out, so it gets as much as the next
// address would have to wait for its turn (RFC 8305 section 5).
const patience = 250 * time.Millisecond

// A search is one call of Targets: what is asked, and for how long.
type search struct {
	c         *Client
	ctx       context.Context // that of the caller, which a search does not outlive
	host      string          // what the URI calls all that is found
	stateless bool            // the same list every time
	cut       bool            // by the end of ctx: what was found may not be all

	bounded context.Context // ends after searchFor; nil until something is waited for
	spare   context.Context // ends after patience; nil until something can be done without
	free    [2]context.CancelFunc
}

// end is to be called when a search is over.
func (s *search) end() {
	for _, free := range s.free {
		if free != nil {
			free()
		}
	}
}

// ask asks for the records of prefix and name.
func (s *search) ask(prefix, name string, t Type) pending {
	return s.c.cache.ask(s.ctx, key{prefix, name, t})
}

// bound returns what ends when the search has to.
func (s *search) bound() context.Context {
	if s.bounded == nil {
		s.bounded, s.free[0] = context.WithTimeout(s.ctx, searchFor)
	}
	return s.bounded
}

// begin starts a new step of the search, with patience of its own.
func (s *search) begin() {
	if s.free[1] != nil {
		s.free[1]()
	}
	s.spare, s.free[1] = nil, nil
}

// wait returns an answer. enough says that there is something to try without it.
//
// Only the end of the caller's context takes the question back. What is too late
// for this search is in time for the next one.
func (s *search) wait(p pending, enough bool) (Answer, error) {
	if p.isThere() {
		answer, err := p.answer()
		s.cut = s.cut || err != nil && s.ctx.Err() != nil
		return answer, err
	}
	if enough && !s.stateless {
		if p.flight.late.Load() {
			return Answer{}, s.tooLate() // somebody has waited for it as long as this
		}
		if s.spare == nil {
			s.spare, s.free[1] = context.WithTimeout(s.bound(), patience)
		}
		select {
		case <-p.flight.done:
			return p.answer()
		case <-s.spare.Done():
			p.flight.late.Store(s.ctx.Err() == nil)
		}
	} else {
		select {
		case <-p.flight.done:
			return p.answer()
		case <-s.bound().Done():
		}
	}
	if err := s.ctx.Err(); err != nil {
		s.cut = true
		p.leave()
		return Answer{}, err
	}
	return Answer{}, s.tooLate()
}

// first waits for one of two answers, and returns which.
func (s *search) first(asked [2]pending) int {
	switch {
	case asked[0].isThere():
		return 0
	case asked[1].isThere():
		return 1
	}
	select {
	case <-asked[1].flight.done:
		return 1
	case <-asked[0].flight.done:
	case <-s.bound().Done():
	}
	return 0
}

func (s *search) tooLate() error {
	return &net.DNSError{Err: "no answer in time", Name: s.host, IsTimeout: true, IsTemporary: true, UnwrapErr: os.ErrDeadlineExceeded}
}

// notFound is the error of a search that has led to nothing.
func (s *search) notFound() error {
	return &net.DNSError{Err: "no such host", Name: s.host, IsNotFound: true}
}
