package interop

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A Namespace is a network of its own on this machine: interfaces, addresses and
// ports that nothing outside of it sees. What is made in it stays in it, a
// socket and a process alike, so one test may have sockets in several.
//
// It opens sockets as *net.ListenConfig and *net.Dialer do, for addresses that
// are numeric.
type Namespace struct {
	do   chan func()
	path string // under which other processes find it
}

// NewNamespace makes a network in which there is only a loopback interface. It
// needs root, or a user namespace in which we are root.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	n := &Namespace{do: make(chan func())}
	made := make(chan error)
	// Ends when the test does. The thread has left our network for good, so it
	// is never given back, and ends with its goroutine.
	go func() {
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		made <- err
		if err != nil {
			return
		}
		for f := range n.do {
			f()
		}
	}()
	if err := <-made; err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.do) })
	var file *os.File
	var err error
	n.Do(func() { file, err = os.Open("/proc/thread-self/ns/net") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	n.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd())
	n.ip(t, "link set lo up")
	return n
}

// Do runs f in the namespace and returns when it has. Sockets that f opens and
// processes that it starts belong there; goroutines that it starts do not. f
// must not end the test.
func (n *Namespace) Do(f func()) {
	done := make(chan struct{})
	n.do <- func() { defer close(done); f() }
	<-done
}

// in runs f in a namespace, or where we are if it is nil.
func in(n *Namespace, f func()) {
	if n == nil {
		f()
	} else {
		n.Do(f)
	}
}

// ListenPacket opens a UDP socket in the namespace.
func (n *Namespace) ListenPacket(ctx context.Context, network, address string) (c net.PacketConn, err error) {
	n.Do(func() { c, err = new(net.ListenConfig).ListenPacket(ctx, network, address) })
	return c, err
}

// Listen opens a TCP listener in the namespace.
func (n *Namespace) Listen(ctx context.Context, network, address string) (l net.Listener, err error) {
	n.Do(func() { l, err = new(net.ListenConfig).Listen(ctx, network, address) })
	return l, err
}

// DialContext opens a connection from the namespace. While it is being opened
// nothing else can be done there.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	n.Do(func() { c, err = new(net.Dialer).DialContext(ctx, network, address) })
	return c, err
}

// ip runs ip(8) in the namespace.
func (n *Namespace) ip(t testing.TB, args string) {
	t.Helper()
	n.run(t, exec.CommandContext(t.Context(), program(t, "ip", "iproute2"), strings.Fields(args)...))
}

// run runs a short program in the namespace, and fails the test if that fails.
func (n *Namespace) run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	var out []byte
	var err error
	n.Do(func() { out, err = cmd.CombinedOutput() })
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}
