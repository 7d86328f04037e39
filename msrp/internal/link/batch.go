package link

import (
	"iter"
	"net"
)

// A batch is what is written in one go: pieces of text of its own and of bodies, which stay where
// they are.
type batch struct {
	text   []byte
	pieces []piece
	mark   int // of text that is in no piece yet
	iov    net.Buffers
	rest   net.Buffers // of iov, while it is written
}

// A piece is text up to an offset, and then body.
type piece struct {
	text  int
	body  []byte
	frame bool // the frame ends behind it
}

func (b *batch) reset() {
	clear(b.pieces)
	b.text, b.pieces, b.mark = b.text[:0], b.pieces[:0], 0
	if cap(b.text) > 2*turn {
		b.text = nil
	}
}

func (b *batch) empty() bool { return len(b.pieces) == 0 && len(b.text) == 0 }

func (b *batch) body(p []byte) { b.pieces = append(b.pieces, piece{text: len(b.text), body: p}) }

func (b *batch) endFrame() {
	b.pieces = append(b.pieces, piece{text: len(b.text), frame: true})
}

// buffers returns the pieces for one call of writev. Text that stands together is one buffer.
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
	b.rest = b.iov
	return &b.rest
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
