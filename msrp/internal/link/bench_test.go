package link

import (
	"io"
	"net"
	"testing"

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
