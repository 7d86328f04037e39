package link

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// A chute is one end of a connection of messages, which holds one each way.
type chute struct {
	in, out chan []byte
	done    chan struct{} // of both ends
	once    *sync.Once
	sizes   []int // of what was written
}

func chutes() (near, far *chute) {
	there, back := make(chan []byte, 1), make(chan []byte, 1)
	done, once := make(chan struct{}), new(sync.Once)
	return &chute{in: back, out: there, done: done, once: once}, &chute{in: there, out: back, done: done, once: once}
}

func (m *chute) ReadMessage() ([]byte, error) {
	select {
	case data := <-m.in:
		return data, nil
	case <-m.done:
		return nil, io.EOF
	}
}

func (m *chute) WriteMessage(data []byte) error {
	m.sizes = append(m.sizes, len(data))
	select {
	case m.out <- slices.Clone(data):
		return nil
	case <-m.done:
		return io.ErrClosedPipe
	}
}

func (m *chute) Close() error {
	m.once.Do(func() { close(m.done) })
	return nil
}

// messageStory runs f in a bubble with a Conn of messages of at most 600 bytes, and the other end of it.
func messageStory(t *testing.T, f func(t *testing.T, c *Conn, h *ear, near, far *chute)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := chutes()
		h := &ear{}
		c := NewMessages(near, 600, h)
		c.Start()
		f(t, c, h, near, far)
		c.CloseNow()
	})
}

// next returns the frame of the next message.
func (m *chute) next(t *testing.T) seenFrame {
	t.Helper()
	synctest.Wait()
	select {
	case data := <-m.in:
		h, body, flag, err := frame.Parse(data)
		if err != nil {
			t.Fatalf("%v in %q", err, data)
		}
		return seenFrame{*h, body, flag}
	default:
		t.Fatal("no message has come")
		return seenFrame{}
	}
}

// RFC 7977 section 5.1: each frame is a message, and each message a frame. A chunk is never open.
func TestOneFramePerMessage(t *testing.T) {
	messageStory(t, func(t *testing.T, c *Conn, h *ear, near, far *chute) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(1000)})
		mustWrite(t, s, "some")
		if got, want := far.next(t).String(), `SEND 1-*/1000 "some" +`; got != want {
			t.Errorf("message: %s, want %s", got, want)
		}
		mustWrite(t, s, strings.Repeat("x", 996))
		c.Respond(&frame.Head{ID: "abcd", Status: 200, To: bobURI, From: aliceURI})
		c.Respond(&frame.Head{ID: "abcd", Status: 413, To: bobURI, From: aliceURI})
		for _, want := range []string{"200 $", "413 $"} {
			if got := far.next(t).String(); got != want {
				t.Errorf("message: %s, want %s", got, want)
			}
		}
		s.End(frame.Complete)
		var body []byte
		for {
			f := far.next(t)
			if f.head.Range.Start != int64(len(body))+5 {
				t.Errorf("Byte-Range: %v, want %d at its beginning", f.head.Range, len(body)+5)
			}
			if body = append(body, f.body...); f.flag == frame.Complete {
				break
			}
		}
		if got := len(body); got != 996 {
			t.Errorf("%d bytes came, want 996", got)
		}
		synctest.Wait()
		if got := slices.Max(near.sizes); got > 600 {
			t.Errorf("a message of %d bytes was written, want 600 at most", got)
		}
	})
}

// A head that leaves no room for a body is refused at once, as is a frame that is too long.
func TestWhatNoMessageHolds(t *testing.T) {
	messageStory(t, func(t *testing.T, c *Conn, h *ear, near, far *chute) {
		head := sendHead(10)
		head.To = "msrp://" + strings.Repeat("a", 500) + ".example.com:2855/abc;tcp"
		if _, err := c.NewStream(&StreamConfig{Head: head}); !errors.Is(err, frame.ErrTooLong) {
			t.Errorf("NewStream() = %v, want %v", err, frame.ErrTooLong)
		}
		a := &asker{}
		auth := &frame.Head{Method: frame.AUTH, To: head.To, From: head.To}
		if err := c.Request(auth, nil, a); !errors.Is(err, frame.ErrTooLong) {
			t.Errorf("Request() = %v, want %v", err, frame.ErrTooLong)
		}
		if err := c.Answer(strings.Repeat("x", 300), 200, "a", "b"); !errors.Is(err, frame.ErrTooLong) {
			t.Errorf("Answer() = %v, want %v", err, frame.ErrTooLong)
		}
		time.Sleep(time.Minute)
		a.heard(t)
		synctest.Wait()
		if len(near.sizes) > 0 {
			t.Errorf("messages of %v bytes were written, want none", near.sizes)
		}
	})
}

// A Byte-Range of the longest numbers fits, too.
func TestLimitHoldsForTheLongestByteRange(t *testing.T) {
	messageStory(t, func(t *testing.T, c *Conn, h *ear, near, far *chute) {
		head := sendHead(1e18 - 1)
		head.Range.Start = 1e18 - 2000
		s := newStream(t, c, &StreamConfig{Head: head})
		mustWrite(t, s, strings.Repeat("x", 1000))
		s.End(frame.Continued)
		for left := 1000; left > 0; {
			left -= len(far.next(t).body)
		}
		if got := slices.Max(near.sizes); got > 600 || got < 500 {
			t.Errorf("the longest message has %d bytes, want 500 to 600", got)
		}
	})
}

func TestMessagesAreHeard(t *testing.T) {
	messageStory(t, func(t *testing.T, c *Conn, h *ear, near, far *chute) {
		far.out <- []byte(aHead + aBody + "hello\r\n" + anEnd)
		far.out <- []byte(aHead + anEnd)
		far.out <- []byte(aHead + aBody + "\r\n" + anEnd)
		if got, want := h.requests(), []string{`SEND 1-*/* "hello" $`, "SEND $", `SEND 1-*/* "" $`}; !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	})
}

// RFC 7977 section 5.1: what is not exactly one frame ends the connection.
func TestMessageThatIsNoFrame(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "half a frame": aHead, "no MSRP": "hello", "two frames": aHead + anEnd + aHead + anEnd,
	} {
		t.Run(name, func(t *testing.T) {
			messageStory(t, func(t *testing.T, c *Conn, h *ear, near, far *chute) {
				far.out <- []byte(text)
				var syntax *frame.SyntaxError
				if err := h.end(t); !errors.As(err, &syntax) {
					t.Errorf("Closed(%v), want a SyntaxError", err)
				}
			})
		})
	}
}

func TestMessagesToAPeerThatDoesNotRead(t *testing.T) {
	messageStory(t, func(t *testing.T, c *Conn, h *ear, near, far *chute) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(1000)})
		mustWrite(t, s, strings.Repeat("x", 999))
		synctest.Wait()
		lives(t, h, writeTime)
	})
}

func TestMessagesIdle(t *testing.T) {
	messageStory(t, func(t *testing.T, c *Conn, h *ear, near, far *chute) {
		h.on = func(c *Conn, _ *frame.Head, _ []byte, _ frame.Flag) { c.SetIdle(time.Minute) }
		time.Sleep(time.Hour)
		for range 3 {
			far.out <- []byte(aHead + anEnd)
			time.Sleep(time.Minute - 1)
		}
		far.out <- []byte(aHead + anEnd)
		synctest.Wait()
		lives(t, h, time.Minute)
		if err := h.end(t); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Closed(%v), want %v", err, os.ErrDeadlineExceeded)
		}
	})
}
