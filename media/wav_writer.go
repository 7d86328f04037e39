package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A WAVWriter is a sink that writes a WAV file: PCM of 16 bits, one channel,
// [SampleRate] samples a second. Each write goes to the file at once, so that
// a crash loses only the sizes, which Close puts in.
type WAVWriter struct {
	mu    sync.Mutex // a program may close the file while a call still records
	w     io.WriteSeeker
	start int64     // where in w the file starts
	file  io.Closer // to be closed with it; nil if it is the caller's
	data  uint32    // octets of samples
	buf   []byte
	err   error // the first failure, or os.ErrClosed
}

const wavHeader = 44

// errWAVFull is returned when a file has reached the 4 GB that its sizes can say.
var errWAVFull = errors.New("wav: the file is full")

// CreateWAV creates or empties the file called name and writes to it. Close
// the writer after the call.
func CreateWAV(name string) (*WAVWriter, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	w, err := NewWAVWriter(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	w.file = f
	return w, nil
}

// NewWAVWriter writes a WAV file to w, from where w stands. It does not close w.
func NewWAVWriter(w io.WriteSeeker) (*WAVWriter, error) {
	start, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("wav: where to write: %w", err)
	}
	// Until Close the size is the one for "unknown", which readers take.
	b := append(make([]byte, 0, wavHeader), "RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, wavPCM)
	b = binary.LittleEndian.AppendUint16(b, 1)            // channels
	b = binary.LittleEndian.AppendUint32(b, SampleRate)   // frames a second
	b = binary.LittleEndian.AppendUint32(b, 2*SampleRate) // octets a second
	b = binary.LittleEndian.AppendUint16(b, 2)            // octets a frame
	b = binary.LittleEndian.AppendUint16(b, 16)           // bits a sample
	b = append(b, "data\xff\xff\xff\xff"...)
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("wav: write the header: %w", err)
	}
	return &WAVWriter{w: w, start: start}, nil
}

// WriteSamples adds p to the file. The error is that of the first write that
// failed, [os.ErrClosed] after Close, or one that says that the file has
// reached the 4 GB its header can say (74 hours).
func (w *WAVWriter) WriteSamples(p []int16) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if uint64(w.data)+uint64(2*len(p)) > 0xffffffff-wavHeader {
		return errWAVFull
	}
	w.buf = w.buf[:0]
	for _, s := range p {
		w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(s))
	}
	n, err := w.w.Write(w.buf)
	w.data += uint32(n)
	if err != nil {
		w.err = fmt.Errorf("wav: write samples: %w", err)
	}
	return w.err
}

// Close writes the sizes into the header, leaves w after the last sample, and
// closes the file if CreateWAV opened it.
func (w *WAVWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == os.ErrClosed {
		return nil
	}
	err := w.patch()
	if err != nil {
		err = fmt.Errorf("wav: write the sizes: %w", err)
	}
	if w.file != nil {
		if cerr := w.file.Close(); err == nil {
			err = cerr
		}
	}
	if err == nil && w.err != nil {
		err = w.err
	}
	w.err = os.ErrClosed
	return err
}

// patch puts the sizes where "unknown" was.
func (w *WAVWriter) patch() error {
	for _, field := range []struct {
		offset int64
		value  uint32
	}{{4, w.data + wavHeader - 8}, {wavHeader - 4, w.data}} {
		if _, err := w.w.Seek(w.start+field.offset, io.SeekStart); err != nil {
			return err
		}
		if _, err := w.w.Write(binary.LittleEndian.AppendUint32(nil, field.value)); err != nil {
			return err
		}
	}
	_, err := w.w.Seek(w.start+wavHeader+int64(w.data), io.SeekStart)
	return err
}
