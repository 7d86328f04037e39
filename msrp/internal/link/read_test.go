package link

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

const (
	aHead = "MSRP abcd SEND\r\nTo-Path: " + aliceURI + "\r\nFrom-Path: " + bobURI + "\r\nMessage-ID: 1\r\n"
	aBody = "Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n"
	anEnd = "-------abcd$\r\n"
)

// lives checks that the connection lasts for exactly so long.
func lives(t *testing.T, h *ear, d time.Duration) {
	t.Helper()
	time.Sleep(d - 1)
	if err := h.end(t); err != nil {
		t.Errorf("the connection has ended before %v have passed: %v", d, err)
	}
	time.Sleep(time.Nanosecond)
	if err := h.end(t); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after %v: Closed(%v), want %v", d, err, os.ErrDeadlineExceeded)
	}
}

// A head has 30 seconds, however it comes.
func TestHalfAHead(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		time.Sleep(time.Hour)
		p.write(aHead[:5])
		time.Sleep(20 * time.Second)
		p.write(aHead[5:30])
		lives(t, h, 10*time.Second)
	})
}

// Each head has 30 seconds of its own, those too whose beginning comes with the end of the one before.
func TestHeadsThatComeInHalves(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		whole := aHead + anEnd
		p.write(whole[:40])
		for range 10 {
			time.Sleep(20 * time.Second)
			p.write(whole[40:] + whole[:40])
		}
		lives(t, h, 30*time.Second)
		if got := len(h.requests()); got != 10 {
			t.Errorf("%d requests, want 10", got)
		}
	})
}

// RFC 7701 section 6.1 would wait 540 seconds for more of a message.
func TestHalfABody(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		p.write(aHead + aBody)
		for range 3 {
			time.Sleep(500 * time.Second)
			p.write("xyz")
		}
		lives(t, h, 540*time.Second)
		if got := h.requests(); len(got) != 1 || got[0] != `SEND 1-*/* "xyzxyzxyz" ...` {
			t.Errorf("heard %q, want one message without an end", got)
		}
	})
}

func TestIdleForEver(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		for range 3 {
			time.Sleep(24 * time.Hour)
			p.write(aHead + anEnd)
			if err := h.end(t); err != nil {
				t.Fatalf("the connection has ended: %v", err)
			}
		}
	})
}

func TestSetIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := network(t)
		defer far.Close()
		h := &ear{}
		// The second request is the last that may be waited for so long.
		n := 0
		h.on = func(c *Conn, _ *frame.Head, _ []byte, _ frame.Flag) {
			if n++; n == 2 {
				c.SetIdle(time.Minute)
			}
		}
		c := New(near, h)
		c.SetIdle(time.Hour)
		c.Start()
		for range 2 {
			time.Sleep(time.Hour - 1)
			io.WriteString(far, aHead+anEnd)
		}
		lives(t, h, time.Minute)
	})
}

// What is passed over is no Body's.
func TestRequestThatNobodyWants(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, h *ear, p *peer) {
		c.handler = choosy{h}
		p.write(aHead + aBody + "passed over\r\n" + anEnd)
		p.write("MSRP efgh NICKNAME\r\nTo-Path: " + aliceURI + "\r\nFrom-Path: " + bobURI + "\r\n-------efgh$\r\n")
		if got := h.requests(); len(got) != 1 || got[0] != "NICKNAME $" {
			t.Errorf("heard %q, want the NICKNAME alone", got)
		}
	})
}

// choosy wants no SEND.
type choosy struct{ *ear }

func (e choosy) Request(c *Conn, h *frame.Head) Body {
	if h.Method == frame.SEND {
		return nil
	}
	return e.ear.Request(c, h)
}

// A narrow connection has a body read in small pieces, however much of it is there, until it is narrow no more.
func TestNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		h := &pieces{}
		c := New(near, h)
		c.Narrow(true)
		c.Start()
		text := aHead + aBody + strings.Repeat("x", 1<<20) + "\r\n" + anEnd
		for _, narrow := range []bool{true, false} {
			h.longest = 0
			io.WriteString(far, text)
			synctest.Wait()
			if got := h.longest; got == 0 || got <= narrowRead != narrow {
				t.Errorf("narrow %v: pieces of up to %d bytes", narrow, got)
			}
		}
		c.CloseNow()
		far.Close()
	})
}

// pieces knows how long they are of a body, at whose end the connection is narrow no more.
type pieces struct {
	c       *Conn
	longest int
}

func (p *pieces) Request(c *Conn, _ *frame.Head) Body { p.c = c; return p }
func (p *pieces) Closed(*Conn, error)                 {}
func (p *pieces) Write(piece []byte)                  { p.longest = max(p.longest, len(piece)) }
func (p *pieces) End(frame.Flag)                      { p.c.Narrow(false) }

// What cannot be read ends the connection; a head that is only wrong does not.
func TestWhatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		ends       bool
	}{
		{"not MSRP", "GET / HTTP/1.1\r\n\r\n", true},
		{"no From-Path", "MSRP abcd SEND\r\nTo-Path: " + aliceURI + "\r\n" + anEnd, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := network(t)
				defer far.Close()
				h := &ear{}
				conn := New(near, h)
				conn.Start()
				io.WriteString(far, c.text)
				var syntax *frame.SyntaxError
				if err := h.end(t); errors.As(err, &syntax) != c.ends {
					t.Errorf("Closed(%v), want a SyntaxError: %v", err, c.ends)
				}
				if !c.ends && (len(h.heard) != 1 || h.heard[0].head.Err == nil) {
					t.Errorf("heard %v, want a request with an Err", h.heard)
				}
				conn.CloseNow()
			})
		})
	}
}
