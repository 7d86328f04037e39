package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// Sessions of package msrp at both ends: over one relay of ours, two, a chain, with a peer that has none,
// over WebSocket, and over IPv6.
func TestSessionsOverRelays(t *testing.T) {
	const a, b, six = "a.example.org", "b.example.net", "2001:db8::1"
	for _, c := range []struct {
		name       string
		alice, bob []string // the URIs of their relays
	}{
		{"one relay", []string{"msrps://" + a + ":2855;tcp"}, []string{"msrps://" + a + ":2855;tcp"}},
		{"two relays", []string{"msrps://" + a + ":2855;tcp"}, []string{"msrps://" + b + ":2855;tcp"}},
		{"a chain", []string{"msrps://" + a + ":2855;tcp", "msrps://" + b + ":2855;tcp"}, []string{"msrps://" + b + ":2855;tcp"}},
		{"WebSocket", []string{"msrps://" + a + ":443;ws"}, []string{"msrps://" + a + ":443;ws"}},
		{"WebSocket and TCP", []string{"msrps://" + a + ":443;ws"}, []string{"msrps://" + b + ":2855;tcp"}},
		{"a peer without a relay", []string{"msrps://" + a + ":443;ws"}, nil},
		{"IPv6", []string{"msrps://[" + six + "]:2855;tcp"}, []string{"msrps://[2001:DB8:0::1]:443;ws"}},
		{"IPv6 and a peer without a relay", []string{"msrps://[" + six + "]:2855;tcp"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				relays := []string{a, b}
				if strings.HasPrefix(c.name, "IPv6") {
					relays = []string{six}
					w.at(six, six)
					w.at("alice", "2001:db8::a")
					w.at("bob", "2001:db8::b")
				}
				for _, name := range relays {
					w.relay(name, relay.Config{Listen: []string{"tls::2855", "wss::443"}, TLS: w.tls(name)})
				}
				end := func(name string, uris []string) *msrp.Session {
					cfg := &msrp.Config{Network: w.host(name), Host: name, TLS: w.tls(name)}
					for _, uri := range uris {
						cfg.Relays = append(cfg.Relays, msrp.Relay{URI: uri, Username: name, Password: users[name], RequireProof: true})
					}
					e, err := msrp.New(cfg)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { e.Close() })
					return msrp.NewSession(e, &msrp.SessionConfig{TLS: true})
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				alice, bob := end("alice", c.alice), end("bob", c.bob)
				connect(ctx, t, alice, bob)
				for from, to := range map[*msrp.Session]*msrp.Session{alice: bob, bob: alice} {
					data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
					got := make(chan []byte)
					go func() { // ends with what it gets
						for m, err := range to.Messages(ctx) {
							if err != nil {
								t.Error(err)
								break
							}
							b, err := io.ReadAll(m)
							if err != nil {
								t.Error(err)
							}
							if got <- b; len(b) == len(data) {
								break
							}
						}
					}()
					if err := from.Send(ctx, &msrp.Message{Body: strings.NewReader("hello"), SuccessReport: true}); err != nil {
						t.Fatal(err)
					}
					if text := <-got; string(text) != "hello" {
						t.Errorf("got %q", text)
					}
					sent := make(chan error)
					go func() { sent <- from.Send(ctx, &msrp.Message{Body: bytes.NewReader(data), SuccessReport: true}) }()
					if b := <-got; !bytes.Equal(b, data) {
						t.Errorf("got %d bytes, want those %d", len(b), len(data))
					}
					if err := <-sent; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// connect has two sessions agree.
func connect(ctx context.Context, t *testing.T, a, b *msrp.Session) {
	t.Helper()
	offer, err := a.Offer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.Answer(ctx, offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Update(ctx, answer, offer); err != nil {
		t.Fatal(err)
	}
	if err := a.Update(ctx, offer, answer); err != nil {
		t.Fatal(err)
	}
}

// A message that its receiver does not want is stopped at its sender, though the chunk is endless (RFC 4975 section
// 10.5).
func TestEndlessChunkIsStopped(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(*msrp.Session, *msrp.Incoming)
		want frame.Status
	}{
		{"rejected", func(_ *msrp.Session, m *msrp.Incoming) { m.Reject(frame.StatusStop) }, frame.StatusStop},
		{"the receiver goes", func(x *msrp.Session, _ *msrp.Incoming) { x.Close() }, frame.StatusNoSession},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.relay(example, relay.Config{})
				end := func(name string, relays ...msrp.Relay) *msrp.Session {
					e, err := msrp.New(&msrp.Config{Network: w.host(name), Host: name, Relays: relays})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { e.Close() })
					return msrp.NewSession(e, &msrp.SessionConfig{MaxChunk: 1 << 40})
				}
				ctx := t.Context()
				uri := "msrp://" + example + ":2855;tcp"
				alice := end("alice", msrp.Relay{URI: uri, Username: "alice", Password: users["alice"]})
				bob := end("bob", msrp.Relay{URI: uri, Username: "bob", Password: users["bob"]})
				connect(ctx, t, alice, bob)
				go func() {
					for m, err := range bob.Messages(ctx) {
						if err == nil {
							c.does(bob, m)
						}
						return
					}
				}()
				begun := time.Now()
				err := alice.Send(ctx, &msrp.Message{Body: endless{}})
				if took := time.Since(begun); !errors.Is(err, c.want) || took > 10*time.Second {
					t.Errorf("Send() = %v after %v, want %v", err, took, c.want)
				}
			})
		})
	}
}

// An endless body gives a byte every millisecond.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return 1, nil
}
