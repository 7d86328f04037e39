package link

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// Close writes what waits: a message that is whole, and the responses to the last requests.
func TestCloseWritesWhatWaits(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		h.on = func(c *Conn, h *frame.Head, _ []byte, _ frame.Flag) { c.Respond(h.Response(200, h.To)) }
		open := newStream(t, c, &StreamConfig{Head: sendHead(100)})
		mustWrite(t, open, "never whole")
		synctest.Wait()
		p.write(aHead + anEnd)
		whole := newStream(t, c, &StreamConfig{Head: sendHead(2)})
		mustWrite(t, whole, "hi")
		whole.End(frame.Complete)
		synctest.Wait()
		c.Close()
		c.Close()
		if err := c.Respond(&frame.Head{ID: "abcd", Status: 200, To: bobURI, From: aliceURI}); !errors.Is(err, ErrClosed) {
			t.Errorf("Respond() after Close = %v, want %v", err, ErrClosed)
		}
		if _, err := open.Write([]byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("Write() after Close = %v, want %v", err, ErrClosed)
		}
		go p.read()
		p.saw(`SEND 1-*/100 "never whole" +`, "200 $", `SEND 1-2/2 "hi" $`)
		if _, err := whole.Wait(); err != nil {
			t.Errorf("Wait() = %v for what was written", err)
		}
		if _, err := open.Wait(); !errors.Is(err, ErrClosed) {
			t.Errorf("Wait() = %v, want %v", err, ErrClosed)
		}
		if err := h.end(t); !errors.Is(err, ErrClosed) {
			t.Errorf("Closed(%v), want %v", err, ErrClosed)
		}
		if p.shut != io.EOF {
			t.Errorf("the peer's connection has ended with %v, want EOF", p.shut)
		}
		<-c.Done()
	})
}

// A chunk that is open when nothing else waits gets its end, too.
func TestCloseEndsTheOpenChunk(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		open := newStream(t, c, &StreamConfig{Head: sendHead(100)})
		mustWrite(t, open, "never whole")
		synctest.Wait()
		c.Close()
		p.saw(`SEND 1-*/100 "never whole" +`)
	})
}

// A peer that does not read has 2 seconds.
func TestCloseWhileThePeerDoesNotRead(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		a := &asker{}
		s := five(t, c, frame.FailureReportYes, a)
		c.Close()
		time.Sleep(closeTime - 1)
		if err := h.end(t); err != nil {
			t.Errorf("after less than %v: %v", closeTime, err)
		}
		time.Sleep(time.Nanosecond)
		if err := h.end(t); !errors.Is(err, ErrClosed) {
			t.Errorf("Closed(%v), want %v", err, ErrClosed)
		}
		if _, err := s.Wait(); !errors.Is(err, ErrClosed) {
			t.Errorf("Wait() = %v, want %v", err, ErrClosed)
		}
		synctest.Wait()
		if len(a.answers) != 5 {
			t.Errorf("the owner heard %q, want of five chunks that the connection is closed", a.answers)
		}
	})
}

// CloseNow throws away what waits, and returns when both goroutines have ended. Who waits for room hears of it.
func TestCloseNow(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		results := make(chan error, 2)
		s := newStream(t, c, &StreamConfig{Head: sendHead(10 * turn)})
		go func() { // ends with the connection
			_, err := s.Write(make([]byte, 10*turn))
			results <- err
		}()
		go func() { // ends with the connection
			for {
				if err := c.Answer(strings.Repeat("x", 1000), 200, "a", "b"); err != nil {
					results <- err
					return
				}
			}
		}()
		synctest.Wait()
		c.CloseNow()
		for range 2 {
			if err := <-results; !errors.Is(err, ErrClosed) {
				t.Errorf("who waits gets %v, want %v", err, ErrClosed)
			}
		}
		c.CloseNow()
		c.Close()
		s.End(frame.Complete)
		if err := h.end(t); !errors.Is(err, ErrClosed) {
			t.Errorf("Closed(%v), want %v", err, ErrClosed)
		}
		if err := c.Err(); !errors.Is(err, ErrClosed) {
			t.Errorf("Err() = %v, want %v", err, ErrClosed)
		}
	})
}

// One that is closed before it has started sends nothing, and holds nobody.
func TestCloseBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := network(t)
		defer far.Close()
		c := New(near, &ear{})
		c.Close()
		time.Sleep(closeTime)
		synctest.Wait()
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer reads %v, want EOF", err)
		}
	})
}
