package link

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
)

// RFC 4975 section 4, as a Stream writes it. When all its bytes are there they wait for its end.
func TestMessageInOneChunk(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(16), Owner: nobody{}})
		mustWrite(t, s, "Hey Bob, are you")
		p.saw()
		s.End(frame.Complete)
		if n, err := s.Wait(); n != 1 || err != nil {
			t.Errorf("Wait() = %d, %v, want 1", n, err)
		}
		want := "MSRP ID SEND\r\n" +
			"To-Path: " + bobURI + "\r\n" +
			"From-Path: " + aliceURI + "\r\n" +
			"Byte-Range: 1-16/16\r\n" +
			"Message-ID: 87652491\r\n" +
			"Content-Type: text/plain\r\n" +
			"\r\n" +
			"Hey Bob, are you\r\n" +
			"-------ID$\r\n"
		if got := p.text(); got != want {
			t.Errorf("on the wire:\n%s\nwant\n%s", got, want)
		}
	})
}

func TestReadFromWritesToTheEnd(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		text := strings.Repeat("0123456789", 40_000)
		for _, r := range []interface {
			Read([]byte) (int, error)
		}{strings.NewReader(text), struct{ *strings.Reader }{strings.NewReader(text)}, slowly{strings.NewReader(text)}} {
			s := newStream(t, c, &StreamConfig{Head: sendHead(int64(len(text))), Owner: nobody{}})
			n, err := s.ReadFrom(r)
			s.End(frame.Complete)
			if n != int64(len(text)) || err != nil {
				t.Errorf("ReadFrom = %d, %v, want %d", n, err, len(text))
			}
			s.Wait()
		}
		var got strings.Builder
		for _, f := range p.frames() {
			got.Write(f.body)
		}
		if got.String() != strings.Repeat(text, 3) {
			t.Errorf("%d bytes came, and not those of the three messages, which are %d", got.Len(), 3*len(text))
		}
	})
}

// slowly hides Len.
type slowly struct{ r *strings.Reader }

func (s slowly) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 1000)]) }

func TestReadFromReturnsTheErrorOfItsReader(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, _ *peer) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(100)})
		if n, err := s.ReadFrom(failing{}); n != 3 || !errors.Is(err, errBroken) {
			t.Errorf("ReadFrom = %d, %v, want 3, %v", n, err, errBroken)
		}
	})
}

var errBroken = errors.New("broken")

type failing struct{}

func (failing) Read(p []byte) (int, error) { return copy(p, "abc"), errBroken }

// RFC 4975 section 7.1.1: what has no body of its own need not wait for a long chunk, which ends where it is
// and goes on at the next byte with another transaction identifier.
func TestOpenChunkIsInterrupted(t *testing.T) {
	report := &frame.Head{Method: frame.REPORT, To: bobURI, From: aliceURI, MessageID: "1", Report: 200, Range: frame.Range{Start: 1, End: 3, Total: 3}}
	for _, by := range []struct {
		name string
		do   func(*testing.T, *Conn)
		want string
	}{
		{"a response", func(t *testing.T, c *Conn) {
			c.Respond(&frame.Head{ID: "abcd", Status: 200, To: bobURI, From: aliceURI})
		}, "200 $"},
		{"a REPORT", func(t *testing.T, c *Conn) { c.Request(report, nil, nil) }, "REPORT 1-3/3 $"},
		{"a SEND without a body", func(t *testing.T, c *Conn) {
			c.Bodiless(&frame.Head{Method: frame.SEND, To: bobURI, From: aliceURI, Range: frame.Range{Start: 4, End: 3, Total: 9}}, frame.Aborted, nil)
		}, "SEND 4-3/9 #"},
		{"another message", func(t *testing.T, c *Conn) {
			s := newStream(t, c, &StreamConfig{Head: sendHead(2), Owner: nobody{}})
			mustWrite(t, s, "hi")
			s.End(frame.Complete)
		}, `SEND 1-2/2 "hi" $`},
	} {
		t.Run(by.name, func(t *testing.T) {
			story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
				s := newStream(t, c, &StreamConfig{Head: sendHead(10), Owner: nobody{}})
				mustWrite(t, s, "hello")
				p.saw(`SEND 1-*/10 "hello" ...`)
				by.do(t, c)
				p.saw(`SEND 1-*/10 "hello" +`, by.want)
				mustWrite(t, s, "wor")
				synctest.Wait()
				mustWrite(t, s, "ld")
				s.End(frame.Complete)
				p.saw(`SEND 1-*/10 "hello" +`, by.want, `SEND 6-*/10 "world" $`)
				if n, err := s.Wait(); n != 2 || err != nil {
					t.Errorf("Wait() = %d, %v, want 2", n, err)
				}
			})
		})
	}
}

// A source that has nothing to say holds nobody up.
func TestSlowSourceLeavesItsChunkOpen(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		slow := newStream(t, c, &StreamConfig{Head: sendHead(frame.Unknown)})
		mustWrite(t, slow, "one")
		synctest.Wait()
		mustWrite(t, slow, "two")
		p.saw(`SEND 1-*/* "onetwo" ...`)
		for range 2 {
			other := newStream(t, c, &StreamConfig{Head: sendHead(2)})
			mustWrite(t, other, "hi")
			other.End(frame.Complete)
			other.Wait()
		}
		slow.End(frame.Complete)
		p.saw(`SEND 1-*/* "onetwo" +`, `SEND 1-2/2 "hi" $`, `SEND 1-2/2 "hi" $`, `SEND 7-6/* "" $`)
	})
}

// Messages that are long take turns, none of them twice while another one waits.
func TestStreamsTakeTurns(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		const turns = 4
		var all sync.WaitGroup
		for _, id := range []string{"a", "b", "c"} {
			h := sendHead(turns * turn)
			h.MessageID = id
			s := newStream(t, c, &StreamConfig{Head: h})
			all.Go(func() {
				s.Write(make([]byte, turns*turn))
				s.End(frame.Complete)
				s.Wait()
			})
			synctest.Wait()
		}
		go func() { // ends with the messages
			all.Wait()
			c.Close()
		}()
		p.nc = patient{p.nc}
		p.read()
		var order strings.Builder
		for _, f := range p.frames() {
			order.WriteString(f.head.MessageID)
		}
		// The second turn of the first was there before the others, and is in the same chunk.
		if got, want := order.String(), "abcabcabcbc"; got != want {
			t.Errorf("turns: %s, want %s", got, want)
		}
	})
}

// patient is a connection that is read when everybody else waits.
type patient struct{ net.Conn }

func (c patient) Read(p []byte) (int, error) {
	synctest.Wait()
	return c.Conn.Read(p)
}

// A relay is told of a total, and gets more.
func TestMoreThanTheTotal(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(turn)})
		mustWrite(t, s, strings.Repeat("x", turn))
		mustWrite(t, s, "y")
		s.End(frame.Complete)
		s.Wait()
		n := 0
		for _, f := range p.frames() {
			n += len(f.body)
		}
		if n != turn+1 {
			t.Errorf("%d bytes came, want %d", n, turn+1)
		}
	})
}

// RFC 4975 section 7.1.1: a chunk of at most 2048 bytes says where it ends, and one of more does not.
func TestLimitedChunksSayWhereTheyEnd(t *testing.T) {
	for _, c := range []struct {
		size, limit int64
		want        []string
	}{
		{2048, 0, []string{"SEND 1-2048/2048 (2048) $"}},
		{2049, 0, []string{"SEND 1-*/2049 (2049) $"}},
		{5000, 2048, []string{"SEND 1-2048/5000 (2048) +", "SEND 2049-4096/5000 (2048) +", "SEND 4097-5000/5000 (904) $"}},
		{4096, 2048, []string{"SEND 1-2048/4096 (2048) +", "SEND 2049-4096/4096 (2048) $"}},
		{5000, 2049, []string{"SEND 1-*/5000 (2049) +", "SEND 2050-*/5000 (2049) +", "SEND 4099-5000/5000 (902) $"}},
	} {
		t.Run(fmt.Sprintf("%d in chunks of %d", c.size, c.limit), func(t *testing.T) {
			story(t, func(t *testing.T, conn *Conn, _ *ear, p *peer) {
				s := newStream(t, conn, &StreamConfig{Head: sendHead(c.size), Limit: c.limit, Owner: nobody{}})
				mustWrite(t, s, strings.Repeat("x", int(c.size)))
				s.End(frame.Complete)
				p.saw(c.want...)
				if n, _ := s.Wait(); n != len(c.want) {
					t.Errorf("Wait() = %d, want %d", n, len(c.want))
				}
			})
		})
	}
}

// A chunk that is left open for want of bytes says no end, for it may not reach it.
func TestLimitedChunkOfSlowSource(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(30), Limit: 10})
		for range 3 {
			mustWrite(t, s, "abcdef")
			synctest.Wait()
		}
		p.saw(`SEND 1-*/30 "abcdefabcd" +`, `SEND 11-*/30 "efabcdef" ...`)
		s.End(frame.Complete)
		p.saw(`SEND 1-*/30 "abcdefabcd" +`, `SEND 11-*/30 "efabcdef" $`)
	})
}

func TestEmptyMessage(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(0)})
		s.End(frame.Complete)
		s.Wait()
		p.saw(`SEND 1-0/0 "" $`)
	})
}

// A relay passes on a part of a message, which ends as it came.
func TestPartOfAMessage(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		h := sendHead(100)
		h.Range.Start = 31
		s := newStream(t, c, &StreamConfig{Head: h})
		mustWrite(t, s, "0123456789")
		s.End(frame.Continued)
		s.End(frame.Complete) // is too late
		s.Wait()
		frames := p.frames()
		if len(frames) != 1 || frames[0].flag != frame.Continued || frames[0].head.Range.Start != 31 || string(frames[0].body) != "0123456789" {
			t.Errorf("the peer saw %v, want the bytes from 31 on and the flag +", frames)
		}
	})
}

// RFC 4975 section 7.1.1: a message that is aborted ends with #, in the chunk that is open or in one of its own.
func TestAbortedMessage(t *testing.T) {
	report := &frame.Head{Method: frame.REPORT, To: bobURI, From: aliceURI, MessageID: "1", Report: 200}
	for _, c := range []struct {
		name string
		do   func(*testing.T, *Conn, *Stream)
		want []string
	}{
		{"in an open chunk", func(t *testing.T, c *Conn, s *Stream) {
			mustWrite(t, s, "hello")
			synctest.Wait()
		}, []string{`SEND 1-*/10 "hello" #`}},
		{"between chunks", func(t *testing.T, c *Conn, s *Stream) {
			mustWrite(t, s, "hello")
			synctest.Wait()
			c.Request(report, nil, nil)
			synctest.Wait()
		}, []string{`SEND 1-*/10 "hello" +`, "REPORT $", `SEND 6-5/10 "" #`}},
		{"before its first byte", func(*testing.T, *Conn, *Stream) {}, nil},
		{"with all its bytes waiting for the end", func(t *testing.T, c *Conn, s *Stream) {
			mustWrite(t, s, "0123456789")
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, func(t *testing.T, conn *Conn, _ *ear, p *peer) {
				s := newStream(t, conn, &StreamConfig{Head: sendHead(10)})
				c.do(t, conn, s)
				s.End(frame.Aborted)
				s.End(frame.Complete)
				if _, err := s.Wait(); !errors.Is(err, ErrClosed) {
					t.Errorf("Wait() = %v, want %v", err, ErrClosed)
				}
				if _, err := s.Write([]byte("more")); !errors.Is(err, ErrClosed) {
					t.Errorf("Write() = %v, want %v", err, ErrClosed)
				}
				p.saw(c.want...)
			})
		})
	}
}

// Of a message that began elsewhere the peer has the beginning, and hears that there is no more.
func TestAbortOfAContinuedMessage(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		h := sendHead(100)
		h.Range.Start = 11
		newStream(t, c, &StreamConfig{Head: h}).End(frame.Aborted)
		p.saw(`SEND 11-10/100 "" #`)
	})
}

// What waits for a peer that does not read is given up at once.
func TestAbortReleasesTheWriter(t *testing.T) {
	stalled(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(10 * turn)})
		result := make(chan error)
		go func() { // ends with the message
			_, err := s.Write(make([]byte, 10*turn))
			result <- err
		}()
		synctest.Wait()
		s.End(frame.Aborted)
		if err := <-result; !errors.Is(err, ErrClosed) {
			t.Errorf("Write() = %v, want %v", err, ErrClosed)
		}
		if _, err := s.Wait(); !errors.Is(err, ErrClosed) {
			t.Errorf("Wait() = %v, want %v", err, ErrClosed)
		}
		go p.read()
		frames := p.frames()
		if len(frames) != 1 || frames[0].flag != frame.Aborted || len(frames[0].body) > turn {
			t.Errorf("the peer saw %v, want the first turn and the flag #", frames)
		}
	})
}

// A sender that loses a chunk gives the message up.
func TestAbortAfterALostChunk(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		var s *Stream
		gone := make(chan error, 1)
		s = newStream(t, c, &StreamConfig{Head: sendHead(100), Limit: 10, Owner: ownerFunc(func(_ frame.Range, _ *frame.Head, err error) {
			s.End(frame.Aborted)
			gone <- err
		})})
		mustWrite(t, s, "0123456789")
		if err := <-gone; !errors.Is(err, ErrNoAnswer) {
			t.Errorf("the owner heard %v, want %v", err, ErrNoAnswer)
		}
		p.saw(`SEND 1-10/100 "0123456789" +`, `SEND 11-10/100 "" #`)
	})
}

type ownerFunc func(frame.Range, *frame.Head, error)

func (f ownerFunc) Answered(r frame.Range, h *frame.Head, err error) { f(r, h, err) }

// RFC 4975 section 7.1: the end-line of a chunk must not occur in its body. The peer has seen the identifier,
// and makes us send it, in one piece or byte by byte.
func TestEndLineInTheBodyOfAnOpenChunk(t *testing.T) {
	for _, size := range []int{1, 2, 7, 25, 1000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
				s := newStream(t, c, &StreamConfig{Head: sendHead(frame.Unknown)})
				mustWrite(t, s, "x")
				text := "x"
				for range 3 {
					frames := p.frames()
					evil := "before\r\n-------" + frames[len(frames)-1].head.ID + "$\r\nMSRP abcd SEND\r\nbehind"
					text += evil
					for len(evil) > 0 {
						n := min(size, len(evil))
						mustWrite(t, s, evil[:n])
						evil = evil[n:]
						synctest.Wait()
					}
				}
				s.End(frame.Complete)
				var got strings.Builder
				frames := p.frames()
				for i, f := range frames {
					if f.head.Range.Start != int64(got.Len())+1 {
						t.Errorf("chunk %d begins with the byte %d, want %d", i, f.head.Range.Start, got.Len()+1)
					}
					got.Write(f.body)
				}
				if got.String() != text {
					t.Errorf("the peer has %q, want %q", got.String(), text)
				}
				if len(frames) != 4 {
					t.Errorf("%d chunks, want 4: one more for each collision", len(frames))
				}
			})
		})
	}
}

// The first bytes of a body can be an end-line, too.
func TestEndLineAtTheBeginningOfTheBody(t *testing.T) {
	story(t, func(t *testing.T, c *Conn, _ *ear, p *peer) {
		s := newStream(t, c, &StreamConfig{Head: sendHead(frame.Unknown)})
		text := "-"
		mustWrite(t, s, "-")
		for _, b := range "------" + p.frames()[0].head.ID + "$\r\n" {
			mustWrite(t, s, string(b))
			text += string(b)
			synctest.Wait()
		}
		s.End(frame.Complete)
		got := ""
		for _, f := range p.frames() {
			got += string(f.body)
		}
		if got != text {
			t.Errorf("the peer has %q, want %q", got, text)
		}
	})
}

// The chunks of two Streams that are written one behind the other stay in their order (RFC 4976 section 3), also where the
// first has to stop in the middle: for too many that wait for responses, or for heads that are too much for one batch.
func TestStreamsStayInOrder(t *testing.T) {
	for _, c := range []struct {
		report frame.FailureReport
		chunks int
	}{{frame.FailureReportYes, maxPending + 10}, {frame.FailureReportNo, turn / 100}} {
		stalled(t, func(t *testing.T, conn *Conn, _ *ear, p *peer) {
			for start := int64(1); start <= 2; start++ {
				h := sendHead(frame.Unknown)
				h.Range.Start, h.FailureReport = 1+(start-1)*int64(c.chunks), c.report
				s := newStream(t, conn, &StreamConfig{Head: h, Limit: 1, Owner: nobody{}})
				mustWrite(t, s, strings.Repeat("x", c.chunks))
				s.End(frame.Continued)
			}
			go p.read() // ends with the connection
			for answered := 0; answered < 2*c.chunks; {
				frames := p.frames()
				if len(frames) == answered {
					t.Fatalf("%d chunks have come, want %d", answered, 2*c.chunks)
				}
				for ; answered < len(frames); answered++ {
					if f := frames[answered]; f.head.Range.Start != int64(answered+1) {
						t.Fatalf("chunk %d is of byte %d", answered+1, f.head.Range.Start)
					} else if c.report == frame.FailureReportYes {
						p.answer(f, 200)
					}
				}
			}
		})
	}
}

func TestStreamOfAHeadThatCannotBeWritten(t *testing.T) {
	c := New(nil, &ear{})
	h := sendHead(1)
	h.MessageID = "two\r\nlines"
	var syntax *frame.SyntaxError
	if _, err := c.NewStream(&StreamConfig{Head: h}); !errors.As(err, &syntax) {
		t.Errorf("NewStream() = %v, want a SyntaxError", err)
	}
}
