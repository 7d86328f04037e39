package interop_test

import (
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/internal/websocket"
)

var update = flag.Bool("update", false, "write what Kamailio sends to testdata/kamailio-msrp")

// What changes from one run to the next: ports, URIs, nonces, stray bytes of memory, and so the length in
// front of a message in a WebSocket.
var changes = regexp.MustCompile(`127\.0\.0\.1:\d+(/\d+)?|/msrp-[0-9a-f-]+|nonce="[^"]*"|(?s:~..MSRP)|alicepw[\x00-\x1f]+`)

// recorded compares what Kamailio sends with what it sent once, which is kept for
// tests of programs that have to live with it, or keeps it with -update.
func recorded(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "kamailio-msrp", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := changes.ReplaceAllString(got, "*"), changes.ReplaceAllString(string(want), "*"); got != want {
		t.Errorf("%s: got %q, want %q", name, got, want)
	}
}

// Kamailio's ways on the wire. The names of the files say which; README.md beside
// them says how each was made.
func TestKamailioMSRP(t *testing.T) {
	interop.Need(t)
	relay := interop.StartKamailioRelay(t, nil)
	dial := func(t *testing.T, transport string) *msrpClient { return newMSRPClient(t, relay, transport, nil) }

	t.Run("auth", func(t *testing.T) {
		challenge, answer := dial(t, "tcp").auth(t, "alice", "alicepw")
		recorded(t, "auth-401.msrp", challenge)
		recorded(t, "auth-200.msrp", answer)
		_, answer = dial(t, "ws").auth(t, "alice", "alicepw")
		recorded(t, "auth-200-ws.msrp", answer)
	})
	t.Run("expires", func(t *testing.T) {
		for _, seconds := range []string{"10", "600", "3600", "7200"} {
			_, answer := dial(t, "tcp").auth(t, "alice", "alicepw", "Expires: "+seconds)
			recorded(t, "expires-423.msrp", answer)
		}
	})

	alice, bob := dial(t, "tcp"), dial(t, "tcp")
	one, other := alice.usePath(t, "alice"), bob.usePath(t, "bob")
	send := func(to, body string, fields ...string) string {
		lines := append([]string{"MSRP send1 SEND", "To-Path: " + to, "From-Path: " + alice.own, "Message-ID: 1a2b"}, fields...)
		if body != "" {
			lines = append(lines, "Content-Type: text/plain", "", body)
		}
		return msrpText(lines...)
	}
	t.Run("send", func(t *testing.T) {
		alice.write(t, send(other+" "+bob.own, "Hello", "Byte-Range: 1-5/5", "Success-Report: yes"))
		recorded(t, "send-200.msrp", alice.next(t))
		recorded(t, "send-relayed.msrp", bob.next(t))
		bob.send(t, "MSRP report1 REPORT", "To-Path: "+one+" "+alice.own, "From-Path: "+bob.own,
			"Message-ID: 1a2b", "Byte-Range: 1-5/5", "Status: 000 200 OK")
		recorded(t, "report-relayed.msrp", alice.next(t))
	})
	t.Run("both are here", func(t *testing.T) {
		alice.write(t, send(one+" "+other+" "+bob.own, "Hello", "Byte-Range: 1-5/5"))
		recorded(t, "send-200-both.msrp", alice.next(t))
		recorded(t, "send-relayed-both.msrp", bob.next(t))
	})
	t.Run("nearly an end-line", func(t *testing.T) {
		alice.write(t, send(other+" "+bob.own, "-------send1 not\r\n-------send1\r\n"))
		recorded(t, "end-line-200.msrp", alice.next(t))
		recorded(t, "end-line-relayed.msrp", bob.next(t))
	})
	t.Run("bare status", func(t *testing.T) {
		bob.send(t, "MSRP send1 200", "To-Path: "+other, "From-Path: "+bob.own)
		recorded(t, "bare-status-501.msrp", bob.next(t))
	})
	t.Run("to a peer of the owner", func(t *testing.T) {
		alice.write(t, send(one+" msrp://127.0.0.1:9/peer;tcp", ""))
		first, second := alice.next(t), alice.next(t)
		recorded(t, "owner-200.msrp", first)
		recorded(t, "owner-relayed.msrp", second)
	})
	t.Run("unknown", func(t *testing.T) {
		alice.write(t, send(relayURI(one, "nobody")+" "+bob.own, ""))
		recorded(t, "unknown-session-481.msrp", alice.next(t))
		alice.send(t, "MSRP nick1 NICKNAME", "To-Path: "+other+" "+bob.own, "From-Path: "+alice.own, `Use-Nickname: "x"`)
		recorded(t, "nickname-501.msrp", alice.next(t))
	})
	t.Run("length", func(t *testing.T) {
		for _, size := range []int{11000, 12000} {
			text := send(other+" "+bob.own, "", "Content-Type: text/plain", "", "")
			alice.write(t, strings.Replace(text, "\r\n\r\n", "\r\n\r\n"+strings.Repeat("x", size-len(text)), 1))
			if size == 11000 {
				wantMSRP(t, alice.next(t), "MSRP send1 200 OK")
				bob.next(t)
			} else {
				recorded(t, "length-12000-501.msrp", alice.next(t))
			}
		}
	})
	for name, text := range map[string]string{
		"order":        strings.NewReplacer("To-Path", "From-Path", "From-Path", "To-Path").Replace(send(other+" "+bob.own, "")),
		"small To":     strings.Replace(send(other+" "+bob.own, ""), "To-Path", "to-path", 1),
		"small From":   strings.Replace(send(other+" "+bob.own, ""), "From-Path", "from-path", 1),
		"length 20000": send(other+" "+bob.own, strings.Repeat("x", 20000)),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, "tcp")
			c.write(t, text)
			if got := c.closed(t); got != "" {
				t.Errorf("got %q, want nothing but an end", got)
			}
		})
	}
}

// relayURI returns a URI with another session-id.
func relayURI(uri, session string) string {
	i, j := strings.LastIndex(uri, "/"), strings.LastIndex(uri, ";")
	return uri[:i+1] + session + uri[j:]
}

// What Kamailio sends on a WebSocket, frames and all.
func TestKamailioMSRPOverWebSocket(t *testing.T) {
	interop.Need(t)
	for name, opts := range map[string]*interop.RelayOptions{"framed": nil, "unframed": {Unframed: true}} {
		t.Run(name, func(t *testing.T) {
			relay := interop.StartKamailioRelay(t, opts)
			alice, bob := newMSRPClient(t, relay, "tcp", nil), newMSRPClient(t, relay, "ws", nil)
			other := bob.usePath(t, "bob")
			recorded(t, "ws-auth.frames", bob.got.take())
			alice.send(t, "MSRP send1 SEND", "To-Path: "+other+" "+bob.own, "From-Path: "+alice.own,
				"Message-ID: 1a2b", "Byte-Range: 1-5/5", "Content-Type: text/plain", "", "Hello")
			wantMSRP(t, alice.next(t), "MSRP send1 200 OK")
			text, err := bob.read()
			if framed := opts == nil; framed != (err == nil) {
				t.Errorf("read %q, error %v", text, err)
			}
			recorded(t, "ws-"+name+".frames", bob.got.take())
		})
	}
}

// Of a message of WebSocket Kamailio takes the first message of MSRP, and nothing
// more (RFC 7977 section 5.1: there is one in one). tshark says so too.
func TestKamailioMSRPTwoInOne(t *testing.T) {
	interop.Need(t)
	capture := interop.StartCapture(t)
	bob := newMSRPClient(t, interop.StartKamailioRelay(t, nil), "ws", nil)
	auth := func(id string) string {
		return msrpText("MSRP "+id+" AUTH", "To-Path: "+bob.uri, "From-Path: "+bob.own)
	}
	bob.write(t, auth("auth1")+auth("auth2"))
	bob.write(t, auth("auth3"))
	wantMSRP(t, bob.next(t), "MSRP auth1 401 Unauthorized")
	wantMSRP(t, bob.next(t), "MSRP auth3 401 Unauthorized")
	capture.Stop(t)
	v := interop.Judge(t, capture.Path, nil)
	if v.MSRP != 5 || len(v.Errors) != 1 || !strings.Contains(v.Errors[0], "not one message in the frame") {
		t.Errorf("tshark: %v, errors %q, want 5 messages of MSRP, and one packet at fault", v, v.Errors)
	}
}

// A WebSocket for SIP is refused (RFC 7977 section 4.1).
func TestKamailioMSRPSubprotocol(t *testing.T) {
	interop.Need(t)
	addr := interop.StartKamailioRelay(t, nil).At("ws")
	nc, err := net.DialTimeout("tcp", addr, msrpWait)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(msrpWait))
	_, err = websocket.Dial(t.Context(), nc, "ws://"+addr, &websocket.Config{Subprotocol: "sip"})
	if refused := (*websocket.StatusError)(nil); !errors.As(err, &refused) || refused.Code != 400 {
		t.Errorf("error %v, want one of status 400", err)
	}
}
