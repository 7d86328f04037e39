package relay_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
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
				offer, err := alice.Offer(ctx)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := bob.Answer(ctx, offer)
				if err != nil {
					t.Fatal(err)
				}
				if err := bob.Update(ctx, answer, offer); err != nil {
					t.Fatal(err)
				}
				if err := alice.Update(ctx, offer, answer); err != nil {
					t.Fatal(err)
				}
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
