package dialog

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/goparley/parley/transaction"
)

// givenUp is the context of an Invitation: it ends with that of the transaction, or
// for a reason of the call. Most are never waited for, so it is a context in name
// only until somebody does: till then it takes neither memory nor the handler off the
// goroutine that reads the socket.
type givenUp struct {
	tx *transaction.Server
	in *Invitation

	mu    sync.Mutex
	ctx   context.Context // nil: nobody has waited yet
	stop  context.CancelCauseFunc
	cause error // it has ended before that
}

// end ends it, for a cause unless that is nil, if it has not ended yet: the transaction
// may have been cancelled before.
func (g *givenUp) end(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ctx != nil:
		g.stop(cause)
	case g.cause == nil:
		g.cause = cmp.Or(g.tx.Cause(), cause, context.Canceled)
	}
}

// context makes the real one.
func (g *givenUp) context() context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx == nil {
		g.ctx, g.stop = context.WithCancelCause(g.tx.Context())
		if g.cause != nil {
			g.stop(g.cause)
		}
	}
	return g.ctx
}

// why returns the cause, nil while it has not ended.
func (g *givenUp) why() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ctx != nil:
		return context.Cause(g.ctx)
	case g.cause != nil:
		return g.cause
	}
	return g.tx.Cause()
}

func (g *givenUp) Deadline() (deadline time.Time, ok bool) { return deadline, false }
func (g *givenUp) Done() <-chan struct{}                   { return g.context().Done() }

func (g *givenUp) Value(key any) any {
	if key == (behalf{}) {
		return g.in
	}
	return g.context().Value(key)
}

func (g *givenUp) Err() error {
	if g.why() != nil {
		return context.Canceled
	}
	return nil
}
