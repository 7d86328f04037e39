package ua_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// Two agents of one domain: both register, and call through its proxy with
// passwords. Everything in the call takes the way of the Record-Route.
func TestCallThroughProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 15 * time.Millisecond})
		d := newDomain(t, n)
		calls := make(chan *ua.Call, 1)
		ours, theirs := newStream(t), newStream(t)
		messages := make(chan string, 1)
		bob := newAgent(t, n, "192.0.2.2", "sip:bob@a.example", atDomain(ua.Config{
			OnInvite:  answerWith(calls, theirs),
			OnMessage: func(_ context.Context, m ua.Message) error { messages <- m.Body; return nil },
		}))
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", atDomain(ua.Config{}))
		if _, err := alice.Invite(t.Context(), "sip:bob@a.example", nil); !errors.Is(err, sip.StatusTemporarilyUnavailable) {
			t.Errorf("Invite() of nobody = %v, want 480", err)
		}
		for _, a := range []*ua.Agent{alice, bob} {
			if _, err := a.Register(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		call, err := alice.Invite(t.Context(), "sip:bob@a.example", streams(ours))
		if err != nil {
			t.Fatal(err)
		}
		b := <-calls
		if got := b.Remote().URI.String(); got != "sip:alice@a.example" {
			t.Errorf("Remote() = %s", got)
		}
		if err := b.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		if err := call.Hangup(t.Context()); err != nil {
			t.Error(err)
		}
		ours.check(t, "Alice", "sendrecv 192.0.2.2:4000, recvonly 192.0.2.2:4000", true)
		<-b.Done()
		if err := alice.Message(t.Context(), "sip:bob@a.example", "text/plain", "hello"); err != nil {
			t.Error(err)
		}
		if m := <-messages; m != "hello" {
			t.Errorf("the message says %q", m)
		}
		if resp, err := alice.Options(t.Context(), "sip:bob@a.example"); err != nil || resp.Status() != sip.StatusOK {
			t.Errorf("Options() = %v, %v", resp, err)
		}
		want := map[sip.Method]int{sip.INVITE: 2, sip.ACK: 2, sip.BYE: 1, sip.MESSAGE: 1, sip.OPTIONS: 1}
		d.set(func() {
			if got := fmt.Sprint(d.requests); got != fmt.Sprint(want) {
				t.Errorf("the proxy forwarded %s, want %v", got, want)
			}
		})

		// A wrong password is asked for once more, and no more.
		mallory := atDomain(ua.Config{})
		mallory.Password = "guess"
		m := newAgent(t, n, "192.0.2.3", "sip:mallory@a.example", mallory)
		stream := newStream(t)
		if _, err := m.Invite(t.Context(), "sip:bob@a.example", streams(stream)); !errors.Is(err, ua.ErrPassword) {
			t.Errorf("Invite() = %v, want ErrPassword", err)
		}
		stream.check(t, "Mallory", "", true)
	})
}

// CANCEL through the proxy ends the callee's context.
func TestCancelThroughProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 15 * time.Millisecond})
		newDomain(t, n)
		cause := make(chan error, 1)
		bob := newAgent(t, n, "192.0.2.2", "sip:bob@a.example", atDomain(ua.Config{
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				<-ctx.Done()
				s := newStream(t)
				_, err := in.Answer(ctx, s)
				s.check(t, "Bob", "", true)
				cause <- err
			},
		}))
		if _, err := bob.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", atDomain(ua.Config{}))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := alice.Invite(ctx, "sip:bob@a.example", streams(newStream(t))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Invite() = %v, want the error of its context", err)
		}
		if err := <-cause; !errors.Is(err, transaction.ErrCancelled) {
			t.Errorf("Answer() = %v, want ErrCancelled", err)
		}
	})
}

// Registrars that challenge in every way that they should not: it ends, soon,
// and with an error that does not blame the password where it was not at fault.
func TestHostileChallenges(t *testing.T) {
	nonce := strings.Repeat("n", 4096)
	count := 0
	for _, test := range []struct {
		name      string
		challenge func() string
		requests  int // at most
		password  bool
	}{
		{"stale for ever", func() string { return fmt.Sprintf(`Digest realm="a", nonce="%d", stale=true`, count) }, 5, false},
		{"another realm each time", func() string { return fmt.Sprintf(`Digest realm="%d", nonce="1"`, count) }, 6, false},
		{"another nonce each time", func() string { return fmt.Sprintf(`Digest realm="a", nonce="%d"`, count) }, 2, true},
		{"a nonce of 4 kB", func() string { return `Digest realm="a", nonce="` + nonce + `"` }, 2, true},
		{"unknown algorithm", func() string { return `Digest realm="a", nonce="1", algorithm=ROT13` }, 1, false},
		{"another scheme", func() string { return `Basic realm="a"` }, 1, false},
		{"no challenge", nil, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				count = 0
				newPeer(t, n, "192.0.2.100", func(tx *transaction.Server, _ *sip.Request) {
					count++
					var edits []sip.Edit
					if test.challenge != nil {
						edits = append(edits, sip.Field{Name: "WWW-Authenticate", Value: test.challenge()})
					}
					tx.Reply(sip.StatusUnauthorized, edits...)
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", atDomain(ua.Config{}))
				_, err := alice.Register(t.Context(), nil)
				if !errors.Is(err, sip.StatusUnauthorized) || errors.Is(err, ua.ErrPassword) != test.password {
					t.Errorf("Register() = %v, want 401, and ErrPassword: %v", err, test.password)
				}
				if strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
					t.Errorf("the error is %q", err)
				}
				synctest.Wait()
				if count > test.requests {
					t.Errorf("%d REGISTERs, want at most %d", count, test.requests)
				}
			})
		})
	}
}

// The peer of a call challenges a hold for a realm of its own: it learns nothing
// about the password.
func TestChallengeInCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newCaller(t, n, "192.0.2.2", &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			if !in.Re() {
				in.Accept(describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
				return
			}
			for f := range in.Request().Fields() {
				if strings.Contains(strings.ToLower(f.Name), "authorization") {
					t.Errorf("the hold has %s: %s", f.Name, f.Value)
				}
			}
			in.Reject(sip.StatusProxyAuthRequired, sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="mallory", nonce="1"`})
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret"})
		call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Hold(t.Context()); !errors.Is(err, digest.ErrUnexpectedRealm) {
			t.Errorf("Hold() = %v, want ErrUnexpectedRealm", err)
		}
		call.Hangup(t.Context())
	})
}
