package interop_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/goparley/parley/internal/interop"
)

// The example programs as they are built: two that chat, and two that send a file, by Kamailio as SIP proxy and
// examples/msrprelay as relay.
func TestMSRPExamples(t *testing.T) {
	interop.Need(t)
	registrar := interop.StartKamailio(t, nil)
	relay := interop.StartRelayProgram(t, "alice", "bob", "carol", "dora")
	keys := newKeyLog(t) // of nobody: the programs write none
	capture := interop.StartCapture(t)
	start := func(t *testing.T, name, transport, user string, args ...string) *interop.Program {
		t.Helper()
		return interop.StartProgram(t, relay, name, append([]string{
			"-listen", "udp:127.0.0.1:0", "-proxy", "sip:" + registrar.Addr, "-password", user + "pw", "-relay", relay.URI(transport),
		}, args...)...)
	}
	t.Run("chat", func(t *testing.T) {
		bob := start(t, "chat", "ws", "bob", "sip:bob@sip.test")
		bob.Expect(t, "waiting for a call")
		alice := start(t, "chat", "tls", "alice", "sip:alice@sip.test", "sip:bob@sip.test")
		alice.Expect(t, "talking to sip:bob@sip.test")
		io.WriteString(alice.In, "hello\n")
		bob.Expect(t, ": hello\n")
		alice.Expect(t, "(delivered)")
		io.WriteString(bob.In, "hello you\n")
		alice.Expect(t, ": hello you\n")
		alice.In.Close()
		bob.Expect(t, "has gone")
	})
	t.Run("sendfile", func(t *testing.T) {
		octets, inbox := noise(300_000), t.TempDir()
		path := filepath.Join(t.TempDir(), "picture.jpg")
		if err := os.WriteFile(path, octets, 0o600); err != nil {
			t.Fatal(err)
		}
		dora := start(t, "sendfile", "ws", "dora", "-dir", inbox, "sip:dora@sip.test")
		dora.Expect(t, "waiting for files")
		carol := start(t, "sendfile", "tcp", "carol", "-from", "sip:carol@sip.test", "-to", "sip:dora@sip.test", path)
		carol.Expect(t, "sent picture.jpg: 300000 octets")
		dora.Expect(t, "received "+filepath.Join(inbox, "picture.jpg")+": 300000 octets")
		if got, err := os.ReadFile(filepath.Join(inbox, "picture.jpg")); err != nil || !bytes.Equal(got, octets) {
			t.Errorf("%d bytes have come, %v, want %d", len(got), err, len(octets))
		}
	})
	// Over TCP and WS: AUTH of three, and 37 chunks on both sides of the relay.
	if v := judgeRelays(t, capture, 3*4+2*2*37, keys, relay); v.SIP < 2*18 {
		t.Errorf("tshark: %v, want 18 packets of SIP in each call, with registrations", v)
	}
}
