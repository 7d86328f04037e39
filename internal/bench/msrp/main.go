// Command msrp measures MSRP sessions and relays beside plain TCP over the loopback interface in the
// same run: what they move, and what idle sessions take. All ends are in this process.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

func main() {
	mode := flag.String("mode", "all", "session, idle, or all")
	rounds := flag.Int("rounds", 5, "rounds, of which the median counts")
	size := flag.Int64("size", 1<<30, "bytes moved in each round")
	only := flag.String("only", "", "of the ways to move bytes, those with this in their names")
	profile := flag.String("cpuprofile", "", "file to write a CPU profile to")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		check(err)
		check(pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}
	if *mode == "all" || *mode == "session" {
		sessions(*rounds, *size, *only)
	}
	if *mode == "all" || *mode == "idle" {
		idle(10_000, 100)
	}
}

// A way is one way to move bytes.
type way struct {
	name string
	move func(size int64) error
}

// sessions prints what moves in a second, in turns so that all have the same machine.
func sessions(rounds int, size int64, only string) {
	ways := []way{
		{"plain TCP, writes of 64 KB", plain},
		{"session, chunks of 2 KB, each answered", session(2048, frame.FailureReportYes)},
		{"session, chunks of 2 KB, failures answered", session(2048, frame.FailureReportPartial)},
		{"session, chunks of 8 KB, each answered", session(8192, frame.FailureReportYes)},
		{"session, one chunk", session(0, frame.FailureReportYes)},
		{"plain forwarder, 64 KB", forwarder},
		{"relay, chunks of 2 KB, each answered", relayed(2048, frame.FailureReportYes)},
		{"relay, chunks of 8 KB, each answered", relayed(8192, frame.FailureReportYes)},
		{"relay, chunks of 64 KB, each answered", relayed(64<<10, frame.FailureReportYes)},
		{"relay, chunks of 64 KB, not answered", relayed(64<<10, frame.FailureReportNo)},
	}
	ways = slices.DeleteFunc(ways, func(w way) bool { return !strings.Contains(w.name, only) })
	rates, cpu := make([][]float64, len(ways)), make([][]float64, len(ways))
	for range rounds {
		for i, w := range ways {
			used, start := cpuTime(), time.Now()
			check(w.move(size))
			rates[i] = append(rates[i], float64(size)/1e6/time.Since(start).Seconds())
			cpu[i] = append(cpu[i], float64((cpuTime()-used).Milliseconds())/(float64(size)/1e9))
		}
	}
	fmt.Println("| way | MB/s | of plain TCP | CPU ms per GB, both ends |\n|---|--:|--:|--:|")
	for i, w := range ways {
		fmt.Printf("| %s | %.0f | %.0f %% | %.0f |\n", w.name, median(rates[i]), 100*median(rates[i])/median(rates[0]), median(cpu[i]))
	}
}

// plain moves bytes over a bare connection.
func plain(size int64) error {
	return bare(size, func(addr string) (string, func()) { return addr, func() {} })
}

// forwarder moves them by a program that copies from one connection to another.
func forwarder(size int64) error {
	return bare(size, func(addr string) (string, func()) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		check(err)
		go func() {
			from, err := l.Accept()
			if err != nil {
				return
			}
			defer from.Close()
			to, err := net.Dial("tcp4", addr)
			check(err)
			defer to.Close()
			// Without splice, which moves pages and looks at no byte.
			io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 64<<10))
		}()
		return l.Addr().String(), func() { l.Close() }
	})
}

// bare moves bytes by way of what by returns for the address of their destination.
func bare(size int64, by func(addr string) (string, func())) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	addr, done := by(l.Addr().String())
	defer done()
	got := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- err
			return
		}
		defer c.Close()
		buf := make([]byte, 64<<10)
		for n := int64(0); n < size; {
			k, err := c.Read(buf)
			if n += int64(k); err != nil {
				got <- err
				return
			}
		}
		got <- nil
	}()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, 64<<10)
	for n := int64(0); n < size; n += int64(len(buf)) {
		if _, err := c.Write(buf); err != nil {
			return err
		}
	}
	return <-got
}

// endless gives so many bytes of nothing.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	e.left -= n
	return int(n), nil
}

// session moves bytes as one message of a session that has been connected before.
func session(chunk int64, report frame.FailureReport) func(int64) error {
	return func(size int64) error {
		a, b, done := pair(&msrp.SessionConfig{MaxChunk: chunk}, nil)
		defer done()
		return move(a, b, size, report)
	}
}

// relayed moves them by a relay of the sender's.
func relayed(chunk int64, report frame.FailureReport) func(int64) error {
	return func(size int64) error {
		r, err := relay.New(&relay.Config{
			Listen: []string{"tcp:127.0.0.1:0"}, Domain: "example.com", PlainAUTH: true,
			Password: relay.Passwords(map[string]string{"alice": "secret"}),
		})
		check(err)
		defer r.Close()
		a, b, done := pair(&msrp.SessionConfig{MaxChunk: chunk}, []msrp.Relay{{
			URI: "msrp://" + r.Addr("tcp").String() + ";tcp", Username: "alice", Password: "secret",
		}})
		defer done()
		return move(a, b, size, report)
	}
}

// move sends a message from one session to the other, and waits until all of it is there.
func move(a, b *msrp.Session, size int64, report frame.FailureReport) error {
	ctx := context.Background()
	got := make(chan error, 1)
	go func() {
		for m, err := range b.Messages(ctx) {
			if err == nil {
				var n int64
				n, err = io.Copy(io.Discard, m)
				if err == nil && n != size {
					err = fmt.Errorf("%d bytes, want %d", n, size)
				}
			}
			got <- err
			return
		}
	}()
	err := a.Send(ctx, &msrp.Message{ContentType: "application/octet-stream", Body: &endless{size}, Size: size, FailureReport: report, SuccessReport: true})
	if err != nil {
		return err
	}
	return <-got
}

// pair connects two sessions over the loopback interface, the first by relays if there are any.
func pair(cfg *msrp.SessionConfig, relays []msrp.Relay) (a, b *msrp.Session, done func()) {
	listen := func(relays []msrp.Relay) *msrp.Endpoint {
		e, err := msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}, Relays: relays})
		check(err)
		return e
	}
	one, two := listen(relays), listen(nil)
	c := *cfg
	c.AcceptTypes = []string{"*"}
	a, b = msrp.NewSession(one, &c), msrp.NewSession(two, &c)
	connect(a, b)
	return a, b, func() { one.Close(); two.Close() }
}

func connect(a, b *msrp.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	pa, err := a.Path(ctx)
	check(err)
	pb, err := b.Path(ctx)
	check(err)
	check(b.Connect(ctx, pa, false))
	check(a.Connect(ctx, pb, true))
	check(b.Connected(ctx))
}

// idle prints what so many sessions take on so many connections, both ends in this process.
func idle(sessions, conns int) {
	ends := make([]*msrp.Endpoint, conns+1)
	for i := range ends {
		var err error
		ends[i], err = msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}})
		check(err)
		defer ends[i].Close()
	}
	memory, routines := inUse()
	all := make([]*msrp.Session, 0, 2*sessions)
	for i := range sessions {
		a, b := msrp.NewSession(ends[0], nil), msrp.NewSession(ends[1+i%conns], nil)
		connect(a, b)
		all = append(all, a, b)
	}
	more, now := inUse()
	fmt.Printf("\n%d idle sessions on %d connections: %.2f KB for each end, %d goroutines more\n",
		sessions, conns, float64(more-memory)/1024/float64(2*sessions), now-routines)
	runtime.KeepAlive(all)
}

// inUse returns bytes in use on the heap and the stacks, and goroutines.
func inUse() (uint64, int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse, runtime.NumGoroutine()
}

func cpuTime() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
