// Package snapshot writes and reads what is kept of a transaction, a dialog or a
// registration from one run of a program to the next.
//
// A snapshot is a frame around a list of values without names:
//
//	kind     1 byte   what it is of
//	version  1 byte   of the list of values
//	length   4 bytes  of the values, big-endian
//	check    4 bytes  CRC-32C of the values
//	values            numbers as varints, text with its length before it
//
// Open checks the frame, so a snapshot that was cut off or damaged is found out
// before anything of it is believed. What was made on purpose to pass as one is
// for the reader of the values to find out: nothing here takes more memory than
// the snapshot has bytes.
package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"net/netip"
	"time"
)

var (
	// ErrDamaged says that data is no snapshot, or not a whole one.
	ErrDamaged = errors.New("snapshot: damaged, or none of this")
	// ErrVersion says that a snapshot was written by a version of this library
	// whose format this one does not read.
	ErrVersion = errors.New("snapshot: written in a format that is not known here")
)

const frame = 10 // bytes before the values

var table = crc32.MakeTable(crc32.Castagnoli)

// Writer appends values. The zero Writer is ready for use.
type Writer struct{ b []byte }

// Uint appends a number.
func (w *Writer) Uint(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

// Bool appends a yes or no.
func (w *Writer) Bool(yes bool) {
	if yes {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

// Text appends text.
func (w *Writer) Text(s string) {
	w.Uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

// Duration appends a span of time; less than nothing is nothing.
func (w *Writer) Duration(d time.Duration) { w.Uint(uint64(max(d, 0))) }

// Raw appends what another Writer would have written.
func (w *Writer) Raw(values []byte) { w.b = append(w.b, values...) }

// Addr appends an address, valid or not.
func (w *Writer) Addr(a netip.AddrPort) {
	text, _ := a.MarshalBinary() // never fails
	w.Text(string(text))
}

// Seal returns the snapshot.
func (w *Writer) Seal(kind, version byte) []byte {
	b := make([]byte, 0, frame+len(w.b))
	b = append(b, kind, version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(w.b)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(w.b, table))
	return append(b, w.b...)
}

// Reader takes the values off again, in their order. After the first fault it
// gives zero values, and Close tells of it.
type Reader struct {
	b   []byte
	err error
}

// Open checks the frame of a snapshot.
func Open(data []byte, kind, version byte) (*Reader, error) {
	switch {
	case len(data) < frame || data[0] != kind:
		return nil, ErrDamaged
	case data[1] != version:
		return nil, fmt.Errorf("%w: %d", ErrVersion, data[1])
	}
	values := data[frame:]
	if uint64(binary.BigEndian.Uint32(data[2:])) != uint64(len(values)) ||
		binary.BigEndian.Uint32(data[6:]) != crc32.Checksum(values, table) {
		return nil, ErrDamaged
	}
	return &Reader{b: values}, nil
}

// Read reads the next snapshot of those that follow each other, for Open, whose values
// have most bytes at most. What is longer is damaged, and so is what ends too early.
func Read(r *bufio.Reader, most int) ([]byte, error) {
	head, err := r.Peek(frame)
	if err != nil {
		return nil, early(err)
	}
	size := uint64(binary.BigEndian.Uint32(head[2:]))
	if size > uint64(most) {
		return nil, ErrDamaged
	}
	data := make([]byte, frame+size)
	n, err := io.ReadFull(r, data)
	return data[:n], early(err)
}

func early(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrDamaged
	}
	return err
}

// Fail notes that a value makes no sense.
func (r *Reader) Fail() {
	r.err = ErrDamaged
	r.b = nil
}

// Uint takes a number of at most limit.
func (r *Reader) Uint(limit uint64) uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > limit {
		r.Fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// Bool takes a yes or no.
func (r *Reader) Bool() bool { return r.Uint(1) == 1 }

// Text takes a copy of some text.
func (r *Reader) Text() string {
	n := r.Uint(uint64(len(r.b)))
	if n > uint64(len(r.b)) { // the number took some of it
		r.Fail()
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// Duration takes a span of time of at most limit: what is longer is cut to it.
func (r *Reader) Duration(limit time.Duration) time.Duration {
	return min(time.Duration(r.Uint(math.MaxInt64)), limit)
}

// Addr takes an address.
func (r *Reader) Addr() netip.AddrPort {
	var a netip.AddrPort
	if a.UnmarshalBinary([]byte(r.Text())) != nil {
		r.Fail()
	}
	return a
}

// Count takes the number of the values that follow, each of which takes a byte
// at least.
func (r *Reader) Count() int { return int(r.Uint(uint64(len(r.b)))) }

// Close returns ErrDamaged if there was a fault, or is more than was read.
func (r *Reader) Close() error {
	if len(r.b) > 0 {
		r.Fail()
	}
	return r.err
}
