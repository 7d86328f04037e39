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
	User      string // user part of its address; empty: "carol"
	Proxy     string // "127.0.0.1:port" to register at and send through
	Transport string // "udp" or "tcp"; empty: UDP
	Tone      int    // what it says in a call: a sine of this many hertz; zero: 440
}

// Linphone is a telephone without a screen, linphonec, that is operated by the
// test. It answers at once.
type Linphone struct {
	URI string // its address: sip:carol@sip.test

	dir      string
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
	config(t, "linphonerc", rc, "UDP", strconv.Itoa(ports["udp"]), "TCP", strconv.Itoa(ports["tcp"]),
		"USER", user, "PASSWORD", user+"pw", "PROXY", opts.Proxy, "TRANSPORT", transport, "RTP", strconv.Itoa(Port(t)))
	// Without these folders it does not start.
	for _, folder := range []string{".local/share/linphone", ".config/linphone"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l := &Linphone{URI: "sip:" + user + "@sip.test", dir: dir}
	writeTone(t, l.path("says.wav"), float64(tone))
	if err := syscall.Mkfifo(l.path("commands"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Open for reading as well, so that this does not wait for linphonec, and that
	// linphonec sees no end of it.
	var err error
	if l.commands, err = os.OpenFile(l.path("commands"), os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.commands.Close()
		if t.Failed() {
			t.Logf("linphonec's log of %s:\n%s", l.URI, tail(l.path("log"), 8000))
		}
	})
	p := start(t, dir, []string{"HOME=" + dir}, "/bin/sh", "-c", `exec "$@" <commands`, "sh", path, "-a", "-c", rc, "-d", "6", "-l", "log")
	l.command(t, "soundcard use files")
	l.command(t, "play "+l.path("says.wav"))
	l.command(t, "record "+l.path("heard.wav"))
	p.ready(t, func() bool { return strings.Contains(tail(l.path("log"), 1<<24), "to [LinphoneRegistrationOk]") })
	return l
}

// Dial calls a URI and returns at once; see Expect.
func (l *Linphone) Dial(t testing.TB, uri string) { t.Helper(); l.command(t, "call "+uri) }

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
