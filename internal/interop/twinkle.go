package interop

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TwinkleOptions are the options of StartTwinkle.
type TwinkleOptions struct {
	User    string // user part of its address; empty: "dave"
	Proxy   string // "127.0.0.1:port" to register at and send through; empty: none, and it does not register
	Info    bool   // send DTMF digits by INFO, and not by RTP
	Mailbox string // URI of whose messages waiting it wants to be told (RFC 3842); empty: nobody's
}

// Twinkle is a telephone without a screen, twinkle-console, that is operated by the
// test. It answers at once. It has no sound card: it says nothing, and hears nothing.
type Twinkle struct {
	URI string // its address: sip:dave@sip.test, or sip:dave@127.0.0.1:port without a proxy

	out      string // path of what it writes
	commands *os.File
	taken    int // bytes of that which Expect has looked at
}

// StartTwinkle starts a telephone. With a proxy it is registered when StartTwinkle
// returns.
func StartTwinkle(t testing.TB, opts *TwinkleOptions) *Twinkle {
	t.Helper()
	path := program(t, "twinkle-console", "twinkle-console")
	dir := t.TempDir()
	home := filepath.Join(dir, ".twinkle")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	user, port := cmp.Or(opts.User, "dave"), Port(t)
	dtmf, proxy, host, registers := "rfc2833", opts.Proxy, "sip.test", "yes"
	if proxy == "" {
		host, registers = loopback(port), "no"
	}
	if opts.Info {
		dtmf = "info"
	}
	wants := "yes"
	if opts.Mailbox == "" {
		wants = "no"
	}
	mailbox, server, _ := strings.Cut(strings.TrimPrefix(opts.Mailbox, "sip:"), "@")
	config(t, "twinkle.cfg", filepath.Join(home, "peer.cfg"), "USER", user, "HOST", host, "PROXY", proxy, "ALL", registers,
		"REGISTER", registers, "DTMF", dtmf, "WANTS", wants, "MAILBOX", mailbox, "SERVER", server)
	config(t, "twinkle.sys", filepath.Join(home, "twinkle.sys"), "PORT", strconv.Itoa(port), "RTP", strconv.Itoa(portBlock(t, 8)))
	// Without a sound card it answers no call.
	if err := os.WriteFile(filepath.Join(dir, ".asoundrc"), []byte("pcm.!default { type null }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &Twinkle{URI: "sip:" + user + "@" + host}
	fifo := filepath.Join(dir, "commands")
	err := syscall.Mkfifo(fifo, 0o600)
	if err == nil {
		// For reading as well: then this does not wait, and it sees no end of it.
		w.commands, err = os.OpenFile(fifo, os.O_RDWR, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.commands.Close()
		if t.Failed() {
			t.Logf("Twinkle's log of %s:\n%s", w.URI, tail(filepath.Join(home, "twinkle.log"), 8000))
		}
	})
	p := start(t, dir, []string{"HOME=" + dir, "TERM=dumb"}, "/bin/sh", "-c", `exec "$0" <commands`, path)
	w.out = p.log
	w.command(t, "auto_answer -a on")
	w.command(t, "help line") // which it gives when it has done the above
	p.ready(t, func() bool {
		out := tail(p.log, 1<<20)
		return strings.Contains(out, "Switch to another line") && (opts.Proxy == "" || strings.Contains(out, "registration succeeded"))
	})
	return w
}

// Dial calls a URI and returns at once; see Expect.
func (w *Twinkle) Dial(t testing.TB, uri string) { t.Helper(); w.command(t, "call "+uri) }

// Hold puts the peer on hold.
func (w *Twinkle) Hold(t testing.TB) { t.Helper(); w.command(t, "hold") }

// Resume takes it back.
func (w *Twinkle) Resume(t testing.TB) { t.Helper(); w.command(t, "retrieve") }

// Transfer has the peer call a URI (REFER).
func (w *Twinkle) Transfer(t testing.TB, uri string) { t.Helper(); w.command(t, "transfer "+uri) }

// Consult puts the peer on hold and calls a URI; Consulted then has the peer talk to that
// one.
func (w *Twinkle) Consult(t testing.TB, uri string) { t.Helper(); w.command(t, "transfer -c "+uri) }

// Consulted ends what Consult has begun.
func (w *Twinkle) Consulted(t testing.TB) { t.Helper(); w.command(t, "transfer -c") }

// Digits sends DTMF digits.
func (w *Twinkle) Digits(t testing.TB, digits string) { t.Helper(); w.command(t, "dtmf "+digits) }

// Message sends a text to a URI.
func (w *Twinkle) Message(t testing.TB, uri, text string) {
	t.Helper()
	w.command(t, fmt.Sprintf("message %s %q", uri, text))
}

// Hangup ends the call.
func (w *Twinkle) Hangup(t testing.TB) { t.Helper(); w.command(t, "bye") }

// Expect waits until it has written one of these, at most ten seconds: "call established",
// "far end ended call", or a message it was sent. What it wrote before is passed over, so a
// list of expectations is an order.
func (w *Twinkle) Expect(t testing.TB, texts ...string) {
	t.Helper()
	found := false
	if !Eventually(10*time.Second, func() bool {
		out, err := os.ReadFile(w.out)
		if err != nil || len(out) < w.taken {
			return false
		}
		next := len(out)
		for _, text := range texts {
			if i := bytes.Index(out[w.taken:next], []byte(text)); i >= 0 {
				next = w.taken + i + len(text)
				found = true
			}
		}
		if found {
			w.taken = next
		}
		return found
	}) {
		t.Fatalf("%s has written none of %q after 10 s", w.URI, texts)
	}
}

// command writes a line as if it were typed.
func (w *Twinkle) command(t testing.TB, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(w.commands, line); err != nil {
		t.Fatalf("twinkle %s: %v", line, err)
	}
}
