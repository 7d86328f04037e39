package file_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sip"
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
}

// story runs a test with Alice and Bob. Bob does with calls what answer says.
func story(t *testing.T, answer func(p *place, ctx context.Context, in *ua.Invitation), tell func(p *place)) {
	t.Helper()
	storyWith(t, &ua.Config{}, answer, tell)
}

func storyWith(t *testing.T, bob *ua.Config, answer func(p *place, ctx context.Context, in *ua.Invitation), tell func(p *place)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		p := &place{t: t, ctx: ctx, net: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond, Record: true})}
		p.alice = p.person("192.0.2.1", "sip:alice@example.com", &ua.Config{})
		bob.OnInvite = func(ctx context.Context, in *ua.Invitation) { answer(p, ctx, in) }
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
func written(t *testing.T, name string, octets []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// root opens a new directory.
func root(t *testing.T) *os.Root {
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

// Alice sends a file and Bob gets it: RFC 5547 section 9.1.
func TestSection9_1InACall(t *testing.T) {
	octets := content(1, 300_000)
	inbox := root(t)
	got := make(chan error, 1)
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		in := file.Receive(p.bob.ep, inbox, nil)
		call, err := inv.Answer(ctx, in)
		if err != nil {
			got <- err
			return
		}
		path, err := in.Wait(p.ctx)
		if want := filepath.Join(inbox.Name(), "My cool picture.jpg"); path != want {
			t.Errorf("the path is %q, %v, want %q", path, err, want)
		}
		if d := in.Description(); d.Selector.Type != "image/jpeg" || d.Disposition != "attachment" || d.Modified.IsZero() {
			t.Errorf("the file is described as %+v", d)
		}
		<-call.Done()
		got <- err
	}, func(p *place) {
		push := p.push(written(t, "My cool picture.jpg", octets), &file.SendOptions{Disposition: "attachment"})
		call := p.calls(push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if err := call.Hangup(p.ctx); err != nil {
			t.Error(err)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
		sum := sha1.Sum(octets)
		if d := push.Description(); d.Selector.Size != int64(len(octets)) || !bytes.Equal(d.Selector.Hashes[0].Sum, sum[:]) {
			t.Errorf("the description is %+v", d)
		}
		holds(t, inbox, map[string][]byte{"My cool picture.jpg": octets})
	})
}

var _ = errors.Is
var _ = io.EOF
var _ sip.Status
