package dialog

import (
	"context"
	"errors"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// behalf is the key of the Invitation in its context: an INVITE that is sent with that is
// sent on its behalf.
type behalf struct{}

// ringTime is how long an INVITE that is sent on behalf of another one goes on without a
// provisional response. It is more than three minutes (RFC 3261 section 16.6 step 11), in
// which whoever rings says so three times (section 13.3.1.1).
const ringTime = 200 * time.Second

var errUnanswered = errors.New("dialog: a change of the call was not answered in time")

// onBehalf returns the context for an INVITE that may be on behalf of an Invitation. It
// ends, too, when the peer has had nothing new to say for too long, as that of a proxy does
// with timer C (RFC 3261 section 16.8): nobody else may be there to end it. rings is to be
// called for each provisional response but 100, which does not count (section 16.7 step 2).
//
// When the peer of the Invitation gives it up, it gets its 487 at once: what becomes of the
// CANCEL on the other side may take 32 s to be known (section 9.2). A change of a call waits
// for that, for what is agreed on holds (RFC 6141 section 3.8).
func (l *Layer) onBehalf(ctx context.Context) (_ context.Context, rings, stop func()) {
	in, _ := ctx.Value(behalf{}).(*Invitation)
	if in == nil {
		return ctx, func() {}, func() {}
	}
	answers := func() bool { return true }
	if !in.re {
		answers = context.AfterFunc(&in.ctx, func() { in.Reject(sip.StatusRequestTerminated) })
	}
	if l.tl.Timers().C > 0 { // the layer below sees to it
		return ctx, func() {}, func() { answers() }
	}
	cause := transaction.ErrTimeout
	if in.re {
		cause = errUnanswered // the 408 for ErrTimeout would end the call (RFC 5057 section 5.1)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(ringTime, func() { cancel(cause) })
	return ctx, func() { timer.Reset(ringTime) }, func() {
		answers()
		timer.Stop()
		cancel(nil)
	}
}
