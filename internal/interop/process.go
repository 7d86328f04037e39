package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a running peer, in a process group of its own.
//
// The group is led by a shell that holds the read end of a pipe from us. When
// the pipe closes it ends the peer, first politely and after a second by force,
// which Kamailio needs when a child of it has missed the signal. So stopping a peer is closing a pipe, and a test binary that dies
// without running its cleanups, on a timeout say, leaves nothing behind.
type process struct {
	name  string
	cmd   *exec.Cmd
	alive *os.File      // our end of the pipe
	done  chan struct{} // closed when the peer has ended
	err   error         // how it ended; read after done
	log   string        // path of what it wrote

	stopOnce sync.Once
}

const supervise = `
exec 3<&0
"$@" </dev/null 3<&- &
peer=$!
(cat <&3 >/dev/null; kill -TERM $peer; sleep 1; kill -KILL -$$) 2>/dev/null &
exec 3<&-
wait $peer
`

// start runs a peer in dir until it ends or the test does.
func start(t testing.TB, dir string, env []string, path string, args ...string) *process {
	t.Helper()
	return startIn(t, nil, dir, env, path, args...)
}

// startIn does so in a network namespace; nil is the one that the test runs in.
func startIn(t testing.TB, where *Namespace, dir string, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(path), done: make(chan struct{})}
	log, err := os.CreateTemp(dir, p.name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	p.log = log.Name()
	p.cmd = exec.Command("/bin/sh", append([]string{"-c", supervise, "sh", path}, args...)...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout = log
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.alive = ours // not by StdinPipe, which Wait would close
	p.cmd.Stdin = theirs
	given.Lock()
	in(where, func() { err = p.cmd.Start() })
	given.Unlock()
	log.Close()
	theirs.Close()
	if err != nil {
		ours.Close()
		t.Fatalf("start %s: %v", p.name, err)
	}
	go func() { // ends when the peer does; stop sees to that
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, tail(p.log, 8000))
		}
	})
	return p
}

// stop ends the peer and whatever it started, and waits for that. It may be
// called again.
func (p *process) stop() {
	p.stopOnce.Do(func() {
		if !p.ended() {
			p.alive.Close()
			select {
			case <-p.done:
			case <-time.After(5 * time.Second):
			}
		}
		// The end of the pipe is waited for inside the group, so the group
		// is still there and its number is no other process's.
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
		p.alive.Close()
	})
}

// ended says whether the peer has ended by itself.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ready waits until the peer is, and fails the test if it ends before that or
// takes longer than ten seconds.
func (p *process) ready(t testing.TB, is func() bool) {
	t.Helper()
	if !Eventually(10*time.Second, func() bool { return p.ended() || is() }) {
		t.Fatalf("%s is not ready after 10 s", p.name)
	}
	if p.ended() {
		t.Fatalf("%s ended before it was ready: %v", p.name, p.err)
	}
}

// Eventually asks for a condition every 20 ms until it holds, and returns
// false if it does not within d.
func Eventually(d time.Duration, holds func() bool) bool {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return holds()
		}
	}
	return true
}

// tail returns the last n bytes of a file, for a log.
func tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(b) > n {
		return fmt.Sprintf("[%d bytes before]\n%s", len(b)-n, b[len(b)-n:])
	}
	return string(b)
}
