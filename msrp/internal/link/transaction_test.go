package link

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// five sends a message in five chunks of two bytes.
func five(t *testing.T, c *Conn, report frame.FailureReport, a Owner) *Stream {
	t.Helper()
	h := sendHead(10)
	h.FailureReport = report
	s := newStream(t, c, &StreamConfig{Head: h, Limit: 2, Owner: a})
	mustWrite(t, s, "0123456789")
	s.End(frame.Complete)
	return s
}

// Responses come in any order, and each counts once (RFC 4975 section 7.1.1).
func TestResponsesFindTheirChunks(t *testing.T) {
	for _, c := range []struct {
		name   string
		order  []int
		status frame.Status
		want   []string
	}{
		{"in order", []int{0, 1, 2, 3, 4}, 200, []string{"1-2/10: 200", "3-4/10: 200", "5-6/10: 200", "7-8/10: 200", "9-10/10: 200"}},
		{"out of order", []int{4, 1, 0, 3, 2}, 200, []string{"9-10/10: 200", "3-4/10: 200", "1-2/10: 200", "7-8/10: 200", "5-6/10: 200"}},
		{"twice", []int{1, 1, 0, 0, 1}, 413, []string{"3-4/10: 413", "1-2/10: 413"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, func(t *testing.T, conn *Conn, _ *ear, p *peer) {
				a := &asker{}
				five(t, conn, frame.FailureReportYes, a)
				frames := p.frames()
				for _, i := range c.order {
					p.answer(frames[i], c.status)
				}
				a.heard(t, c.want...)
			})
		})
	}
}

func TestResponseThatNobodyWaitsForIsPassedOver(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		a := &asker{}
		five(t, c, frame.FailureReportYes, a)
		f := p.frames()[0]
		f.head.ID = "abcd"
		p.answer(f, 200)
		f.head.ID = "abcdefghijklm"
		p.answer(f, 481)
		a.heard(t)
		if err := h.end(t); err != nil {
			t.Errorf("the connection has ended: %v", err)
		}
	})
}

// RFC 4975 section 7.1.1: 30 seconds from the last byte of the chunk on.
func TestNoResponseIn30SecondsAfterTheLastByte(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		chunks, req := &asker{}, &asker{}
		five(t, c, frame.FailureReportYes, chunks)
		synctest.Wait()
		// What is queued while something else is being written is not written yet.
		time.Sleep(10 * time.Second)
		if err := c.Request(&frame.Head{Method: frame.AUTH, To: bobURI, From: aliceURI}, nil, req); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		go func() { // ends with the first message
			r := frame.NewReader(p.nc)
			for range 5 {
				r.Next()
			}
			time.Sleep(20 * time.Second)
			p.read()
		}()
		time.Sleep(30*time.Second - 1)
		chunks.heard(t)
		time.Sleep(time.Nanosecond)
		chunks.heard(t, "1-2/10: msrp: no response", "3-4/10: msrp: no response", "5-6/10: msrp: no response",
			"7-8/10: msrp: no response", "9-10/10: msrp: no response")
		time.Sleep(20*time.Second - 1)
		req.heard(t)
		time.Sleep(time.Nanosecond)
		req.heard(t, "0-0/0: msrp: no response")
	})
}

// One that is answered does not shorten the time of the next.
func TestEachRequestHasItsOwn30Seconds(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		early, late := &asker{}, &asker{}
		five(t, c, frame.FailureReportYes, early)
		time.Sleep(29 * time.Second)
		five(t, c, frame.FailureReportYes, late)
		for _, f := range p.frames()[:4] {
			p.answer(f, 200)
		}
		time.Sleep(29 * time.Second)
		early.heard(t, "1-2/10: 200", "3-4/10: 200", "5-6/10: 200", "7-8/10: 200", "9-10/10: msrp: no response")
		late.heard(t)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := len(late.answers); got != 5 {
			t.Errorf("%d of the later chunks are over, want 5", got)
		}
	})
}

// Failure-Report: partial has failures told, and takes silence for success (RFC 4975 section 7.1.1).
func TestPartialHearsOfFailuresOnly(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		a := &asker{}
		s := five(t, c, frame.FailureReportPartial, a)
		if n, err := s.Wait(); n != 5 || err != nil {
			t.Errorf("Wait() = %d, %v, want 5", n, err)
		}
		p.answer(p.frames()[3], 413)
		time.Sleep(time.Minute)
		a.heard(t, "7-8/10: 413")
		p.answer(p.frames()[2], 413) // is too late
		a.heard(t, "7-8/10: 413")
	})
}

func TestFailureReportNoExpectsNothing(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		a := &asker{}
		s := five(t, c, frame.FailureReportNo, a)
		if n, err := s.Wait(); n != 0 || err != nil {
			t.Errorf("Wait() = %d, %v, want 0", n, err)
		}
		p.answer(p.frames()[0], 413)
		time.Sleep(time.Minute)
		a.heard(t)
	})
}

// What only failures are told of is remembered, but not without end.
func TestPartialIsForgottenInBoundedMemory(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		go io.Copy(io.Discard, p.nc) // ends with the connection
		h := sendHead(frame.Unknown)
		h.FailureReport = frame.FailureReportPartial
		s := newStream(t, c, &StreamConfig{Head: h, Limit: 16, Owner: nobody{}})
		const chunks = 20 * maxPending
		mustWrite(t, s, strings.Repeat("0123456789abcdef", chunks))
		synctest.Wait()
		c.mu.Lock()
		got := cap(c.pending.list)
		c.mu.Unlock()
		if got > 4*maxPending {
			t.Errorf("%d chunks, of which only failures are told, have room for %d, want at most %d", chunks, got, 4*maxPending)
		}
		time.Sleep(answerTime)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if got := cap(c.pending.list); got != 0 {
			t.Errorf("after %v there is room for %d, want none", answerTime, got)
		}
	})
}

// 4096 requests without a response are enough: chunks wait then, and nothing else does.
func TestTooManyOutstandingHoldUpChunks(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(maxPending + 10), Limit: 1, Owner: nobody{}})
		mustWrite(t, s, strings.Repeat("x", maxPending+10))
		s.End(frame.Complete)
		frames := p.frames()
		if got := len(frames); got != maxPending {
			t.Fatalf("%d chunks without a response, want %d", got, maxPending)
		}
		c.Respond(&frame.Head{ID: "abcd", Status: 200, To: bobURI, From: aliceURI})
		c.Request(&frame.Head{Method: frame.AUTH, To: bobURI, From: aliceURI}, nil, nil)
		if got := len(p.frames()); got != maxPending+2 {
			t.Errorf("%d frames with a response and a request, want %d", got, maxPending+2)
		}
		for _, f := range frames[:3] {
			p.answer(f, 200)
		}
		if got := len(p.frames()); got != maxPending+5 {
			t.Errorf("%d frames after three responses, want %d", got, maxPending+5)
		}
		time.Sleep(answerTime) // the rest are given up
		if got := len(p.frames()); got != maxPending+12 {
			t.Errorf("%d frames after %v, want %d", got, answerTime, maxPending+12)
		}
		if n, err := s.Wait(); n != maxPending+10 || err != nil {
			t.Errorf("Wait() = %d, %v, want %d", n, err, maxPending+10)
		}
	})
}

// Long paths make long responses, for which the other end has a megabyte: fewer may wait.
func TestLongPathsCountForMore(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		h := sendHead(frame.Unknown)
		h.To = strings.Repeat("msrps://relay.example.com:2855/aaaaaaaaaaaaaaaaaaaaaa;tcp ", 20) + bobURI
		s := newStream(t, c, &StreamConfig{Head: h, Limit: 1, Owner: nobody{}})
		mustWrite(t, s, strings.Repeat("x", maxPending))
		got, most := len(p.frames()), maxControl/len(h.To)
		if got > most || got < most/2 {
			t.Errorf("%d chunks with paths of %d bytes wait for responses, want %d at most", got, len(h.To), most)
		}
	})
}

// Whoever waits hears once that the connection is lost, and why.
func TestLostConnectionTellsEveryOwnerOnce(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		a, b, partial := &asker{}, &asker{}, &asker{}
		five(t, c, frame.FailureReportYes, a)
		p.answer(p.frames()[1], 200)
		five(t, c, frame.FailureReportPartial, partial)
		c.Request(&frame.Head{Method: frame.AUTH, To: bobURI, From: aliceURI}, nil, b)
		synctest.Wait()
		p.nc.Close()
		synctest.Wait()
		c.CloseNow()
		time.Sleep(time.Minute)
		a.heard(t, "3-4/10: 200", "1-2/10: EOF", "5-6/10: EOF", "7-8/10: EOF", "9-10/10: EOF")
		b.heard(t, "0-0/0: EOF")
		partial.heard(t)
		if err := h.end(t); !errors.Is(err, io.EOF) {
			t.Errorf("Closed(%v), want %v", err, io.EOF)
		}
		if err := c.Request(&frame.Head{Method: frame.AUTH, To: bobURI, From: aliceURI}, nil, b); !errors.Is(err, io.EOF) {
			t.Errorf("Request() = %v, want %v", err, io.EOF)
		}
		b.heard(t, "0-0/0: EOF")
	})
}

// The last chunk is in the hands of the writer when the connection is lost, and somebody waits for it.
func TestLostConnectionEndsWait(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		s := five(t, c, frame.FailureReportYes, nobody{})
		result := make(chan error)
		go func() { // ends with the connection
			_, err := s.Wait()
			result <- err
		}()
		synctest.Wait()
		p.nc.Close()
		if err := <-result; err == nil {
			t.Error("Wait() = nil, want what has ended the connection")
		}
	})
}

// The order of the list, through all that can happen to it.
func TestPendingKeepsItsOrder(t *testing.T) {
	var p pending
	var ids []string
	for i := range 3 * maxPending {
		t := transaction{owner: nobody{}, weight: 1, partial: i%3 == 0}
		copy(t.id[:], fmt.Sprintf("%013d", i))
		p.add(t)
		if i%3 == 1 {
			ids = append(ids, string(t.id[:]))
		}
		if i%3 == 2 {
			p.take(string(t.id[:]))
		}
	}
	if p.load != maxPending {
		t.Errorf("load = %d, want %d", p.load, maxPending)
	}
	for _, id := range ids {
		if e, ok := p.take(id); !ok || string(e.id[:]) != id {
			t.Fatalf("take(%s) = %s, %v", id, e.id, ok)
		}
		if _, ok := p.take(id); ok {
			t.Fatalf("take(%s) twice", id)
		}
	}
	if p.load != 0 || len(p.takeAll()) != 0 {
		t.Errorf("load = %d with nothing to wait for", p.load)
	}
}

// However many chunks there are of which only failures are told, one that is not at its end is not forgotten.
func TestPendingKeepsOpenChunk(t *testing.T) {
	var p pending
	for range 2 * maxPending {
		p.add(transaction{owner: nobody{}, partial: true})
	}
	open := transaction{owner: nobody{}, partial: true, open: &Stream{pos: 6}}
	copy(open.id[:], "aaaaaaaaaaaaa")
	p.add(open)
	p.compact()
	if len(p.list) != 1 {
		t.Errorf("%d are left, want the one that is open", len(p.list))
	}
	if e, ok := p.take(string(open.id[:])); !ok || e.r.End != 5 {
		t.Errorf("take() = %v, %v, want up to 5", e.r, ok)
	}
}

// The response to a chunk may come before its end, when it fails: RFC 4975 sections 7.2 and 10.5. It is that to the
// chunk, whatever it says, and no other is waited for.
func TestResponseToAnOpenChunk(t *testing.T) {
	for _, c := range []struct {
		status frame.Status
		end    frame.Flag
		saw    string
	}{
		{413, frame.Aborted, `SEND 1-*/10 "hello" #`},
		{481, frame.Complete, `SEND 1-*/10 "hello" $`},
		{200, frame.Complete, `SEND 1-*/10 "hello" $`},
	} {
		story(t, func(t *testing.T, conn *Conn, _ *ear, p *peer) {
			a := &asker{}
			s := newStream(t, conn, &StreamConfig{Head: sendHead(10), Owner: a})
			mustWrite(t, s, "hello")
			time.Sleep(time.Minute) // which counts for no response
			p.answer(p.frames()[0], c.status)
			heard := fmt.Sprintf("1-5/10: %d", int(c.status))
			a.heard(t, heard)
			s.End(c.end)
			p.saw(c.saw)
			p.answer(p.frames()[0], 500)
			time.Sleep(time.Minute)
			a.heard(t, heard)
		})
	}
}

// One that stays open has 30 seconds from its end on for its response, whatever ends it (RFC 4975 section 7.1.1).
func TestOpenChunkHas30SecondsFromItsEnd(t *testing.T) {
	for _, end := range []func(c *Conn, s *Stream) error{
		func(_ *Conn, s *Stream) error { s.End(frame.Complete); return nil },
		func(_ *Conn, s *Stream) error { s.End(frame.Aborted); return nil },
		func(c *Conn, _ *Stream) error {
			return c.Request(&frame.Head{Method: frame.AUTH, To: bobURI, From: aliceURI}, nil, nil)
		},
	} {
		story(t, func(t *testing.T, c *Conn, _ *ear, _ *peer) {
			a := &asker{}
			s := newStream(t, c, &StreamConfig{Head: sendHead(10), Owner: a})
			mustWrite(t, s, "hel")
			time.Sleep(time.Minute)
			mustWrite(t, s, "lo")
			time.Sleep(time.Minute)
			if err := end(c, s); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30*time.Second - 1)
			a.heard(t)
			time.Sleep(time.Nanosecond)
			a.heard(t, "1-5/10: msrp: no response")
		})
	}
}

// A chunk that is open when the connection is lost has failed as far as it was written.
func TestOpenChunkIsLost(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		a := &asker{}
		s := newStream(t, c, &StreamConfig{Head: sendHead(10), Owner: a})
		mustWrite(t, s, "hello")
		synctest.Wait()
		p.nc.Close()
		a.heard(t, "1-5/10: EOF")
	})
}
