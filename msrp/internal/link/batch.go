package link

import (
	"iter"
	"net"
	"sync"
)

// A batch is what is written in one go: pieces of text of its own and of bodies, which stay where
// they are.
type batch struct {
	text   []byte
	pieces []piece
	iov    net.Buffers
	out    net.Buffers // what of it is not written

	stream *Stream // that is in it
	data   []byte  // a buffer of it that is free when all is written
	number uint32
	large  int // buffers in a row that were large for what was in them
}

// A piece is text up to an offset, and then body.
type piece struct {
	text  int
	body  []byte
	frame bool // the frame ends behind it
}

func (b *batch) reset() {
	clear(b.pieces)
	b.text, b.pieces, b.stream, b.data = b.again(b.text), b.pieces[:0], nil, nil
}

// again returns a buffer to be used again, unless it has long been large for what was in it.
func (b *batch) again(buf []byte) []byte {
	if len(buf) > cap(buf)/8 {
		b.large = 0
	} else if b.large++; b.large > 64 && cap(buf) > 4<<10 {
		b.large = 0
		return nil
	}
	return buf[:0]
}

// buffers are those of a whole turn.
var buffers = sync.Pool{New: func() any { return new([turn]byte) }}

// newBuffer returns an empty buffer for size bytes.
func newBuffer(size int) []byte {
	if size <= turn/8 {
		return make([]byte, 0, size)
	}
	return buffers.Get().(*[turn]byte)[:0]
}

// freeBuffer takes a buffer back that is not in use any more.
func freeBuffer(buf []byte) {
	if cap(buf) == turn {
		buffers.Put((*[turn]byte)(buf[:turn]))
	}
}

func (b *batch) empty() bool { return len(b.pieces) == 0 && len(b.text) == 0 }

// body adds a part of a body: what is short is copied, which costs less than a piece of its own.
func (b *batch) body(p []byte) {
	if len(p) <= 512 {
		b.text = append(b.text, p...)
		return
	}
	b.pieces = append(b.pieces, piece{text: len(b.text), body: p})
}

func (b *batch) endFrame() {
	b.pieces = append(b.pieces, piece{text: len(b.text), frame: true})
}

// whole adds frames, which end at ends, and returns a buffer for others.
func (b *batch) whole(frames []byte, ends []int) (free []byte) {
	from := len(b.text)
	if from == 0 {
		b.text, free = frames, b.text
	} else {
		b.text, free = append(b.text, frames...), b.again(frames)
	}
	for _, end := range ends {
		b.pieces = append(b.pieces, piece{text: from + end, frame: true})
	}
	return free
}

// buffers returns the pieces for writev. What stands together is one buffer.
func (b *batch) buffers() *net.Buffers {
	b.iov = b.iov[:0]
	from := 0
	for _, p := range b.pieces {
		if len(p.body) == 0 {
			continue
		}
		if p.text > from {
			b.iov = append(b.iov, b.text[from:p.text])
			from = p.text
		}
		b.iov = append(b.iov, p.body)
	}
	if len(b.text) > from {
		b.iov = append(b.iov, b.text[from:])
	}
	b.out = b.iov
	return &b.out
}

// appendTo puts the pieces together.
func (b *batch) appendTo(to []byte) []byte {
	from := 0
	for _, p := range b.pieces {
		to = append(append(to, b.text[from:p.text]...), p.body...)
		from = p.text
	}
	return append(to, b.text[from:]...)
}

// frames yields frame after frame, in a buffer that is used again.
func (b *batch) frames(buf []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		from := 0
		buf = buf[:0]
		for _, p := range b.pieces {
			buf = append(append(buf, b.text[from:p.text]...), p.body...)
			from = p.text
			if p.frame {
				if !yield(buf) {
					return
				}
				buf = buf[:0]
			}
		}
	}
}
