package file_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A person has an agent and an endpoint for MSRP on a machine of their own.
type person struct {
	*ua.Agent
	ep   *msrp.Endpoint
	host *siptest.Host
}

// A place is the network between two people, 10 ms apart.
type place struct {
	t          *testing.T
	ctx        context.Context
	net        *siptest.Network
	alice, bob *person
	got        chan receipt // of what Bob takes
}

// story runs a test with Alice and Bob. Bob does with calls what answer says.
func story(t *testing.T, answer func(p *place, ctx context.Context, in *ua.Invitation), tell func(p *place)) {
	t.Helper()
	storyWith(t, &ua.Config{}, answer, tell)
}

func storyWith(t *testing.T, bob *ua.Config, answer func(p *place, ctx context.Context, in *ua.Invitation), tell func(p *place), before ...func(p *place)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		p := &place{t: t, ctx: ctx, net: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond, Record: true}),
			got: make(chan receipt, 16)}
		p.alice = p.person("192.0.2.1", "sip:alice@example.com", &ua.Config{})
		bob.OnInvite = func(ctx context.Context, in *ua.Invitation) { answer(p, ctx, in) }
		for _, f := range before {
			f(p)
		}
		p.bob = p.person("192.0.2.2", "sip:bob@192.0.2.2", bob)
		tell(p)
	})
}

func (p *place) person(address, aor string, cfg *ua.Config) *person {
	p.t.Helper()
	host := p.net.Host(address)
	ep, err := msrp.New(&msrp.Config{Network: host, Host: address})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { ep.Close() })
	cfg.Network, cfg.Listen, cfg.Logger = host, []string{"tcp:" + address + ":5060"}, slog.New(slog.DiscardHandler)
	agent, err := ua.New(aor, cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { agent.Close() })
	return &person{agent, ep, host}
}

// calls has Alice call Bob.
func (p *place) calls(streams ...ua.Stream) *ua.Call {
	p.t.Helper()
	call, err := p.alice.Invite(p.ctx, "sip:bob@192.0.2.2;transport=tcp", &ua.InviteOptions{Streams: streams})
	if err != nil {
		p.t.Fatal(err)
	}
	return call
}

// push returns a stream of Alice's.
func (p *place) push(path string, opts *file.SendOptions) *file.Sender {
	p.t.Helper()
	s, err := file.Push(p.alice.ep, path, opts)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// content returns octets that nobody guesses, the same for the same seed.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}

// written writes a file, and returns its path.
func written(t testing.TB, name string, octets []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// root opens a new directory.
func root(t testing.TB) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// holds checks that a directory has these files and no other, not even hidden ones.
func holds(t *testing.T, dir *os.Root, want map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(dir.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		octets, ok := want[e.Name()]
		if !ok {
			t.Errorf("there is a file %q", e.Name())
			continue
		}
		if got, err := dir.ReadFile(e.Name()); err != nil || !bytes.Equal(got, octets) {
			t.Errorf("%s has %d octets, %v, want %d others", e.Name(), len(got), err, len(octets))
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%d files, want %d", len(entries), len(want))
	}
}

// A receipt is what became of a file at Bob's.
type receipt struct {
	path string
	file file.Description
	err  error
}

// takes has somebody answer a call with Receivers, one for each file that is offered, resume what can
// be, and tell what became of them.
func takes(dir *os.Root, opts *file.ReceiveOptions, files int) func(*place, context.Context, *ua.Invitation) {
	return func(p *place, ctx context.Context, inv *ua.Invitation) {
		var streams []ua.Stream
		for range files {
			streams = append(streams, file.Receive(p.bob.ep, dir, opts))
		}
		call, err := inv.Answer(ctx, streams...)
		if err != nil {
			p.got <- receipt{err: err}
			return
		}
		for _, s := range streams {
			in := s.(*file.Receiver)
			if err := in.Resume(p.ctx, call.Renegotiate); err != nil {
				p.t.Errorf("Resume: %v", err)
			}
			path, err := in.Wait(p.ctx)
			p.got <- receipt{path, in.Description(), err}
		}
		<-call.Done()
	}
}

// sent returns how many bytes of MSRP have gone from one to the other since that packet.
func (p *place) sent(from *person, since int) (n int) {
	for _, packet := range p.net.Packets()[since:] {
		if packet.From.Addr() == from.host.Addr() && packet.From.Port() != 5060 && packet.To.Port() != 5060 {
			n += len(packet.Data)
		}
	}
	return n
}

// hangup ends a call.
func (p *place) hangup(call *ua.Call) {
	p.t.Helper()
	if err := call.Hangup(p.ctx); err != nil {
		p.t.Error(err)
	}
}

// said reports whether somebody has sent a packet that contains these texts.
func (p *place) said(who *person, texts ...string) bool {
	for _, packet := range p.net.Packets() {
		missing := func(text string) bool { return !strings.Contains(string(packet.Data), text) }
		if packet.From.Addr() == who.host.Addr() && !slices.ContainsFunc(texts, missing) {
			return true
		}
	}
	return false
}

// parts returns the sizes of the files in a directory whose names begin with a dot.
func parts(t *testing.T, dir *os.Root) (sizes []int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir.Name(), ".*.part"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	return sizes
}
