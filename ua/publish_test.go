package ua_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/goroutine"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A state is published for three hours at a server that keeps it for half an
// hour: it is refreshed in time and without its body, changed once, and gone when
// it is closed. The network loses a fifth of all datagrams.
func TestPublishThreeHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 20 * time.Millisecond, Loss: 0.2, Duplicate: 0.1})
		var mu sync.Mutex
		var sent []string // the body of each PUBLISH
		last := uint32(0) // the CSeq of the last
		esc := newESC(t, n, &ua.CompositorConfig{MaxExpires: 30 * time.Minute}, &transport.Trace{Received: func(m transport.TraceMessage) {
			mu.Lock()
			defer mu.Unlock()
			if req, ok := m.Message.(*sip.Request); ok && req.CSeq().Seq > last {
				last = req.CSeq().Seq
				sent = append(sent, req.Body())
			}
		}})
		alice := newPublisher(t, n, ua.Config{})
		pub, err := alice.Publish(t.Context(), "presence", pidf("open"), &ua.PublishOptions{
			OnError: func(err error) { t.Errorf("refresh failed: %v", err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		state := "open"
		for time.Since(start) < 3*time.Hour {
			if state == "open" && time.Since(start) > time.Hour {
				state = "busy"
				if err := pub.Update(t.Context(), pidf(state)); err != nil {
					t.Fatal(err)
				}
			}
			if got := bodies(esc, "presence"); len(got) != 1 || got[0] != state {
				t.Fatalf("after %v the server has %q, want %q", time.Since(start), got, state)
			}
			time.Sleep(10 * time.Second)
		}
		mu.Lock()
		// Every 24.3 to 27 minutes, and anew from the change on.
		if got := strings.Count(strings.Join(sent, ""), "open"); got != 1 || sent[0] != "open" || len(sent) < 8 || len(sent) > 9 {
			t.Errorf("bodies of the PUBLISHes %q, want one for each state, and 6 or 7 refreshes", sent)
		}
		mu.Unlock()
		if err := pub.Close(); err != nil {
			t.Error(err)
		}
		if got := bodies(esc, "presence"); len(got) != 0 {
			t.Errorf("after Close the server has %q", got)
		}
		if err := pub.Close(); err != nil {
			t.Errorf("second Close() = %v", err)
		}
		if err := pub.Update(t.Context(), pidf("open")); !errors.Is(err, ua.ErrClosed) {
			t.Errorf("Update() of a closed publication = %v, want ErrClosed", err)
		}
	})
}

// The server is away for two hours: the agent asks again, less and less often,
// is told of each failure, and the state is there again when the server is.
func TestPublishServerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		esc := newESC(t, n, &ua.CompositorConfig{MaxExpires: 10 * time.Minute}, nil)
		alice := newPublisher(t, n, ua.Config{})
		var mu sync.Mutex
		failed := 0
		_, err := alice.Publish(t.Context(), "presence", pidf("open"), &ua.PublishOptions{OnError: func(err error) {
			if !errors.Is(err, transaction.ErrTimeout) {
				t.Errorf("OnError(%v), want ErrTimeout", err)
			}
			mu.Lock()
			failed++
			mu.Unlock()
		}})
		if err != nil {
			t.Fatal(err)
		}
		n.Host(serverAddr).Down()
		time.Sleep(2 * time.Hour)
		if got := bodies(esc, "presence"); len(got) != 0 {
			t.Errorf("the state should have expired, and is %q", got)
		}
		n.Host(serverAddr).Up()
		mu.Lock()
		if failed < 7 || failed > 12 {
			t.Errorf("%d tries in two hours, want 7 to 12", failed)
		}
		mu.Unlock()
		time.Sleep(31 * time.Minute)
		if got := bodies(esc, "presence"); len(got) != 1 {
			t.Errorf("the server is back and has %q", got)
		}
		// The next time it begins with half a minute again.
		mu.Lock()
		failed = 0
		mu.Unlock()
		n.Host(serverAddr).Down()
		time.Sleep(20 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if failed < 3 {
			t.Errorf("%d tries in twenty minutes, want 3 at least", failed)
		}
	})
}

// The context of Publish ends while the server thinks. What it makes of the
// request all the same is removed, and Shutdown waits for that.
func TestPublishGivenUp(t *testing.T) {
	for _, shutdown := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
			slow := granted("a", 3600)
			slow.after = time.Second
			s := newPresenceServer(t, n, slow, refused(200))
			alice := newPublisher(t, n, ua.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			start := time.Now()
			if _, err := alice.Publish(ctx, "presence", pidf("open"), nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Publish() = %v, want the error of its context", err)
			}
			if took := time.Since(start); took != 500*time.Millisecond {
				t.Errorf("Publish took %v, want 500ms", took)
			}
			if shutdown {
				shutDown(t, alice)
			} else {
				time.Sleep(10 * time.Second)
			}
			s.want(t, "3600 open", "a 0")
			if _, err := alice.Publish(ctx, "presence", pidf("open"), nil); err == nil {
				t.Error("Publish() with a context that has ended worked")
			}
			s.want(t, "3600 open", "a 0")
		})
	}
}

// The context of an Update ends while the server thinks: the state is replaced
// all the same, and its entity-tag not lost.
func TestUpdateGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		slow := granted("b", 3600)
		slow.after = time.Second
		s := newPresenceServer(t, n, granted("a", 3600), slow, refused(200))
		alice := newPublisher(t, n, ua.Config{})
		pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := pub.Update(ctx, pidf("busy")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Update() = %v, want the error of its context", err)
		}
		if err := pub.Close(); err != nil { // waits for its turn
			t.Error(err)
		}
		s.want(t, "3600 open", "a 3600 busy", "b 0")
	})
}

// Publications of one address go out one after the other, whatever they are and
// whoever asks for them; presenceServer checks that none comes before the last is
// answered. One to another address does not wait.
func TestPublishInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		answers := []answer{}
		for i := range 8 {
			a := granted(fmt.Sprint(i), 3600)
			a.after = time.Second
			answers = append(answers, a)
		}
		newPresenceServer(t, n, answers...)
		bob := newPresenceServerAt(t, n, "192.0.2.2")
		alice := newPublisher(t, n, ua.Config{})
		start := time.Now()
		var wg sync.WaitGroup
		for _, event := range []string{"presence", "dialog"} {
			wg.Go(func() {
				pub, err := alice.Publish(t.Context(), event, pidf("open"), nil)
				if err != nil {
					t.Error(err)
					return
				}
				for range 2 {
					wg.Go(func() {
						if err := pub.Update(t.Context(), pidf("busy")); err != nil {
							t.Error(err)
						}
					})
				}
			})
		}
		carol := newAgent(t, n, "192.0.2.3", "sip:carol@c.example", ua.Config{})
		if _, err := carol.Publish(t.Context(), "presence", pidf("open"), &ua.PublishOptions{Target: bobURI}); err != nil {
			t.Error(err)
		}
		if got := bob(); got != bobURI {
			t.Errorf("published of %s, want %s", got, bobURI)
		}
		wg.Wait()
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("six PUBLISHes took %v, want 6s", took)
		}
		alice.Close() // which has two seconds for two of them
	})
}

// A refresh is due while an Update waits for its answer: that has refreshed the
// state, too.
func TestUpdateIsRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		slow := granted("b", 100)
		slow.after = 20 * time.Second
		s := newPresenceServer(t, n, granted("a", 100), slow, granted("c", 3600))
		alice := newPublisher(t, n, ua.Config{})
		pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(80 * time.Second)
		if err := pub.Update(t.Context(), pidf("busy")); err != nil {
			t.Error(err)
		}
		time.Sleep(80 * time.Second)
		s.want(t, "3600 open", "a 3600 busy")
		time.Sleep(11 * time.Second)
		s.want(t, "3600 open", "a 3600 busy", "b 3600")
	})
}

// Close while a refresh is not answered, and will not be. It gives up after 2
// seconds, and nobody is told of the refresh any more.
func TestPublishCloseInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		s := newPresenceServer(t, n, granted("a", 100))
		alice := newPublisher(t, n, ua.Config{})
		pub, err := alice.Publish(t.Context(), "presence", pidf("open"), &ua.PublishOptions{
			OnError: func(err error) { t.Errorf("OnError(%v) after Close", err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(92 * time.Second)
		start := time.Now()
		if err := pub.Close(); !errors.Is(err, transaction.ErrTimeout) {
			t.Errorf("Close() = %v, want ErrTimeout", err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("Close took %v, want 2s", took)
		}
		time.Sleep(time.Hour)
		if err := pub.Close(); !errors.Is(err, transaction.ErrTimeout) {
			t.Errorf("second Close() = %v, want what came of the first", err)
		}
		s.want(t, "3600 open", "a 3600", "a 0")
	})
}

// Close and Shutdown while a refresh is not answered for want of a network. It
// comes back, and the state is removed.
func TestPublishCloseMeanwhile(t *testing.T) {
	for _, shutdown := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			esc := newESC(t, n, &ua.CompositorConfig{MaxExpires: 100 * time.Second}, nil)
			alice := newPublisher(t, n, ua.Config{})
			pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
			if err != nil {
				t.Fatal(err)
			}
			n.Host(serverAddr).Down()
			time.Sleep(92 * time.Second)
			n.Host(serverAddr).Up()
			start := time.Now()
			if shutdown {
				shutDown(t, alice)
			} else if err := pub.Close(); err != nil && !errors.Is(err, transaction.ErrTimeout) || time.Since(start) > 2*time.Second {
				t.Errorf("Close() = %v after %v", err, time.Since(start))
			}
			time.Sleep(7 * time.Second)
			if got := bodies(esc, "presence"); len(got) != 0 {
				t.Errorf("after Close the server has %q", got)
			}
		})
	}
}

// The agent is closed in the middle of the first attempt, which nobody answers.
func TestPublishOfClosedAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newPresenceServer(t, n)
		alice := newPublisher(t, n, ua.Config{})
		result := make(chan error, 1)
		go func() {
			_, err := alice.Publish(context.Background(), "presence", pidf("open"), nil)
			result <- err
		}()
		time.Sleep(time.Second)
		start := time.Now()
		alice.Close()
		if err := <-result; !errors.Is(err, ua.ErrClosed) {
			t.Errorf("Publish() of a closed agent = %v, want ErrClosed", err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("Close took %v", took)
		}
		if _, err := alice.Publish(t.Context(), "presence", pidf("open"), nil); !errors.Is(err, ua.ErrClosed) {
			t.Errorf("Publish() of a closed agent = %v, want ErrClosed", err)
		}
	})
}

// What cannot be published is not sent.
func TestPublishNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		s := newPresenceServer(t, n)
		alice := newPublisher(t, n, ua.Config{})
		for _, test := range []struct {
			event, target string
			body          sip.Body
		}{
			{"presence", "", sip.Body{}},
			{"presence", "", sip.Body{Type: "text plain", Content: "x"}},
			{"no token", "", pidf("open")},
			{"", "", pidf("open")},
			{"presence", "sip:", pidf("open")},
		} {
			if _, err := alice.Publish(t.Context(), test.event, test.body, &ua.PublishOptions{Target: test.target}); err == nil {
				t.Errorf("Publish() of %+v worked", test)
			}
		}
		shutDown(t, alice)
		s.want(t)
	})
}

// Idle publications hold no goroutine, and neither do those that the server has
// refused. All of them can be closed.
func TestIdlePublications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, others = 100, 20 // goroutines of the process that come and go
		n := siptest.NewNetwork(nil)
		esc := newESC(t, n, &ua.CompositorConfig{MaxStates: most}, nil)
		alice := newPublisher(t, n, ua.Config{})
		goroutines := func() int {
			time.Sleep(40 * time.Second) // the transactions end
			synctest.Wait()
			return goroutine.Count()
		}
		before := goroutines()
		var pubs []io.Closer
		for i := range 2 * most {
			pub, err := alice.Publish(t.Context(), "presence", pidf("open"), nil)
			switch {
			case i >= most && !errors.Is(err, sip.StatusTemporarilyUnavailable):
				t.Fatalf("Publish() = %v, want 480", err)
			case i >= most:
			case err != nil:
				t.Fatal(err)
			default:
				pubs = append(pubs, pub)
			}
		}
		if got := goroutines(); got > before+others {
			t.Errorf("%d goroutines with %d publications, %d before", got, len(pubs), before)
		}
		for _, pub := range pubs {
			if err := pub.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := bodies(esc, "presence"); len(got) != 0 {
			t.Errorf("after Close the server has %q", got)
		}
	})
}

// One of two flows is silently down: the state is published by the other one, and the
// next publication goes by that at once.
func TestPublishByAnotherFlow(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		s.set(func(tx *transaction.Server, req *sip.Request) bool {
			if req.Method() == sip.PUBLISH {
				tx.Reply(sip.StatusOK, sip.SIPETag("x"), sip.Expires(3600))
			}
			return req.Method() == sip.PUBLISH
		})
		alice := s.alice(ua.Config{})
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Proxies: proxies, OnError: func(error) {}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.n.Host(edge1).Down()
		for _, most := range []time.Duration{40 * time.Second, time.Second} {
			began := time.Now()
			if _, err := alice.Publish(t.Context(), "presence", pidf("x"), nil); err != nil || time.Since(began) > most {
				t.Errorf("Publish() = %v after %v, want nil in %v", err, time.Since(began), most)
			}
		}
		s.n.Host(edge1).Up()
	})
}
