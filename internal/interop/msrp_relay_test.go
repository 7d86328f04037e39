package interop_test

import (
	"testing"

	"github.com/goparley/parley/internal/interop"
)

// Two endpoints get a URI of a relay each, and one sends to the other by way of
// both, with a report back (RFC 4976 section 3), on each transport and from each to
// each other.
func TestMSRPRelay(t *testing.T) {
	interop.Need(t)
	relay := interop.StartKamailioRelay(t, nil)
	keys := newKeyLog(t)
	capture := interop.StartCapture(t)
	transports := []string{"tcp", "tls", "ws", "wss"}
	for _, from := range transports {
		for _, to := range transports {
			t.Run(from+" to "+to, func(t *testing.T) {
				exchange(t, newMSRPClient(t, relay, from, keys), newMSRPClient(t, relay, to, keys))
			})
		}
	}
	capture.Stop(t)
	v := interop.Judge(t, capture.Path, &interop.JudgeOptions{
		MSRP: []string{relay.At("tcp")}, MSRPS: []string{relay.At("tls")}, WSS: []string{relay.At("wss")}, KeyLog: []string{keys.Name()},
	})
	for _, e := range v.Errors {
		t.Error(e)
	}
	t.Logf("tshark: %v", v)
	// Each has AUTH twice, of both, with the answers, SEND, 200 and REPORT at either end,
	// and a 200 that goes no further.
	if want := 16 * 14; v.MSRP < want {
		t.Errorf("tshark: %v, want at least %d messages of MSRP", v, want)
	}
}

// exchange has alice send a message to bob, and bob a report to alice.
func exchange(t *testing.T, alice, bob *msrpClient) {
	t.Helper()
	one, other := alice.usePath(t, "alice"), bob.usePath(t, "bob")
	alice.send(t, "MSRP send1 SEND", "To-Path: "+one+" "+other+" "+bob.own, "From-Path: "+alice.own,
		"Message-ID: 1a2b", "Byte-Range: 1-5/5", "Success-Report: yes", "Content-Type: text/plain", "", "Hello")
	wantMSRP(t, alice.next(t), "MSRP send1 200 OK", "To-Path: "+alice.own+"\r\n", "From-Path: "+one+"\r\n")
	wantMSRP(t, bob.next(t), "MSRP send1 SEND", "To-Path: "+bob.own+"\r\n",
		"From-Path: "+other+" "+one+" "+alice.own+"\r\n", "\r\n\r\nHello\r\n-------send1$\r\n")
	bob.send(t, "MSRP send1 200 OK", "To-Path: "+other, "From-Path: "+bob.own)
	bob.send(t, "MSRP report1 REPORT", "To-Path: "+other+" "+one+" "+alice.own, "From-Path: "+bob.own,
		"Message-ID: 1a2b", "Byte-Range: 1-5/5", "Status: 000 200 OK")
	wantMSRP(t, alice.next(t), "MSRP report1 REPORT", "To-Path: "+alice.own+"\r\n",
		"From-Path: "+one+" "+other+" "+bob.own+"\r\n", "Status: 000 200 OK\r\n")
}

// The relay gives a URI to nobody who does not know the password, and the realm is
// the domain.
func TestMSRPRelayRefuses(t *testing.T) {
	interop.Need(t)
	relay := interop.StartKamailioRelay(t, &interop.RelayOptions{Domain: "msrp.test"})
	alice := newMSRPClient(t, relay, "tls", nil)
	challenge, answer := alice.auth(t, "alice", "a guess")
	wantMSRP(t, challenge, "MSRP auth1 401 Unauthorized", `realm="msrp.test"`)
	wantMSRP(t, answer, "MSRP auth2 401 Unauthorized", `realm="msrp.test"`)
}
