package interop_test

import (
	"bufio"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/goparley/parley/internal/interop"
)

// Two endpoints get a URI of a relay each, and one sends to the other by way of
// both, with a report back (RFC 4976 section 3), on each transport and from each to
// each other.
func TestMSRPRelay(t *testing.T) {
	// Each has AUTH twice, of both, with the answers, SEND, 200 and REPORT at either end,
	// and a 200 that goes no further.
	byEachRelay(t, 16*14, func(t *testing.T, relay *interop.Relay, keys *os.File) {
		for _, from := range transports {
			for _, to := range transports {
				t.Run(from+" to "+to, func(t *testing.T) {
					exchange(t, newMSRPClient(t, relay, from, keys), newMSRPClient(t, relay, to, keys))
				})
			}
		}
	})
}

// exchange has alice send a message to bob, and bob a report to alice.
func exchange(t *testing.T, alice, bob *msrpClient) {
	t.Helper()
	one, other := alice.usePath(t, "alice"), bob.usePath(t, "bob")
	alice.send(t, "MSRP send1 SEND", "To-Path: "+one+" "+other+" "+bob.own, "From-Path: "+alice.own,
		"Message-ID: 1a2b", "Byte-Range: 1-5/5", "Success-Report: yes", "Content-Type: text/plain", "", "Hello")
	wantMSRP(t, alice.next(t), "MSRP send1 200 OK", "To-Path: "+alice.own+"\r\n", "From-Path: "+one+"\r\n")
	got := bob.next(t)
	id := strings.Fields(got)[1] // which Kamailio keeps
	wantMSRP(t, got, "MSRP "+id+" SEND", "To-Path: "+bob.own+"\r\n",
		"From-Path: "+other+" "+one+" "+alice.own+"\r\n", "\r\n\r\nHello\r\n-------"+id+"$\r\n")
	bob.send(t, "MSRP "+id+" 200 OK", "To-Path: "+other, "From-Path: "+bob.own)
	bob.send(t, "MSRP report1 REPORT", "To-Path: "+other+" "+one+" "+alice.own, "From-Path: "+bob.own,
		"Message-ID: 1a2b", "Byte-Range: 1-5/5", "Status: 000 200 OK")
	got = alice.next(t)
	wantMSRP(t, got, "MSRP "+strings.Fields(got)[1]+" REPORT", "To-Path: "+alice.own+"\r\n",
		"From-Path: "+one+" "+other+" "+bob.own+"\r\n", "Status: 000 200 OK\r\n")
}

// The relay gives a URI to nobody who does not know the password, and the realm is
// the domain.
func TestMSRPRelayRefuses(t *testing.T) {
	interop.Need(t)
	for name, start := range relays {
		t.Run(name, func(t *testing.T) {
			relay := start(t, &interop.RelayOptions{Domain: "msrp.test"})
			alice := newMSRPClient(t, relay, "tls", nil)
			challenge, answer := alice.auth(t, "alice", "a guess")
			wantMSRP(t, challenge, "MSRP auth1 401 Unauthorized", `realm="msrp.test"`)
			wantMSRP(t, answer, "MSRP auth2 401 Unauthorized", `realm="msrp.test"`)
		})
	}
}

// What Kamailio stumbles over (TestKamailioMSRP), our relay does not.
func TestMSRPRelayOfOurs(t *testing.T) {
	interop.Need(t)
	capture, keys := interop.StartCapture(t), newKeyLog(t)
	relay := interop.StartRelay(t, nil)
	alice, bob := newMSRPClient(t, relay, "tls", keys), newMSRPClient(t, relay, "wss", keys)
	one, other := alice.usePath(t, "alice"), bob.usePath(t, "bob")
	// passes has alice send something to bob, which gets there.
	passes := func(t *testing.T, body string, lines ...string) {
		t.Helper()
		lines = append([]string{"MSRP send1 SEND"}, append(lines, "Message-ID: 1a2b", "Byte-Range: 1-*/*", "Content-Type: text/plain", "", body)...)
		alice.send(t, lines...)
		wantMSRP(t, alice.next(t), "MSRP send1 200 OK")
		got := bob.next(t)
		id := strings.Fields(got)[1]
		if !strings.HasSuffix(got, "\r\n\r\n"+body+"\r\n-------"+id+"$\r\n") {
			t.Errorf("bob got %.300q, want the body as it was", got)
		}
		bob.send(t, "MSRP "+id+" 200 OK", "To-Path: "+other, "From-Path: "+bob.own)
	}
	to, from := "To-Path: "+other+" "+bob.own, "From-Path: "+alice.own
	t.Run("nearly an end-line", func(t *testing.T) { passes(t, "-------send1 not\r\n-------send1\r\n", to, from) })
	t.Run("small letters", func(t *testing.T) {
		passes(t, "Hello", strings.Replace(to, "To-Path", "to-path", 1), strings.Replace(from, "From-Path", "FROM-PATH", 1))
	})
	t.Run("length", func(t *testing.T) {
		passes(t, strings.Repeat("x", 12_000), to, from)
		passes(t, strings.Repeat("x", 30_000), to, from)
	})
	t.Run("another method", func(t *testing.T) {
		alice.send(t, "MSRP nick1 NICKNAME", to, from, `Use-Nickname: "x"`)
		got := bob.next(t)
		id := strings.Fields(got)[1]
		wantMSRP(t, got, "MSRP "+id+" NICKNAME", "\r\nUse-Nickname: \"x\"\r\n")
		bob.send(t, "MSRP "+id+" 425", "To-Path: "+other+" "+alice.own, "From-Path: "+bob.own) // without a comment
		wantMSRP(t, alice.next(t), "MSRP nick1 425 Nickname Reserved or Already in Use", "To-Path: "+alice.own+"\r\n", "From-Path: "+other+" "+bob.own+"\r\n")
	})
	t.Run("a refusal", func(t *testing.T) {
		alice.send(t, "MSRP send1 SEND", to, from, "Message-ID: 1a2b", "Byte-Range: 1-5/5", "Content-Type: text/html", "", "Hello")
		wantMSRP(t, alice.next(t), "MSRP send1 200 OK")
		bob.send(t, "MSRP "+strings.Fields(bob.next(t))[1]+" 415 What is that?", "To-Path: "+other, "From-Path: "+bob.own)
		got := alice.next(t)
		wantMSRP(t, got, "MSRP "+strings.Fields(got)[1]+" REPORT", "To-Path: "+alice.own+"\r\n", "From-Path: "+other+"\r\n",
			"Message-ID: 1a2b\r\n", "Byte-Range: 1-5/5\r\n", "Status: 000 415")
	})
	t.Run("to a peer without a relay", func(t *testing.T) {
		peer, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		carol := "msrp://" + peer.Addr().String() + "/carol;tcp"
		alice.send(t, "MSRP send1 SEND", "To-Path: "+one+" "+carol, from, "Message-ID: 1a2b")
		wantMSRP(t, alice.next(t), "MSRP send1 200 OK")
		nc, err := peer.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		c := &msrpClient{own: carol, got: &recorder{Conn: nc}}
		c.conn, c.reader = c.got, bufio.NewReader(c.got)
		got := c.next(t)
		id := strings.Fields(got)[1]
		wantMSRP(t, got, "MSRP "+id+" SEND", "To-Path: "+carol+"\r\n", "From-Path: "+one+" "+alice.own+"\r\n")
		c.send(t, "MSRP "+id+" 200 OK", "To-Path: "+one, "From-Path: "+carol)
	})
	t.Run("unknown", func(t *testing.T) {
		alice.send(t, "MSRP send1 SEND", "To-Path: "+relayURI(one, "nobody")+" "+bob.own, from, "Message-ID: 1a2b")
		wantMSRP(t, alice.next(t), "MSRP send1 481 Session Does Not Exist")
	})
	judgeRelays(t, capture, 35, keys, relay)
}
