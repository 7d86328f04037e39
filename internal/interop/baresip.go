package interop

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/media"
)

// BaresipOptions are the options of StartBaresip.
type BaresipOptions struct {
	User      string // user part of its address; empty: "bob"
	Password  string // empty: the user's at Kamailio, "bobpw"
	Proxy     string // "127.0.0.1:port" to register at and send through; empty: none, and it does not register
	Transport string // "udp" or "tcp"; empty: UDP
	Tone      int    // what it says in a call: a sine of this many hertz; zero: 440
	Manual    bool   // let it ring until Answer; otherwise it answers at once
	Publish   int    // publish its presence, for so many seconds; zero: not
	Contact   string // a URI that it sends messages to; empty: none
	Watch     string // URI of whose presence it watches, and lets others watch its own; empty: neither
}

// Baresip is a telephone that is operated by the test.
type Baresip struct {
	URI  string // its address: sip:bob@sip.test, or sip:bob@127.0.0.1:port without a proxy
	Addr string // 127.0.0.1 and the port it listens at

	dir  string
	conn net.Conn
	inbox
}

// StartBaresip starts a telephone. With a proxy it is registered when
// StartBaresip returns.
func StartBaresip(t testing.TB, opts *BaresipOptions) *Baresip {
	t.Helper()
	if opts == nil {
		opts = &BaresipOptions{}
	}
	user := cmp.Or(opts.User, "bob")
	path := program(t, "baresip", "baresip-core")
	dir := t.TempDir()
	sip, control, rtp := Port(t), Port(t), portBlock(t, 40)
	tone := opts.Tone
	if tone == 0 {
		tone = 440
	}
	presence, contacts := "", ""
	if opts.Watch != "" {
		contacts = fmt.Sprintf("\"watched\" <%s>;presence=p2p\n", opts.Watch)
	}
	if opts.Publish > 0 || opts.Watch != "" {
		presence = "module_app presence.so"
	}
	config(t, "baresip.config", filepath.Join(dir, "config"),
		"PORT", strconv.Itoa(sip),
		"CONTROL", strconv.Itoa(control),
		"RTP", fmt.Sprintf("%d-%d", rtp, rtp+39),
		"TONE", strconv.Itoa(tone),
		"PRESENCE", presence,
		"MODULES", baresipModules(t),
		"DIR", dir)

	b := &Baresip{Addr: loopback(sip), dir: dir}
	host, answer, transport := "sip.test", "auto", cmp.Or(opts.Transport, "udp")
	if opts.Manual {
		answer = "manual"
	}
	params := ";answermode=" + answer
	if opts.Proxy == "" {
		host = b.Addr
		params += ";regint=0"
	} else {
		params += fmt.Sprintf(`;regint=600;auth_user=%s;auth_pass=%s;outbound="sip:%s;transport=%s"`,
			user, cmp.Or(opts.Password, user+"pw"), opts.Proxy, transport)
	}
	if opts.Publish > 0 {
		params += fmt.Sprintf(";pubint=%d", opts.Publish)
	}
	contact := ""
	if opts.Contact != "" {
		contact = "<" + opts.Contact + ">\n"
	}
	b.URI = "sip:" + user + "@" + host
	b.who = b.URI
	for name, text := range map[string]string{
		"accounts": fmt.Sprintf("<%s;transport=%s>%s\n", b.URI, transport, params),
		"contacts": contact + contacts,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	p := start(t, dir, []string{"HOME=" + dir}, path, "-f", dir)
	p.ready(t, func() bool { return bound("tcp", loopback(control)) && bound("udp", b.Addr) })
	conn, err := net.Dial("tcp", loopback(control))
	if err != nil {
		t.Fatalf("baresip's control port: %v", err)
	}
	b.conn = conn
	t.Cleanup(func() { conn.Close() })
	go b.listen() // ends when the connection does
	if opts.Proxy != "" {
		// From the log, for the event may be older than our connection.
		p.ready(t, func() bool { return strings.Contains(tail(p.log, 1<<20), "200 OK") })
	}
	return b
}

// Dial calls a URI and returns at once; see Expect.
func (b *Baresip) Dial(t testing.TB, uri string) { t.Helper(); b.command(t, "dial", uri) }

// Answer takes the call that rings.
func (b *Baresip) Answer(t testing.TB) { t.Helper(); b.command(t, "accept", "") }

// Hold puts the peer on hold.
func (b *Baresip) Hold(t testing.TB) { t.Helper(); b.command(t, "hold", "") }

// Resume takes it back.
func (b *Baresip) Resume(t testing.TB) { t.Helper(); b.command(t, "resume", "") }

// Hangup ends the call.
func (b *Baresip) Hangup(t testing.TB) { t.Helper(); b.command(t, "hangup", "") }

// Transfer has the peer call a URI (REFER).
func (b *Baresip) Transfer(t testing.TB, uri string) { t.Helper(); b.command(t, "transfer", uri) }

// Digits sends DTMF digits by RTP. Those that it is sent are events, "CALL_DTMF_START".
func (b *Baresip) Digits(t testing.TB, digits string) { t.Helper(); b.command(t, "sndcode", digits) }

// Message sends a text to the contact of its options.
func (b *Baresip) Message(t testing.TB, text string) { t.Helper(); b.command(t, "message", text) }

// Recording returns the sound that baresip received in its latest call, since that was
// changed the last time. It is complete when the call has ended.
func (b *Baresip) Recording(t testing.TB) media.Clip {
	t.Helper()
	path, err := b.recording()
	if err != nil {
		t.Fatal(err)
	}
	clip, err := media.OpenWAV(path)
	if err != nil {
		t.Fatal(err)
	}
	return clip
}

// Heard returns how long the recording of the latest call is by now. It does not grow any
// more once the peer has changed the call.
func (b *Baresip) Heard() time.Duration {
	path, err := b.recording()
	if err != nil {
		return 0
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	const size = 2 // 16 bits a sample, and one channel: see baresip.config
	return time.Duration(info.Size()) * time.Second / (media.SampleRate * size)
}

// recording returns the newest of the files named dump-TIME-...-dec.wav.
func (b *Baresip) recording() (string, error) {
	files, err := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("%s has recorded nothing", b.URI)
	}
	return files[len(files)-1], nil
}

// command sends a netstring of JSON, as baresip's ctrl_tcp module wants it.
func (b *Baresip) command(t testing.TB, name, params string) {
	t.Helper()
	m, err := json.Marshal(map[string]string{"command": name, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.conn, "%d:%s,", len(m), m); err != nil {
		t.Fatalf("baresip %s %s: %v", name, params, err)
	}
}

// listen reads events and the answers to commands until the connection ends.
func (b *Baresip) listen() {
	r := bufio.NewReader(b.conn)
	for {
		size, err := r.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(size, ":"))
		if err != nil {
			return
		}
		text := make([]byte, n+1) // and a comma
		if _, err := io.ReadFull(r, text); err != nil {
			return
		}
		var e Event
		if err := json.Unmarshal(text[:n], &e); err == nil && e.Type != "" { // the answer to a command has no type
			b.add(e)
		}
	}
}

// baresipModules returns the folder of baresip's modules.
func baresipModules(t testing.TB) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/baresip/modules", "/usr/lib/*/baresip/modules"} {
		if dirs, err := filepath.Glob(pattern); err == nil && len(dirs) > 0 {
			return dirs[0]
		}
	}
	t.Fatal("baresip's modules are in none of the usual folders")
	return ""
}
