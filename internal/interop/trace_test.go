package interop_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip/trace"
	"github.com/goparley/parley/ua"
)

// tshark decodes every message of the capture that the demo writes, and finds
// no fault in it.
func TestDemoCapture(t *testing.T) {
	interop.Need(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "demo")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/goparley/parley/examples/demo").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	demo := exec.CommandContext(t.Context(), program)
	demo.Dir = dir
	if out, err := demo.CombinedOutput(); err != nil {
		t.Fatalf("the demo: %v\n%s", err, out)
	}
	v := interop.Judge(t, filepath.Join(dir, "demo.pcapng"), nil)
	for _, e := range v.Errors {
		t.Error(e)
	}
	// Two registrations with a challenge each, and their removal: 12. A call
	// over two hops, INVITE 180 200 ACK BYE 200: 12, of which 4 have SDP. More
	// are retransmissions, of a machine that had no time for half a second.
	if v.SIP < 24 || v.SDP < 4 {
		t.Errorf("%d SIP packets, %d of them with SDP, want at least 24 and 4", v.SIP, v.SDP)
	}
}

// The same over TCP, with a message of 100 kB, which takes several segments.
func TestTCPCapture(t *testing.T) {
	interop.Need(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "tcp.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	capture := trace.NewPcapng(file)
	bob := newAgent(t, "sip:bob@127.0.0.1", &ua.Config{
		Trace:     capture.Trace(),
		OnMessage: func(context.Context, ua.Message) error { return nil },
	})
	alice := newAgent(t, "sip:alice@127.0.0.1", &ua.Config{Trace: capture.Trace()})
	target := "sip:bob@" + bob.Addr("tcp").String() + ";transport=tcp"
	for _, size := range []int{10, 100000, 10} {
		if err := alice.Message(t.Context(), target, "text/plain", string(make([]byte, size))); err != nil {
			t.Fatal(err)
		}
	}
	alice.Close()
	bob.Close()
	if err := capture.Close(); err != nil {
		t.Fatal(err)
	}
	v := interop.Judge(t, file.Name(), nil)
	for _, e := range v.Errors {
		t.Error(e)
	}
	if v.SIP != 6 {
		t.Errorf("%d SIP packets, want 6", v.SIP)
	}
}
