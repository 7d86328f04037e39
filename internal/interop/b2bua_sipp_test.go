package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
)

// startB2BUA runs examples/b2bua in front of a next hop until the test ends, and returns
// its address.
func startB2BUA(t *testing.T, hop string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "b2bua")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/goparley/parley/examples/b2bua").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", interop.Port(t))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-listen", "udp:"+addr+",tcp:"+addr, hop)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := func() string {
		text, _ := os.ReadFile(log.Name())
		return string(text)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() {
			t.Error("the B2BUA does not end")
			cmd.Process.Kill()
		})
		cmd.Wait()
		kill.Stop()
		log.Close()
		if t.Failed() {
			t.Logf("the B2BUA said:\n%s", said())
		}
	})
	if !interop.Eventually(10*time.Second, func() bool { return strings.Contains(said(), "serving on") }) {
		t.Fatal("the B2BUA does not start")
	}
	return addr
}

// SIPp calls SIPp through our B2BUA, over each transport. Each script sees that what the
// other one says is what it hears: reliable ringing with its PRACK, UPDATE while it
// rings, a session timer, hold, a digit, REFER with its NOTIFY, and why it is over.
func TestMiddleWithSIPp(t *testing.T) {
	interop.Need(t)
	const calls = 20
	v := capturing(t, func(t *testing.T) {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				callee := interop.StartSIPp(t, "uas_middle", &interop.SIPpOptions{Transport: transport, Calls: calls})
				b := startB2BUA(t, "sip:"+callee.Addr+";transport="+transport)
				caller := interop.StartSIPp(t, "uac_middle", &interop.SIPpOptions{Target: b, Transport: transport, Calls: calls, Rate: 10})
				wantCalls(t, caller, calls)
				wantCalls(t, callee, calls)
			})
		}
	})
	if v.SDP < 2*calls*2*6 {
		t.Errorf("%d packets with SDP, want more", v.SDP)
	}
}

// Calls through our B2BUA that end in another way than by talking.
func TestMiddleWithoutAnswer(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		for _, c := range []struct {
			caller, callee, answer, want, text string
		}{
			{caller: "uac_cancel", callee: "uas_cancel"},
			{caller: "uac_refused", callee: "uas_refuse"},
			{caller: "uac_refused", callee: "uas_refuse", answer: "302 Moved Temporarily\n    Contact: <sip:bob@there.example>", want: "302", text: "Contact: .sip:bob@there.example"},
			{caller: "uac_info", callee: "uas_info"},
		} {
			t.Run(c.caller+c.want, func(t *testing.T) {
				t.Parallel()
				callee := interop.StartSIPp(t, c.callee, &interop.SIPpOptions{Answer: c.answer})
				b := startB2BUA(t, "sip:"+callee.Addr)
				caller := interop.StartSIPp(t, c.caller, &interop.SIPpOptions{Target: b, Want: c.want, Text: c.text})
				wantCalls(t, caller, 1)
				wantCalls(t, callee, 1)
			})
		}
	})
}
