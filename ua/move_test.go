package ua_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// Who is anonymous stays so where they move to: not even the GRUU that says who they are is
// in their Contact.
func TestAnonymousCallMoves(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		var contacts []sip.URI
		newPeer(t, s.n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			switch req.Method() {
			case sip.INVITE:
				contacts = append(contacts, contactOf(t, req))
				tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			case sip.BYE:
				tx.Reply(sip.StatusOK)
			}
		})
		laptop := &movable{Network: s.n.Host("192.0.2.1")}
		alice, err := ua.New("sip:alice@"+homeAddr, &ua.Config{
			Network: laptop, Listen: []string{"udp:0.0.0.0:5060"}, Proxy: "sip:" + homeAddr, Logger: quiet, SessionTimer: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { alice.Close() })
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{GRUU: true}); err != nil {
			t.Fatal(err)
		}
		opts := streams(newStream(t))
		opts.Anonymous = true
		call, err := alice.Invite(t.Context(), "sip:bob@192.0.2.2", opts)
		if err != nil {
			t.Fatal(err)
		}
		laptop.moved.Store(true)
		time.Sleep(time.Minute)
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(contacts) != 2 {
			t.Fatalf("%d INVITEs, want 2", len(contacts))
		}
		for _, c := range contacts {
			if c.User == "alice" {
				t.Errorf("the Contact is %s", c)
			}
		}
		call.Hangup(t.Context())
	})
}

// A laptop moves to another network in the middle of a call. The peer gets an INVITE with the
// new address in its Contact and its description; o= stays, but for its version.
func TestCallMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var invites []*sip.Request
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			switch req.Method() {
			case sip.INVITE:
				invites = append(invites, req)
				tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			case sip.BYE:
				tx.Reply(sip.StatusOK)
			}
		})
		laptop := &movable{Network: n.Host("192.0.2.1")}
		alice, err := ua.New("sip:alice@a.example", &ua.Config{
			Network: laptop, Listen: []string{"udp:0.0.0.0:5060"}, Logger: quiet, SessionTimer: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { alice.Close() })
		stream := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(stream))
		if err != nil {
			t.Fatal(err)
		}
		laptop.moved.Store(true)
		time.Sleep(time.Minute) // until the way to the peer is asked for again
		if err := alice.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(invites) != 2 {
			t.Fatalf("%d INVITEs, want 2", len(invites))
		}
		before, after := contactOf(t, invites[0]), contactOf(t, invites[1])
		if before.Host != "192.0.2.1" || after.Host != "192.0.2.50" || after.User != "alice" {
			t.Errorf("the Contact was %s and is %s, want alice at 192.0.2.50", before, after)
		}
		if body := invites[1].Body(); !contains(body, "c=IN IP4 192.0.2.50") || !contains(body, "IN IP4 192.0.2.1\r\ns=") {
			t.Errorf("the description is\n%s\nwant media at 192.0.2.50, and the o= of before", body)
		}
		call.Hangup(t.Context())
	})
}

// What the program has put into the Contact of a call goes along: that it is a conference (RFC 3840
// section 7) it still is at another address.
func TestCallMovesWithItsFeatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		laptop := &movable{Network: n.Host("192.0.2.2")}
		bob := newLaptop(t, laptop, "sip:bob@b.example", ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				contact := in.Dialog().Contact()
				contact.Params = contact.Params.With("isfocus", "")
				in.Dialog().SetContact(contact)
				in.Answer(ctx, newStream(t))
			},
		})
		var contact sip.Contact
		alice := newCaller(t, n, "192.0.2.9", &dialog.Config{
			OnInvite: func(_ context.Context, in *dialog.Invitation) {
				contact, _ = sip.Get[sip.Contact](in.Request())
				in.Accept(describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0"))
			},
		})
		s, _, err := alice.Invite(t.Context(), request(sip.INVITE, bobURI, contactAt("192.0.2.9"), describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0")), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		laptop.moved.Store(true)
		time.Sleep(time.Minute)
		if err := bob.NetworkChanged(t.Context()); err != nil {
			t.Fatal(err)
		}
		if contact.URI.Host != "192.0.2.50" || !contact.Params.Has("isfocus") {
			t.Errorf("the Contact is %v, want isfocus at 192.0.2.50", contact)
		}
		bob.Close()
	})
}

// The registrar of a laptop that moves does not answer, and the program does not wait for
// it: the peer of its call is told soon all the same.
func TestCallMovesWithoutRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var silent atomic.Bool
		newPeer(t, n, serverAddr, func(tx *transaction.Server, req *sip.Request) {
			if !silent.Load() {
				contact, _ := sip.Get[sip.Contact](req)
				tx.Reply(sip.StatusOK, contact, sip.Expires(3600))
			}
		})
		told := make(chan time.Time, 9)
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			if req.Method() == sip.INVITE {
				told <- time.Now()
			}
			if req.Method() != sip.ACK {
				tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			}
		})
		laptop := &movable{Network: n.Host("192.0.2.1")}
		alice := newLaptop(t, laptop, "sip:alice@"+serverAddr, ua.Config{SessionTimer: -1})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{OnError: func(error) {}}); err != nil {
			t.Fatal(err)
		}
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		<-told
		for _, patience := range []time.Duration{time.Hour, 5 * time.Second, time.Second} {
			silent.Store(true)
			laptop.moved.Store(true)
			moved := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if err := alice.NetworkChanged(ctx); err == nil {
				t.Error("NetworkChanged() = nil, want an error")
			}
			cancel()
			if late := (<-told).Sub(moved); late > 3*time.Second {
				t.Errorf("%v: the peer was told after %v, want 3 s at most", patience, late)
			}
			silent.Store(false)
			time.Sleep(5 * time.Minute)
		}
		call.Hangup(t.Context())
	})
}
