package ua_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Fifty calls one after the other over a network that loses a fifth of
// everything, doubles some and delivers some late. Every call comes about, is
// held and resumed, and both sides agree that it is over; no stream is called
// out of turn.
func TestLossyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{
			Seed: 7, Loss: 0.2, Delay: 30 * time.Millisecond, Jitter: 20 * time.Millisecond, Duplicate: 0.05, Reorder: 0.05,
		})
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			call, err := in.Answer(ctx, newStream(t))
			if err != nil {
				t.Error(err)
			}
			calls <- call
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		for i := range 50 {
			s := newStream(t)
			call, err := alice.Invite(t.Context(), bobURI, streams(s))
			if err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
			b := <-calls
			for _, change := range []func(context.Context) error{call.Hold, b.Hold, call.Resume} {
				if err := change(t.Context()); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			}
			if err := call.Hangup(t.Context()); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
			<-b.Done()
			s.check(t, fmt.Sprint("call ", i), "sendrecv 192.0.2.2:4000, sendonly 192.0.2.2:4000, inactive 192.0.2.2:4000, recvonly 192.0.2.2:4000", true)
		}
	})
}

// Two hundred calls at once, each changed from both sides at the same time.
func TestManyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 5 * time.Millisecond, Queue: 4096})
		var answered atomic.Int32
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			s := newStream(t)
			call, err := in.Answer(ctx, s)
			if err != nil {
				t.Error(err)
				return
			}
			answered.Add(1)
			if err := call.Hold(context.Background()); err != nil {
				t.Error(err)
			}
			<-call.Done()
			s.told()
			s.check(t, "Bob", "", true)
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		done := make(chan struct{})
		for range 200 {
			go func() {
				defer func() { done <- struct{}{} }()
				call, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
				if err != nil {
					t.Error(err)
					return
				}
				if err := call.Hold(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if err := call.Hangup(t.Context()); err != nil {
					t.Error(err)
				}
			}()
		}
		for range 200 {
			<-done
		}
		synctest.Wait()
		if n := answered.Load(); n != 200 {
			t.Errorf("%d calls were answered, want 200", n)
		}
	})
}

// maxIdleCall is what one side of an idle call may hold in memory, in bytes,
// without what its streams have.
const maxIdleCall = 5 << 10

// An idle call holds little memory and no goroutine, and neither does a
// registration.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 500
		n := siptest.NewNetwork(nil)
		d := newDomain(t, n)
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			call, err := in.Answer(ctx, newStream(t))
			if err != nil {
				t.Error(err)
			}
			calls <- call
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret"})
		settle := func() (heap uint64, goroutines int) {
			time.Sleep(2 * time.Minute) // until no transaction is left
			synctest.Wait()
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc, goroutine.Count()
		}
		call := func() (*ua.Call, *ua.Call) {
			c, err := alice.Invite(t.Context(), bobURI, streams(newStream(t)))
			if err != nil {
				t.Fatal(err)
			}
			return c, <-calls
		}
		call() // what is there once
		var kept []*ua.Call
		heap, goroutines := settle()
		for range count {
			a, b := call()
			kept = append(kept, a, b)
		}
		after, goroutinesAfter := settle()
		if goroutinesAfter > goroutines {
			t.Errorf("%d goroutines for %d idle calls", goroutinesAfter-goroutines, count)
		}
		size := int(after-heap) / (2 * count)
		t.Logf("an idle call: %d bytes a side", size)
		if size > maxIdleCall {
			t.Errorf("one side of an idle call holds %d bytes, want at most %d", size, maxIdleCall)
		}
		runtime.KeepAlive(kept)

		d.set(func() {})
		for range count {
			if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Registrar: proxyURI}); err != nil {
				t.Fatal(err)
			}
		}
		if _, n := settle(); n > goroutinesAfter {
			t.Errorf("%d goroutines for %d idle registrations", n-goroutinesAfter, count)
		}
	})
}
