package transaction

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// eager timers send so often within their time that a network which loses a
// fifth of everything does not stop a request: ten times an INVITE, and eighty
// times everything else.
var eager = Timers{
	T1: 100 * time.Millisecond, T2: 400 * time.Millisecond,
	B: 64 * time.Second, F: 32 * time.Second, J: 32 * time.Second, L: 32 * time.Second, M: 32 * time.Second,
}

// userAgent does the least that a caller and a callee must do beyond
// transactions for a call to survive loss: it repeats a 2xx until the ACK comes
// (RFC 3261 section 13.3.1.4), and the ACK for each 2xx (section 13.2.2.4).
type userAgent struct {
	l *Layer

	mu    sync.Mutex
	acked map[string]chan struct{} // by Call-ID: calls answered
	ends  map[string]int           // BYEs served
}

func newUserAgent(t *testing.T, host *siptest.Host) *userAgent {
	a := &userAgent{acked: map[string]chan struct{}{}, ends: map[string]int{}}
	a.l = listen(t, host, &Config{
		Timers:  eager,
		Handler: a.handle,
		Accepted: func(_ *sip.Request, resp *sip.Response) {
			go a.l.Send(context.Background(), inDialog(sip.ACK, 1, resp)) // ends when it is sent
		},
	})
	return a
}

func (a *userAgent) handle(tx *Server, req *sip.Request) {
	id := req.CallID()
	switch req.Method() {
	case sip.INVITE:
		acked := make(chan struct{})
		a.mu.Lock()
		a.acked[id] = acked
		a.mu.Unlock()
		tx.Reply(180)
		ok := req.Reply(200)
		for wait, end := eager.T1, time.After(eager.L); ; wait = min(2*wait, eager.T2) {
			tx.Respond(ok)
			select {
			case <-acked:
				return
			case <-end:
				return
			case <-time.After(wait):
			}
		}
	case sip.ACK:
		a.mu.Lock()
		defer a.mu.Unlock()
		if acked := a.acked[id]; acked != nil {
			close(acked)
			delete(a.acked, id)
		}
	default:
		a.mu.Lock()
		a.ends[id]++
		a.mu.Unlock()
		tx.Reply(200)
	}
}

// call places a call, and ends it a second later.
func (a *userAgent) call(id, uri string) error {
	ok, err := a.l.Do(context.Background(), request(sip.INVITE, uri, sip.CallID(id)))
	if err != nil || ok.Status() != 200 {
		return fmt.Errorf("INVITE: %v, %w", ok, err)
	}
	if _, _, err := a.l.Send(context.Background(), inDialog(sip.ACK, 1, ok)); err != nil {
		return err
	}
	<-time.After(time.Second)
	bye, err := a.l.Do(context.Background(), inDialog(sip.BYE, 2, ok))
	if err != nil || bye.Status() != 200 {
		return fmt.Errorf("BYE: %v, %w", bye, err)
	}
	return nil
}

// Five hundred calls over a network that loses a fifth of everything, doubles
// and reorders: each one completes, each BYE is served once, nothing is left.
func TestCallsOverBadNetwork(t *testing.T) {
	storyOn(t, siptest.NetworkConfig{
		Seed: 1, Loss: 0.2, Duplicate: 0.1, Reorder: 0.1,
		Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond,
	}, func(t *testing.T, n *siptest.Network) {
		alice, bob := newUserAgent(t, n.Host(aliceAddr)), newUserAgent(t, n.Host(bobAddr))
		const calls = 500
		var failed atomic.Int64
		var all sync.WaitGroup
		for i := range calls {
			all.Go(func() {
				if err := alice.call(fmt.Sprint(i), bobURI); err != nil {
					failed.Add(1)
					t.Logf("call %d: %v", i, err)
				}
			})
			<-time.After(10 * time.Millisecond)
		}
		all.Wait()
		if got := failed.Load(); got != 0 {
			t.Errorf("%d of %d calls failed", got, calls)
		}
		pass(time.Minute)
		bob.mu.Lock()
		defer bob.mu.Unlock()
		if got := len(bob.acked); got != 0 {
			t.Errorf("%d calls have had no ACK", got)
		}
		for id, times := range bob.ends {
			if times != 1 {
				t.Errorf("the BYE of call %s was served %d times, want once", id, times)
			}
		}
		if got := len(bob.ends); got != calls {
			t.Errorf("%d calls ended, want %d", got, calls)
		}
	})
}

// Calls, cancelled calls, loops that are left and timeouts on real goroutines,
// and Close in the middle of it: nothing gets stuck.
func TestStress(t *testing.T) {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Queue: 1 << 16})
	timers := Timers{T1: 20 * time.Millisecond, T4: 20 * time.Millisecond, D: 50 * time.Millisecond, Trying: time.Millisecond}
	open := func(host string, cfg *Config) *Layer {
		cfg.Timers = timers
		cfg.Logger = slog.New(slog.DiscardHandler)
		at := host + ":5060"
		l, err := Listen(&transport.Config{Listen: []string{"udp:" + at, "tcp:" + at}, Network: n.Host(host)}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	bob := open(bobAddr, &Config{Handler: func(tx *Server, req *sip.Request) {
		switch user := req.URI().User; {
		case req.Method() == sip.ACK:
		case user == "silent":
			<-tx.Context().Done()
		case user == "rings":
			tx.Reply(180)
			<-tx.Context().Done()
		case user == "panics":
			panic(nil)
		default:
			tx.Reply(180)
			tx.Reply(200)
		}
	}})
	var accepted atomic.Int64
	alice := open(aliceAddr, &Config{Accepted: func(*sip.Request, *sip.Response) { accepted.Add(1) }})

	var all sync.WaitGroup
	var done atomic.Int64
	deadline := time.Now().Add(700 * time.Millisecond)
	users := []string{"bob", "silent", "rings", "panics", "nobody"}
	for worker := range 16 {
		all.Go(func() {
			for i := 0; time.Now().Before(deadline); i++ {
				user, host, transport := users[(worker+i)%len(users)], bobAddr, "udp"
				if user == "nobody" {
					host = "192.0.2.99"
				} else if i%3 == 0 {
					transport = "tcp"
				}
				id := fmt.Sprintf("%d-%d", worker, i%4) // some calls share a Call-ID
				seq := sip.CSeq{Seq: uint32(i), Method: sip.INVITE}
				r := request(sip.INVITE, "sip:"+user+"@"+host+";transport="+transport, sip.CallID(id), seq)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*2*time.Millisecond)
				for range alice.Responses(ctx, r) {
					if i%5 == 0 {
						break
					}
				}
				cancel()
				done.Add(1)
			}
		})
	}
	<-time.After(time.Until(deadline) / 2)
	// The worst of moments: the callee is gone while calls are under way.
	if err := bob.Close(); err != nil {
		t.Error(err)
	}
	finished := make(chan struct{})
	go func() { // ends with the workers
		all.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(20 * time.Second):
		t.Fatal("stuck")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := alice.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if done.Load() == 0 {
		t.Error("nothing was done")
	}
	for name, l := range map[string]*Layer{"alice": alice, "bob": bob} {
		if n := tallyOf(l); n != (tally{}) {
			t.Errorf("%s: %+v left", name, n)
		}
	}
}
