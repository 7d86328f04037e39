package examples_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/ua"
)

// scribble writes a file that nobody guesses, and returns it with its path and hash.
func scribble(t *testing.T, name string, size int) (path string, octets []byte, hash string) {
	t.Helper()
	octets = make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(octets)
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(octets)
	return path, octets, file.Hash{Algorithm: file.SHA256, Sum: sum[:]}.String()
}

// arrived checks that a file is in a directory, and that nothing else is.
func arrived(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if got, err := os.ReadFile(filepath.Join(dir, e.Name())); err != nil || !bytes.Equal(got, want[e.Name()]) {
			t.Errorf("%s has %d bytes, %v, want %d others", e.Name(), len(got), err, len(want[e.Name()]))
		}
	}
	if len(entries) != len(want) {
		t.Errorf("there are %d files, want %d", len(entries), len(want))
	}
}

func TestSendFiles(t *testing.T) {
	t.Parallel()
	program, inbox, address := build(t, "sendfile"), t.TempDir(), freePort(t)
	bob := start(t, program, "-listen", "udp:"+address+",tcp:"+address, "-dir", inbox, "sip:bob@127.0.0.1")
	bob.says("waiting for files")
	one, a, hashOne := scribble(t, "one.bin", 3<<20)
	two, b, hashTwo := scribble(t, "two.txt", 10)
	alice := start(t, program, "-listen", "udp:127.0.0.1:0,tcp:127.0.0.1:0", "-tls", "-to", "sip:bob@"+address, one, two)
	alice.says("sent one.bin: 3145728 octets")
	alice.says(hashOne)
	alice.says(hashTwo)
	alice.ends()
	bob.says("received " + filepath.Join(inbox, "two.txt") + ": 10 octets")
	bob.says(hashOne)
	bob.says(hashTwo)
	arrived(t, inbox, map[string][]byte{"one.bin": a, "two.txt": b})
	bob.interrupt()
}

// A narrow network stops after so many bytes, until it is opened.
type narrow struct {
	net.Dialer
	net.ListenConfig
	left int
	open chan struct{}
	conn chan net.Conn // gets those that are made
}

type narrowConn struct {
	net.Conn
	n  *narrow
	mu sync.Mutex
}

func (n *narrow) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := n.Dialer.DialContext(ctx, network, address)
	n.conn <- c
	return &narrowConn{Conn: c, n: n}, err
}

func (c *narrowConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.n.left -= len(p)
	over := c.n.left < 0
	c.mu.Unlock()
	if over {
		<-c.n.open
	}
	return c.Conn.Write(p)
}

// sticks has Alice send a file of 32 MiB, of which 16 MiB arrive in a directory, and then no more until the test
// ends.
func sticks(t *testing.T, path, address, inbox string) (*narrow, *file.Sender) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	n := &narrow{left: 20 << 20, open: make(chan struct{}), conn: make(chan net.Conn, 8)}
	ep, err := msrp.New(&msrp.Config{Network: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	t.Cleanup(func() { close(n.open) })
	push, err := file.Push(ep, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := ua.New("sip:alice@127.0.0.1", &ua.Config{Listen: []string{"udp:127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
	if _, err := agent.Invite(ctx, "sip:bob@"+address, &ua.InviteOptions{Streams: []ua.Stream{push}}); err != nil {
		t.Fatal(err)
	}
	var there int64
	for there < 16<<20 {
		if parts, _ := filepath.Glob(filepath.Join(inbox, ".*.part")); len(parts) == 1 {
			if info, err := os.Stat(parts[0]); err == nil {
				there = info.Size()
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d bytes are there", there)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return n, push
}

// The receiver is killed in the middle of a file. When it runs again, and the file is sent again, it has the
// rest sent, and the hash is that of the whole.
func TestSendFileAfterAKill(t *testing.T) {
	t.Parallel()
	program, inbox, address := build(t, "sendfile"), t.TempDir(), freePort(t)
	path, octets, hash := scribble(t, "film.bin", 32<<20)
	receiver := func() *process {
		bob := start(t, program, "-listen", "udp:"+address+",tcp:"+address, "-dir", inbox, "sip:bob@127.0.0.1")
		bob.says("waiting for files")
		return bob
	}
	bob := receiver()
	_, push := sticks(t, path, address, inbox)
	bob.cmd.Process.Kill()
	<-bob.done
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := push.Wait(ctx); err == nil {
		t.Error("the file is sent to nobody")
	}

	bob = receiver()
	alice := start(t, program, "-listen", "udp:127.0.0.1:0", "-tls", "-to", "sip:bob@"+address, path)
	alice.says("goes on at octet")
	alice.says(fmt.Sprintf("sent film.bin: %d octets", len(octets)))
	alice.ends()
	bob.says("goes on at octet")
	bob.says(hash)
	arrived(t, inbox, map[string][]byte{"film.bin": octets})
	bob.interrupt()
}

// The sender is killed in the middle of a file: its connection is lost, and it says no BYE. The receiver, which
// runs on, says so on a line of its own and has the rest sent when the file is sent again.
func TestSendFileAfterTheSenderIsKilled(t *testing.T) {
	t.Parallel()
	program, inbox, address := build(t, "sendfile"), t.TempDir(), freePort(t)
	path, octets, hash := scribble(t, "film.bin", 32<<20)
	bob := start(t, program, "-listen", "udp:"+address+",tcp:"+address, "-dir", inbox, "sip:bob@127.0.0.1")
	bob.says("waiting for files")
	n, _ := sticks(t, path, address, inbox)
	(<-n.conn).Close()
	bob.says("\r\x1b[Kreceive film.bin: ")

	alice := start(t, program, "-listen", "udp:127.0.0.1:0", "-to", "sip:bob@"+address, path)
	alice.says("goes on at octet")
	alice.says(fmt.Sprintf("sent film.bin: %d octets", len(octets)))
	alice.ends()
	bob.says("goes on at octet")
	bob.says(hash)
	arrived(t, inbox, map[string][]byte{"film.bin": octets})
	bob.cmd.Process.Signal(syscall.SIGTERM)
	bob.ends()
}

// A mortal network is that of a process that may be killed, or cut off: then it sends no more datagrams.
type mortal struct {
	net.Dialer
	net.ListenConfig
	dead atomic.Bool
}

type mortalConn struct {
	net.PacketConn
	n *mortal
}

func (n *mortal) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := n.ListenConfig.ListenPacket(ctx, network, address)
	return mortalConn{c, n}, err
}

func (c mortalConn) WriteTo(p []byte, to net.Addr) (int, error) {
	if c.n.dead.Load() {
		return len(p), nil
	}
	return c.PacketConn.WriteTo(p, to)
}

// stuck is Bob, who has taken the first octets of a file from Alice, takes no more, and answers nothing any more. kill ends
// his connection as well.
func stuck(t *testing.T) (alice *process, kill func()) {
	t.Helper()
	n, begun, over := &mortal{}, make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	ep, err := msrp.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	agent, err := ua.New("sip:bob@127.0.0.1", &ua.Config{Listen: []string{"udp:127.0.0.1:0"}, Network: n, OnInvite: func(ctx context.Context, in *ua.Invitation) {
		call, err := in.Answer(ctx, file.Receive(ep, dir, &file.ReceiveOptions{MaxSize: 1 << 40, Progress: func(n, _ int64) {
			if n > 0 {
				begin()
				<-over
			}
		}}))
		if err != nil {
			t.Error(err)
			return
		}
		<-call.Done()
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
	t.Cleanup(func() { close(over) })
	path, _, _ := scribble(t, "film.bin", 32<<20)
	alice = start(t, build(t, "sendfile"), "-listen", "udp:127.0.0.1:0", "-to", "sip:bob@"+agent.Addr("udp").String(), path)
	select {
	case <-begun:
	case <-time.After(20 * time.Second):
		t.Fatal("the file does not come")
	}
	n.dead.Store(true)
	return alice, func() { ep.Close() }
}

// Who receives is killed. The sender says at once what has become of the file, and soon gives up to wait until the BYE
// is answered.
func TestSendFileToWhoIsKilled(t *testing.T) {
	t.Parallel()
	alice, kill := stuck(t)
	kill()
	alice.says("send film.bin: ")
	alice.fails()
}

// Who receives does so no more. ^C ends the sender, which has failed, soon; a second one at once.
func TestSendFileIsInterrupted(t *testing.T) {
	t.Parallel()
	alice, _ := stuck(t)
	alice.cmd.Process.Signal(os.Interrupt)
	alice.says("send film.bin: ")
	alice.says("1 of 1 files not sent")
	alice.fails()

	alice, _ = stuck(t)
	alice.cmd.Process.Signal(os.Interrupt)
	alice.says("send film.bin: ")
	for again := time.NewTicker(10 * time.Millisecond); ; { // it may not have left the signal to the system yet
		select {
		case <-again.C:
			alice.cmd.Process.Signal(os.Interrupt)
		case err := <-alice.done:
			if err == nil || err.Error() != "signal: interrupt" {
				t.Errorf("a second ^C ends it with %v", err)
			}
			return
		}
	}
}
