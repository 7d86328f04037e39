package transaction

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// Close, then write: Bob's server is started anew thirty times, at any moment,
// while requests come, ring, are cancelled and answered. Each gets its answer,
// and none is answered twice by the program.
func TestHandoverUnderTraffic(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { story(t, func(t *testing.T, n *siptest.Network) { handover(t, n, seed) }) })
	}
}

func handover(t *testing.T, n *siptest.Network, seed uint64) {
	var mu sync.Mutex
	answered := map[string]int{} // by ID: how often the program gave its final response
	handle := func(tx *Server, req *sip.Request) {
		if req.Method() == sip.ACK {
			return
		}
		if req.Method() == sip.INVITE {
			tx.Reply(sip.StatusRinging)
			select {
			case <-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond):
			case <-tx.Context().Done():
				if errors.Is(context.Cause(tx.Context()), transport.ErrClosed) {
					return
				}
			}
		}
		status := sip.StatusOK
		if errors.Is(context.Cause(tx.Context()), ErrCancelled) {
			status = sip.StatusRequestTerminated
		}
		if err := tx.Reply(status); err == nil {
			mu.Lock()
			answered[tx.ID()]++
			mu.Unlock()
		} else if !errors.Is(err, transport.ErrClosed) {
			t.Errorf("answer to %s: %v", tx.ID(), err)
		}
	}
	over := make(chan bool)
	go func() { // ends after the last run
		defer close(over)
		bob := listen(t, n.Host(bobAddr), &Config{Handler: handle})
		for range 30 {
			<-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond)
			bob.Close()
			<-time.After(time.Duration(rand.IntN(100)) * time.Millisecond) // to write takes its time
			kept := snapshots(t, bob)
			bob = listen(t, n.Host(bobAddr), &Config{Handler: handle, Restore: restoring(kept, nil)})
		}
	}()

	alice := listen(t, n.Host(aliceAddr), nil)
	var calls sync.WaitGroup
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 300 {
		<-time.After(time.Duration(r.IntN(100)) * time.Millisecond)
		method, gives := sip.INVITE, time.Hour
		switch r.IntN(3) {
		case 0:
			method = sip.MESSAGE
		case 1:
			gives = time.Duration(50+r.IntN(1000)) * time.Millisecond
		}
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), gives)
			defer cancel()
			var id string
			ctx = WithSent(ctx, func(_ transport.Flow, r *sip.Request) { id = ID(r) })
			resp, err := alice.Do(ctx, request(method, bobURI, sip.CallID(fmt.Sprint("call-", i))))
			switch {
			case err != nil:
				t.Errorf("%s %d: %v", method, i, err)
			case resp.Status() != sip.StatusOK && (resp.Status() != sip.StatusRequestTerminated || gives == time.Hour):
				t.Errorf("%s %d: %v", method, i, resp.Status())
			}
			mu.Lock()
			defer mu.Unlock()
			if got := answered[id]; got != 1 {
				t.Errorf("%s %d was answered %d times, want once", method, i, got)
			}
		})
	}
	calls.Wait()
	<-over
}

// What a closed Layer has stays as it was, whatever its handlers do: a snapshot
// that is taken a minute later has the timers of that moment.
func TestClosedLayerStands(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		bob := listen(t, n.Host(bobAddr), &Config{
			Handler: func(tx *Server, req *sip.Request) {
				<-tx.Context().Done()
				if err := tx.Reply(486); !errors.Is(err, transport.ErrClosed) {
					t.Errorf("Reply() = %v, want %v", err, transport.ErrClosed)
				}
				j.note("handler")
			},
			Frozen: func() { j.note("frozen") },
		})
		alice := alicePeer(t, n)
		invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
		alice.send(invite)
		pass(150 * time.Millisecond)
		bob.Close()
		alice.send(invite)
		pass(time.Minute)
		j.check(t, "frozen", "handler")
		var kept [][]byte
		for range 2 {
			kept = snapshots(t, bob)
			if len(kept) != 1 {
				t.Fatalf("%d snapshots, want 1", len(kept))
			}
		}
		listen(t, n.Host(bobAddr), &Config{Handler: answer(180, 200), Restore: restoring(kept, func(tx *Server, req *sip.Request) {
			<-time.After(time.Second)
			tx.Reply(200)
		})})
		alice.expectAll(10*time.Millisecond, "")
		alice.expectAll(500*time.Millisecond, "100 INVITE") // 140 ms were over
		alice.expectAll(time.Minute, "200 INVITE")
	})
}

// What is sent while the layer above notes what there is would be in no snapshot:
// it is not sent.
func TestFrozenSendsNothing(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		sent := make(chan error, 1)
		var l *Layer
		l = listen(t, n.Host(aliceAddr), &Config{Frozen: func() {
			go func() { // ends when Frozen has returned
				_, _, err := l.Send(t.Context(), request(sip.ACK, bobURI))
				sent <- err
			}()
			pass(time.Second)
			if len(sent) > 0 {
				t.Error("Send has returned before Frozen has")
			}
		}})
		l.Close()
		if err := <-sent; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Send = %v, want %v", err, transport.ErrClosed)
		}
		bob.expectAll(time.Second, "")
	})
}
