package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A Capture records what is sent on the loopback interface, by this test and by
// any other that runs at the same time.
type Capture struct {
	Path string // of the pcapng file

	p    *process
	mark string // text of the packets by which it is known to be listening
	n    int
}

// StartCapture records until the test ends or Stop. It needs the right to
// capture, which root has and dumpcap may be given with setcap.
func StartCapture(t testing.TB) *Capture {
	t.Helper()
	path := program(t, "dumpcap", "tshark")
	dir := t.TempDir()
	c := &Capture{Path: filepath.Join(dir, "lo.pcapng"), mark: fmt.Sprintf("%s %d", t.Name(), time.Now().UnixNano())}
	// With its 2 MiB it loses packets where much is sent at a time.
	c.p = start(t, dir, nil, path, "-q", "-B", "64", "-i", "lo", "-f", "host 127.0.0.1 or host ::1", "-w", c.Path)
	c.p.ready(t, func() bool { return c.caught(t) })
	return c
}

// Stop ends the recording. What was sent before Stop is in it.
func (c *Capture) Stop(t testing.TB) {
	t.Helper()
	c.n++
	c.p.ready(t, func() bool { return c.caught(t) })
	c.p.stop()
}

// caught sends a packet to nobody, and says whether an earlier one with the
// same text has reached the file. Packets reach it in the order they were sent.
func (c *Capture) caught(t testing.TB) bool {
	t.Helper()
	text := fmt.Sprintf("%s %d", c.mark, c.n)
	conn, err := net.Dial("udp", "127.0.0.1:9") // discard, RFC 863
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Nobody listens: a write reports the ICMP message for the one before it.
	_, _ = conn.Write([]byte(text))
	b, err := os.ReadFile(c.Path)
	return err == nil && bytes.Contains(b, []byte(text))
}
