package websocket_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

// RFC 6455 section 5.5.1: a close frame is answered with the same code, and
// none with none.
func TestPeerCloses(t *testing.T) {
	for name, c := range map[string]struct {
		payload string
		want    websocket.CloseError
	}{
		"with a code":    {closeFrame(1000, ""), websocket.CloseError{Code: websocket.CodeNormal}},
		"with a reason":  {closeFrame(1001, "page left"), websocket.CloseError{Code: websocket.CodeGoingAway, Reason: "page left"}},
		"with our own":   {closeFrame(4999, "\xff"), websocket.CloseError{Code: 4999, Reason: "\xff"}},
		"without a code": {"", websocket.CloseError{Code: websocket.CodeNone}},
	} {
		for where, before := range map[string]string{"": "", " within a message": masked(text, "half")} {
			t.Run(name+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					conn, p := accepted(t, nil)
					p.listen()
					results := reads(conn)
					p.send(before, masked(fin|closing, c.payload))
					var got *websocket.CloseError
					if r := next(t, results); !errors.As(r.err, &got) || *got != c.want {
						t.Errorf("read %q, %v, want %v", r.text, r.err, &c.want)
					}
					if got, want := p.received(), frame(fin|closing, c.payload); got != want {
						t.Errorf("answered with %q, want %q", got, want)
					}
					if !p.gone() {
						t.Error("the connection is open")
					}
					if err := conn.Write(options, time.Time{}); !errors.Is(err, net.ErrClosed) {
						t.Errorf("Write = %v, want %v", err, net.ErrClosed)
					}
					if _, err := conn.Read(); !errors.Is(err, net.ErrClosed) {
						t.Errorf("Read = %v, want %v", err, net.ErrClosed)
					}
				})
			})
		}
	}
}

// Close waits for the answer of the peer.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := accepted(t, nil)
		p.listen()
		results := reads(c)
		done := make(chan struct{})
		go func() { // ends with Close
			c.Close(websocket.CodeGoingAway, "restart")
			close(done)
		}()
		if got := closed(p.received()); got != "1001restart" {
			t.Errorf("the peer got %q, want a close frame with 1001", got)
		}
		if p.gone() {
			t.Error("closed before the peer has answered")
		}
		p.send(masked(fin|text, "on its way"), masked(fin|closing, closeFrame(1001, "")))
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("Close has not returned")
		}
		if got := next(t, results); got.err == nil {
			got = next(t, results) // a message may come before
			if !errors.Is(got.err, net.ErrClosed) {
				t.Errorf("read %q, %v, want %v", got.text, got.err, net.ErrClosed)
			}
		}
		if !p.gone() {
			t.Error("the connection is open")
		}
	})
}

// Close takes a second and no more, whatever the peer does or does not.
func TestCloseWithoutAnswer(t *testing.T) {
	for name, setup := range map[string]func(*testing.T, *websocket.Conn, *peer){
		"silent":                func(t *testing.T, c *websocket.Conn, p *peer) { p.listen() },
		"silent, while we read": func(t *testing.T, c *websocket.Conn, p *peer) { p.listen(); reads(c) },
		"deaf":                  func(t *testing.T, c *websocket.Conn, p *peer) {},
		"deaf, while we read":   func(t *testing.T, c *websocket.Conn, p *peer) { reads(c) },
		"deaf, while we write": func(t *testing.T, c *websocket.Conn, p *peer) {
			go c.Write(options, time.Time{}) // ends with the connection
			synctest.Wait()
		},
		"deaf, while we pong": func(t *testing.T, c *websocket.Conn, p *peer) {
			reads(c)
			p.send(masked(fin|ping, ""))
			synctest.Wait()
		},
		"half a message": func(t *testing.T, c *websocket.Conn, p *peer) {
			p.listen()
			reads(c)
			p.send(masked(text, "half"))
			synctest.Wait()
		},
		"talkative": func(t *testing.T, c *websocket.Conn, p *peer) {
			p.listen()
			p.tasks.Go(func() {
				for p.send(masked(fin|text, options)) {
					time.Sleep(10 * time.Millisecond)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := accepted(t, nil)
				setup(t, c, p)
				start := time.Now()
				c.Close(websocket.CodeNormal, "")
				if took := time.Since(start); took > time.Second {
					t.Errorf("Close took %v, want a second at most", took)
				}
				c.Close(websocket.CodeNormal, "") // again: nothing
				if _, err := c.Read(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read = %v, want %v", err, net.ErrClosed)
				}
			})
		})
	}
}

// CloseNow takes no time, and ends what is under way.
func TestCloseNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := accepted(t, nil)
		results := reads(c)
		wrote := make(chan error, 1)
		go func() { wrote <- c.Write(options, time.Time{}) }() // ends with the connection
		synctest.Wait()
		start := time.Now()
		c.CloseNow()
		c.CloseNow()
		if got := next(t, results); got.err != net.ErrClosed {
			t.Errorf("read %q, %v, want %v", got.text, got.err, net.ErrClosed)
		}
		if err := <-wrote; err == nil {
			t.Error("written to nobody")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("CloseNow took %v, want no time", took)
		}
	})
}

// A peer that does not read is given up at the deadline.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := accepted(t, nil)
		results := reads(c)
		start := time.Now()
		err := c.Write(strings.Repeat("x", 1<<20), start.Add(10*time.Second))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("Write = %v after %v, want %v after 10s", err, time.Since(start), os.ErrDeadlineExceeded)
		}
		if got := next(t, results); got.err != net.ErrClosed {
			t.Errorf("read %q, %v, want %v", got.text, got.err, net.ErrClosed)
		}
	})
}

// The deadline of one message is not that of the pong an hour later.
func TestPongAfterWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := accepted(t, nil)
		p.listen()
		results := reads(c)
		c.Write(options, time.Now().Add(time.Second))
		p.received()
		time.Sleep(time.Hour)
		p.send(masked(fin|ping, "x"))
		if got, want := p.received(), frame(fin|pong, "x"); got != want {
			t.Errorf("a ping was answered with %q, want %q", got, want)
		}
		quiet(t, results)
	})
}

// Close and whoever reads share what still comes.
func TestCloseInTraffic(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			c, p := accepted(t, &websocket.Config{Patience: patient})
			p.listen()
			results := reads(c)
			p.tasks.Go(func() {
				for p.send(masked(text, options[:20]), masked(fin|ping, ""), masked(fin|more, options[20:])) {
					time.Sleep(10 * time.Millisecond) // or no time passes
				}
			})
			for range 10 {
				<-results
			}
			c.Close(websocket.CodeNormal, "")
			for r := range results {
				if r.err != nil && r.err != net.ErrClosed || r.err == nil && r.text != options {
					t.Errorf("read %q, %v, want %q and at last %v", r.text, r.err, options, net.ErrClosed)
				}
			}
		})
	}
}
