package interop

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/media"
)

// LinphoneOptions are the options of StartLinphone.
type LinphoneOptions struct {
	User      string   // user part of its address; empty: "carol"
	Proxy     string   // "127.0.0.1:port" to register at and send through; empty: none, and it does not register
	Peer      string   // without a proxy, the only URI that it calls and writes to; empty: none
	Transport string   // "udp" or "tcp"; empty: UDP
	Tone      int      // what it says in a call: a sine of this many hertz; zero: 440
	Manual    bool     // answer when Answer is called, and not at once
	Publish   bool     // publish its presence
	Info      bool     // send DTMF digits by INFO, and not by RTP
	Watch     string   // URI of whose presence it watches; empty: nobody's
	Watcher   string   // URI of who may watch its own; empty: nobody
	SIP       []string // further settings of its section [sip], as "session_expires_value=90"
}

// Linphone is a telephone without a screen, linphonec, that is operated by the
// test. It answers at once, unless it is told otherwise.
type Linphone struct {
	URI string // its address: sip:carol@sip.test, or sip:carol@127.0.0.1:port without a proxy

	dir      string
	out      string // path of what it writes
	commands *os.File
	taken    int // bytes of its log that Expect has looked at
}

// StartLinphone starts a telephone. It is registered when StartLinphone returns.
func StartLinphone(t testing.TB, opts *LinphoneOptions) *Linphone {
	t.Helper()
	path := program(t, "linphonec", "linphone-cli")
	dir := t.TempDir()
	user, transport, tone := cmp.Or(opts.User, "carol"), cmp.Or(opts.Transport, "udp"), cmp.Or(opts.Tone, 440)
	ports := map[string]int{"udp": 0, "tcp": 0}
	ports[transport] = Port(t)
	rc := filepath.Join(dir, "linphonerc")
	bit := map[bool]string{true: "1", false: "0"}
	proxy, host := opts.Proxy, "sip.test"
	route := "<sip:" + proxy + ";transport=" + transport + ";lr>"
	if proxy == "" {
		// Without an account it gives up before it calls, and with one it sends all to
		// the server of that, registered or not.
		host, route = loopback(ports[transport]), ""
		_, peer, _ := strings.Cut(opts.Peer, "@")
		proxy = cmp.Or(peer, host)
	}
	config(t, "linphonerc", rc, "UDP", strconv.Itoa(ports["udp"]), "TCP", strconv.Itoa(ports["tcp"]),
		"USER", user, "PASSWORD", user+"pw", "PROXY", proxy, "ROUTE", route, "TRANSPORT", transport, "RTP", strconv.Itoa(Port(t)),
		"PUBLISH", bit[opts.Publish], "REGISTER", bit[opts.Proxy != ""], "HOST", host, "INFO", bit[opts.Info])
	// Without these folders it does not start.
	for _, folder := range []string{".local/share/linphone", ".config/linphone"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var more strings.Builder
	if friend := cmp.Or(opts.Watch, opts.Watcher); friend != "" {
		fmt.Fprintf(&more, "[friend_0]\nurl=<%s>\npol=accept\nsubscribe=%s\n", friend, bit[opts.Watch != ""])
	}
	if len(opts.SIP) > 0 {
		fmt.Fprintf(&more, "[sip]\n%s\n", strings.Join(opts.SIP, "\n"))
	}
	text, err := os.ReadFile(rc)
	if err == nil {
		err = os.WriteFile(rc, append(text, more.String()...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := &Linphone{URI: "sip:" + user + "@" + host, dir: dir}
	writeTone(t, l.path("says.wav"), float64(tone))
	if err := syscall.Mkfifo(l.path("commands"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Open for reading as well, so that this does not wait for linphonec, and that
	// linphonec sees no end of it.
	if l.commands, err = os.OpenFile(l.path("commands"), os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.commands.Close()
		if t.Failed() {
			t.Logf("linphonec's log of %s:\n%s", l.URI, tail(l.path("log"), 8000))
		}
	})
	args := []string{"-c", rc, "-d", "6", "-l", "log"}
	if !opts.Manual {
		args = append(args, "-a")
	}
	p := start(t, dir, []string{"HOME=" + dir}, "/bin/sh", append([]string{"-c", `exec "$@" <commands`, "sh", path}, args...)...)
	l.out = p.log
	l.command(t, "soundcard use files")
	l.command(t, "play "+l.path("says.wav"))
	l.command(t, "record "+l.path("heard.wav"))
	l.command(t, "help me") // to which it says that it cannot, when it has done the above
	p.ready(t, func() bool {
		if opts.Proxy == "" {
			return strings.Contains(tail(p.log, 1<<20), "No such command")
		}
		return strings.Contains(tail(l.path("log"), 1<<24), "to [LinphoneRegistrationOk]")
	})
	return l
}

// Dial calls a URI and returns at once; see Expect.
func (l *Linphone) Dial(t testing.TB, uri string) { t.Helper(); l.command(t, "call "+uri) }

// Answer takes the call that comes.
func (l *Linphone) Answer(t testing.TB) { t.Helper(); l.command(t, "answer") }

// Hold puts the peer on hold.
func (l *Linphone) Hold(t testing.TB) { t.Helper(); l.command(t, "pause") }

// Resume takes it back. The call has to be in the state "Paused" before.
func (l *Linphone) Resume(t testing.TB) { t.Helper(); l.command(t, "resume") }

// Transfer has the peer call a URI (REFER).
func (l *Linphone) Transfer(t testing.TB, uri string) { t.Helper(); l.command(t, "transfer "+uri) }

// TransferTo has the peer of one of its calls, which are numbered from 1, talk to that of
// another one.
func (l *Linphone) TransferTo(t testing.TB, call, other int) {
	t.Helper()
	l.command(t, fmt.Sprintf("transfer %d --to-call %d", call, other))
}

// Digits sends DTMF digits.
func (l *Linphone) Digits(t testing.TB, digits string) { t.Helper(); l.command(t, digits) }

// Message sends a text to a URI.
func (l *Linphone) Message(t testing.TB, uri, text string) {
	t.Helper()
	l.command(t, fmt.Sprintf("chat %s %s", uri, text))
}

// Wrote waits until it has written a text, at most ten seconds: that it was sent a digit
// or a message, say.
func (l *Linphone) Wrote(t testing.TB, text string) {
	t.Helper()
	if !Eventually(10*time.Second, func() bool { return strings.Contains(tail(l.out, 1<<20), text) }) {
		t.Fatalf("%s has not written %q after 10 s", l.URI, text)
	}
}

// Hangup ends the call.
func (l *Linphone) Hangup(t testing.TB) { t.Helper(); l.command(t, "terminate") }

// Expect waits until its call is in a state, at most ten seconds: "OutgoingRinging",
// "IncomingReceived", "StreamsRunning", "Error" or, when all is over, "Released". States before it are
// passed over, so a list of expectations is an order.
func (l *Linphone) Expect(t testing.TB, state string) {
	t.Helper()
	entered := "to LinphoneCall" + state + "\n"
	if !Eventually(10*time.Second, func() bool {
		log, err := os.ReadFile(l.path("log"))
		if err != nil || len(log) < l.taken {
			return false
		}
		i := bytes.Index(log[l.taken:], []byte(entered))
		if i < 0 {
			return false
		}
		l.taken += i + len(entered)
		return true
	}) {
		t.Fatalf("%s: no call in state %s after 10 s", l.URI, state)
	}
}

// Heard returns how long the recording of its call is by now.
func (l *Linphone) Heard() time.Duration {
	info, err := os.Stat(l.path("heard.wav"))
	if err != nil {
		return 0
	}
	const size = 2 // 16 bits a sample, and one channel
	return time.Duration(info.Size()) * time.Second / (media.SampleRate * size)
}

// Recording returns the sound that it received in its call. It is complete when
// the call has ended.
func (l *Linphone) Recording(t testing.TB) media.Clip {
	t.Helper()
	file, err := os.ReadFile(l.path("heard.wav"))
	if err != nil {
		t.Fatal(err)
	}
	const header = 44
	if len(file) < header {
		t.Fatalf("%s has recorded nothing", l.URI)
	}
	// What it says of the length counts the header, too.
	binary.LittleEndian.PutUint32(file[header-4:], uint32(len(file)-header))
	clip, err := media.ReadWAV(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return clip
}

func (l *Linphone) path(name string) string { return filepath.Join(l.dir, name) }

// command writes a line as if it were typed.
func (l *Linphone) command(t testing.TB, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(l.commands, line); err != nil {
		t.Fatalf("linphonec %s: %v", line, err)
	}
}

// writeTone writes half a minute of a sine.
func writeTone(t testing.TB, path string, hertz float64) {
	t.Helper()
	w, err := media.CreateWAV(path)
	if err != nil {
		t.Fatal(err)
	}
	samples := make([]int16, 30*media.SampleRate)
	_, err = media.Tone(hertz).ReadSamples(samples)
	if err == nil {
		err = w.WriteSamples(samples)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}
