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

// none is the branch of news that is of no branch: of the end of the context, and
// with a status of the end of the time.
const none = -1

// bound sees to it that the fork ends in time.
//
// What is no INVITE has its time from its arrival on. No branch begins after that,
// no target of DNS is tried, and there is no 408, for nothing is sent that nobody
// waits for (RFC 4320 section 4).
func (f *forking) bound() {
	if f.core.invite {
		stop := context.AfterFunc(f.ctx, func() { f.tell(news{branch: none}) })
		f.limit, f.free = f.ctx, func() { stop() }
		return
	}
	f.limit, f.free = context.WithDeadline(f.ctx, f.s.Arrived().Add(f.patience()))
}

func (f *forking) patience() time.Duration { return patience * f.s.Layer().Timers().T1 }

// unbind undoes bound.
func (f *forking) unbind() {
	f.free()
	if f.wait != nil {
		f.wait.Stop()
	}
}

// heed finds out whether the client has cancelled the request, or its time is over.
func (f *forking) heed() {
	switch {
	case f.ctx.Err() != nil && !f.core.cancelled:
		f.do(f.core.cancel(), nil)
		if f.core.invite {
			f.wait = time.AfterFunc(f.patience(), func() {
				f.tell(news{branch: none, status: sip.StatusRequestTimeout})
			})
		}
	case f.limit.Err() != nil && !f.core.closed:
		f.do(f.core.expire(), nil)
	}
}

// giveUp ends a cancelled INVITE for the client, who gets 487, whatever its callees
// have to say yet.
func (f *forking) giveUp() {
	for i := range f.core.branches {
		if f.core.branches[i].state == open {
			f.take(news{branch: i, status: sip.StatusRequestTimeout, origin: unreached})
		}
	}
}
