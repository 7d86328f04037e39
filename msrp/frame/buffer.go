package frame

import (
	"io"
	"sync"
)

const (
	minBuffer = 4 << 10
	midBuffer = 32 << 10
	maxBuffer = 128 << 10
)

// The larger buffers that no Reader has need of: where a peer sends and waits in turn, its
// Reader takes one and gives it back with every turn.
var (
	midBuffers = sync.Pool{New: func() any { return new([midBuffer]byte) }}
	maxBuffers = sync.Pool{New: func() any { return new([maxBuffer]byte) }}
)

// fill reads once from the stream.
func (r *Reader) fill() error {
	rest := copy(r.buf, r.buf[r.lo:r.hi])
	r.lo, r.hi = 0, rest
	if r.hi == len(r.buf) {
		r.grow()
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.hi:])
		r.hi += n
		if n > 0 {
			if r.hi == len(r.buf) {
				r.grow() // more is waiting
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// grow takes a larger buffer, if there is one, with what is in this one from its beginning on.
func (r *Reader) grow() {
	old := r.buf
	switch len(old) {
	case 0:
		r.small = make([]byte, minBuffer)
		r.buf = r.small
	case minBuffer:
		r.buf = midBuffers.Get().(*[midBuffer]byte)[:]
	case midBuffer:
		r.buf = maxBuffers.Get().(*[maxBuffer]byte)[:]
	default:
		return
	}
	copy(r.buf, old[:r.hi])
	giveBack(old)
}

// shrink goes back to the small buffer, where nothing is in the one there is.
func (r *Reader) shrink() {
	giveBack(r.buf)
	r.lo, r.hi, r.buf = 0, 0, r.small
}

func giveBack(buf []byte) {
	switch len(buf) {
	case midBuffer:
		midBuffers.Put((*[midBuffer]byte)(buf))
	case maxBuffer:
		maxBuffers.Put((*[maxBuffer]byte)(buf))
	}
}
