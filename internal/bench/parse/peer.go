package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// work is what a peer does with a message. Only figures of the same work may be
// compared.
type work string

const (
	reference work = "ref"     // something simpler, to know what the machine gives
	parsing   work = "parse"   // bytes to message
	reading   work = "read"    // the same, and what transactions and dialogs need is read
	stream    work = "stream"  // the next message off a stream
	building  work = "build"   // answer a request that is parsed with 200 and SDP, and write that
	forward   work = "forward" // a proxy's four edits of a request that is parsed, and write that
)

// peer does one work on one message.
type peer struct {
	work work
	name string
	run  func(slice time.Duration) (sample, error)
}

// sample is what one message took on average in one slice of time.
type sample struct {
	ns            float64 // of CPU time, all threads of the process
	allocs, bytes float64
}

// task is a peer that runs in this process: it handles the message once and
// returns a number that depends on what it found. 0 means that it failed.
type task struct {
	work work
	name string
	once func() int
}

func (t task) peer() peer { return peer{t.work, t.name, t.run} }

// run handles the message over and over for a slice of time. Times are CPU time
// of the process: what the collector does on other cores is in it, and what
// other programs of a busy machine do is not.
func (t task) run(slice time.Duration) (sample, error) {
	if t.once() == 0 {
		return sample{}, fmt.Errorf("%s: %s failed", t.work, t.name)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, batch := 0, 16
	start := cpuTime()
	took := time.Duration(0)
	for took < slice {
		for range batch {
			t.once()
		}
		n += batch
		last := took
		took = cpuTime() - start
		if took-last < slice/50 { // looking at the clock must not count
			batch *= 2
		}
	}
	runtime.ReadMemStats(&after)
	per := 1 / float64(n)
	return sample{
		ns:     float64(took.Nanoseconds()) * per,
		allocs: float64(after.Mallocs-before.Mallocs) * per,
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) * per,
	}, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
