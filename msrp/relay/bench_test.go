package relay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/internal/link"
	"github.com/goparley/parley/msrp/relay"
)

const benchBytes = 256 << 20

// BenchmarkThroughput is one message through a relay, over loopback, with chunks of 2 KB and of 64 KB,
// beside a plain connection and a plain forwarder between two of them.
func BenchmarkThroughput(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		for range b.N {
			to, from := pair(b)
			pump(b, from, to)
		}
	})
	b.Run("forwarder", func(b *testing.B) {
		for range b.N {
			middle, from := pair(b)
			to, out := pair(b)
			go func() { // ends with the connection
				io.Copy(onlyWriter{out}, middle)
				out.Close()
			}()
			pump(b, from, to)
		}
	})
	for _, chunk := range []int64{2048, 64 << 10} {
		b.Run(fmt.Sprintf("relay/%d", chunk), func(b *testing.B) {
			r, err := relay.New(&relay.Config{Listen: []string{"tcp:127.0.0.1:0"}, PlainAUTH: true, Domain: "localhost", Password: relay.Passwords(users)})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			b.SetBytes(benchBytes)
			b.ReportAllocs()
			for b.Loop() {
				through(b, r, chunk)
			}
		})
	}
}

// onlyWriter keeps io.Copy from leaving the work to the kernel.
type onlyWriter struct{ io.Writer }

func pair(b *testing.B) (accepted, dialed net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if dialed, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return accepted, dialed
}

func pump(b *testing.B, from, to net.Conn) {
	b.SetBytes(benchBytes)
	go func() { // ends when all is written
		buf := make([]byte, 64<<10)
		for range benchBytes / len(buf) {
			from.Write(buf)
		}
		from.Close()
	}()
	n, _ := io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{to}, make([]byte, 64<<10))
	if n != benchBytes {
		b.Fatalf("%d bytes came", n)
	}
	to.Close()
}

type onlyReader struct{ io.Reader }

// An end is one of a message: it counts what comes, and answers it.
type end struct {
	n    int64
	done chan struct{}
	fail chan error
	head *frame.Head
	c    *link.Conn
}

func (e *end) Request(c *link.Conn, h *frame.Head) link.Body {
	if h.Method == frame.REPORT {
		e.failed(h.Report)
		return nil
	}
	e.head, e.c = h.Response(frame.StatusOK, h.To), c
	return e
}

func (e *end) Write(piece []byte) { e.n += int64(len(piece)) }

func (e *end) End(frame.Flag) {
	e.c.Respond(e.head)
	if e.n == benchBytes {
		close(e.done)
	}
}

func (e *end) Closed(*link.Conn, error) {}

func (e *end) Answered(_ frame.Range, response *frame.Head, err error) {
	if response == nil || response.Status != frame.StatusOK {
		e.failed(fmt.Errorf("%v, %w", response, err))
	}
}

func (e *end) failed(err error) {
	select {
	case e.fail <- err:
	default:
	}
}

func through(b *testing.B, r *relay.Relay, chunk int64) {
	join := func(name string) (*link.Conn, *end, string) {
		nc, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", r.Addr("tcp").String())
		if err != nil {
			b.Fatal(err)
		}
		p := &raw{t: b, nc: nc, in: frame.NewReader(nc), name: name, ours: "msrp://" + name + ":9/" + name + ";tcp"}
		uri := p.auth(name, "msrp://localhost;tcp")
		e := &end{done: make(chan struct{}), fail: make(chan error, 1)}
		c := link.New(nc, e)
		c.Start()
		return c, e, uri
	}
	alice, sender, from := join("alice")
	bob, receiver, to := join("bob")
	s, err := alice.NewStream(&link.StreamConfig{Limit: chunk, Owner: sender, Head: &frame.Head{
		Method: frame.SEND, To: from + " " + to + " msrp://bob:9/bob;tcp", From: "msrp://alice:9/alice;tcp", MessageID: "1",
		Range: frame.Range{Start: 1, Total: benchBytes}, ContentType: "a/b",
	}})
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	for range benchBytes / len(buf) {
		if _, err := s.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	s.End(frame.Complete)
	select {
	case <-receiver.done:
	case err := <-sender.fail:
		b.Fatal(err)
	}
	alice.CloseNow()
	bob.CloseNow()
}
