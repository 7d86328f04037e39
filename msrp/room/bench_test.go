package room_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/sdp"
)

// A hall is a room on loopback with many in it, who read all that comes and look at nothing.
type hall struct {
	t       testing.TB
	writer  *peer
	n       int
	message string
	arrived atomic.Int64 // bytes, at all of them
	per     int64        // bytes of one delivery
	sent    int64
}

func newHall(t testing.TB, n int) *hall {
	t.Helper()
	e, err := msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	r, err := room.New(e, uri, &room.Config{MaxParticipants: n + 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	h := &hall{t: t, n: n}
	var readers []net.Conn
	for i := range n + 1 {
		p, err := r.Join(addr(fmt.Sprintf("sip:user%d@example.com", i)))
		if err != nil {
			t.Fatal(err)
		}
		w := &peer{t: t, from: fmt.Sprintf("msrp://127.0.0.1:9/user%d;tcp", i)}
		offer := &sdp.Media{Type: "message", Proto: "TCP/MSRP", Formats: []string{"*"}, Address: "127.0.0.1", Port: 9, Attributes: []sdp.Attribute{
			{Name: "path", Value: w.from}, {Name: "accept-types", Value: "message/cpim"}, {Name: "setup", Value: "active"}, {Name: "chatroom"},
		}}
		answer, err := p.Answer(t.Context(), offer)
		if err == nil {
			err = p.Update(t.Context(), answer, offer)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.to, _ = answer.Attribute("path")
		if w.conn, err = net.Dial("tcp", e.Addr(false).String()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.conn.Close() })
		w.in = frame.NewReader(w.conn)
		w.write("MSRP bind0 SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: bind\r\nByte-Range: 1-0/0\r\n-------bind0$\r\n", w.to, w.from)
		if got := w.status(); got != 200 {
			t.Fatalf("the first SEND is answered with %d", got)
		}
		if i == 0 {
			h.writer = w
			continue
		}
		readers = append(readers, w.conn)
	}
	h.message = fmt.Sprintf("MSRP %%s SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: %%s\r\nByte-Range: 1-*/*\r\nContent-Type: message/cpim\r\n\r\n%s\r\n-------%%s$\r\n",
		h.writer.to, h.writer.from, envelope("sip:user0@example.com", strings.Repeat("hello ", 20), uri))
	h.send(0)
	for i, conn := range readers {
		var first []byte
		buf := make([]byte, 64<<10)
		for !bytes.HasSuffix(first, []byte("$\r\n")) {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			first = append(first, buf[:n]...)
		}
		if i == 0 {
			h.per = int64(len(first))
		}
		go func() { // ends with the connection
			for {
				n, err := conn.Read(buf)
				if h.arrived.Add(int64(n)); err != nil {
					return
				}
			}
		}()
	}
	h.sent = 0
	for i := range 30 { // until the buffers are there
		h.send(i + 1)
		h.wait(16)
	}
	h.wait(0)
	return h
}

// send sends a message, and waits for its response.
func (h *hall) send(i int) {
	id := fmt.Sprintf("m%08d", i)
	if _, err := io.WriteString(h.writer.conn, strings.ReplaceAll(h.message, "%s", id)); err != nil {
		h.t.Fatal(err)
	}
	if got := h.writer.status(); got != 200 {
		h.t.Fatalf("answered with %d", got)
	}
	h.sent++
}

// wait waits until no more than some messages of those that were sent are on their way to anybody.
func (h *hall) wait(most int64) {
	for deadline := time.Now().Add(time.Minute); h.arrived.Load() < (h.sent-most)*h.per*int64(h.n); {
		if time.Now().After(deadline) {
			h.t.Fatalf("%d messages of %d are missing", (h.sent*h.per*int64(h.n)-h.arrived.Load())/h.per, h.sent*int64(h.n))
		}
		runtime.Gosched()
	}
}

// One message to a thousand participants, over loopback, with those who read it in the same process.
func BenchmarkRoom(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHall(b, n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.ResetTimer()
			for i := range b.N {
				h.send(1000 + i)
				h.wait(16)
			}
			h.wait(0)
			b.StopTimer()
			runtime.ReadMemStats(&after)
			deliveries := float64(b.N) * float64(n)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/deliveries, "allocs/delivery")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// What a message takes does not depend on to how many it goes: one that is passed on takes no more
// than the write of it.
func TestAllocationsPerDelivery(t *testing.T) {
	const n, messages = 100, 100
	h := newHall(t, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range messages {
		h.send(1000 + i)
		h.wait(0)
	}
	runtime.ReadMemStats(&after)
	if got := float64(after.Mallocs-before.Mallocs) / (n * messages); got > 1 {
		t.Errorf("%.2f allocations for each delivery, want 1 at most", got)
	}
}
