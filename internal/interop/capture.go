package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	c.p = start(t, dir, nil, path, "-q", "-i", "lo", "-f", "host 127.0.0.1", "-w", c.Path)
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

// Verdict is what Wireshark's dissectors found in a capture.
type Verdict struct {
	SIP, SDP, RTP, RTCP int      // packets of each protocol
	Errors              []string // malformed packets and errors of Wireshark's experts, one line each
}

// Judge lets tshark dissect a capture, and reports errors in SIP, SDP, RTP and
// RTCP. tshark knows SIP by its start line, on any port; at the addresses
// given everything is taken for SIP.
func Judge(t testing.TB, path string, sip ...string) Verdict {
	t.Helper()
	tshark := program(t, "tshark", "tshark")
	args := []string{"-r", path, "-T", "fields", "-E", "separator=|",
		"-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.malformed", "-e", "_ws.expert.severity",
		"-e", "_ws.expert.message", "-e", "_ws.col.Info"}
	for _, addr := range sip {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "-d", "udp.port=="+port+",sip", "-d", "tcp.port=="+port+",sip")
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tshark, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark: %v\n%s", err, errs.String())
	}
	var v Verdict
	for s := bufio.NewScanner(&out); s.Scan(); {
		f := strings.SplitN(s.Text(), "|", 6)
		if len(f) != 6 {
			continue
		}
		protocols := strings.Split(f[1], ":")
		if slices.Contains(protocols, "icmp") { // quotes a packet that nobody took
			continue
		}
		ours := false
		count := func(n *int, name string) {
			if slices.Contains(protocols, name) {
				*n++
				ours = true
			}
		}
		count(&v.SIP, "sip")
		count(&v.SDP, "sdp")
		count(&v.RTP, "rtp")
		count(&v.RTCP, "rtcp")
		// What others send on this interface is not judged: their own protocols,
		// or what tshark takes for one because of a port.
		if ours && (f[2] != "" || strings.Contains(f[3], "8388608")) { // PI_ERROR of Wireshark's epan/proto.h
			v.Errors = append(v.Errors, fmt.Sprintf("frame %s (%s): %s: %s", f[0], f[1], f[4], f[5]))
		}
	}
	return v
}
