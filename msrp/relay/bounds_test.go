package relay_test

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// Requests that are no messages do not pile up for a receiver that takes nothing: what finds no room
// fails at once.
func TestOtherRequestsForWhoTakesNothingAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		const requests = 500 // of 10 KB
		go func() {
			for range requests {
				alice.write("MSRP aaaa FUTURE\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours +
					"\nContent-Type: text/plain\n\n" + strings.Repeat("x", 10_000) + "\n-------aaaa$\n")
			}
		}()
		began, refused := time.Now(), 0
		for range requests {
			if alice.response("aaaa", frame.StatusTimeout); time.Since(began) < time.Second {
				refused++
			}
		}
		if refused < requests/2 {
			t.Errorf("%d of %d are refused at once, want most", refused, requests)
		}
	})
}

// Nor do REPORTs, which have no response: what finds no room is lost, as a REPORT may be, and there is room again when
// the receiver takes some.
func TestReportsForWhoTakesNothingAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		report := func(message string) {
			alice.write("MSRP aaaa REPORT\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours + "\nMessage-ID: " + message +
				"\nStatus: 000 200 OK\nContent-Type: text/plain\n\n" + strings.Repeat("x", 10_000) + "\n-------aaaa$\n")
		}
		for range 1000 { // of 10 KB
			report("m")
		}
		n := 0
		for ; ; n++ {
			if _, err := bob.tryRead(time.Second); isTimeout(err) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n < 10 || n > 200 {
			t.Errorf("%d REPORTs of 10 KB have waited, want 10 to 200", n)
		}
		report("last")
		if g := bob.read(); g.MessageID != "last" {
			t.Errorf("then bob got %+v", g.Head)
		}
	})
}

// Memory for a receiver that takes nothing is bounded, however small the chunks are.
func TestMemoryIsBounded(t *testing.T) {
	for _, size := range []int{0, 10, 2048} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.relay(example, relay.Config{})
				alice, a := w.client("alice", example)
				bob, b := w.client("bob", example)
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				text := strings.ReplaceAll(send("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: no\n", strings.Repeat("x", size)), "\n", "\r\n")
				var sent atomic.Int64
				go func() {
					for {
						alice.nc.SetWriteDeadline(time.Time{})
						if _, err := io.WriteString(alice.nc, text); err != nil {
							return
						}
						sent.Add(1)
					}
				}()
				time.Sleep(10 * time.Second)
				runtime.GC()
				runtime.ReadMemStats(&after)
				if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 8<<20 {
					t.Errorf("%d chunks of %d bytes take %d bytes", sent.Load(), size, used)
				}
				alice.nc.Close()
				bob.nc.Close()
			})
		})
	}
}

// Requests that nobody answers count for no longer than their 30 seconds, whatever their Failure-Report, which is of SENDs
// alone (RFC 4975 section 7.1.1).
func TestRequestsWithoutAnswersCountFor30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, path := w.client("alice", example)
		bob := w.dial("bob", example)
		ask := func(id string) {
			bob.write("MSRP " + id + " NICKNAME\nTo-Path: " + path + " " + alice.ours + "\nFrom-Path: " + bob.ours + "\nFailure-Report: partial\n-------" + id + "$\n")
		}
		const many = 200
		go func() {
			for range many {
				ask("many")
			}
		}()
		for range many {
			if g, err := bob.tryRead(time.Minute); err != nil || g.Status != frame.StatusTimeout {
				t.Fatalf("bob got %v, %v, want 408", g.Head, err)
			}
		}
		go func() {
			for { // what nobody has answered
				if g, err := alice.tryRead(time.Minute); err != nil || g.ID == "" {
					return
				} else if _, ok := g.Get("Use-Nickname"); ok {
					alice.answer(g, frame.StatusOK)
				}
			}
		}()
		bob.write("MSRP later NICKNAME\nTo-Path: " + path + " " + alice.ours + "\nFrom-Path: " + bob.ours + "\nUse-Nickname: \"x\"\n-------later$\n")
		bob.response("later", frame.StatusOK)
	})
}

// Nothing is kept of a chunk that has come to its end, be it in order or not, nor of who has sent it.
func TestNothingIsKeptOfChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.relay(example, relay.Config{})
		bob, b := w.client("bob", example)
		for i := range 10 {
			p := w.dial("peer", example)
			p.ours = fmt.Sprintf("msrp://peer.invalid:9/p%d;tcp", i)
			fields := "To-Path: " + b + " " + bob.ours + "\nFrom-Path: " + p.ours + "\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: text/plain\n\n"
			for j, flag := range []string{"$", "+", "#", "$"} {
				p.write("MSRP aaaa SEND\n" + fields + strings.Repeat("x", 3000))
				h, err := bob.in.Next()
				if err != nil {
					t.Fatal(err)
				}
				status := frame.StatusOK
				head := got{Head: h.Clone()}
				if j == 0 { // it fails before its end
					status = frame.StatusStop
					bob.answer(head, status)
					synctest.Wait()
				}
				p.write("\n-------aaaa" + flag + "\n")
				p.response("aaaa", status)
				for err == nil {
					_, err = bob.in.Body()
				}
				if status == frame.StatusOK {
					bob.answer(head, status)
				}
			}
			p.nc.Close()
		}
		synctest.Wait()
		if chunks, pairs := relay.Kept(r); chunks != 0 || pairs != 0 {
			t.Errorf("%d chunks and %d pairs of connections are kept, want none", chunks, pairs)
		}
	})
}

// Nothing is kept of chunks that were combined, when the receiver refuses them before the last has come to its end. The
// rest of that goes nowhere: it would go on with nothing.
func TestNothingIsKeptOfCombinedChunksThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		carol, c := w.client("carol", example)
		const large = 900_000
		go func() { // what is before them has them wait
			alice.write(send("large", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: no\nByte-Range: 1-*/*\n", strings.Repeat("x", large)))
			head := "SEND\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours + "\nMessage-ID: m\nByte-Range: %s/*\nContent-Type: a/b\n\n"
			alice.write(fmt.Sprintf("MSRP aaa1 "+head, "1-2000") + strings.Repeat("1", 2000) + "\n-------aaa1+\n" +
				fmt.Sprintf("MSRP aaa2 "+head, "2001-*") + strings.Repeat("2", 3000))
		}()
		synctest.Wait()
		for n := 0; n < large; {
			n += len(bob.read().body)
		}
		h, err := bob.in.Next()
		if err != nil {
			t.Fatal(err)
		}
		refused := got{Head: h.Clone()}
		for n := 0; n < 5000; {
			piece, err := bob.in.Body()
			if err != nil {
				t.Fatalf("%v after %d bytes, want the chunks combined", err, n)
			}
			n += len(piece)
		}
		bob.answer(refused, frame.StatusStop)
		for err == nil {
			_, err = bob.in.Body()
		}
		if flag := bob.in.Flag(); flag != frame.Aborted {
			t.Errorf("the chunk ends with %c, want #", flag)
		}
		alice.response("aaa1", frame.StatusOK)
		if g := alice.read(); g.Method != frame.REPORT || g.Report != frame.StatusStop {
			t.Errorf("alice got %v, want a REPORT of 413", g.Head)
		}
		carol.write(send("cccc", c+" "+b+" "+bob.ours, carol.ours, "Failure-Report: no\n", "hello"))
		if g := bob.read(); g.body != "hello" {
			t.Errorf("bob got %v %q", g.Head, g.body)
		}
		synctest.Wait()
		alice.write(strings.Repeat("3", 100) + "\n-------aaa2+\n")
		alice.response("aaa2", frame.StatusOK)
		bob.silent()
		if chunks, pairs := relay.Kept(r); chunks != 0 || pairs != 0 {
			t.Errorf("%d chunks and %d pairs of connections are kept, want none", chunks, pairs)
		}
	})
}

// What is remembered of the paths that somebody uses is bounded, however many and long they are.
func TestPathsInBoundedMemory(t *testing.T) {
	for _, c := range []struct{ paths, size int }{{20_000, 300}, {600, 12_000}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			go io.Copy(io.Discard, bob.nc) // ends with the connection
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			long := strings.Repeat("x", c.size/12)
			for i := range c.paths {
				from := strings.Repeat("msrp://"+long+":1/x;tcp ", 11) + "msrp://" + strconv.Itoa(i) + ".invalid:1/" + long + ";tcp"
				alice.write("MSRP aaaa SEND\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + from + "\nMessage-ID: m\nFailure-Report: no\n-------aaaa$\n")
			}
			synctest.Wait()
			runtime.GC()
			runtime.ReadMemStats(&after)
			if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 4<<20 {
				t.Errorf("%d paths of %d bytes take %d bytes", c.paths, c.size, used)
			}
			alice.silent()
		})
	}
}
