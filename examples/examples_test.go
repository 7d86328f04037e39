// Package examples_test runs the example programs against each other, on
// loopback, as a newcomer would.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// build compiles an example and returns the program.
func build(t *testing.T, name string) string {
	t.Helper()
	// Read here, so that a changed example is not tested from the cache.
	files, err := filepath.Glob(filepath.Join(name, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of %s: %v", name, err)
	}
	for _, file := range files {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", program, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build ./examples/%s: %v\n%s", name, err, out)
	}
	return program
}

// process is an example that runs.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	done  chan error // gets what became of it
	mu    sync.Mutex
	lines bytes.Buffer
	news  chan struct{}
}

// start runs a program until it ends or the test does.
func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	return startWith(t, "", program, args...)
}

// startWith is start with a variable of the environment, such as "NAME=value".
func startWith(t *testing.T, variable, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program, args...), done: make(chan error, 1), news: make(chan struct{}, 1)}
	p.cmd.Env = append(os.Environ(), variable)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() { // ends with the program, which holds the other end
		for s := bufio.NewScanner(r); s.Scan(); {
			p.mu.Lock()
			fmt.Fprintln(&p.lines, s.Text())
			p.mu.Unlock()
			select {
			case p.news <- struct{}{}:
			default:
			}
		}
		r.Close()
		p.done <- p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), p.output())
		}
	})
	return p
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines.String()
}

// says waits until the program has printed a text.
func (p *process) says(text string) {
	p.t.Helper()
	timeout := time.After(20 * time.Second)
	for !strings.Contains(p.output(), text) {
		select {
		case <-p.news:
		case <-timeout:
			p.t.Fatalf("the program did not say %q", text)
		}
	}
}

// interrupt ends the program as ^C does.
func (p *process) interrupt() {
	p.t.Helper()
	p.cmd.Process.Signal(os.Interrupt)
	p.ends()
}

// ends waits until the program has ended without an error.
func (p *process) ends() {
	p.t.Helper()
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Fatalf("the program ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		p.t.Fatal("the program did not end")
	}
}

// fails waits until the program has ended with an error.
func (p *process) fails() {
	p.t.Helper()
	select {
	case err := <-p.done:
		if err == nil {
			p.t.Fatal("the program ended without an error")
		}
	case <-time.After(20 * time.Second):
		p.t.Fatal("the program did not end")
	}
}

// freePort returns a port of 127.0.0.1 that is free for UDP and TCP.
func freePort(t *testing.T) string {
	t.Helper()
	return freePortOf(t, "127.0.0.1")
}

func freePortOf(t *testing.T, host string) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		pc, err := net.ListenPacket("udp", address)
		l.Close()
		if err == nil {
			pc.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// Alice calls Bob, both of them examples, through the example proxy, and hears
// his tone.
func TestCallThroughProxy(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	proxy := start(t, build(t, "proxy"), "-listen", "udp:"+address+",tcp:"+address, "alice:wonder", "bob:builder")
	proxy.says("serving")
	bob := start(t, build(t, "answer"), "-password", "builder", "-proxy", "sip:"+address,
		"-listen", "udp:127.0.0.1:0", "sip:bob@example.com")
	bob.says("waiting for calls")

	register := build(t, "register")
	for _, transport := range []string{"udp", "tcp"} {
		alice := start(t, register, "-password", "wonder", "-proxy", "sip:"+address+";transport="+transport, "sip:alice@example.com")
		alice.says("registered")
		alice.interrupt()
	}
	refused := start(t, register, "-password", "wrong", "-proxy", "sip:"+address, "sip:alice@example.com")
	refused.says("wrong user name or password")
	refused.fails()

	heard := filepath.Join(t.TempDir(), "heard.wav")
	alice := start(t, build(t, "call"), "-from", "sip:alice@example.com", "-password", "wonder",
		"-proxy", "sip:"+address, "-record", heard, "-for", "2s", "sip:bob@example.com")
	alice.says("180 Ringing")
	alice.says("answered")
	alice.ends()
	bob.says("call is over")
	clip, err := media.OpenWAV(heard)
	if err != nil {
		t.Fatal(err)
	}
	if level := media.ToneLevel(clip, 600); level < 0.9 || clip.Duration() < time.Second {
		t.Errorf("Alice heard %v with the tone at %.2f", clip.Duration(), level)
	}
	bob.interrupt()
	proxy.interrupt()
}

// A mistake on the command line of the proxy ends it: a flag after the users is none.
func TestProxyWithoutPasswords(t *testing.T) {
	t.Parallel()
	program := build(t, "proxy")
	for _, arg := range []string{"bob", "bob:", ":secret", "-md5"} {
		proxy := start(t, program, "-listen", "udp:127.0.0.1:0", "alice:wonder", arg)
		proxy.says(fmt.Sprintf("%q is no user:password", arg))
		proxy.fails()
	}
}

// The one who was called hangs up, through the proxy.
func TestCalleeHangsUpThroughProxy(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	proxy := start(t, build(t, "proxy"), "-listen", "udp:"+address+",tcp:"+address, "alice:wonder", "bob:builder")
	proxy.says("serving")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	hung := make(chan error, 1)
	agent := func(user, password string, onInvite func(context.Context, *ua.Invitation)) *ua.Agent {
		a, err := ua.New("sip:"+user+"@example.com", &ua.Config{Password: password, Proxy: "sip:" + address,
			Listen: []string{"udp:127.0.0.1:0"}, OnInvite: onInvite})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		if _, err := a.Register(ctx, nil); err != nil {
			t.Fatal(err)
		}
		return a
	}
	agent("bob", "builder", func(ctx context.Context, in *ua.Invitation) {
		call, err := in.Answer(ctx, media.NewAudio(nil))
		if err == nil {
			err = call.Hangup(context.WithoutCancel(ctx))
		}
		hung <- err
	})
	alice := agent("alice", "wonder", nil)
	call, err := alice.Invite(ctx, "sip:bob@example.com", &ua.InviteOptions{Streams: []ua.Stream{media.NewAudio(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-hung; err != nil {
		t.Errorf("Bob's Hangup: %v", err)
	}
	<-call.Done()
	if err := call.Err(); !errors.Is(err, ua.ErrHungUp) {
		t.Errorf("Alice's call ended with %v, want ErrHungUp", err)
	}
	proxy.interrupt()
}

// The proxy is started anew within a call of a stranger, as a service manager does
// that: with the same secret it knows the call, whoever hangs up. To read again a
// certificate that it does not have does not end it.
func TestProxyRestarts(t *testing.T) {
	t.Parallel()
	address, program := freePort(t), build(t, "proxy")
	serve := func() *process {
		proxy := start(t, program, "-listen", "udp:"+address, "-secret", "one for both runs", "bob:builder")
		proxy.says("serving")
		return proxy
	}
	proxy := serve()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	agent := func(aor string, onInvite func(context.Context, *ua.Invitation)) *ua.Agent {
		a, err := ua.New(aor, &ua.Config{Password: "builder", Proxy: "sip:" + address, Listen: []string{"udp:127.0.0.1:0"}, OnInvite: onInvite})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		return a
	}
	answered := make(chan *ua.Call, 1)
	bob := agent("sip:bob@example.com", func(ctx context.Context, in *ua.Invitation) {
		call, err := in.Answer(ctx, media.NewAudio(nil))
		if err != nil {
			t.Error(err)
			return
		}
		answered <- call
		<-call.Done()
	})
	if _, err := bob.Register(ctx, nil); err != nil {
		t.Fatal(err)
	}
	stranger := agent("sip:stranger@there.example", nil)
	for _, who := range []string{"the one who was called", "the one who called"} {
		theirs, err := stranger.Invite(ctx, "sip:bob@example.com", &ua.InviteOptions{Streams: []ua.Stream{media.NewAudio(nil)}})
		if err != nil {
			t.Fatal(err)
		}
		ours := <-answered
		proxy.cmd.Process.Signal(syscall.SIGHUP)
		proxy.says("certificate read again")
		proxy.cmd.Process.Signal(syscall.SIGTERM)
		proxy.ends()
		proxy = serve()
		one, other := ours, theirs
		if who == "the one who called" {
			one, other = theirs, ours
		}
		if err := one.Hangup(ctx); err != nil {
			t.Errorf("%s hangs up: %v", who, err)
		}
		select {
		case <-other.Done():
		case <-ctx.Done():
			t.Fatalf("%s hangs up, and the call goes on", who)
		}
		if err := other.Err(); !errors.Is(err, ua.ErrHungUp) {
			t.Errorf("%s hangs up, and the call ended with %v, want ErrHungUp", who, err)
		}
		if _, err := bob.Register(ctx, nil); err != nil { // who was there is not written down
			t.Fatal(err)
		}
	}
	proxy.interrupt()
}

// What the proxy does not do for strangers, and for those that are not what
// they say.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	proxy := start(t, build(t, "proxy"), "-listen", "udp:"+address+",tcp:"+address, "alice:wonder")
	proxy.says("serving")
	stranger, err := transaction.Listen(&transport.Config{Listen: []string{"udp:127.0.0.1:0"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	to := func(uri, params string) sip.To {
		u, err := sip.ParseURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		return sip.To{URI: u, Params: sip.Params(params)}
	}
	from := func(uri string) sip.From { return sip.From(to(uri, ";tag=1")) }
	route := sip.Field{Name: "Route", Value: "<sip:" + address + ";lr>"}
	for i, test := range []struct {
		method sip.Method
		uri    string
		edits  []sip.Edit
		want   sip.Status
	}{
		{sip.OPTIONS, "sip:x@127.0.0.9", nil, sip.StatusForbidden},
		{sip.REGISTER, "sip:other.example", nil, sip.StatusForbidden},
		{sip.OPTIONS, "sip:nobody@example.com", nil, sip.StatusTemporarilyUnavailable},
		{sip.BYE, "sip:x@127.0.0.9", []sip.Edit{to("sip:x@127.0.0.9", ";tag=2")}, sip.StatusForbidden},
		{sip.INVITE, "sip:alice@example.com", []sip.Edit{from("sip:alice@EXAMPLE.COM.")}, sip.StatusProxyAuthRequired},
		{sip.REGISTER, "sip:example.com", nil, sip.StatusUnauthorized},
		{sip.OPTIONS, "sip:alice@example.com", []sip.Edit{sip.ProxyRequire{"foo"}}, sip.StatusBadExtension},
		{sip.MESSAGE, "sip:alice@example.com", []sip.Edit{sip.MaxForwards(0)}, sip.StatusTooManyHops},
	} {
		uri := to(test.uri, "").URI
		req := sip.NewRequest(test.method, uri, route, sip.MaxForwards(70), from("sip:stranger@there.example"),
			sip.To{URI: uri}, sip.CallID(fmt.Sprint(i)), sip.CSeq{Seq: 1, Method: test.method}).With(test.edits...)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		resp, err := stranger.Do(ctx, req)
		cancel()
		if err != nil {
			t.Fatalf("%s %s: %v", test.method, test.uri, err)
		}
		if got := resp.Status(); got != test.want {
			t.Errorf("%s %s %v: got %d, want %d", test.method, test.uri, test.edits, got, test.want)
		}
	}

	// What it cannot read it does not pass over. Nothing here writes such
	// header fields, so they are sent by hand.
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, test := range []struct{ field, want string }{
		{"Proxy-Require: (foo", "400 Bad Proxy-Require"},
		{"Route: <sip:x", "400 Bad Route"},
	} {
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "OPTIONS sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK%s\r\n"+
			"From: <sip:stranger@there.example>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: %[2]s\r\nCSeq: 1 OPTIONS\r\n"+
			"Max-Forwards: 70\r\n%s\r\nContent-Length: 0\r\n\r\n", conn.LocalAddr(), rand.Text(), test.field)
		answer := make([]byte, 1500)
		n, err := conn.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(string(answer[:n]), "\r\n"); got != "SIP/2.0 "+test.want {
			t.Errorf("%q got %q, want %s", test.field, got, test.want)
		}
	}
	proxy.interrupt()
}

func TestOptions(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	server := start(t, build(t, "options"), "-listen", "udp:"+address)
	server.says("listening")
	agent, err := ua.New("sip:alice@example.com", &ua.Config{Listen: []string{"udp:127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := agent.Options(ctx, "sip:"+address); err != nil {
		t.Error(err)
	}
	server.interrupt()
}
