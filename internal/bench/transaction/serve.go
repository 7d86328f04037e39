package main

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

// roles are the servers that this program can be.
var roles = map[string]func(addr string) error{
	"floor":  func(addr string) error { go floor(addr); return nil }, // ends with the process
	"parley": uas,
	"sipgo":  sipgoUAS,
	"relay": func(addr string) error {
		_, err := relay(serverConfig(addr))
		return err
	},
	"forwarder": func(addr string) error {
		_, err := newForwarder(serverConfig(addr), addr)
		return err
	},
	"sipgo-proxy": sipgoProxy,
}

// runtimeUse is what a Go server says of itself. Memory is in bytes.
type runtimeUse struct {
	Heap        int // that can be reached, or waits to be collected
	Stacks      int
	Goroutines  int
	Collections int
	Collecting  time.Duration // CPU time of the collector
}

// serve is the process of a server: it says when it listens, and what it uses
// for each line that it reads. It ends with its input.
func serve(role, addr, profile string) error {
	begin, ok := roles[role]
	if !ok {
		return fmt.Errorf("no server of that kind")
	}
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
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		tidy, _ := strconv.ParseBool(lines.Text())
		answer, err := json.Marshal(used(tidy))
		if err != nil {
			return err
		}
		fmt.Println(string(answer))
	}
	return nil
}

// used returns what this process uses. With tidy, what waits to be collected is,
// and what is free goes back to the system.
func used(tidy bool) runtimeUse {
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
	return runtimeUse{
		Heap: int(m.HeapAlloc), Stacks: int(m.StackInuse), Goroutines: runtime.NumGoroutine(), Collections: int(m.NumGC),
		Collecting: time.Duration(collecting[0].Value.Float64() * 1e9),
	}
}

func writeHeap(name string) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	return pprof.Lookup("heap").WriteTo(out, 0)
}
