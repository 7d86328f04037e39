package registrar

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction/proxy"
)

// busyStore does one thing at a time, and 100 in a second.
type busyStore struct {
	*Memory
	turn chan struct{}
}

func newBusyStore() busyStore { return busyStore{NewMemory(nil), make(chan struct{}, 1)} }

func (s busyStore) work(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		<-time.After(10 * time.Millisecond)
		<-s.turn
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s busyStore) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := s.work(ctx); err != nil {
		return nil, 0, err
	}
	return s.Memory.Get(ctx, key)
}

func (s busyStore) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte, ttl time.Duration) error {
	if err := s.work(ctx); err != nil {
		return err
	}
	return s.Memory.CompareAndSet(ctx, key, revision, value, ttl)
}

// offer has requests sent, so many a second for so many seconds, and returns how
// often each answer came, with "late" for one that took more than four seconds.
func offer(t *testing.T, p *phone, perSecond, seconds int, request func(i int) *sip.Request) map[string]int {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	counts := map[string]int{}
	for i := range perSecond * seconds {
		r := request(i)
		all.Go(func() { // ends with the transaction
			began := time.Now()
			resp, err := p.layer.Do(t.Context(), r)
			what := fmt.Sprint(err)
			if resp != nil {
				what = fmt.Sprint(int(resp.Status()))
			}
			if time.Since(began) > 4*time.Second {
				what = "late"
			}
			mu.Lock()
			defer mu.Unlock()
			counts[what]++
		})
		time.Sleep(time.Second / time.Duration(perSecond))
	}
	all.Wait()
	return counts
}

// A Store that does 50 REGISTERs in a second. With fewer than that all are done. With
// twice as many it does what it can, and the rest is refused before it has waited for
// long.
func TestBusyStore(t *testing.T) {
	for _, c := range []struct{ rate, least, refused int }{{40, 1200, 0}, {100, 1200, 1200}} {
		t.Run(fmt.Sprint(c.rate), func(t *testing.T) {
			story(t, nil, func(t *testing.T, s *scene) {
				s.location = must(New(&Config{Domains: []string{"example.com"}, Store: newBusyStore(), Logger: quiet}))
				counts := offer(t, s.phone, c.rate, 30, func(i int) *sip.Request {
					s.phone.to, s.phone.callID = fmt.Sprintf("sip:user%d@example.com", i), fmt.Sprint(i)
					return s.phone.request(contact(numbered(1)))
				})
				if counts["200"] < c.least || counts["503"] < c.refused || counts["200"]+counts["503"] < c.rate*30*99/100 {
					t.Errorf("%v, want at least %d times 200 and %d times 503, and nothing else", counts, c.least, c.refused)
				}
			})
		})
	}
}

// The same, for 100 requests in a second to users.
func TestBusyStoreForwards(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.location = must(New(&Config{Domains: []string{"example.com"}, Store: newBusyStore(), Logger: quiet}))
		serve(t, s.n, nodeA, s.location, transport.Config{}, proxy.Config{})
		counts := offer(t, s.phone, 200, 20, func(i int) *sip.Request {
			to := uri(t, fmt.Sprintf("sip:user%d@example.com", i))
			return sip.NewRequest(sip.MESSAGE, to, sip.MaxForwards(70), sip.From{URI: uri(t, "sip:carol@example.org"), Params: ";tag=1"},
				sip.To{URI: to}, sip.CallID(fmt.Sprint(i)), sip.CSeq{Seq: 1, Method: sip.MESSAGE}, through(t, nodeA))
		})
		if counts["480"] < 1600 || counts["503"] < 1600 || counts["480"]+counts["503"] < 3960 {
			t.Errorf("%v, want at least 1600 times 480 and 503 each, and nothing else", counts)
		}
	})
}

// The same, for passwords, of which 100 are found in a second.
func TestBusyPasswords(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		store := newBusyStore()
		s.location = must(New(&Config{Domains: []string{"example.com"}, Logger: quiet, Users: passwordsOf(store),
			ThirdParty: func(string, sip.URI) bool { return true }}))
		asked := s.phone.register(401, contact(numbered(1)))
		client := digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"})
		counts := offer(t, s.phone, 200, 20, func(i int) *sip.Request {
			s.phone.to, s.phone.callID = fmt.Sprintf("sip:user%d@example.com", i), fmt.Sprint(i)
			return must(client.Authorize(s.phone.request(contact(numbered(1))), asked))
		})
		if counts["200"] < 1600 || counts["503"] < 1600 || counts["200"]+counts["503"] < 3960 {
			t.Errorf("%v, want at least 1600 times 200 and 503 each, and nothing else", counts)
		}
	})
}

// passwordsOf returns users whose passwords are in a store.
func passwordsOf(store busyStore) *digest.Server {
	return must(digest.NewServer(digest.ServerConfig{Realm: "example.com", Nonces: 1000,
		Password: func(ctx context.Context, _ string) (string, error) { return "secret", store.work(ctx) }}))
}

// Whoever hangs up while his password is looked for has 487, too, and that is no
// failure of ours.
func TestCancelWhileThePasswordIsLookedFor(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		var log bytes.Buffer
		store := newBusyStore()
		s.location = must(New(&Config{Domains: []string{"example.com"}, Logger: slog.New(slog.NewTextHandler(&log, nil)), Users: passwordsOf(store)}))
		p := must(proxy.Listen(&transport.Config{Listen: []string{"udp:" + proxyAddr + ":5060"}, Network: s.n.Host(proxyAddr), Logger: quiet},
			&proxy.Config{Handler: func(tx *proxy.Server, req *sip.Request) { s.location.Authenticate(tx, req) }}))
		defer p.Close()
		invite := from(t, sip.INVITE, aliceAOR)
		resp := s.phone.ask(invite)
		invite = must(digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"}).Authorize(invite, resp))
		store.turn <- struct{}{} // and nothing goes on
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if resp, _ := s.phone.layer.Do(ctx, invite.With(sip.CSeq{Seq: 2, Method: sip.INVITE})); resp == nil || resp.Status() != sip.StatusRequestTerminated {
			t.Errorf("INVITE got %v, want 487", resp)
		}
		if log.Len() > 0 {
			t.Errorf("logged %q, want nothing", &log)
		}
	})
}

// Whoever hangs up while the Store takes its time has 487, as at any other time.
func TestCancelWhileTheStoreIsBusy(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		store := newBusyStore()
		s.location = must(New(&Config{Domains: []string{"example.com"}, Store: store, Logger: quiet}))
		serve(t, s.n, nodeA, s.location, transport.Config{}, proxy.Config{})
		store.turn <- struct{}{} // and nothing goes on
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		resp, _ := s.phone.layer.Do(ctx, sip.NewRequest(sip.INVITE, uri(t, aliceAOR), sip.MaxForwards(70),
			sip.From{URI: uri(t, "sip:carol@example.org"), Params: ";tag=1"}, sip.To{URI: uri(t, aliceAOR)}, sip.CallID("1"),
			sip.CSeq{Seq: 1, Method: sip.INVITE}, sip.Contact{URI: uri(t, "sip:carol@192.0.2.1")}, through(t, nodeA)))
		if resp.Status() != sip.StatusRequestTerminated {
			t.Errorf("INVITE got %v, want 487", resp.Status())
		}
	})
}
