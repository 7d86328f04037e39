package transaction

import "runtime/debug"

// A func of the program's that is called from here may panic, or end its
// goroutine as FailNow of a test does. That is its own affair: those that are
// told of something after it are told all the same.

// forEach calls f for each of a list, which it clears. What ends a call in
// another way than by returning does so when the rest has been called.
func forEach[T any](list []T, f func(T)) {
	defer func() {
		if len(list) > 0 {
			forEach(list, f)
		}
	}()
	for len(list) > 0 {
		one := list[0]
		clear(list[:1])
		list = list[1:]
		f(one)
	}
}

// fence is deferred around what a goroutine of ours does for one transaction,
// which is known by its branch. A panic there is a bug of the user's or of ours,
// and costs this transaction alone.
func (l *Layer) fence(branch string) {
	if p := recover(); p != nil {
		l.cfg.Logger.Error("panic in a transaction", "panic", p, "branch", branch, "stack", string(debug.Stack()))
	}
}
