package websocket_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
)

// RFC 6455 section 5.4: a message in fragments, with pings between and inside
// them, is one message, and the pings are answered at once.
func TestFragmentsAroundControlFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := accepted(t, nil)
		p.listen()
		results := reads(c)
		p.send(masked(text, options[:10]))
		p.send(masked(fin|ping, "are you there?"))
		if got, want := p.received(), frame(fin|pong, "are you there?"); got != want {
			t.Errorf("a ping was answered with %q, want %q", got, want)
		}
		quiet(t, results)
		p.send(masked(more, options[10:20]), masked(fin|pong, ""), masked(more, ""), masked(fin|more, options[20:]))
		if got := next(t, results); got.text != options || got.err != nil {
			t.Errorf("read %q, %v, want %q", got.text, got.err, options)
		}
		p.send(masked(fin|octets, "whole"))
		if got := next(t, results); got.text != "whole" || got.err != nil {
			t.Errorf("read %q, %v, want what came after", got.text, got.err)
		}
	})
}

// However the network cuts it, a message is the same.
func TestByteAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := accepted(t, nil)
		p.listen()
		results := reads(c)
		for range 2 {
			for _, b := range []byte(masked(text, options) + masked(fin|ping, "x") + masked(fin|more, options)) {
				p.send(string([]byte{b}))
			}
			if got := next(t, results); got.text != options+options || got.err != nil {
				t.Errorf("read %q, %v, want the message twice", got.text, got.err)
			}
		}
		if got, want := p.received(), frame(fin|pong, "x")+frame(fin|pong, "x"); got != want {
			t.Errorf("the pings were answered with %q, want %q", got, want)
		}
	})
}

// A client need not wait for the 101 with its first message, and several may
// come in one segment.
func TestMessagesWithTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := accepted(t, nil, masked(fin|text, options), masked(fin|text, "\r\n"))
		results := reads(c)
		for _, want := range []string{options, "\r\n"} {
			if got := next(t, results); got.text != want || got.err != nil {
				t.Errorf("read %q, %v, want %q", got.text, got.err, want)
			}
		}
	})
}

// Zero-length messages are messages; what they mean is not for this package.
func TestZeroLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := accepted(t, nil)
		results := reads(c)
		p.send(masked(fin|text, ""), masked(text, ""), masked(more, ""), masked(fin|more, ""))
		for range 2 {
			if got := next(t, results); got.text != "" || got.err != nil {
				t.Errorf("read %q, %v, want an empty message", got.text, got.err)
			}
		}
		quiet(t, results)
	})
}

// What no client may send ends the connection, with a code that says why.
func TestBrokenFrames(t *testing.T) {
	cases := map[string]string{
		"unmasked client":               frame(fin|text, options),
		"unmasked ping":                 frame(fin|ping, ""),
		"reserved bit 1":                masked(fin|rsv1|text, options),
		"reserved bit 2":                masked(fin|rsv2|text, options),
		"reserved bit 3":                masked(fin|rsv3|text, options),
		"reserved bit in a ping":        masked(fin|rsv1|ping, ""),
		"reserved bit in a fragment":    masked(text, "a") + masked(fin|rsv1|more, "b"),
		"continuation of nothing":       masked(fin|more, options),
		"message within a message":      masked(text, "a") + masked(fin|text, "b"),
		"ping in fragments":             masked(ping, "a") + masked(fin|more, "b"),
		"ping of 126 bytes":             masked(fin|ping, strings.Repeat("p", 126)),
		"ping of 2^63-1 bytes":          string(header(fin|ping, 0x80, math.MaxInt64)) + "mask",
		"close frame of one byte":       masked(fin|closing, "\x03"),
		"close code 0":                  masked(fin|closing, closeFrame(0, "")),
		"close code 999":                masked(fin|closing, closeFrame(999, "")),
		"close code 1005":               masked(fin|closing, closeFrame(1005, "")),
		"close code 1006":               masked(fin|closing, closeFrame(1006, "")),
		"close code 65535":              masked(fin|closing, closeFrame(65535, "")),
		"64-bit length 2^63":            string(header(fin|text, 0x80, 1<<63)) + "mask",
		"64-bit length 2^64-1":          string(header(fin|text, 0x80, math.MaxUint64)) + "mask",
		"64-bit length 2^64-1 of a bit": masked(text, "a") + string(header(fin|more, 0x80, math.MaxUint64)) + "mask",
	}
	for op := byte(3); op < 16; op++ {
		if op < closing || op > pong {
			cases[fmt.Sprintf("reserved opcode %d", op)] = masked(fin|op, "")
		}
	}
	for name, sent := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := accepted(t, nil)
				p.listen()
				results := reads(c)
				p.send(sent)
				if got := p.received(); !strings.HasPrefix(closed(got), "1002") {
					t.Errorf("answered with %q, want a close frame with 1002", got)
				}
				time.Sleep(time.Second) // no answer from the peer
				if got := next(t, results); !errors.Is(got.err, websocket.ErrProtocol) {
					t.Errorf("read %q, %v, want %v", got.text, got.err, websocket.ErrProtocol)
				}
				if !p.gone() {
					t.Error("the connection is open")
				}
			})
		})
	}
}

// closed returns the code and the reason if got is one close frame of a server.
func closed(got string) string {
	if len(got) < 2 || got[0] != fin|closing || int(got[1]) != len(got)-2 {
		return "no close frame"
	}
	if len(got) < 4 {
		return "no code"
	}
	return fmt.Sprint(binary.BigEndian.Uint16([]byte(got[2:]))) + got[4:]
}

// A message may have as many bytes as the limit says, in one frame or many.
// Of a longer one, whatever its length field says, no more is read.
func TestLimit(t *testing.T) {
	const limit = 10_000
	long := strings.Repeat("x", limit)
	for name, c := range map[string]struct {
		sent string
		fits bool
	}{
		"as long":                   {masked(fin|text, long), true},
		"as long, in fragments":     {masked(text, long[:9999]) + masked(fin|more, "x"), true},
		"one more":                  {masked(fin|text, long+"x"), false},
		"one more, in fragments":    {masked(text, long) + masked(fin|more, "x"), false},
		"64-bit length 2^63-1":      {string(header(fin|text, 0x80, math.MaxInt)) + "mask" + long + "x", false},
		"64-bit length 2^62":        {string(header(fin|text, 0x80, 1<<62)) + "mask" + long + "x", false},
		"2^63-1 after a fragment":   {masked(text, "xx") + string(header(fin|more, 0x80, math.MaxInt64)) + "mask" + long, false},
		"64-bit length that is 10k": {string(append(binary.BigEndian.AppendUint64([]byte{fin | text, 0x80 | 127}, limit), 0, 0, 0, 0)) + long, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws, p := accepted(t, &websocket.Config{Limit: limit})
				p.listen()
				results := reads(ws)
				p.send(c.sent)
				if c.fits {
					if got := next(t, results); got.text != long || got.err != nil {
						t.Errorf("read %d bytes, %v, want %d", len(got.text), got.err, limit)
					}
					return
				}
				if got := p.received(); !strings.HasPrefix(closed(got), "1009") {
					t.Errorf("answered with %q, want a close frame with 1009", got)
				}
				time.Sleep(time.Second)
				if got := next(t, results); got.err != websocket.ErrTooLong {
					t.Errorf("read %d bytes, %v, want %v", len(got.text), got.err, websocket.ErrTooLong)
				}
			})
		})
	}
}

// What announces a long message and sends none of it takes no memory.
func TestLengthIsNotAllocated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := accepted(t, &websocket.Config{Limit: math.MaxInt - 1})
		results := reads(c)
		p.send(string(header(fin|text, 0x80, math.MaxInt)) + "mask" + strings.Repeat("x", 5000))
		quiet(t, results)
		p.nc.Close()
		if got := next(t, results); !errors.Is(got.err, io.ErrUnexpectedEOF) {
			t.Errorf("read %q, %v, want %v", got.text, got.err, io.ErrUnexpectedEOF)
		}
	})
}

// A peer that goes without a close frame has ended between messages or within
// one, and half a message is never taken for a whole one.
func TestAbruptEnd(t *testing.T) {
	for name, c := range map[string]struct {
		sent string
		want error
	}{
		"between messages":       {"", io.EOF},
		"after a ping":           {masked(fin|ping, "x"), io.EOF},
		"in a header":            {masked(fin|text, options)[:1], io.ErrUnexpectedEOF},
		"in a length":            {masked(fin|text, strings.Repeat("x", 200))[:3], io.ErrUnexpectedEOF},
		"in a mask":              {masked(fin|text, options)[:4], io.ErrUnexpectedEOF},
		"before the payload":     {masked(fin|text, options)[:6], io.ErrUnexpectedEOF},
		"in the payload":         {masked(fin|text, options)[:20], io.ErrUnexpectedEOF},
		"after a full buffer":    {masked(fin|text, strings.Repeat("x", 9000))[:8+4096], io.ErrUnexpectedEOF},
		"after a fragment":       {masked(text, options), io.ErrUnexpectedEOF},
		"after an empty one":     {masked(text, ""), io.ErrUnexpectedEOF},
		"in the second fragment": {masked(text, options) + masked(fin|more, "x")[:1], io.ErrUnexpectedEOF},
		"in a ping":              {masked(fin|ping, "x")[:6], io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, p := accepted(t, nil)
				results := reads(conn)
				go func() { // takes the pong; ends with the connection
					io.Copy(io.Discard, p.nc)
				}()
				p.send(c.sent)
				synctest.Wait()
				p.nc.Close()
				if got := next(t, results); !errors.Is(got.err, c.want) {
					t.Errorf("read %q, %v, want %v", got.text, got.err, c.want)
				}
			})
		})
	}
}

// Pings and pongs that come as fast as the network carries them end the
// connection; one a second never does.
func TestPingFlood(t *testing.T) {
	for name, op := range map[string]byte{"ping": ping, "pong": pong} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := accepted(t, nil)
				p.listen()
				results := reads(c)
				for range 1000 {
					p.send(masked(fin|op, "x"))
					time.Sleep(time.Second)
				}
				quiet(t, results)
				p.received()
				for range 1000 {
					p.send(masked(fin|op, "x"))
				}
				got := strings.ReplaceAll(p.received(), frame(fin|pong, "x"), "")
				if got := closed(got); got != "1008too many pings" {
					t.Errorf("answered with %q, want a close frame with 1008", got)
				}
				if got := next(t, results); got.err != websocket.ErrFlood {
					t.Errorf("read %q, %v, want %v", got.text, got.err, websocket.ErrFlood)
				}
			})
		})
	}
}

// A peer that pings and does not read its pongs holds nobody up for long.
func TestUnreadPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := accepted(t, nil)
		results := reads(c)
		p.send(masked(fin|ping, "x"))
		time.Sleep(4 * time.Second)
		quiet(t, results)
		time.Sleep(time.Second)
		if got := next(t, results); !errors.Is(got.err, os.ErrDeadlineExceeded) {
			t.Errorf("read %q, %v, want %v", got.text, got.err, os.ErrDeadlineExceeded)
		}
	})
}
