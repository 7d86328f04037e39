package snapshot

import (
	"bufio"
	"bytes"
	"errors"
	"math"
	"net/netip"
	"testing"
	"testing/iotest"
	"time"
)

func sealed() []byte {
	var w Writer
	w.Uint(math.MaxUint64)
	w.Bool(true)
	w.Text("some text")
	w.Text("")
	w.Duration(time.Minute)
	w.Duration(-1)
	w.Addr(netip.MustParseAddrPort("[2001:db8::1]:5060"))
	w.Addr(netip.AddrPort{})
	return w.Seal('x', 1)
}

// What was written is read again, in its order.
func TestValues(t *testing.T) {
	r, err := Open(sealed(), 'x', 1)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, ok bool) {
		t.Helper()
		if !ok {
			t.Errorf("%s is not what was written", what)
		}
	}
	check("the number", r.Uint(math.MaxUint64) == math.MaxUint64)
	check("the yes", r.Bool())
	check("the text", r.Text() == "some text")
	check("the text that is empty", r.Text() == "")
	check("the minute", r.Duration(time.Hour) == time.Minute)
	check("less than nothing", r.Duration(time.Hour) == 0)
	check("the address", r.Addr() == netip.MustParseAddrPort("[2001:db8::1]:5060"))
	check("no address", r.Addr() == netip.AddrPort{})
	if err := r.Close(); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
}

// A snapshot that was cut off anywhere, goes on, or has a byte changed, is
// damaged, or of a version that is not known.
func TestDamage(t *testing.T) {
	whole := sealed()
	for n := range whole {
		if _, err := Open(whole[:n], 'x', 1); !errors.Is(err, ErrDamaged) {
			t.Errorf("Open of the first %d bytes = %v, want %v", n, err, ErrDamaged)
		}
		changed := append([]byte(nil), whole...)
		changed[n] ^= 0x40
		want := ErrDamaged
		if n == 1 {
			want = ErrVersion
		}
		if _, err := Open(changed, 'x', 1); !errors.Is(err, want) {
			t.Errorf("Open with byte %d changed = %v, want %v", n, err, want)
		}
	}
	if _, err := Open(append(whole, 0), 'x', 1); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open with a byte more = %v, want %v", err, ErrDamaged)
	}
}

// Snapshots that follow each other are read one by one.
func TestRead(t *testing.T) {
	whole := sealed()
	size := len(whole) - frame
	r := bufio.NewReader(iotest.OneByteReader(bytes.NewReader(append(whole, whole...))))
	for range 2 {
		if data, err := Read(r, size); err != nil || !bytes.Equal(data, whole) {
			t.Errorf("Read() = %q, %v, want %q", data, err, whole)
		}
	}
	for n := range whole {
		if _, err := Read(bufio.NewReader(bytes.NewReader(whole[:n])), size); !errors.Is(err, ErrDamaged) {
			t.Errorf("Read of the first %d bytes = %v, want %v", n, err, ErrDamaged)
		}
	}
	if _, err := Read(bufio.NewReader(bytes.NewReader(whole)), size-1); !errors.Is(err, ErrDamaged) {
		t.Errorf("Read of too much = %v, want %v", err, ErrDamaged)
	}
	fault := errors.New("disk is broken")
	if _, err := Read(bufio.NewReader(iotest.ErrReader(fault)), size); !errors.Is(err, fault) {
		t.Errorf("Read() = %v, want %v", err, fault)
	}
}

// Values that make no sense are a fault, and so is what nobody has read.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		write func(w *Writer)
		read  func(r *Reader)
	}{
		"number too large":   {func(w *Writer) { w.Uint(8) }, func(r *Reader) { r.Uint(7) }},
		"number missing":     {func(*Writer) {}, func(r *Reader) { r.Uint(7) }},
		"number without end": {func(w *Writer) { w.b = append(w.b, 0xff, 0xff) }, func(r *Reader) { r.Uint(7) }},
		"neither yes nor no": {func(w *Writer) { w.Uint(2) }, func(r *Reader) { r.Bool() }},
		"text cut off":       {func(w *Writer) { w.Uint(3); w.Bool(true); w.Bool(true) }, func(r *Reader) { r.Text() }},
		"text too long":      {func(w *Writer) { w.Uint(1 << 62) }, func(r *Reader) { r.Text() }},
		"no address":         {func(w *Writer) { w.Text("abc") }, func(r *Reader) { r.Addr() }},
		"too many":           {func(w *Writer) { w.Uint(1 << 62) }, func(r *Reader) { r.Count() }},
		"time without end":   {func(w *Writer) { w.Uint(math.MaxUint64) }, func(r *Reader) { r.Duration(time.Hour) }},
		"left over":          {func(w *Writer) { w.Uint(1); w.Uint(2) }, func(r *Reader) { r.Uint(7) }},
	} {
		var w Writer
		test.write(&w)
		r, err := Open(w.Seal('x', 1), 'x', 1)
		if err != nil {
			t.Fatal(err)
		}
		test.read(r)
		if err := r.Close(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Close() = %v, want %v", name, err, ErrDamaged)
		}
	}
}
