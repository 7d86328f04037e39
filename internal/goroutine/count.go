package goroutine

import "runtime"

// Count returns how many goroutines there are, for tests: those that have ended do not count.
// They may in runtime.NumGoroutine, by dozens, while the lists are changed that it adds up
// without a lock. Stopping the world waits for that, and this is a way to stop it.
func Count() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine()
}
