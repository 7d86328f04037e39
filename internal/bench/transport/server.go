package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// usage is what a server uses. Memory is in bytes.
type usage struct {
	CPU        time.Duration // since the process began, that of the system for it included
	Resident   int           // of the process, what it has not touched not counted
	Heap       int           // that can be reached
	Stacks     int
	Runtime    int // all else that the runtime holds, holes of the heap included
	Goroutines int
}

// serve is the process of a server: it says where it listens, and what it uses
// for each line that it reads.
func serve(role string, sockets, live int, profile string) error {
	raiseFiles()
	held := make([]byte, live<<20)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	defer runtime.KeepAlive(held)
	addr, err := startServer(role, sockets)
	if err != nil {
		return err
	}
	if profile != "" {
		if !datagramServer(role) { // whose time counts
			runtime.MemProfileRate = 4096
		}
		out, err := os.Create(profile + ".cpu")
		if err != nil {
			return err
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	fmt.Println(addr)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		tidy, _ := strconv.ParseBool(lines.Text())
		if tidy && profile != "" {
			if err := writeHeap(profile + ".heap"); err != nil {
				return err
			}
		}
		answer, err := json.Marshal(used(tidy))
		if err != nil {
			return err
		}
		fmt.Println(string(answer))
	}
	return nil
}

func datagramServer(role string) bool { return role == "echo" || role == "udp" }

// startServer starts a server on a free port: "echo" sends each datagram back
// as it is; any other is an Endpoint on that transport that answers each
// request with 200.
func startServer(role string, sockets int) (netip.AddrPort, error) {
	if role == "echo" {
		pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return netip.AddrPort{}, err
		}
		go echo(pc) // ends with the process
		return netip.ParseAddrPort(pc.LocalAddr().String())
	}
	cfg := &transport.Config{
		Listen:  []string{role + ":127.0.0.1:0"},
		Sockets: sockets,
		// All peers of a load are on one machine. The limit is looked at for
		// each message all the same.
		MaxRate:  1e9,
		MaxConns: 1e6, MaxConnsPerSource: 1e6,
	}
	if role == "tls" || role == "wss" {
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{siptest.NewAuthority().Certificate("127.0.0.1")}}
	}
	var e *transport.Endpoint
	ready := make(chan struct{}) // closed when e is set
	cfg.Handle = func(in *transport.Inbound) {
		<-ready
		if r, ok := in.Message.(*sip.Request); ok {
			e.Respond(in, r.Reply(sip.StatusOK)) // who waits for it sees an error
		}
	}
	e, err := transport.Listen(cfg)
	if err != nil {
		return netip.AddrPort{}, err
	}
	close(ready)
	return e.Addr(role), nil
}

// echo is the floor for a server in Go.
func echo(pc *net.UDPConn) {
	pc.SetReadBuffer(1 << 20) // as an Endpoint does
	buf := make([]byte, 65536)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		pc.WriteToUDPAddrPort(buf[:n], from)
	}
}

// used returns what this process uses. If memory is asked about, what waits to
// be collected is, and what is free goes back to the system.
func used(tidy bool) usage {
	if tidy {
		for range 3 { // what a pool holds survives two
			runtime.GC()
		}
		debug.FreeOSMemory()
	}
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r) // cannot fail
	u := usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Goroutines: runtime.NumGoroutine()}
	if tidy {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.Heap, u.Stacks = int(m.HeapAlloc), int(m.StackInuse)
		u.Runtime = int(m.Sys-m.HeapReleased) - u.Heap - u.Stacks
		u.Resident = resident()
	}
	return u
}

// resident returns the resident set of this process; 0 if it cannot be told.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize()
}

// raiseFiles takes as many file descriptors as may be had.
func raiseFiles() {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) == nil {
		r.Cur = r.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r) // or there are fewer
	}
}

func writeHeap(name string) error {
	runtime.GC()
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	return pprof.Lookup("heap").WriteTo(out, 0)
}
