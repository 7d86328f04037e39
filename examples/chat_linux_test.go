package examples_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// startAtTerminal runs a program as start does, with a terminal of its own for its input and output.
func startAtTerminal(t *testing.T, program string, args ...string) *process {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	ioctl := func(request uintptr, n *int32) {
		t.Helper()
		conn, err := master.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Control(func(fd uintptr) {
			if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(n))); errno != 0 {
				t.Fatal(errno)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	var locked, number int32
	ioctl(syscall.TIOCSPTLCK, &locked)
	ioctl(syscall.TIOCGPTN, &number)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(program, args...), in: master, done: make(chan error, 1), news: make(chan struct{}, 1)}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go func() { // ends with the program, which holds the other end
		for b := make([]byte, 4096); ; {
			n, err := master.Read(b)
			if err != nil {
				break
			}
			p.mu.Lock()
			p.lines.Write(b[:n])
			p.mu.Unlock()
			select {
			case p.news <- struct{}{}:
			default:
			}
		}
		p.done <- p.cmd.Wait()
		master.Close()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("%s showed:\n%q", program, p.output())
		}
	})
	return p
}

// Bob sits at a terminal, with a key that takes back the last one, and arrows, which go back. Alice takes plain text
// alone, no word of who is writing. What she writes does nothing to his terminal, and leaves the line that he is typing. At ^D
// he has hung up, and the terminal is as it was.
func TestChatAtATerminal(t *testing.T) {
	t.Parallel()
	program, texts := build(t, "chat"), make(chan string, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	alice, address, over := answer(t, nil)
	go func() { // ends with the call
		for m, err := range alice.Messages(ctx) {
			if err != nil {
				return
			}
			text, _ := io.ReadAll(m)
			texts <- string(text)
		}
	}()
	bob := startAtTerminal(t, program, "-listen", "udp:127.0.0.1:0", "sip:bob@127.0.0.1", "sip:alice@"+address)
	bob.says("talking to sip:alice@127.0.0.1")
	bob.says("\r\n> ")

	io.WriteString(bob.in, "Grxx\x7f\x7f\u00dfe\x1b[D\x1b[D\u00fc\x1b[1;5C\r")
	if got := <-texts; got != "Gr\u00fc\u00dfe" {
		t.Errorf("Alice got %q", got)
	}
	bob.says("(delivered)\r\n")

	io.WriteString(bob.in, "and")
	bob.says("> and")
	if err := alice.SendText(ctx, "\x1b]0;owned\a\x1b[2Jhi\r\n(delivered)\u009b2J\u202e"); err != nil {
		t.Fatal(err)
	}
	bob.says("\x1b[Kalice: \ufffd]0;owned\ufffd\ufffd[2Jhi\r\n    (delivered)\ufffd2J\ufffd\r\n> and")

	io.WriteString(bob.in, "\x04") // within a line
	io.WriteString(bob.in, "\x15\x04")
	bob.ends()
	if err := <-over; err == nil || !strings.Contains(err.Error(), "hung up") {
		t.Errorf("the call ended with %v", err)
	}
	if got := bob.output(); !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("the last line is left: %q", got)
	}
}

// A line at a terminal has 4095 characters at most: one that was longer is not sent, as its end is lost, and can be mended. A
// paste that the terminal puts in brackets is a line like others.
func TestChatWithALongLineAtATerminal(t *testing.T) {
	t.Parallel()
	program, texts := build(t, "chat"), make(chan string, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	alice, address, _ := answer(t, nil)
	go func() { // ends with the call
		for m, err := range alice.Messages(ctx) {
			if err != nil {
				return
			}
			text, _ := io.ReadAll(m)
			texts <- string(text)
		}
	}()
	bob := startAtTerminal(t, program, "-listen", "udp:127.0.0.1:0", "sip:bob@127.0.0.1", "sip:alice@"+address)
	bob.says("\r\n> ")
	full := strings.Repeat("\u00fc", 4095)
	io.WriteString(bob.in, full+"xyz\r")
	bob.says("(not sent: ")
	for _, line := range [][2]string{
		{"\x1b[A\x7f\x7f!", full[:len(full)-2] + "!"}, // the line before, its last two characters taken back
		{full, full},
		{"\x1b[200~pasted\x1b[201~", "pasted"},
		{"\x1b[200~with its end\r\x1b[201~", "with its end"},
	} {
		typed, want := line[0], line[1]
		io.WriteString(bob.in, typed+"\r")
		select {
		case got := <-texts:
			if got != want {
				t.Errorf("Alice got %d bytes, %.30q, want %d, %.30q", len(got), got, len(want), want)
			}
		case <-ctx.Done():
			t.Fatalf("%.30q does not come", typed)
		}
	}
	io.WriteString(bob.in, "\x04")
	bob.ends()
}

// Bob stands still, and does not say that he has a message. ^C waits for that, and another one does not.
func TestChatIsInterruptedAtATerminal(t *testing.T) {
	t.Parallel()
	program := build(t, "chat")
	bob, address := waits(t, program, "udp")
	alice := startAtTerminal(t, program, "-listen", "udp:127.0.0.1:0", "sip:alice@127.0.0.1", "sip:bob@"+address)
	alice.says("\r\n> ")
	io.WriteString(alice.in, "hello\r")
	alice.says("(delivered)")
	bob.cmd.Process.Signal(syscall.SIGSTOP)
	io.WriteString(alice.in, "are you there\r")
	timeout := time.After(20 * time.Second)
	for again := time.NewTicker(10 * time.Millisecond); ; { // it may not have left the signal to the terminal yet
		select {
		case <-again.C:
			io.WriteString(alice.in, "\x03")
		case <-alice.done:
			return
		case <-timeout:
			t.Fatal("^C does not end it")
		}
	}
}
