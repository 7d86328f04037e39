package interop_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/ua"
)

// Two agents call each other by Kamailio as SIP proxy, and what they say and send goes by a relay: a chat, which goes
// on when the relay has lost it, and a file.
func TestMSRPCalls(t *testing.T) {
	interop.Need(t)
	for name, start := range relays {
		t.Run(name, func(t *testing.T) {
			registrar, relay := interop.StartKamailio(t, nil), start(t, nil)
			keys := newKeyLog(t)
			capture := interop.StartCapture(t)
			t.Run("chat", func(t *testing.T) { callToChat(t, registrar, relay, keys) })
			t.Run("file", func(t *testing.T) { callToPush(t, registrar, relay, keys) })
			v := judgeRelays(t, capture, 200, keys, relay)
			// INVITE 407 ACK INVITE 200 ACK BYE 200, on both sides of the proxy, and registrations.
			if v.SIP < 2*20 || v.SDP < 2*6 {
				t.Errorf("tshark: %v, want 20 packets of SIP in each call, 6 of them with SDP", v)
			}
		})
	}
}

func callToChat(t *testing.T, registrar *interop.Kamailio, relay *interop.Relay, keys *os.File) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*msrpWait)
	defer cancel()
	bobs := make(chan *end, 1)
	endpoint := newRelayed(t, relay, "wss", "bob", keys)
	register(t, registrar, "udp", "127.0.0.1", "bob", &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
		chat := newEnd(t, endpoint, nil)
		if _, err := in.Answer(ctx, chat.Session); err != nil {
			t.Error(err)
		}
		bobs <- chat
	}})
	agent := register(t, registrar, "udp", "127.0.0.1", "alice", &ua.Config{})
	alice := newEnd(t, newRelayed(t, relay, "tls", "alice", keys), nil)
	call, err := agent.Invite(ctx, "sip:bob@sip.test", &ua.InviteOptions{Streams: []ua.Stream{alice.Session}})
	if err != nil {
		t.Fatal(err)
	}
	bob := <-bobs
	converse(t, alice, bob)
	relay.Restart(t)
	alice.expect(t, "", msrp.ErrLost)
	bob.expect(t, "", msrp.ErrLost)
	if err := call.Renegotiate(ctx); err != nil {
		t.Fatal(err)
	}
	alice.listen(t)
	bob.listen(t)
	converse(t, alice, bob)
	if err := call.Hangup(ctx); err != nil {
		t.Error(err)
	}
}

func callToPush(t *testing.T, registrar *interop.Kamailio, relay *interop.Relay, keys *os.File) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*msrpWait)
	defer cancel()
	octets := noise(300_000)
	path := filepath.Join(t.TempDir(), "a picture.jpg")
	if err := os.WriteFile(path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	inbox, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer inbox.Close()
	received := make(chan error, 1)
	endpoint := newRelayed(t, relay, "ws", "dora", keys)
	register(t, registrar, "tcp", "127.0.0.1", "dora", &ua.Config{OnInvite: func(_ context.Context, in *ua.Invitation) {
		pull := file.Receive(endpoint.Endpoint, inbox, nil)
		call, err := in.Answer(ctx, pull)
		if err == nil {
			_, err = pull.Wait(ctx)
			<-call.Done()
		}
		received <- err
	}})
	agent := register(t, registrar, "tcp", "127.0.0.1", "carol", &ua.Config{})
	push, err := file.Push(newRelayed(t, relay, "tcp", "carol", keys).Endpoint, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	call, err := agent.Invite(ctx, "sip:dora@sip.test", &ua.InviteOptions{Streams: []ua.Stream{push}})
	if err != nil {
		t.Fatal(err)
	}
	if err := push.Wait(ctx); err != nil {
		t.Error(err)
	}
	if err := call.Hangup(ctx); err != nil {
		t.Error(err)
	}
	if err := <-received; err != nil {
		t.Error(err)
	}
	if got, err := inbox.ReadFile("a picture.jpg"); err != nil || !bytes.Equal(got, octets) {
		t.Errorf("%d bytes have come, %v, want %d", len(got), err, len(octets))
	}
}
