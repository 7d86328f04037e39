package transaction

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// refuse answers a request without a transaction: what is too much is not to be
// remembered, and not to be retransmitted to an address that may be forged.
// Should the response be lost, so is the request, and comes again.
func (l *Layer) refuse(in *transport.Inbound, r *sip.Request, status sip.Status, edits ...sip.Edit) {
	l.refusals.note(l, r)
	l.ep.Respond(in, r.Reply(status, append(edits, l.overload.stamp(in, r, nil)...)...))
}

// refusals tell the ACK of a refusal that has left no transaction from that of a 2xx.
type refusals struct {
	last atomic.Int64 // when there was one, in ns since 1970

	// Hashes of the branches of INVITEs within dialogs, the last ones: their ACKs have
	// the tag of the dialog. One that is forgotten is taken for the ACK of a 2xx, which
	// nobody waits for.
	branches [512]atomic.Uint64
	next     atomic.Uint32
}

func (f *refusals) note(l *Layer, r *sip.Request) {
	f.last.Store(time.Now().UnixNano())
	if branch := branchID(r.Via().Branch()); r.Method() == sip.INVITE && r.To().Tag() != "" && branch != "" {
		f.branches[f.next.Add(1)%uint32(len(f.branches))].Store(maphash.String(l.seed, branch))
	}
}

// isOf reports whether an ACK without a transaction is that of a refusal. The tag of
// one outside a dialog is that which Reply makes, which depends on the branch, and the
// ACK of a 2xx has another branch than its INVITE.
func (f *refusals) isOf(l *Layer, ack *sip.Request) bool {
	if time.Since(time.Unix(0, f.last.Load())) >= l.timers.H {
		return false
	}
	to := ack.To()
	if ack.With(to.WithTag("")).Reply(sip.StatusServiceUnavailable).To().Tag() == to.Tag() {
		return true
	}
	branch := maphash.String(l.seed, branchID(ack.Via().Branch()))
	for i := range f.branches {
		if f.branches[i].Load() == branch {
			return true
		}
	}
	return false
}
