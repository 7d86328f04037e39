// Package stall tells who lent out a goroutine that it is about to wait.
//
// A handler may run on the goroutine that reads a socket, which another one then
// has to read on. Whether a request has to wait for a connection is known only
// where the wait begins.
package stall

import "context"

// Key is the key in a context of the Lender of the goroutine that it is used on.
type Key struct{}

// A Lender is told by Begin. It must not block.
type Lender interface{ Stalls() }

// Begin tells the Lender of ctx, if there is one, that its goroutine is going to
// wait.
func Begin(ctx context.Context) {
	if l, ok := ctx.Value(Key{}).(Lender); ok {
		l.Stalls()
	}
}
