package proxy

import (
	"context"
	"slices"
	"sync"

	"github.com/goparley/parley/sip"
)

// vouched are the requests that a handler has vouched for and that are not over, by
// their marks: several of one mark that came by several ways.
type vouched struct {
	mu sync.Mutex
	of map[mark][]*Server
}

// Vouch says that it is known who has sent the request, by a password: should it come
// back to us while it is being forwarded, from another proxy or by a redirection, that
// one is Vouched.
func (s *Server) Vouch() {
	v := &s.p.vouched
	v.mu.Lock()
	if v.of == nil {
		v.of = map[mark][]*Server{}
	}
	v.of[s.mark] = append(v.of[s.mark], s)
	v.mu.Unlock()
	context.AfterFunc(s.Context(), func() { v.drop(s) })
}

// drop takes out one that is over.
func (v *vouched) drop(s *Server) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.of[s.mark]
	if i := slices.Index(all, s); i >= 0 {
		all = slices.Delete(all, i, i+1)
	}
	if len(all) == 0 {
		delete(v.of, s.mark)
		return
	}
	v.of[s.mark] = all
}

// has reports whether a request with this mark, and what else is req's, is there.
func (v *vouched) has(m mark, req *sip.Request) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.of[m], func(s *Server) bool {
		was := s.Request()
		return was.From() == req.From() && was.CallID() == req.CallID() && was.CSeq() == req.CSeq()
	})
}

// Vouched reports whether the request is one that has been here before (RFC 3261
// section 16.3 step 4 calls that a spiral), that was vouched for then (Vouch), and that
// waits for what becomes of this one: it has a Via of ours with the mark of that one,
// which nobody else could have written, and the same From, Call-ID and CSeq. Its sender
// has used the password for that one and has none for this.
//
// Whoever the request was forwarded to may send it here with any Request-URI, and any
// body, as a proxy there may have to: who is called by one of our users can call
// another one of them in that user's name, as long as his phone rings and no longer.
// So it is as good as the request of a stranger, and no better: to call out by us, and
// what else costs money, is for who is asked himself. At another node a request is
// not Vouched. The next run of the program knows what is Resumed and is vouched for
// once more, as Authenticate of a registrar.Registrar does. What is Resumed itself, and
// has been here before, was let through by the last run, and is Vouched.
func (s *Server) Vouched() bool {
	switch {
	case s.spiral == 0:
		return false
	case s.Resumed():
		return true
	}
	req := s.Request()
	for via, err := range sip.All[sip.Via](req) {
		if err == nil && s.p.vouched.has(markOf(via), req) {
			return true
		}
	}
	return false
}
