package transaction

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A hostile message is an ordinary OPTIONS of alice's with something wrong, and
// what becomes of it: what the handler sees, and what goes out.
type hostile struct {
	name   string
	edit   []string // lines by their name; a name twice is a line twice; a name alone takes it away
	served bool     // a handler gets it
	answer string   // "" for none
}

// text is an OPTIONS with these lines in the place of its own. BRANCH stands
// for a branch of its own.
func (h hostile) text(i int) string {
	lines := []string{
		"Via: SIP/2.0/UDP 192.0.2.1;branch=BRANCH", "From: <sip:alice@a.example>;tag=1", "To: <sip:bob@192.0.2.2>",
		"Call-ID: CALL", "CSeq: 1 OPTIONS", "Max-Forwards: 70", "Content-Length: 0",
	}
	name := func(line string) string {
		name, _, _ := strings.Cut(line, ":")
		return name
	}
	for i, line := range lines {
		var in []string
		found := false
		for _, e := range h.edit {
			if name(e) == name(line) {
				found = true
				if e != name(line) {
					in = append(in, e)
				}
			}
		}
		if found {
			lines[i] = strings.Join(in, "\r\n")
		}
	}
	for _, e := range h.edit {
		if !strings.Contains("\r\n"+strings.Join(lines, "\r\n"), "\r\n"+e) && strings.Contains(e, ":") {
			lines = append(lines, e)
		}
	}
	text := "OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\n"
	for _, line := range lines {
		if line != "" {
			text += line + "\r\n"
		}
	}
	return strings.NewReplacer("BRANCH", fmt.Sprint("z9hG4bK", i), "CALL", fmt.Sprint("call-", i)).Replace(text + "\r\n")
}

// statusesOf returns the status codes of what comes within d, as they stand in
// the first line: an answer to what is broken has the broken lines in it.
func statusesOf(p *peer, d time.Duration) string {
	var got []string
	until := time.Now().Add(d)
	for text := p.textWithin(d); text != ""; text = p.textWithin(time.Until(until)) {
		got = append(got, strings.Fields(text)[1])
	}
	return strings.Join(got, ", ")
}

// play sends each to a layer, and checks what becomes of it. In the end there
// is nothing left, and nothing in the log: the network is not to fill that.
func play(t *testing.T, list []hostile) {
	t.Helper()
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		var log bytes.Buffer
		l := listen(t, n.Host(bobAddr), &Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Handler: func(tx *Server, req *sip.Request) {
				j.note("served")
				tx.Reply(sip.StatusOK)
			},
		})
		alice := alicePeer(t, n)
		for i, h := range list {
			alice.sendText(h.text(i))
			answer := statusesOf(alice, time.Minute)
			served := len(j.lines) > 0
			if answer != h.answer || served != h.served {
				t.Errorf("%s: answer %q, served %v, want %q, %v", h.name, answer, served, h.answer, h.served)
			}
			j.lines = nil
			// Nobody else is harmed.
			alice.send(alice.with(fmt.Sprint("z9hG4bK-next", i), request(sip.OPTIONS, bobURI, sip.CallID(fmt.Sprint(i)))))
			alice.response("200 OPTIONS")
			j.lines = nil
		}
		nothingLeft(t, l)
		if log.Len() > 0 {
			t.Errorf("the log says\n%s", log.String())
		}
	})
}

// The header fields that a transaction is made of, doubled, missing and at odds:
// 400, and no handler sees them (RFC 3261 section 8.2, RFC 4475 section 3.3.8).
// Without Max-Forwards or Content-Length a datagram is well understood.
func TestHostileHeaderFields(t *testing.T) {
	play(t, []hostile{
		{"From twice, the same", []string{"From: <sip:alice@a.example>;tag=1", "From: <sip:alice@a.example>;tag=1"}, false, "400"},
		{"From twice, different", []string{"From: <sip:alice@a.example>;tag=1", "From: <sip:mallory@m.example>;tag=2"}, false, "400"},
		{"To twice, the same", []string{"To: <sip:bob@192.0.2.2>", "To: <sip:bob@192.0.2.2>"}, false, "400"},
		{"To twice, different", []string{"To: <sip:bob@192.0.2.2>", "To: <sip:bob@192.0.2.2>;tag=x"}, false, "400"},
		{"Call-ID twice, the same", []string{"Call-ID: CALL", "Call-ID: CALL"}, false, "400"},
		{"Call-ID twice, different", []string{"Call-ID: CALL", "Call-ID: other"}, false, "400"},
		{"Call-ID twice, once compact", []string{"Call-ID: CALL", "i: other"}, false, "400"},
		{"CSeq twice, the same", []string{"CSeq: 1 OPTIONS", "CSeq: 1 OPTIONS"}, false, "400"},
		{"CSeq twice, different", []string{"CSeq: 1 OPTIONS", "CSeq: 2 OPTIONS"}, false, "400"},
		{"Max-Forwards twice, the same", []string{"Max-Forwards: 70", "Max-Forwards: 70"}, false, "400"},
		{"Max-Forwards twice, different", []string{"Max-Forwards: 70", "Max-Forwards: 0"}, false, "400"},
		{"Content-Length twice, the same", []string{"Content-Length: 0", "Content-Length: 0"}, false, "400"},
		{"Content-Length twice, different", []string{"Content-Length: 0", "Content-Length: 5"}, false, "400"},
		{"no From", []string{"From"}, false, "400"},
		{"no To", []string{"To"}, false, "400"},
		{"no Call-ID", []string{"Call-ID"}, false, "400"},
		{"no CSeq", []string{"CSeq"}, false, "400"},
		{"no Max-Forwards", []string{"Max-Forwards"}, true, "200"},
		{"no Content-Length", []string{"Content-Length"}, true, "200"},
		{"CSeq of another method", []string{"CSeq: 1 INVITE"}, false, "400"},
	})
}

// The Via says where the answer goes, and what a transaction is found by. One
// that cannot be read leaves nowhere to answer to: silence. What a client writes
// into received, rport and maddr aims the answer at nobody: it goes where the
// request came from (RFC 3261 section 18.2.2, RFC 3581 section 4).
func TestHostileVia(t *testing.T) {
	play(t, []hostile{
		{"no Via", []string{"Via"}, false, ""},
		{"without branch", []string{"Via: SIP/2.0/UDP 192.0.2.1"}, true, "200"},
		{"branch without a value", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch"}, false, ""},
		{"branch of nothing", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch="}, false, ""},
		{"branch of the cookie only", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"}, true, "200"},
		{"branch twice", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;branch=z9hG4bKb"}, false, ""},
		{"no sent-by", []string{"Via: SIP/2.0/UDP ;branch=BRANCH"}, false, ""},
		{"no transport", []string{"Via: SIP/2.0 192.0.2.1;branch=BRANCH"}, false, ""},
		{"an empty parameter", []string{"Via: SIP/2.0/UDP 192.0.2.1;;branch=BRANCH"}, false, ""},
		{"empty parameters at the end", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=BRANCH;;"}, false, ""},
		{"IPv6 without brackets", []string{"Via: SIP/2.0/UDP 2001:db8::1;branch=BRANCH"}, false, ""},
		{"port 0", []string{"Via: SIP/2.0/UDP 192.0.2.1:0;branch=BRANCH"}, false, ""},
		{"port 99999", []string{"Via: SIP/2.0/UDP 192.0.2.1:99999;branch=BRANCH"}, false, ""},
		{"port of no number", []string{"Via: SIP/2.0/UDP 192.0.2.1:x;branch=BRANCH"}, false, ""},
		{"forged received", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=BRANCH;received=192.0.2.77"}, true, "200"},
		{"forged rport", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=BRANCH;rport=9"}, true, "200"},
		{"forged received and rport", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=BRANCH;received=192.0.2.77;rport=9"}, true, "200"},
		{"sent-by of another", []string{"Via: SIP/2.0/UDP 192.0.2.77;branch=BRANCH"}, true, "200"},
		{"maddr of another", []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=BRANCH;maddr=192.0.2.77"}, true, "200"},
	})
}

// Numbers at their limits and past them (RFC 3261 sections 8.1.1.5, 20.14 and
// 20.22). Those that no layer here acts upon are the handler's to read.
func TestHostileNumbers(t *testing.T) {
	play(t, []hostile{
		{"CSeq 2^31-1", []string{"CSeq: 2147483647 OPTIONS"}, true, "200"},
		{"CSeq 2^31", []string{"CSeq: 2147483648 OPTIONS"}, false, "400"},
		{"CSeq 2^32-1", []string{"CSeq: 4294967295 OPTIONS"}, false, "400"},
		{"CSeq 2^32", []string{"CSeq: 4294967296 OPTIONS"}, false, "400"},
		{"CSeq with zeros before it", []string{"CSeq: 0000000001 OPTIONS"}, true, "200"},
		{"CSeq -1", []string{"CSeq: -1 OPTIONS"}, false, "400"},
		{"Content-Length -1", []string{"Content-Length: -1"}, false, "400"},
		{"Content-Length 2^31", []string{"Content-Length: 2147483648"}, false, "400"},
		{"Content-Length 2^32+32", []string{"Content-Length: 4294967328"}, false, "400"},
		{"Content-Length 5 5", []string{"Content-Length: 5 5"}, false, "400"},
		{"Max-Forwards 300", []string{"Max-Forwards: 300"}, false, "400"},
		{"Max-Forwards -1", []string{"Max-Forwards: -1"}, false, "400"},
		{"Max-Forwards 0", []string{"Max-Forwards: 0"}, true, "200"},
		{"Expires 2^32", []string{"Expires: 4294967296"}, true, "200"},
		{"q of 1.0001", []string{"Contact: <sip:a@b>;q=1.0001"}, true, "200"},
		{"Retry-After past all bounds", []string{"Retry-After: 99999999999999999999"}, true, "200"},
	})
}

// Over TCP the length is what tells where the next message begins. One that
// cannot be trusted ends the connection without a word, for what comes behind it
// may be anything; nobody else notices (RFC 3261 sections 18.3 and 20.14).
func TestHostileLengthsOverTCP(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			j.note("%s", req.CallID())
			tx.Reply(sip.StatusOK)
		}})
		send := func(text string) (answers string, open bool) {
			conn, err := n.Host(aliceAddr).DialContext(t.Context(), "tcp", bobAddr+":5060")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			got, err := io.ReadAll(conn)
			var words []string
			for line := range strings.Lines(string(got)) {
				if strings.HasPrefix(line, "SIP/2.0 ") {
					words = append(words, strings.Fields(line)[1])
				}
			}
			return strings.Join(words, ", "), errors.Is(err, os.ErrDeadlineExceeded)
		}
		next := strings.Replace(hostile{}.text(1000), "/UDP", "/TCP", 1)
		for i, tt := range []struct {
			length  string
			answers string // to it, and to what comes behind
			open    bool
		}{
			{"Content-Length: 0", "200, 200", true},
			{"Content-Length: -1", "", false},
			{"Content-Length: 2147483648", "", false},
			{"Content-Length: 4294967328", "", false},
			{"Content-Length: 18446744073709551648", "", false},
			{"Content-Length: 5 5", "", false},
			{"Content-Length: x", "", false},
			{"Content-Length: 0\r\nContent-Length: 0", "", false},
			{"Content-Length: 0\r\nContent-Length: 5", "", false},
			{"Content-Length", "", false}, // none
		} {
			j.lines = nil
			text := strings.Replace(hostile{edit: []string{tt.length}}.text(i), "/UDP", "/TCP", 1)
			answers, open := send(text + strings.ReplaceAll(next, "1000", fmt.Sprint("behind-", i)))
			if answers != tt.answers || open != tt.open {
				t.Errorf("%q: answers %q, open %v, want %q, %v", tt.length, answers, open, tt.answers, tt.open)
			}
			if tt.answers == "" {
				j.check(t, "") // no handler saw it, or what came behind
			}
			if answers, _ := send(strings.ReplaceAll(next, "1000", fmt.Sprint("other-", i))); answers != "200" {
				t.Errorf("after %q another connection gets %q, want 200", tt.length, answers)
			}
		}
	})
}
