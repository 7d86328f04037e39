package relay_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// A chunk is forwarded while it comes, be it known where it ends or not.
func TestChunkPassesWhileItArrives(t *testing.T) {
	for _, byteRange := range []string{"1-*/30000", "1-30000/30000"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			alice.write("MSRP aaaa SEND\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours +
				"\nMessage-ID: m-a\nByte-Range: " + byteRange + "\nContent-Type: text/plain\n\n")
			alice.writeRaw(strings.Repeat("x", 10000))
			bob.nc.SetReadDeadline(time.Now().Add(time.Second))
			h, err := bob.in.Next()
			if err != nil || h.Range != (frame.Range{Start: 1, End: frame.Unknown, Total: 30000}) {
				t.Fatalf("bob got %+v, %v", h, err)
			}
			n := 0
			for n < 10000 {
				piece, err := bob.in.Body()
				if err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				n += len(piece)
			}
			alice.write("\n-------aaaa+\n") // interrupted on the way in, interrupted on the way out
			if _, err := bob.in.Body(); !errors.Is(err, io.EOF) || bob.in.Flag() != frame.Continued {
				t.Errorf("bob got %v, flag %c, want +", err, bob.in.Flag())
			}
			alice.response("aaaa", frame.StatusOK)
			alice.write("MSRP bbbb SEND\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours +
				"\nMessage-ID: m-a\nByte-Range: 10001-*/30000\nContent-Type: text/plain\n\nmore\n-------bbbb#\n")
			g := bob.read()
			if g.Range.Start != 10001 || g.MessageID != "m-a" || g.flag != frame.Aborted {
				t.Errorf("bob got %+v, flag %c", g.Head, g.flag)
			}
			// A sender that is lost has said all of it.
			alice.write("MSRP cccc SEND\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours +
				"\nMessage-ID: m-c\nByte-Range: 1-*/30000\nContent-Type: text/plain\n\nbegin")
			synctest.Wait()
			alice.nc.Close()
			if g := bob.read(); g.body != "begin" || g.flag != frame.Aborted {
				t.Errorf("bob got %+v, %q, flag %c", g.Head, g.body, g.flag)
			}
		})
	}
}

// A chunk that fails before its end is ended there for its receiver (RFC 4975 section 10.5), and what still comes of it is
// passed over: at once, also if it waits for room.
func TestRestOfWhatFailsIsPassedOver(t *testing.T) {
	for _, size := range []int{5000, 3 << 20} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			alice.write("MSRP aaaa SEND\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours +
				"\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: text/plain\n\nhello")
			h, err := bob.in.Next()
			if err != nil {
				t.Fatal(err)
			}
			refused := got{Head: h.Clone()}
			rest := make(chan struct{})
			go func() {
				if size > 1<<20 { // more than the relay keeps
					alice.writeRaw(strings.Repeat("x", size))
				}
				close(rest)
			}()
			synctest.Wait()
			began := time.Now()
			bob.answer(refused, frame.StatusStop)
			alice.response("aaaa", frame.StatusStop)
			<-rest
			if size < 1<<20 {
				alice.writeRaw(strings.Repeat("x", size))
			}
			alice.write("\n-------aaaa$\n")
			n := 0
			for {
				piece, err := bob.in.Body()
				if n += len(piece); err != nil {
					break
				}
			}
			if bob.in.Flag() != frame.Aborted || n > 1<<20 || size < 1<<20 && n != len("hello") || time.Since(began) > time.Second {
				t.Errorf("of 5 and %d bytes bob got %d and %c after %v, want #", size, n, bob.in.Flag(), time.Since(began))
			}
			bob.silent()
			alice.silent()
		})
	}
}

// A large message does not hold up a small one, neither of its own sender nor of another.
func TestLargeMessageIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		carol, c := w.client("carol", example)
		bob, b := w.client("bob", example)
		large := func() {
			alice.write("MSRP aaaa SEND\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours +
				"\nMessage-ID: large\nByte-Range: 1-*/1000000\nContent-Type: text/plain\n\n")
			alice.writeRaw(strings.Repeat("x", 1000000) + "\r\n-------aaaa$\r\n")
		}
		go large()
		synctest.Wait() // bob does not read yet
		carol.write(send("cccc", c+" "+b+" "+bob.ours, carol.ours, "", "small"))
		carol.response("cccc", frame.StatusOK)
		var parts [1000000]byte
		n, small := 0, -1
		for n < len(parts) {
			g := bob.read()
			if g.MessageID == "m-cccc" {
				small = n
				continue
			}
			if g.Range.Start != int64(n+1) {
				t.Errorf("a chunk begins at %d, want %d", g.Range.Start, n+1)
			}
			n += copy(parts[n:], g.body)
			if want := frame.Continued; n < len(parts) && g.flag != want {
				t.Errorf("flag after %d bytes is %c", n, g.flag)
			}
		}
		if small < 0 || small > 600000 {
			t.Errorf("the small message came behind %d bytes of the large one", small)
		}
		if bytes.Count(parts[:], []byte("x")) != len(parts) {
			t.Error("bytes of the large message are lost")
		}
		alice.response("aaaa", frame.StatusOK)
	})
}

func TestMaxChunkSplitsWhatIsLarger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MaxChunk: 2048})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		for _, flag := range []frame.Flag{frame.Continued, frame.Complete} {
			text := send("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Byte-Range: 101-*/5100\n", strings.Repeat("x", 5000))
			alice.write(strings.Replace(text, "$", string(flag), 1))
			alice.response("aaaa", frame.StatusOK)
			for _, want := range []struct {
				start int64
				n     int
				flag  frame.Flag
			}{{101, 2048, frame.Continued}, {2149, 2048, frame.Continued}, {4197, 904, flag}} {
				if g := bob.read(); g.Range.Start != want.start || g.Range.Total != 5100 || len(g.body) != want.n || g.flag != want.flag {
					t.Errorf("bob got %v, %d bytes, flag %c, want %+v", g.Range, len(g.body), g.flag, want)
				}
			}
		}
	})
}

// A long chunk behind a tiny one is not made into tiny ones, each with a head of its own (RFC 4975 section
// 7.1.1 wants none below 2048 bytes): what a stranger sends would come out many times as large.
func TestLongChunkBehindATinyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		head := "To-Path: " + a + " " + b + " " + bob.ours + "\r\nFrom-Path: " + alice.ours + "\r\nMessage-ID: mmmm\r\nFailure-Report: no\r\n"
		body := strings.Repeat("y", 100_000)
		go io.WriteString(alice.nc, "MSRP aaaa SEND\r\n"+head+"Byte-Range: 1-*/100001\r\nContent-Type: a/b\r\n\r\nx\r\n-------aaaa+\r\n"+
			"MSRP bbbb SEND\r\n"+head+"Byte-Range: 2-*/100001\r\nContent-Type: a/b\r\n\r\n"+body+"\r\n-------bbbb$\r\n")
		all, chunks := "", 0
		for flag := frame.Continued; flag == frame.Continued; chunks++ {
			g := bob.read()
			all, flag = all+g.body, g.flag
		}
		if all != "x"+body || chunks > 2+len(body)/2048 {
			t.Errorf("bob got %d bytes in %d chunks, want %d in no more than %d", len(all), chunks, 1+len(body), 2+len(body)/2048)
		}
	})
}

// The chunks of a sender stay in their order (RFC 4976 section 3), whatever their sizes, and however late they are answered.
func TestChunksStayInOrder(t *testing.T) {
	for _, c := range []struct {
		limit  int
		report string
	}{{0, "no"}, {200, "no"}, {200, "yes"}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{MaxChunk: c.limit})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			r := rand.New(rand.NewSource(1))
			data := make([]byte, 4<<20)
			for i := range data {
				data[i] = "abc\r\n-"[r.Intn(6)]
			}
			go io.Copy(io.Discard, alice.nc) // ends with the connection
			go func() {                      // ends when all is sent
				for at, i := 0, 0; at < len(data); i++ {
					n := min(r.Intn(1<<uint(4+r.Intn(15))), len(data)-at)
					flag := "+"
					if at+n == len(data) {
						flag = "$"
					}
					id := fmt.Sprintf("chunk%06d", i)
					io.WriteString(alice.nc, fmt.Sprintf("MSRP %s SEND\r\nTo-Path: %s %s %s\r\nFrom-Path: %s\r\nMessage-ID: m\r\nFailure-Report: %s\r\nByte-Range: %d-*/%d\r\nContent-Type: a/b\r\n\r\n",
						id, a, b, bob.ours, alice.ours, c.report, at+1, len(data))+string(data[at:at+n])+"\r\n-------"+id+flag+"\r\n")
					at += n
				}
			}()
			var all []byte
			var open []got // not answered yet
			for flag := frame.Continued; flag != frame.Complete; {
				g, err := bob.tryRead(time.Second)
				switch {
				case err == nil:
				case isTimeout(err) && len(open) > 0: // no more come before some are
					for _, g := range open {
						bob.answer(g, frame.StatusOK)
					}
					open = nil
					continue
				default:
					t.Fatal(err)
				}
				if g.Range.Start != int64(len(all)+1) {
					t.Fatalf("a chunk begins at %d, want %d", g.Range.Start, len(all)+1)
				}
				all, flag = append(all, g.body...), g.flag
				if open = append(open, g); c.report == "no" {
					open = nil
				}
			}
			if !bytes.Equal(all, data) {
				t.Error("what has come is not what was sent")
			}
		})
	}
}

// A receiver that takes nothing holds up its senders when a megabyte waits. After 20 s its messages are
// given up, and others on the same connection go on.
func TestReceiverThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		carol, c := w.client("carol", example)

		var sent atomic.Int64
		began := time.Now()
		go func() {
			alice.writeRaw("MSRP aaaa SEND\r\nTo-Path: " + a + " " + b + " " + bob.ours + "\r\nFrom-Path: " + alice.ours +
				"\r\nMessage-ID: large\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n")
			piece := strings.Repeat("x", 10000)
			for sent.Load() < 5000000 {
				alice.writeRaw(piece)
				sent.Add(int64(len(piece)))
			}
			alice.writeRaw("\r\n-------aaaa$\r\n")
			alice.write(send("cccc", a+" "+c+" "+carol.ours, alice.ours, "", "hi carol"))
		}()
		time.Sleep(15 * time.Second)
		if n := sent.Load(); n < 1<<20 || n > 2<<20 {
			t.Errorf("alice has sent %d bytes, want one to two MiB", n)
		}
		g := alice.response("aaaa", frame.StatusTimeout)
		if took := time.Since(began); g.Status == frame.StatusTimeout && (took < 20*time.Second || took > 21*time.Second) {
			t.Errorf("given up after %v, want 20s", took)
		}
		if g := carol.read(); g.body != "hi carol" {
			t.Errorf("carol got %+v", g)
		}
		alice.response("cccc", frame.StatusOK)
		alice.write(send("eeee", a+" "+b+" "+bob.ours, alice.ours, "", "hi bob"))
		alice.response("eeee", frame.StatusTimeout)
		// The connection to bob is gone when 30 s have passed without a byte.
		time.Sleep(15 * time.Second)
		alice.write(send("dddd", a+" "+b+" "+bob.ours, alice.ours, "", "hi bob"))
		alice.response("dddd", frame.StatusNoSession)
	})
}

// One that takes its time holds up its senders for as long, and gets all.
func TestSlowReceiverGetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		const size = 8 << 20
		go func() {
			alice.writeRaw("MSRP aaaa SEND\r\nTo-Path: " + a + " " + b + " " + bob.ours + "\r\nFrom-Path: " + alice.ours +
				"\r\nMessage-ID: large\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n")
			for range size / 8192 {
				alice.writeRaw(strings.Repeat("x", 8192))
			}
			alice.writeRaw("\r\n-------aaaa$\r\n")
		}()
		bob.nc = &slow{bob.nc, 1000, 10 * time.Millisecond} // 100 KB a second
		bob.in = frame.NewReader(bob.nc)
		n := 0
		for n < size {
			bob.nc.SetReadDeadline(time.Time{})
			if _, err := bob.in.Next(); err != nil {
				t.Fatal(err)
			}
			for {
				piece, err := bob.in.Body()
				if err != nil {
					break
				}
				n += len(piece)
			}
			bob.in.Flag()
		}
		alice.response("aaaa", frame.StatusOK)
	})
}

// A short chunk waits for its end, and is not forgotten when what is before it has left.
func TestShortChunkWaitsForItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		to := a + " " + b + " " + bob.ours
		alice.write(send("aaaa", to, alice.ours, "Byte-Range: 1-*/100000\n", strings.Repeat("x", 100000)))
		alice.response("aaaa", frame.StatusOK)
		synctest.Wait() // all of that is on its way
		alice.write("MSRP bbbb SEND\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\nMessage-ID: m-b\nByte-Range: 1-10/10\nContent-Type: text/plain\n\n01234")
		synctest.Wait()
		for n := 0; n < 100000; {
			n += len(bob.read().body)
		}
		bob.silent()
		alice.write("56789\n-------bbbb$\n")
		alice.response("bbbb", frame.StatusOK)
		if g := bob.read(); g.body != "0123456789" || g.Range != (frame.Range{Start: 1, End: 10, Total: 10}) || g.flag != frame.Complete {
			t.Errorf("bob got %v %q, flag %c", g.Range, g.body, g.flag)
		}
	})
}
