package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// A WAVError says what is wrong with a WAV file, and where.
type WAVError struct {
	Offset int64 // of the chunk or field, in octets from the start
	Msg    string
}

// Error returns the offset and the message.
func (e *WAVError) Error() string { return fmt.Sprintf("wav: at octet %d: %s", e.Offset, e.Msg) }

// What a WAV file may be. They bound the time and memory a file can take.
const (
	maxClip    = 3600 * SampleRate // samples in a clip: an hour, 58 MB
	minWAVRate = 4000
	maxWAVRate = 192000
	maxChunks  = 1000
)

// The values of wFormatTag (RFC 2361).
const (
	wavPCM        = 1
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xfffe // the tag is in the subformat
)

// OpenWAV reads the WAV file called name; see [ReadWAV].
func OpenWAV(name string) (Clip, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := ReadWAV(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return c, nil
}

// ReadWAV reads a WAV file: PCM of 16 bits, mu-law or A-law, one channel or
// two, which are mixed, at 4000 to 192000 samples a second, which are brought
// to [SampleRate]. A file whose sizes do not fit, or of another kind, or
// longer than an hour is a [*WAVError]. A data chunk whose size is unknown
// (0xffffffff, as programs write it that cannot seek) reaches to the end.
func ReadWAV(r io.Reader) (Clip, error) {
	w := &wavReader{r: bufio.NewReader(r)}
	var head [12]byte
	if err := w.full(head[:], "no RIFF header"); err != nil {
		return nil, err
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, &WAVError{0, "not a RIFF WAVE file"}
	}
	var f *wavFormat
	for range maxChunks {
		at := w.offset
		var chunk [8]byte
		if err := w.full(chunk[:], "no data chunk"); err != nil {
			return nil, err
		}
		size := int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch string(chunk[:4]) {
		case "fmt ":
			if f != nil {
				return nil, &WAVError{at, "a second fmt chunk"}
			}
			var err error
			if f, err = w.format(at, size); err != nil {
				return nil, err
			}
		case "data":
			if f == nil {
				return nil, &WAVError{at, "data before the fmt chunk"}
			}
			return w.data(f, at, size)
		default:
			if err := w.skip(at, size); err != nil {
				return nil, err
			}
		}
		if size%2 == 1 { // chunks start at even offsets
			if err := w.skip(at, 1); err != nil {
				return nil, err
			}
		}
	}
	return nil, &WAVError{w.offset, "too many chunks"}
}

// A wavFormat is the fmt chunk.
type wavFormat struct {
	tag, channels, bits uint16
	rate                uint32
}

// frame returns the octets of one sample of all channels.
func (f *wavFormat) frame() int { return int(f.channels) * int(f.bits) / 8 }

type wavReader struct {
	r      *bufio.Reader
	offset int64
}

// full fills b. The end of the file is a WAVError that says msg.
func (w *wavReader) full(b []byte, msg string) error {
	n, err := io.ReadFull(w.r, b)
	w.offset += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &WAVError{w.offset, msg}
	}
	return err
}

func (w *wavReader) skip(at, n int64) error {
	k, err := io.CopyN(io.Discard, w.r, n)
	w.offset += k
	if err == io.EOF {
		return &WAVError{at, "the chunk is longer than the file"}
	}
	return err
}

// guidTail is what follows the tag in a subformat GUID.
var guidTail = []byte("\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71")

func (w *wavReader) format(at, size int64) (*wavFormat, error) {
	if size < 16 || size > 4096 {
		return nil, &WAVError{at, fmt.Sprintf("a fmt chunk of %d octets", size)}
	}
	b := make([]byte, size)
	if err := w.full(b, "the fmt chunk is longer than the file"); err != nil {
		return nil, err
	}
	f := &wavFormat{
		tag:      binary.LittleEndian.Uint16(b),
		channels: binary.LittleEndian.Uint16(b[2:]),
		rate:     binary.LittleEndian.Uint32(b[4:]),
		bits:     binary.LittleEndian.Uint16(b[14:]),
	}
	if f.tag == wavExtensible && size >= 40 && bytes.Equal(b[26:40], guidTail) {
		f.tag = binary.LittleEndian.Uint16(b[24:])
	}
	wantBits := uint16(8)
	switch f.tag {
	case wavPCM:
		wantBits = 16
	case wavALaw, wavMuLaw:
	default:
		return nil, &WAVError{at, fmt.Sprintf("format %#x is none of PCM, A-law and mu-law", f.tag)}
	}
	switch {
	case f.bits != wantBits:
		return nil, &WAVError{at, fmt.Sprintf("%d bits a sample, want %d", f.bits, wantBits)}
	case f.channels != 1 && f.channels != 2:
		return nil, &WAVError{at, fmt.Sprintf("%d channels, want 1 or 2", f.channels)}
	case f.rate < minWAVRate || f.rate > maxWAVRate:
		return nil, &WAVError{at, fmt.Sprintf("%d samples a second, want %d to %d", f.rate, minWAVRate, maxWAVRate)}
	}
	if align := binary.LittleEndian.Uint16(b[12:]); int(align) != f.frame() {
		return nil, &WAVError{at, fmt.Sprintf("blocks of %d octets, want %d", align, f.frame())}
	}
	return f, nil
}

// data reads the data chunk. What it allocates grows with what is there, not
// with what the chunk says is there.
func (w *wavReader) data(f *wavFormat, at, size int64) (Clip, error) {
	unknown := size == 0xffffffff
	frame := int64(f.frame())
	if !unknown && size%frame != 0 {
		return nil, &WAVError{at, fmt.Sprintf("%d octets of data are not a multiple of %d", size, frame)}
	}
	limit := int64(f.rate) * maxClip / SampleRate * frame // at most 2.8e9
	if !unknown && size > limit {
		return nil, &WAVError{at, "longer than an hour"}
	}
	var decode *[256]int16
	switch f.tag {
	case wavMuLaw:
		decode = codecs[0].decode
	case wavALaw:
		decode = codecs[1].decode
	}
	down := newResampler(int(f.rate))
	var buf [4096]byte // a multiple of every frame
	for left := size; left > 0; {
		n, err := io.ReadFull(w.r, buf[:min(left, int64(len(buf)))])
		w.offset, left = w.offset+int64(n), left-int64(n)
		if size-left > limit {
			return nil, &WAVError{at, "longer than an hour"}
		}
		down.write(f, decode, buf[:n-n%int(frame)])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			if unknown {
				break
			}
			return nil, &WAVError{at, fmt.Sprintf("a data chunk of %d octets, of which %d are there", size, size-left)}
		}
		if err != nil {
			return nil, err
		}
	}
	return down.finish(), nil
}

// write adds the samples in b, its channels mixed.
func (r *resampler) write(f *wavFormat, decode *[256]int16, b []byte) {
	width, channels := int(f.bits/8), int(f.channels)
	for ; len(b) > 0; b = b[width*channels:] {
		sum := 0
		for c := range channels {
			if decode != nil {
				sum += int(decode[b[c]])
			} else {
				sum += int(int16(binary.LittleEndian.Uint16(b[2*c:])))
			}
		}
		r.add(float32(sum / channels))
	}
}
