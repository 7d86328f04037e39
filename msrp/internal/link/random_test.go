package link

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
)

// A puzzle is a Handler that puts messages together, and checks what each chunk says of itself.
type puzzle struct {
	t *testing.T

	mu       sync.Mutex
	messages map[string]*puzzled
	reports  int
}

type puzzled struct {
	body  []byte
	flag  frame.Flag
	total int64
	limit int64
}

type puzzlePiece struct {
	p    *puzzle
	c    *Conn
	head frame.Head
	m    *puzzled
	n    int64
}

func (p *puzzle) Request(c *Conn, h *frame.Head) Body {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.Method == frame.REPORT {
		p.reports++
		return nil
	}
	m := p.messages[h.MessageID]
	switch {
	case m == nil:
		p.t.Errorf("a chunk of the message %q, which nobody has sent", h.MessageID)
		return nil
	case m.flag != 0 && m.flag != frame.Continued:
		p.t.Errorf("a chunk of the message %q, which has ended with %c", h.MessageID, m.flag)
	case h.Range.Start != int64(len(m.body))+1:
		p.t.Errorf("message %q goes on at %d, want %d", h.MessageID, h.Range.Start, len(m.body)+1)
	case h.Range.Total != m.total:
		p.t.Errorf("message %q has %d bytes, want %d", h.MessageID, h.Range.Total, m.total)
	}
	return &puzzlePiece{p: p, c: c, head: *h, m: m}
}

func (b *puzzlePiece) Write(piece []byte) {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	b.m.body = append(b.m.body, piece...)
	b.n += int64(len(piece))
}

func (b *puzzlePiece) End(flag frame.Flag) {
	b.p.mu.Lock()
	r := b.head.Range
	if r.End != frame.Unknown && r.End != r.Start+b.n-1 {
		b.p.t.Errorf("chunk %v of message %q has %d bytes", r, b.head.MessageID, b.n)
	}
	if r.End != frame.Unknown && b.n > 2048 {
		b.p.t.Errorf("chunk %v of message %q cannot be interrupted", r, b.head.MessageID)
	}
	if b.m.limit > 0 && b.n > b.m.limit {
		b.p.t.Errorf("chunk %v of message %q has %d bytes, want %d at most", r, b.head.MessageID, b.n, b.m.limit)
	}
	b.m.flag = flag
	b.p.mu.Unlock()
	b.c.Respond(b.head.Response(frame.StatusOK, b.head.To))
}

func (p *puzzle) Closed(*Conn, error) {}

// Two links with each other: messages of any size and in any pieces, both ways at once, with what comes
// between them. Each arrives as it was sent, and every chunk of it is answered.
func TestRandomSchedules(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomSchedule(t, seed) })
		})
	}
}

func randomSchedule(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	left, right := &puzzle{t: t, messages: map[string]*puzzled{}}, &puzzle{t: t, messages: map[string]*puzzled{}}
	var a, b *Conn
	switch seed % 3 {
	case 0:
		near, far := network(t)
		a, b = New(near, left), New(far, right)
	case 1:
		near, far := network(t)
		a, b = New(crumbs{near}, left), New(crumbs{far}, right)
	case 2:
		near, far := chutes()
		a, b = NewMessages(near, 500+rnd.IntN(2000), left), NewMessages(far, 500+rnd.IntN(2000), right)
	}
	a.Start()
	b.Start()
	var all sync.WaitGroup
	var mu sync.Mutex
	var checks []func()
	reports := map[*puzzle]int{}
	for i := range 2 + rnd.IntN(10) {
		c, to := a, right
		if rnd.IntN(2) == 0 {
			c, to = b, left
		}
		size := []int{0, 1, 100, 2048, 5000, 50_000, 300_000}[rnd.IntN(7)]
		m := &puzzled{total: int64(size), limit: []int64{0, 0, 2048, 700, 3000}[rnd.IntN(5)]}
		if rnd.IntN(3) == 0 {
			m.total = frame.Unknown
		}
		id := fmt.Sprintf("message-%d", i)
		to.mu.Lock()
		to.messages[id] = m
		to.mu.Unlock()
		for range rnd.IntN(3) {
			reports[to]++
			c.Request(&frame.Head{Method: frame.REPORT, To: bobURI, From: aliceURI, MessageID: id, Report: 200}, nil, nil)
		}
		own := rand.New(rand.NewPCG(seed, uint64(i)+2))
		all.Go(func() {
			check := sendRandomly(t, c, id, m, size, own)
			mu.Lock()
			checks = append(checks, check)
			mu.Unlock()
		})
	}
	all.Wait()
	synctest.Wait()
	for _, check := range checks {
		check()
	}
	for _, p := range []*puzzle{left, right} {
		if p.reports != reports[p] {
			t.Errorf("%d REPORTs came, want %d", p.reports, reports[p])
		}
	}
	for _, c := range []*Conn{a, b} {
		defer c.CloseNow()
		if err := c.Err(); err != nil {
			t.Errorf("the connection has ended: %v", err)
		}
		if c.pending.load != 0 {
			t.Errorf("%d chunks have no response", c.pending.load)
		}
	}
}

// crumbs is a connection that is read in small pieces.
type crumbs struct{ net.Conn }

func (c crumbs) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), 61)]) }

// sendRandomly sends a message in pieces of any size. What it returns compares that with what has arrived.
func sendRandomly(t *testing.T, c *Conn, id string, m *puzzled, size int, rnd *rand.Rand) (check func()) {
	data := make([]byte, size)
	for i := range data {
		data[i] = "\r\n-------abc"[rnd.IntN(12)]
	}
	h := sendHead(m.total)
	h.MessageID = id
	var mu sync.Mutex
	answers := 0
	s := newStream(t, c, &StreamConfig{Head: h, Limit: m.limit, Owner: ownerFunc(func(r frame.Range, h *frame.Head, err error) {
		mu.Lock()
		defer mu.Unlock()
		if answers++; err != nil || h.Status != frame.StatusOK {
			t.Errorf("chunk %v of message %q: %v, %v", r, id, h, err)
		}
	})})
	end := frame.Complete
	if rnd.IntN(4) == 0 {
		end = frame.Aborted
	}
	most := 1 + rnd.IntN([]int{10, 3000, 300_000}[rnd.IntN(3)])
	if most < size/200 {
		most = size / 200
	}
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+rnd.IntN(most))
		var err error
		if rnd.IntN(3) == 0 {
			_, err = s.ReadFrom(bytes.NewReader(rest[:n]))
		} else {
			_, err = s.Write(rest[:n])
		}
		if err != nil {
			t.Errorf("message %q: %v", id, err)
		}
		if rest = rest[n:]; end == frame.Aborted && rnd.IntN(5) == 0 {
			break
		}
	}
	s.End(end)
	chunks, err := s.Wait()
	if (err != nil) != (end == frame.Aborted) {
		t.Errorf("Wait() = %v for the message %q with the end %c", err, id, end)
	}
	return func() { checkRandom(t, id, m, data, end, chunks, answers) } // answers as it is by then
}

func checkRandom(t *testing.T, id string, m *puzzled, data []byte, end frame.Flag, chunks, answers int) {
	size := len(data)
	if end == frame.Complete && answers != chunks {
		t.Errorf("%d chunks of message %q were answered, want %d", answers, id, chunks)
	}
	if end == frame.Complete && (m.flag != end || !bytes.Equal(m.body, data)) {
		t.Errorf("message %q arrived with %d bytes and %c, want the %d that were sent and %c", id, len(m.body), m.flag, size, end)
	}
	if end == frame.Aborted && (!bytes.HasPrefix(data, m.body) || answers > 0 && m.flag != end) {
		t.Errorf("message %q arrived with %d bytes and %c, want part of the %d and %c", id, len(m.body), m.flag, size, end)
	}
}
