package interop_test

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// JsSIP in a browser registers with our example server over WSS. An agent of
// ours that is there by TLS sends it a message and gets one, and each calls the
// other: the browser is busy, and the agent has no media for browsers.
func TestBrowserAndExample(t *testing.T) {
	interop.Need(t)
	server := interop.StartExample(t, nil, "bob", "dave")
	keys := newKeyLog(t)
	browserKeys := filepath.Join(t.TempDir(), "keys")
	capture := interop.StartCapture(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			texts := make(chan ua.Message, 1)
			bob := newAgent(t, "sip:bob@sip.test", &ua.Config{
				Password: "bobpw", Proxy: "sip:" + server.At("tls", host) + ";transport=tls",
				TLS: &tls.Config{RootCAs: server.Authority.Pool(), KeyLogWriter: keys},
				OnMessage: func(_ context.Context, m ua.Message) error {
					texts <- m
					return nil
				},
				OnInvite: func(ctx context.Context, in *ua.Invitation) {
					audio, _ := newAudio(440)
					_, err := in.Answer(ctx, audio)
					wantError(t, err, ua.ErrNoStream)
				},
			})
			if _, err := bob.Register(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			browser := interop.StartBrowser(t, &interop.BrowserOptions{
				Server: "wss://" + server.At("wss", host), KeyHash: server.KeyHash, KeyLog: browserKeys + strings.ReplaceAll(host, ":", ""),
			})
			browser.Expect(t, "connected")
			if e := browser.Expect(t, "registered"); !strings.Contains(e.Param, "Require: outbound") {
				t.Errorf("our server does not do outbound:\n%s", e.Param)
			}

			if err := bob.Message(t.Context(), browser.URI, "text/plain", "hello"); err != nil {
				t.Error(err)
			}
			if e := browser.Expect(t, "message"); e.Param != "hello" || e.PeerURI != "sip:bob@sip.test" {
				t.Errorf("message %q of %s, want hello of sip:bob@sip.test", e.Param, e.PeerURI)
			}
			browser.Message(t, "sip:bob@sip.test", "hello, too")
			if e := browser.Expect(t, "delivered"); e.Param != "200" {
				t.Errorf("delivered with %s, want 200", e.Param)
			}
			if m := <-texts; m.Body != "hello, too" || m.From.URI.String() != browser.URI {
				t.Errorf("message %q of %v, want hello, too of %s", m.Body, m.From, browser.URI)
			}

			audio, _ := newAudio(440)
			_, err := bob.Invite(t.Context(), browser.URI, &ua.InviteOptions{Streams: []ua.Stream{audio}})
			wantError(t, err, sip.StatusBusyHere)
			browser.Expect(t, "call")
			browser.Expect(t, "callFailed")
			browser.Call(t, "sip:bob@sip.test")
			if e := browser.Expect(t, "callFailed"); e.Param != "488" {
				t.Errorf("the browser's call failed with %s, want 488", e.Param)
			}

			browser.Unregister(t)
			browser.Expect(t, "unregistered")
			wantError(t, bob.Message(t.Context(), browser.URI, "text/plain", "hello"), sip.StatusTemporarilyUnavailable)
		})
	}
	opts := &interop.JudgeOptions{KeyLog: []string{keys.Name(), browserKeys + "127.0.0.1", browserKeys + "1"}}
	for _, host := range []string{"127.0.0.1", "::1"} {
		opts.TLS = append(opts.TLS, server.At("tls", host))
		opts.WSS = append(opts.WSS, server.At("wss", host))
	}
	if v := judge(t, capture, opts); v.WebSocket < 2*15 {
		t.Errorf("in the capture %v, want 15 messages of WebSocket for each host", v)
	}
}
