package msrp

import (
	"slices"
	"sort"
)

// maxPieces is how many pieces of a message may wait for bytes before them.
const maxPieces = 256

// Pieces are bytes of a message that came before others: in order, none overlapping another. What
// it costs to put one in does not grow with the bytes that are there already, however small the
// chunks of a peer are.
type pieces []piece

type piece struct {
	start int64 // position in the message
	data  []byte
	cut   int // bytes before those of data that take room as well
}

func (p *piece) end() int64 { return p.start + int64(len(p.data)) }

// put takes a copy of bytes. Those that came last stand (RFC 4975 section 7.3.1).
func (ps *pieces) put(start int64, data []byte) {
	list := *ps
	i := sort.Search(len(list), func(i int) bool { return list[i].end() >= start })
	if i < len(list) && list[i].start <= start {
		p := &list[i]
		n := copy(p.data[start-p.start:], data)
		p.data = append(p.data, data[n:]...)
	} else {
		list = slices.Insert(list, i, piece{start: start, data: slices.Clone(data)})
	}
	p := &list[i]
	j := i + 1
	for ; j < len(list) && list[j].start <= p.end(); j++ {
		next := &list[j]
		cut := int(min(p.end()-next.start, int64(len(next.data))))
		if rest := next.data[cut:]; len(rest) <= len(p.data) {
			p.data = append(p.data, rest...) // each byte doubles the piece that it is in, at least
			continue
		}
		next.start, next.data, next.cut = next.start+int64(cut), next.data[cut:], next.cut+cut
		if next.cut > len(next.data) {
			next.data, next.cut = slices.Clone(next.data), 0
		}
		break
	}
	*ps = slices.Delete(list, i+1, j)
}

// size returns how many bytes there are.
func (ps pieces) size() (n int) {
	for i := range ps {
		n += len(ps[i].data)
	}
	return n
}
