// Package goroutine grows the stacks of goroutines before they are deep, and counts them in tests.
package goroutine

// Grow makes the stack of a new goroutine as large as sending or handling a message wants
// it. It would grow by itself, but in three steps, and each copies and adjusts the frames
// that lie on it: they are few now and many later.
func Grow() { reach(-1) }

// reach has a frame that large, and does not touch it.
//
//go:noinline
func reach(i int) byte {
	if i < 0 {
		return 0
	}
	var room [8 << 10]byte
	return room[i]
}
