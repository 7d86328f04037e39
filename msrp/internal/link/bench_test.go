package link

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// loopback returns both ends of a TCP connection.
func loopback(tb testing.TB) (near, far net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// A sink counts bytes, and answers each chunk with 200.
type sink struct {
	c     *Conn
	head  frame.Head
	count int64
	end   chan int64 // what was counted, at the end of a message
}

func (s *sink) Request(c *Conn, h *frame.Head) Body {
	s.c, s.head = c, *h
	return s
}

func (s *sink) Write(piece []byte) { s.count += int64(len(piece)) }

func (s *sink) End(flag frame.Flag) {
	if s.head.FailureReport == frame.FailureReportYes {
		s.c.Respond(s.head.Response(frame.StatusOK, s.head.To))
	}
	if flag == frame.Complete {
		s.end <- s.count
		s.count = 0
	}
}

func (s *sink) Closed(*Conn, error) {}

// A void is a connection that takes everything and says nothing.
type void struct {
	net.Conn
	closed chan struct{}
}

func (v void) Read([]byte) (int, error) {
	<-v.closed
	return 0, io.EOF
}

func (v void) Write(p []byte) (int, error)      { return len(p), nil }
func (v void) SetReadDeadline(time.Time) error  { return nil }
func (v void) SetWriteDeadline(time.Time) error { return nil }

func (v void) Close() error {
	close(v.closed)
	return nil
}

// What is written is written from where it is kept, and the identifiers are no strings.
func TestChunksDoNotAllocate(t *testing.T) {
	for name, report := range map[string]frame.FailureReport{"no": frame.FailureReportNo, "partial": frame.FailureReportPartial} {
		t.Run(name, func(t *testing.T) {
			c := New(void{closed: make(chan struct{})}, &sink{})
			c.Start()
			defer c.CloseNow()
			h := sendHead(frame.Unknown)
			h.FailureReport = report
			s := newStream(t, c, &StreamConfig{Head: h, Limit: 2048, Owner: nobody{}})
			data := make([]byte, 64<<10)
			write := func() { s.Write(data) }
			for range 500 { // the buffers are as large as they get
				write()
			}
			if got := testing.AllocsPerRun(500, write); got > 0.5 {
				t.Errorf("%v allocations for 32 chunks of 2 KB, want none", got)
			}
		})
	}
}

// BenchmarkLoopback sends over a TCP connection to this machine: a message in chunks, each of
// which is answered, and the same bytes with nothing around them.
func BenchmarkLoopback(b *testing.B) {
	const piece = 64 << 10
	data := make([]byte, piece)
	for i := range data {
		data[i] = byte(i * 31)
	}
	message := func(limit int64, report frame.FailureReport) func(*testing.B) {
		return func(b *testing.B) {
			near, far := loopback(b)
			to := &sink{end: make(chan int64, 1)}
			out, in := New(near, &sink{}), New(far, to)
			out.Start()
			in.Start()
			defer in.CloseNow()
			defer out.CloseNow()
			h := sendHead(frame.Unknown)
			h.FailureReport = report
			s, err := out.NewStream(&StreamConfig{Head: h, Limit: limit, Owner: nobody{}})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(piece)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := s.Write(data); err != nil {
					b.Fatal(err)
				}
			}
			s.End(frame.Complete)
			if got := <-to.end; got != int64(b.N)*piece {
				b.Fatalf("%d bytes came, want %d", got, int64(b.N)*piece)
			}
		}
	}
	b.Run("plain", func(b *testing.B) {
		near, far := loopback(b)
		end := make(chan error, 1)
		go func() { // ends with the bytes
			buf := make([]byte, 128<<10)
			for left := b.N * piece; left > 0; {
				n, err := far.Read(buf)
				if left -= n; err != nil && err != io.EOF {
					end <- err
					return
				}
			}
			end <- nil
		}()
		b.SetBytes(piece)
		b.ResetTimer()
		for range b.N {
			if _, err := near.Write(data); err != nil {
				b.Fatal(err)
			}
		}
		if err := <-end; err != nil {
			b.Fatal(err)
		}
	})
	b.Run("chunks of 2048", message(2048, frame.FailureReportYes))
	b.Run("chunks of 2048 unanswered", message(2048, frame.FailureReportNo))
	b.Run("one chunk", message(0, frame.FailureReportYes))
}
