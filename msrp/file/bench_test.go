package file

import (
	"io"
	"testing"
)

const line = `name:"My cool picture.jpg" type:image/jpeg size:4092 hash:sha-1:72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E`

func TestAllocations(t *testing.T) {
	if got, limit := testing.AllocsPerRun(100, func() { parseSelector(line) }), 8.0; got > limit {
		t.Errorf("parseSelector: %v allocations, want at most %v", got, limit)
	}
	h, chunk := newHashing(io.Discard), make([]byte, 8<<10)
	if got := testing.AllocsPerRun(100, func() { h.Write(chunk) }); got != 0 {
		t.Errorf("Write: %v allocations, want none", got)
	}
}

func BenchmarkSelector(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parseSelector(line)
	}
}

func BenchmarkHashing(b *testing.B) {
	h, chunk := newHashing(io.Discard), make([]byte, 8<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		h.Write(chunk)
	}
}
