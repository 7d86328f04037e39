package link

import (
	"errors"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

// padded is the head of a SEND with a header field of so many bytes, of a part far into a message.
func padded(n int) *frame.Head {
	h := sendHead(0)
	h.Range = frame.Range{Start: 1e17, End: frame.Unknown, Total: 1e17 + 1}
	h.FailureReport = frame.FailureReportPartial
	h.SuccessReport = true
	h.Fields = []frame.Field{{Name: "X", Value: strings.Repeat("x", n)}}
	return h
}

// A head of ours that is not refused is one that the peer reads, and it may have nearly 16 KB.
func TestHeadsOfOursAreRead(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		n := maxHead - 1000
		for ; ; n++ {
			_, err := c.NewStream(&StreamConfig{Head: padded(n + 1)})
			if errors.Is(err, frame.ErrTooLong) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		s := newStream(t, c, &StreamConfig{Head: padded(n), Owner: nobody{}})
		mustWrite(t, s, "x")
		s.End(frame.Complete)
		o := newOutlet(t, c, 0, nil)
		for size, fits := range map[int]bool{n: true, n + 1: false} {
			post, err := NewPost(padded(size), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := o.Put(post); ok != fits || !fits && !errors.Is(err, frame.ErrTooLong) {
				t.Errorf("Put() with a field of %d bytes = %v, %v, want %v", size, ok, err, fits)
			}
		}
		if got := len(p.frames()); got != 2 || p.shut != nil {
			t.Errorf("the peer has read %d frames, then %v; want 2", got, p.shut)
		}
	})
}

// What is counted of a head is no less than what may be written of it.
func TestTheLongestOfHeads(t *testing.T) {
	h := padded(maxHead / 2)
	h.ID, h.Method = strings.Repeat("i", idLen), frame.Method(strings.Repeat("M", 32))
	h.Range = frame.Range{Start: 1e17, End: 1e18 - 1, Total: 1e18 - 1}
	h.Report = frame.StatusNicknameInUse
	h.HasBody = true
	text, err := h.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	size := len(h.AppendEnd(text, frame.Complete))
	if counted := len(h.To) + len(h.From) + longest(h); counted < size || counted > size+100 {
		t.Errorf("counted are %d bytes, of a frame of %d", counted, size)
	}
}
