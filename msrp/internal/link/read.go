package link

import (
	"errors"
	"io"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// read is the goroutine that reads. It ends when the wire is closed.
func (c *Conn) read() {
	defer close(c.readEnded)
	err := c.readFrames()
	c.fail(err)
	c.handler.Closed(c, c.Err())
}

func (c *Conn) readFrames() error {
	for {
		h, err := c.wire.next()
		if err != nil {
			return err
		}
		var to Body
		if h.Method == "" {
			c.answered(h)
		} else {
			to = c.handler.Request(c, h)
		}
		if !h.HasBody && to == nil {
			continue
		}
		if err := c.readBody(to); err != nil {
			return err
		}
	}
}

func (c *Conn) readBody(to Body) error {
	for {
		piece, err := c.wire.body()
		switch {
		case errors.Is(err, io.EOF):
			if to != nil {
				to.End(c.wire.flag())
			}
			return nil
		case errors.Is(err, frame.ErrTooLong): // of what is no SEND: it is as good as none
			if to != nil {
				to.End(frame.Aborted)
			}
			return nil
		case err != nil:
			if to != nil {
				to.End(0)
			}
			return err
		case to != nil:
			to.Write(piece)
		}
	}
}

// Came returns when what is being read came from the peer. It is for the methods of the Handler and of its Bodies,
// for which it takes less than the time of day of each chunk.
func (c *Conn) Came() time.Time { return c.wire.came() }

// SetIdle says for how long the peer may be silent between its requests; 0 is for ever. It is
// called before Start, or by a method of the Handler.
func (c *Conn) SetIdle(d time.Duration) { c.wire.setIdle(d) }

// Narrow has little memory taken for a peer that has not shown yet that it may be here. Little of a stream is read at
// a time, so that a body of any length takes no more than a short one, and whole frames wait to be written up to 4 KB
// rather than a megabyte, so that who takes no responses is soon read no more. It is called as SetIdle is.
func (c *Conn) Narrow(is bool) {
	c.wire.setNarrow(is)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most = maxControl; is {
		c.most = narrowControl
	}
	c.drained.Broadcast()
}
