package dialog

import "runtime/debug"

// fence is deferred around what a goroutine of ours does that may call a func of the
// program's: OnEnd, Refresh of a SessionTimer, an Authorizer. A panic there is a bug of
// the program's or of ours, and costs what was being done alone. Handlers have the fence
// of the layer below.
func (l *Layer) fence() {
	if p := recover(); p != nil {
		l.cfg.Transaction.Logger.Error("panic in a dialog", "panic", p, "stack", string(debug.Stack()))
	}
}
