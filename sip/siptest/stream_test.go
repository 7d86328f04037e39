package siptest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestStream(t *testing.T) {
	play(t, &NetworkConfig{Delay: 20 * time.Millisecond}, func(s *scene) {
		near, far := s.connect()
		s.at(60 * time.Millisecond) // SYN, SYN-ACK, ACK
		s.write(near, "INVITE")
		s.read(far, "INVITE")
		s.at(80 * time.Millisecond)
		s.write(far, "200")
		s.read(near, "200")
		s.at(100 * time.Millisecond)

		if got := near.RemoteAddr().(*net.TCPAddr).String(); got != bobAddr {
			t.Errorf("RemoteAddr() = %v, want %v", got, bobAddr)
		}
		if got, want := far.RemoteAddr().(*net.TCPAddr).String(), near.LocalAddr().String(); got != want || got != "192.0.2.1:49152" {
			t.Errorf("the far end's RemoteAddr() = %v, want %v", got, want)
		}
	})
}

// Jitter does not put a stream out of order, and loss does not apply.
func TestStreamIsOrderedAndReliable(t *testing.T) {
	play(t, &NetworkConfig{Loss: 1, Duplicate: 1, Reorder: 1, Jitter: 100 * time.Millisecond, Window: 1000}, func(s *scene) {
		near, far := s.connect()
		var sent bytes.Buffer
		for i := range 500 {
			fmt.Fprintf(&sent, "line %d\r\n", i)
		}
		go func() { // ends when all is read
			for line := range bytes.Lines(sent.Bytes()) {
				near.Write(line)
			}
			near.Close()
		}()
		if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, sent.Bytes()) {
			t.Errorf("read %d bytes, %v, want the %d that were sent", len(got), err, sent.Len())
		}
	})
}

func TestFullWindowBlocksTheWriter(t *testing.T) {
	play(t, &NetworkConfig{Window: 10, Delay: time.Second}, func(s *scene) {
		near, far := s.connect()
		s.write(near, "0123456789")
		written := false
		go func() { // ends when there is room
			near.Write([]byte("abc"))
			written = true
		}()
		s.wait(time.Hour)
		if written {
			t.Error("written beyond the window")
		}
		s.read(far, "0123456789")
		synctest.Wait()
		if !written {
			t.Error("still blocked after the read")
		}

		// What went before the deadline is said.
		near.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := near.Write(make([]byte, 20))
		s.opError(err, os.ErrDeadlineExceeded)
		if n != 7 || !isTimeout(err) {
			t.Errorf("Write = %d, %v, want 7 and a timeout", n, err)
		}
	})
}

// Writes of several goroutines wait for one another whole.
func TestWritesDoNotMix(t *testing.T) {
	play(t, &NetworkConfig{Window: 7}, func(s *scene) {
		near, far := s.connect()
		var wg sync.WaitGroup
		var want []string
		for i := range 10 {
			line := strings.Repeat(string(rune('a'+i)), 50)
			want = append(want, line)
			wg.Go(func() { io.WriteString(near, line+"\n") })
		}
		go func() { // ends when all is written
			wg.Wait()
			near.CloseWrite()
		}()
		got, err := io.ReadAll(far)
		lines := strings.Fields(string(got))
		slices.Sort(lines)
		if err != nil || !slices.Equal(lines, want) {
			t.Errorf("read %q, %v, want lines of one letter each", lines, err)
		}
	})
}

func TestSegment(t *testing.T) {
	play(t, &NetworkConfig{Segment: 1}, func(s *scene) {
		near, far := s.connect()
		s.write(near, "\r\n\r\n")
		for _, want := range []string{"\r", "\n", "\r", "\n"} {
			s.read(far, want)
		}
	})
	play(t, nil, func(s *scene) {
		near, far := s.connect()
		s.write(near, "two messages")
		s.write(near, " in one")
		s.read(far, "two messages in one")
	})
}

func TestCloseComesAfterTheData(t *testing.T) {
	play(t, &NetworkConfig{Delay: time.Second}, func(s *scene) {
		near, far := s.connect() // takes three seconds
		s.write(near, "BYE")
		if err := near.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		s.read(far, "BYE")
		s.ends(far, io.EOF)
		s.ends(far, io.EOF)
		s.at(4 * time.Second)

		// The other way nobody reads. The writer learns it after a round trip.
		s.write(far, "200")
		s.wait(1999 * time.Millisecond)
		s.write(far, "200")
		s.wait(time.Millisecond)
		_, err := far.Write([]byte("200"))
		s.opError(err, syscall.EPIPE)

		s.opError(near.Close(), net.ErrClosed)
		s.ends(near, net.ErrClosed)
		_, err = near.Write(nil)
		s.opError(err, net.ErrClosed)
		s.opError(near.CloseWrite(), net.ErrClosed)
		s.opError(near.SetDeadline(time.Time{}), net.ErrClosed)
	})
}

func TestCloseWithUnreadDataFreesABlockedWriter(t *testing.T) {
	play(t, &NetworkConfig{Window: 4}, func(s *scene) {
		near, far := s.connect()
		errs := make(chan error, 1)
		go func() { // ends when the reading end is closed
			_, err := near.Write([]byte("more than four"))
			errs <- err
		}()
		synctest.Wait()
		s.write(far, "last")
		far.Close()
		s.opError(<-errs, syscall.EPIPE)
		s.read(near, "last")
		s.ends(near, io.EOF)
	})
}

func TestCloseWrite(t *testing.T) {
	play(t, nil, func(s *scene) {
		near, far := s.connect()
		s.write(near, "request")
		near.CloseWrite()
		_, err := near.Write([]byte("more"))
		s.opError(err, syscall.EPIPE)
		s.read(far, "request")
		s.ends(far, io.EOF)
		s.write(far, "answer")
		s.read(near, "answer")
	})
}

func TestCloseWakesReadersAndWriters(t *testing.T) {
	play(t, &NetworkConfig{Window: 1}, func(s *scene) {
		near, _ := s.connect()
		errs := make(chan error)
		for range 2 {
			go func() { // both end when near is closed
				_, err := near.Read(make([]byte, 1))
				errs <- err
			}()
			go func() {
				_, err := near.Write([]byte("ab"))
				errs <- err
			}()
		}
		synctest.Wait()
		near.Close()
		for range 4 {
			s.opError(<-errs, net.ErrClosed)
		}
	})
}

func TestStreamReadDeadline(t *testing.T) {
	play(t, nil, func(s *scene) {
		near, far := s.connect()
		near.SetReadDeadline(time.Now().Add(time.Second))
		_, err := near.Read(make([]byte, 1))
		s.opError(err, os.ErrDeadlineExceeded)
		s.at(time.Second)
		near.SetDeadline(time.Time{})
		s.write(far, "x")
		s.read(near, "x")
	})
}

func TestResetBreaksStreams(t *testing.T) {
	play(t, &NetworkConfig{Delay: time.Second}, func(s *scene) {
		near, far := s.connect()
		s.write(near, "arrived")
		s.wait(time.Second)
		s.write(near, "in flight")
		s.bob.Reset()
		s.ends(near, syscall.ECONNRESET)
		s.read(far, "arrived")
		s.ends(far, syscall.ECONNRESET)
		_, err := far.Write([]byte("x"))
		s.opError(err, syscall.ECONNRESET)
		s.wait(time.Minute)
		near.Close()
		s.wait(time.Minute)
		s.ends(far, syscall.ECONNRESET) // no end of file arrives any more
		s.connect()                     // new ones work
	})
}

// A stream survives a cut path, or a host that is down, as TCP does: what was
// sent arrives afterwards, in order.
func TestStreamSurvivesACut(t *testing.T) {
	for _, fault := range []struct{ begin, end func(s *scene) }{
		{func(s *scene) { s.n.Cut(s.alice, s.bob) }, func(s *scene) { s.n.Mend(s.alice, s.bob) }},
		{func(s *scene) { s.alice.Down() }, func(s *scene) { s.alice.Up() }},
		{func(s *scene) { s.bob.Down() }, func(s *scene) { s.bob.Up() }},
	} {
		play(t, &NetworkConfig{Delay: 100 * time.Millisecond}, func(s *scene) {
			near, far := s.connect()
			s.write(near, "1 in flight when it breaks, ")
			s.wait(50 * time.Millisecond)
			fault.begin(s)
			s.write(near, "2 sent into the silence, ")
			s.wait(60 * time.Millisecond)
			s.write(near, "3 in flight when it mends")
			far.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			s.ends(far, os.ErrDeadlineExceeded)
			far.SetReadDeadline(time.Time{})
			fault.end(s)
			s.wait(time.Second)
			s.read(far, "1 in flight when it breaks, 2 sent into the silence, 3 in flight when it mends")
		})
	}
}

// When one of two faults ends, the other goes on.
func TestStreamWaitsForTheLastFault(t *testing.T) {
	play(t, nil, func(s *scene) {
		near, far := s.connect()
		s.n.Cut(s.alice, s.bob)
		s.bob.Down()
		s.write(near, "x")
		near.Close()
		s.bob.Up()
		far.SetReadDeadline(time.Now().Add(time.Second))
		s.ends(far, os.ErrDeadlineExceeded)
		far.SetReadDeadline(time.Time{})
		s.n.Mend(s.bob, s.alice)
		s.read(far, "x")
		s.ends(far, io.EOF)
	})
}

func TestNothingIsLeftBehind(t *testing.T) {
	play(t, &NetworkConfig{Delay: time.Millisecond}, func(s *scene) {
		near, far := s.connect()
		near.SetDeadline(time.Now().Add(time.Hour))
		s.write(near, "x")
		near.Close()
		far.Close()
		s.wait(time.Second)
		for _, h := range []*Host{s.alice, s.bob} {
			if len(h.conns) != 0 || len(h.ports) != 0 {
				t.Errorf("%v has %d connections and %d ports, want none", h.Addr(), len(h.conns), len(h.ports))
			}
		}
		if len(s.n.schedule.events) != 0 || len(s.n.held) != 0 {
			t.Errorf("%d in flight and %d held, want none", len(s.n.schedule.events), len(s.n.held))
		}
		if near.out.pending != 0 {
			t.Errorf("%d bytes pending, want none", near.out.pending)
		}
		if errors.Is(far.Close(), nil) {
			t.Error("closed twice")
		}
	})
}
