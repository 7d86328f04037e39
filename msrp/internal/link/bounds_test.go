package link

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// A peer that stops reading holds up those who write messages, and those who send anything else at a megabyte;
// when it has taken nothing for 30 seconds, it is gone.
func TestPeerThatStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := network(t)
		defer far.Close()
		h := &ear{}
		c := New(near, h)
		c.Start()
		s := newStream(t, c, &StreamConfig{Head: sendHead(frame.Unknown)})
		var written, sent atomic.Int64
		results := make(chan error, 2)
		go func() { // ends with the connection
			for {
				n, err := s.Write(make([]byte, 1000))
				written.Add(int64(n))
				if err != nil {
					results <- err
					return
				}
			}
		}()
		synctest.Wait()
		if got, most := written.Load(), int64(64<<10+3*turn); got > most {
			t.Errorf("%d bytes were written to a peer that does not read, want at most %d", got, most)
		}
		response := &frame.Head{ID: "abcd", Status: 200, To: bobURI, From: aliceURI}
		go func() { // ends with the connection
			for {
				if err := c.Respond(response); err != nil {
					results <- err
					return
				}
				sent.Add(1)
			}
		}()
		synctest.Wait()
		text, _ := response.Append(nil)
		size := len(response.AppendEnd(text, frame.Complete))
		if got, want := int(sent.Load())*size, maxControl; got < want || got > want+size {
			t.Errorf("%d bytes of responses wait, want %d", got, want)
		}
		time.Sleep(writeTime - 1)
		if err := h.end(t); err != nil {
			t.Errorf("after less than %v: %v", writeTime, err)
		}
		time.Sleep(time.Nanosecond)
		if err := h.end(t); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Closed(%v), want %v", err, os.ErrDeadlineExceeded)
		}
		for range 2 {
			if err := <-results; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("who waits gets %v, want %v", err, os.ErrDeadlineExceeded)
			}
		}
	})
}

// Of responses that a narrow connection does not take fewer wait, until it is narrow no more.
func TestNarrowPeerThatStopsReading(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		synctest.Wait()
		c.Narrow(true)
		response := &frame.Head{ID: "abcd", Status: 200, To: bobURI, From: aliceURI}
		text, _ := response.Append(nil)
		size := len(response.AppendEnd(text, frame.Complete))
		waits := func(want int) {
			t.Helper()
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if got := len(c.control); got < want || got >= want+size {
				t.Errorf("%d bytes of responses wait, want %d", got, want)
			}
		}
		done := make(chan struct{})
		go func() { // ends with the connection
			defer close(done)
			for c.Respond(response) == nil {
			}
		}()
		waits(narrowControl)
		c.Narrow(false)
		waits(maxControl)
		c.CloseNow()
		<-done
	})
}

// One that goes on reading gets all of it, narrow or not.
func TestPeerThatReadsAgain(t *testing.T) {
	for _, narrow := range []bool{false, true} {
		stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
			synctest.Wait()
			c.Narrow(narrow)
			const count = 5 * maxControl / 150
			done := make(chan error)
			go func() { // ends with the responses
				for range count {
					if err := c.Respond(&frame.Head{ID: "abcd", Status: 200, To: bobURI, From: aliceURI}); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			time.Sleep(writeTime / 2)
			go p.read()
			if err := <-done; err != nil {
				t.Errorf("Respond() = %v, narrow: %v", err, narrow)
			}
			if got := len(p.frames()); got != count {
				t.Errorf("%d responses came, want %d, narrow: %v", got, count, narrow)
			}
		})
	}
}

// SENDs without a body that a peer reads and never answers are bounded, too: the next one is as unanswered at once as those are in 30
// seconds, and then there is room again.
func TestRequestsThatNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := network(t)
		defer far.Close()
		c := New(near, &ear{})
		c.Start()
		go io.Copy(io.Discard, far)
		unanswered := 0
		owner := ownerFunc(func(_ frame.Range, _ *frame.Head, err error) {
			if errors.Is(err, ErrNoAnswer) {
				unanswered++
			}
		})
		request := &frame.Head{Method: frame.SEND, To: bobURI, From: aliceURI, MessageID: "m"}
		n := 0
		var err error
		for ; err == nil && n < 3*maxPending; n++ {
			err = c.Bodiless(request, frame.Complete, owner)
		}
		if !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%d requests wait, and then %v", n, err)
		}
		if err := c.Bodiless(request, frame.Complete, nil); err != nil {
			t.Errorf("one that has no answer in any case: %v", err)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if unanswered != n-1 {
			t.Errorf("%d of %d are known to have no answer", unanswered, n-1)
		}
		if err := c.Bodiless(request, frame.Complete, owner); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
		c.CloseNow()
	})
}

// A chunk may stay open for as long as a message lasts: of what was written no more is kept than the beginning of an end-line.
func TestOpenChunkInBoundedMemory(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		go io.Copy(io.Discard, p.nc) // ends with the connection
		s := newStream(t, c, &StreamConfig{Head: sendHead(frame.Unknown)})
		for range 1000 {
			mustWrite(t, s, "a line of a long message\r\n")
			synctest.Wait()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if got := len(s.tail); got > endLine {
			t.Errorf("%d bytes are kept, want %d at most", got, endLine)
		}
	})
}

// One that is slow stays: a batch may take longer than 30 seconds.
func TestPeerThatReadsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := network(t)
		defer far.Close()
		h := &ear{}
		c := New(near, h)
		c.Start()
		const size = 3 * turn
		s := newStream(t, c, &StreamConfig{Head: sendHead(size)})
		go func() { // ends with the message
			s.Write(make([]byte, size))
			s.End(frame.Complete)
		}()
		buf := make([]byte, 1000)
		for got := 0; got < size; {
			time.Sleep(time.Second)
			n, err := far.Read(buf)
			if got += n; err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
		}
		if _, err := s.Wait(); err != nil {
			t.Errorf("Wait() = %v", err)
		}
		c.CloseNow()
	})
}

// Both ends send as much as they can, of chunks with a few bytes and long paths, and answer each. Neither waits for the other to
// read before it does itself.
func TestTwoEndsThatFloodEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := network(t)
		const chunks = 3 * maxPending
		var ends [2]*Conn
		var answers atomic.Int64
		owner := ownerFunc(func(_ frame.Range, h *frame.Head, err error) {
			if err == nil && h.Status == 200 {
				answers.Add(1)
			}
		})
		answer := &ear{}
		answer.on = func(c *Conn, h *frame.Head, _ []byte, _ frame.Flag) {
			if err := c.Respond(h.Response(200, h.To)); err != nil {
				t.Errorf("Respond() = %v", err)
			}
		}
		start := time.Now()
		ends[0], ends[1] = New(near, answer), New(far, answer)
		for _, c := range ends {
			h := sendHead(chunks)
			h.From = "msrp://" + strings.Repeat("a", 200) + ".example.com:2855/abc;tcp"
			s := newStream(t, c, &StreamConfig{Head: h, Limit: 1, Owner: owner})
			go func() { // ends with the message
				mustWrite(t, s, strings.Repeat("x", chunks))
				s.End(frame.Complete)
			}()
		}
		for _, c := range ends {
			c.Start()
		}
		synctest.Wait()
		if got := answers.Load(); got != 2*chunks {
			t.Errorf("%d chunks were answered, want %d", got, 2*chunks)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v, want no waiting", d)
		}
		for _, c := range ends {
			c.CloseNow()
		}
	})
}

// Chunks of one byte are mostly heads, and a turn has no more of them than a batch should.
func TestTurnOfTinyChunks(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		h := sendHead(frame.Unknown)
		h.FailureReport = frame.FailureReportNo
		s := newStream(t, c, &StreamConfig{Head: h, Limit: 1})
		mustWrite(t, s, strings.Repeat("x", turn))
		synctest.Wait()
		if got := len(c.wire.(*streamWire).buf); got > 2*turn {
			t.Errorf("%d bytes are written in one go, want at most %d", got, 2*turn)
		}
	})
}

// However many responses are to be written, a message gets its turn between them.
func TestResponsesLeaveTurnsToMessages(t *testing.T) {
	c := New(void{closed: make(chan struct{})}, &ear{})
	for range 1500 {
		c.Respond(&frame.Head{ID: "abcd", Status: 200, To: bobURI, From: aliceURI})
	}
	s := newStream(t, c, &StreamConfig{Head: sendHead(2)})
	mustWrite(t, s, "hi")
	s.End(frame.Complete)
	var b batch
	if c.collect(&b); !s.ended {
		t.Errorf("the first batch is %d bytes of responses and no message", len(b.text))
	}
}
