package rig

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"time"
)

// Use is what a Go server says of itself. Memory is in bytes.
type Use struct {
	Heap        int // that can be reached, or waits to be collected
	Stacks      int
	Goroutines  int
	Collections int
	Collecting  time.Duration // CPU time of the collector
}

// reply is what a server answers a line with.
type reply struct {
	Error  string
	Result json.RawMessage
}

// Serve is the process of a server, whose role begin begins: it says when that
// listens, and what it uses for each line of its input that is true or false, tidied
// up or not. Any other line is an order, in JSON, for the role to follow, with a
// result; order may be nil. Serve returns at the end of the input.
//
// Unless profile is "", a profile of the CPU time and, whenever it is to tidy up,
// one of the heap are written to files whose names begin so: in HoldTable the third
// of them is that with the calls up. GODEBUG=memprofilerate=4096 makes them finer.
func Serve(role, addr, profile string, begin func(addr string) error, order func(text []byte) (any, error)) error {
	if err := begin(addr); err != nil {
		return err
	}
	if profile != "" {
		out, err := os.Create(profile + "." + role + ".cpu")
		if err != nil {
			return err
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	fmt.Println("ready")
	tidied := 0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var result any
		tidy, err := strconv.ParseBool(lines.Text())
		switch {
		case err == nil:
			result = Used(tidy)
			if tidy && profile != "" {
				tidied++
				if err := WriteHeap(fmt.Sprintf("%s.%s.heap%d", profile, role, tidied)); err != nil {
					return err
				}
			}
			err = nil
		case order != nil:
			result, err = order(lines.Bytes())
		}
		if err := answer(result, err); err != nil {
			return err
		}
	}
	return nil
}

func answer(result any, failed error) error {
	var r reply
	text, err := json.Marshal(result)
	if r.Result = text; failed != nil {
		r.Error = failed.Error()
	}
	if err == nil {
		text, err = json.Marshal(r)
	}
	if err == nil {
		fmt.Println(string(text))
	}
	return err
}

// Used returns what this process uses. With tidy, what waits to be collected is,
// and what is free goes back to the system.
func Used(tidy bool) Use {
	if tidy {
		for range 3 { // what a pool holds survives two
			runtime.GC()
		}
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	collecting := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(collecting)
	return Use{
		Heap: int(m.HeapAlloc), Stacks: int(m.StackInuse), Goroutines: runtime.NumGoroutine(), Collections: int(m.NumGC),
		Collecting: time.Duration(collecting[0].Value.Float64() * 1e9),
	}
}

// WriteHeap writes a profile of the heap to a file.
func WriteHeap(name string) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	return pprof.Lookup("heap").WriteTo(out, 0)
}
