package websocket

import "sync"

const (
	firstBuffer = 4 << 10
	maxBuffer   = 64 << 10 // a larger one is not kept
)

// buffer is the memory of a message on its way in or out.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, firstBuffer)} }}

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) put() {
	if cap(b.b) <= maxBuffer {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}
