package proxy

import (
	"context"
	"sync"

	"github.com/goparley/parley/sip"
)

// vouched are the requests that a handler has vouched for and that are not over, and
// how many there are of each: the same one may come by several ways.
type vouched struct {
	mu sync.Mutex
	of map[voucher]int
}

// A voucher is what a request has that comes back, and in one of its Vias the mark.
type voucher struct {
	mark   mark
	from   sip.From
	callID string
	cseq   sip.CSeq
}

func voucherOf(req *sip.Request, m mark) voucher {
	return voucher{m, req.From(), req.CallID(), req.CSeq()}
}

// Vouch says that it is known who has sent the request, by a password: should it come
// back to us while it is being forwarded, from another proxy or by a redirection, that
// one is Vouched.
func (s *Server) Vouch() {
	v, this := &s.p.vouched, voucherOf(s.Request(), s.mark)
	v.add(this, 1)
	context.AfterFunc(s.Context(), func() { v.add(this, -1) })
}

func (v *vouched) add(this voucher, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of == nil {
		v.of = map[voucher]int{}
	}
	if v.of[this] += n; v.of[this] == 0 {
		delete(v.of, this)
	}
}

func (v *vouched) has(this voucher) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.of[this] > 0
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
// has been here before, was let through by the last run, and is Vouched, as far as that
// can be seen: with the FlowKey and the addresses of then (Listen).
func (s *Server) Vouched() bool {
	switch {
	case s.spiral == 0:
		return false
	case s.Resumed():
		return true
	}
	this := voucherOf(s.Request(), mark{})
	for via, err := range sip.All[sip.Via](s.Request()) {
		if this.mark = markOf(via); err == nil && s.p.vouched.has(this) {
			return true
		}
	}
	return false
}
