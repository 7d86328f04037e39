package relay_test

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

const (
	first  = "r1.example.com"
	second = "r2.example.com"
)

// A deaf has the paths of receivers that take nothing, one after the other, as those of a client of
// the first relay with a URI.
var deaf = map[string]func(w *world, p *raw, uri string) (next func(i int) string){
	"clients": func(w *world, _ *raw, uri string) func(i int) string {
		var paths []string
		for i := range 8 {
			d := w.dial(fmt.Sprint("deaf", i), second)
			paths = append(paths, uri+" "+d.auth("carol", "msrp://"+second+";tcp")+" "+d.ours)
		}
		return func(i int) string { return paths[i%len(paths)] }
	},
	"clients of which there is one at a time": func(w *world, _ *raw, uri string) func(i int) string {
		var d *raw
		return func(i int) string {
			if d != nil {
				d.nc.Close()
				time.Sleep(time.Second)
			}
			d = w.dial("deaf", second)
			return uri + " " + d.auth("carol", "msrp://"+second+";tcp") + " " + d.ours
		}
	},
	"peers": func(w *world, p *raw, uri string) func(i int) string {
		path := p.auth("carol", uri+" msrp://"+second+":2855;tcp")
		for i := range 8 {
			w.listen(fmt.Sprint("deaf", i))
		}
		return func(i int) string { return path + " msrp://deaf" + strconv.Itoa(i%8) + ":2855/x;tcp" }
	},
}

// Two relays have one connection for all their users. Receivers that take nothing hold up what others
// send over it for 20 seconds, once, however many receivers the same user has.
func TestManyWhoTakeNothingBehindOneConnection(t *testing.T) {
	for kind, receivers := range deaf {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.relay(first, relay.Config{})
				w.relay(second, relay.Config{})
				carol, c := w.client("carol", first)
				alice, a := w.client("alice", first)
				bob, b := w.client("bob", second)
				next := receivers(w, carol, c)
				done := make(chan struct{})
				var wg sync.WaitGroup
				wg.Go(func() {
					path := ""
					for n := 0; ; n++ {
						if n%30 == 0 { // 3 MB for each in turn
							path = next(n / 30)
						}
						carol.nc.SetWriteDeadline(time.Now().Add(time.Hour))
						text := send("cccc", path, carol.ours, "Failure-Report: no\n", strings.Repeat("x", 100_000))
						if _, err := carol.nc.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
							return
						}
						select {
						case <-done:
							return
						case <-time.After(50 * time.Millisecond):
						}
					}
				})
				time.Sleep(time.Second)
				held := 0
				for range 60 {
					began := time.Now()
					alice.write(send("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: no\n", "hi"))
					body := ""
					for flag := frame.Flag(0); flag != frame.Complete; { // its end may come by itself
						g, err := bob.tryRead(time.Minute)
						if err != nil {
							t.Fatal(err)
						}
						body, flag = body+g.body, g.flag
					}
					if body != "hi" {
						t.Fatalf("bob got %q", body)
					}
					switch took := time.Since(began); {
					case took > 21*time.Second:
						t.Errorf("a message took %v, want no more than 20s", took)
					case took > time.Second:
						held++
					}
					time.Sleep(time.Second)
				}
				if held != 1 {
					t.Errorf("%d messages of others were held up, want 1", held)
				}
				close(done)
				wg.Wait()

				// Who is slow, and another user, is waited for as ever.
				const size = 2 << 20
				wg.Go(func() {
					for range size / 8192 {
						alice.write(send("bbbb", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: no\n", strings.Repeat("y", 8192)))
					}
				})
				bob.in = frame.NewReader(&slow{bob.nc, 8000, time.Second})
				for n := 0; n < size; {
					n += len(bob.read().body)
				}
				wg.Wait()
			})
		})
	}
}

// Where several users have sent to one that takes nothing nobody knows whose fault that is, and each of them is waited for
// as before.
func TestManyWhoSendToOneThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(first, relay.Config{})
		w.relay(second, relay.Config{})
		alice, a := w.client("alice", first)
		carol, c := w.client("carol", first)
		a, c = alice.auth("alice", a+" msrp://"+second+":2855;tcp"), carol.auth("carol", c+" msrp://"+second+":2855;tcp")
		w.listen("deaf")
		l := w.listen("bob")
		alice.write(send("aaaa", a+" msrp://deaf:2855/x;tcp", alice.ours, "", strings.Repeat("x", 400_000)))
		alice.response("aaaa", frame.StatusOK)
		carol.write(send("bbbb", c+" msrp://deaf:2855/x;tcp", carol.ours, "Failure-Report: partial\n", strings.Repeat("x", 1_500_000)))
		for _, p := range []*raw{alice, carol} {
			if g := p.read(); g.Report != frame.StatusTimeout {
				t.Errorf("%s got %+v, want a REPORT of 408", p.name, g.Head)
			}
		}
		const size = 1_500_000
		carol.write(send("cccc", c+" msrp://bob:2855/x;tcp", carol.ours, "Failure-Report: no\n", strings.Repeat("y", size)))
		bob := w.accept("bob", l)
		bob.in = frame.NewReader(&slow{bob.nc, 8000, time.Second})
		n := 0
		for flag := frame.Continued; flag == frame.Continued; {
			g := bob.read()
			n, flag = n+len(g.body), g.flag
		}
		if n != size {
			t.Errorf("bob got %d bytes, want %d", n, size)
		}
	})
}

// Nor do requests that one user's receiver reads and answers none of: they wait for responses on the connection of
// all, and would have no chunk written there. Beyond what a user may have of them they get 408 at once.
func TestRequestsThatNobodyAnswersBehindOneConnection(t *testing.T) {
	for _, paths := range []int{0, 13} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(first, relay.Config{})
			w.relay(second, relay.Config{})
			carol, c := w.client("carol", first)
			alice, a := w.client("alice", first)
			bob, b := w.client("bob", second)
			eve := w.dial("eve", second)
			path := c + " " + eve.auth("carol", "msrp://"+second+";tcp") +
				strings.Repeat(" msrp://eve:2855/"+strings.Repeat("x", 950)+";tcp", paths) + " msrp://eve:2855/e;tcp"
			go io.Copy(io.Discard, eve.nc) // ends with the connection
			var timeouts atomic.Int64
			go func() { // ends with the connection
				for {
					g, err := carol.tryRead(time.Hour)
					if err != nil {
						return
					}
					if g.Status == frame.StatusTimeout {
						timeouts.Add(1)
					}
				}
			}()
			const requests = 5000
			for i := range requests {
				id := fmt.Sprintf("n%05d", i)
				carol.write("MSRP " + id + " NICKNAME\nTo-Path: " + path + "\nFrom-Path: " + carol.ours + "\nUse-Nickname: \"x\"\n-------" + id + "$\n")
			}
			synctest.Wait()
			began := time.Now()
			alice.write(send("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: no\n", "hi"))
			if g := bob.read(); g.body != "hi" || time.Since(began) > time.Second {
				t.Errorf("bob got %q after %v", g.body, time.Since(began))
			}
			if n := timeouts.Load(); n < requests-128 || n == requests {
				t.Errorf("%d of %d requests were refused at once", n, requests)
			}
			time.Sleep(time.Minute)
			if n := timeouts.Load(); n != requests {
				t.Errorf("%d of %d requests have no response", requests-n, requests)
			}
		})
	}
}
