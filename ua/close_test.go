package ua_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// An agent is closed with everything under way: a call up, one that rings out,
// one that rings in, a registration, an OPTIONS and a MESSAGE that nobody
// answers. Close takes 2 seconds at most, each of them ends, and no goroutine
// stays: synctest would say so.
func TestCloseInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
		d := newDomain(t, n)
		calls := make(chan *ua.Call, 1)
		rings := make(chan struct{})
		gone := make(chan error, 1)
		theirs := newStream(t)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, theirs)})
		newAgent(t, n, "192.0.2.3", "sip:carol@c.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			<-ctx.Done()
			gone <- context.Cause(ctx)
		}})
		incoming := make(chan error, 1)
		cfg := ua.Config{Password: "secret", OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			close(rings)
			<-ctx.Done()
			_, err := in.Answer(ctx, newStream(t))
			incoming <- err
		}}
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", cfg)
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Registrar: proxyURI}); err != nil {
			t.Fatal(err)
		}
		ours := newStream(t)
		up, err := alice.Invite(t.Context(), bobURI, streams(ours))
		if err != nil {
			t.Fatal(err)
		}
		<-calls
		outgoing, asked, said := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		ringing := newStream(t)
		go func() {
			_, err := alice.Invite(t.Context(), "sip:carol@192.0.2.3", streams(ringing))
			outgoing <- err
		}()
		go func() {
			_, err := alice.Options(t.Context(), "sip:192.0.2.99")
			asked <- err
		}()
		go func() { said <- alice.Message(t.Context(), "sip:192.0.2.99", "text/plain", "x") }()
		stranger := newPeer(t, n, "192.0.2.9", nil)
		refused := make(chan sip.Status, 1)
		go func() {
			resp, err := stranger.Do(t.Context(), request(sip.INVITE, "sip:alice@192.0.2.1", contactAt("192.0.2.9")))
			if err != nil {
				t.Error(err)
			}
			refused <- resp.Status()
		}()
		<-rings
		time.Sleep(time.Second)

		start := time.Now()
		second := make(chan struct{})
		go func() {
			alice.Close()
			close(second)
		}()
		if err := alice.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("Close took %v", took)
		}
		<-second
		for what, got := range map[string]error{"Invite": <-outgoing, "Options": <-asked, "Message": <-said, "Answer": <-incoming} {
			if !errors.Is(got, ua.ErrClosed) {
				t.Errorf("%s ended with %v, want ErrClosed", what, got)
			}
		}
		if status := <-refused; status != sip.StatusTemporarilyUnavailable {
			t.Errorf("the caller got %v, want 480", status)
		}
		if err := <-gone; !errors.Is(err, transaction.ErrCancelled) {
			t.Errorf("the callee's context ended with %v, want ErrCancelled", err)
		}
		<-up.Done()
		synctest.Wait()
		ours.told()
		ours.check(t, "Alice", "", true)
		ringing.check(t, "Alice, ringing", "", true)
		theirs.told()
		theirs.check(t, "Bob", "", true)
		if len(d.bindings["alice"]) != 0 {
			t.Error("the binding is still there")
		}

		for what, f := range map[string]func() error{
			"Invite":   func() error { _, err := alice.Invite(t.Context(), bobURI, streams(newStream(t))); return err },
			"Register": func() error { _, err := alice.Register(t.Context(), nil); return err },
			"Options":  func() error { _, err := alice.Options(t.Context(), bobURI); return err },
			"Message":  func() error { return alice.Message(t.Context(), bobURI, "text/plain", "x") },
		} {
			if err := f(); !errors.Is(err, ua.ErrClosed) {
				t.Errorf("%s() of a closed agent = %v, want ErrClosed", what, err)
			}
		}
		if err := alice.Close(); err != nil {
			t.Errorf("Close() again = %v", err)
		}
		if err := up.Hangup(t.Context()); err != nil {
			t.Errorf("Hangup() after Close() = %v", err)
		}
	})
}

// The peer is gone: Shutdown says that its time was too short, and all is over
// nevertheless.
func TestShutdownCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		other := newAgent(t, p.n, "192.0.2.5", "sip:dave@d.example", ua.Config{})
		stream := newStream(t)
		stuck := make(chan struct{})
		stream.onUpdate = func(context.Context) error { <-stuck; return nil } // deaf to its context
		calls := make(chan *ua.Call, 1)
		newAgent(t, p.n, "192.0.2.6", "sip:eve@e.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		result := make(chan error, 1)
		go func() {
			_, err := other.Invite(t.Context(), "sip:eve@192.0.2.6", streams(stream))
			result <- err
		}()
		<-calls
		p.n.Host("192.0.2.6").Down()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := other.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown() = %v, want the error of its context", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Shutdown took %v, want 1s", took)
		}
		close(stuck)
		<-result
	})
}

// A new call during Shutdown gets 503.
func TestShutdownTakesNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 100 * time.Millisecond})
		calls := make(chan *ua.Call, 1)
		bob := newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: answerWith(calls, newStream(t))})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		if _, err := alice.Invite(t.Context(), bobURI, streams(newStream(t))); err != nil {
			t.Fatal(err)
		}
		<-calls
		go bob.Shutdown(t.Context()) // the BYE takes 200 ms
		time.Sleep(10 * time.Millisecond)
		_, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
		var refused *ua.StatusError
		if !errors.As(err, &refused) || refused.Status != sip.StatusServiceUnavailable {
			t.Fatalf("Invite() = %v, want 503", err)
		}
		if _, err := sip.Get[sip.RetryAfter](refused.Response); err != nil {
			t.Errorf("Retry-After: %v", err)
		}
	})
}

// Agents are closed while fifty calls are being set up between them.
func TestCloseAtAnyTime(t *testing.T) {
	for i := range 40 {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Seed: uint64(i), Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond})
			bob := newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				in.Ring(ctx)
				s := newStream(t)
				call, err := in.Answer(ctx, s)
				if err == nil {
					<-call.Done()
				}
				s.told()
				s.check(t, fmt.Sprint("Bob ", i), "", true)
			}})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			done := make(chan struct{})
			for range 50 {
				go func() {
					s := newStream(t)
					call, err := alice.Invite(t.Context(), bobURI, streams(s))
					if err == nil {
						call.Hold(t.Context())
						<-call.Done()
					}
					s.told()
					s.check(t, fmt.Sprint("Alice ", i), "", true)
					done <- struct{}{}
				}()
			}
			first, second := alice, bob
			if i%2 == 1 {
				first, second = bob, alice
			}
			time.Sleep(time.Duration(i) * 3 * time.Millisecond)
			first.Close()
			second.Close()
			for range 50 {
				<-done
			}
		})
	}
}
