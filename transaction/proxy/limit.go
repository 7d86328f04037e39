package proxy

import (
	"context"
	"time"

	"github.com/goparley/parley/sip"
)

// A client waits for 64*T1 for the answer to what is no INVITE, and to an INVITE
// after its CANCEL, and hears nothing that comes later (RFC 3261 sections 9.1 and
// 17.1.2.2). The same time passes here, and begins later. So a fork ends by T1
// earlier, which is the time to the client and back: what is known by then is
// still of use.
const patience = 63 // by T1

func (f *forking) patience() time.Duration { return patience * f.s.Layer().Timers().T1 }

// bound sees to it that the fork ends in time.
func (f *forking) bound() {
	switch {
	case f.core.invite:
		f.stop = context.AfterFunc(f.ctx, func() { f.tell(news{branch: cancelled}) }) // for a callee that says nothing
	case len(f.targets) > 1:
		f.setClock()
	}
}

// setClock ends a fork of what is no INVITE. It has its time from its arrival on. No
// branch begins after that, no target of DNS is tried, and there is no 408, for
// nothing is sent that nobody waits for (RFC 4320 section 4). A single branch to a
// single address that begins at once ends by itself.
func (f *forking) setClock() {
	if f.clock == nil && !f.core.invite {
		f.clock = time.AfterFunc(time.Until(f.s.Arrived().Add(f.patience())), f.ring)
	}
}

func (f *forking) ring() { f.tell(news{branch: expired}) }

// unbind undoes bound.
func (f *forking) unbind() {
	if f.stop != nil {
		f.stop()
	}
	if f.clock != nil {
		f.clock.Stop()
	}
}

// isInTime reports whether a branch that begins now needs no watch: the transaction
// ends as soon as it has to.
func (f *forking) isInTime() bool {
	return f.core.invite || time.Since(f.s.Arrived()) < f.s.Layer().Timers().T1
}

// within returns the context of a branch that may have to wait before it begins.
func (f *forking) within(i int) (ctx context.Context) {
	if f.core.invite {
		ctx, f.cancels[i] = context.WithCancelCause(f.ctx)
		return ctx
	}
	ctx, cancel := context.WithDeadline(f.ctx, f.s.Arrived().Add(f.patience()))
	f.cancels[i] = func(error) { cancel() } // there is no CANCEL that could say why
	return ctx
}

// await has a branch end with the Wait of its target, whatever becomes of its CANCEL.
func (f *forking) await(i int) {
	wait, cancel := f.targets[i].Wait, f.cancels[i]
	if wait <= 0 {
		return
	}
	end := time.AfterFunc(wait, func() {
		f.tell(news{branch: i, status: sip.StatusRequestTimeout, origin: unreached})
	})
	f.cancels[i] = func(cause error) {
		end.Stop()
		if cancel != nil {
			cancel(cause)
		}
	}
	if f.ends == nil {
		f.ends = make([]time.Time, len(f.targets))
	}
	f.ends[i] = time.Now().Add(wait)
}

// left returns what is left of the Wait of a branch, 0 if it has none.
func (f *forking) left(i int) time.Duration {
	if f.ends == nil || f.ends[i].IsZero() {
		return 0
	}
	return max(time.Until(f.ends[i]), 1)
}

// cancel ends all branches for a client that has cancelled the request, or has its
// answer. An INVITE has a while for that.
func (f *forking) cancel() {
	if f.core.cancelled {
		return
	}
	f.do(f.core.cancel(), nil)
	if f.core.invite {
		f.clock = time.AfterFunc(f.patience(), f.ring)
	}
}

// expire ends all branches at once, whatever their callees have to say yet.
func (f *forking) expire() {
	f.do(f.core.expire(), nil)
	for i := range f.core.branches {
		if f.core.branches[i].state == open {
			f.take(news{branch: i, status: sip.StatusRequestTimeout, origin: unreached})
		}
	}
}
