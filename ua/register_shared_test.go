package ua_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// To a registrar without outbound, two Registrations of an agent are one binding, that of
// their Contact.
func TestRegistrationsShareBinding(t *testing.T) {
	register := func(t *testing.T, ctx context.Context, a *ua.Agent) *ua.Registration {
		t.Helper()
		r, err := a.Register(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, a *ua.Agent, slow func(bind, unbind time.Duration), bound func() bool)
	}{
		{"anew, and the old one closed", func(t *testing.T, a *ua.Agent, _ func(bind, unbind time.Duration), bound func() bool) {
			old := register(t, t.Context(), a)
			r := register(t, t.Context(), a)
			if err := old.Close(); err != nil {
				t.Error(err)
			}
			if !bound() || r.Err() != nil {
				t.Errorf("closed the old one: bound is %v and Err() = %v, want true and nil", bound(), r.Err())
			}
			if err := r.Close(); err != nil || bound() {
				t.Errorf("closed both: bound is %v, error %v", bound(), err)
			}
		}},
		{"another one given up", func(t *testing.T, a *ua.Agent, slow func(bind, unbind time.Duration), bound func() bool) {
			r := register(t, t.Context(), a)
			slow(3*time.Second, 0)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := a.Register(ctx, nil); err == nil {
				t.Error("registered")
			}
			time.Sleep(time.Minute)
			if !bound() || r.Err() != nil {
				t.Errorf("bound is %v and Err() = %v, want true and nil", bound(), r.Err())
			}
		}},
		{"anew while the old one is removed", func(t *testing.T, a *ua.Agent, slow func(bind, unbind time.Duration), bound func() bool) {
			old := register(t, t.Context(), a)
			slow(0, time.Second)
			closed := make(chan error, 1)
			go func() { closed <- old.Close() }()
			time.Sleep(500 * time.Millisecond)
			r := register(t, t.Context(), a)
			if err := <-closed; err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			if !bound() || r.Err() != nil {
				t.Errorf("bound is %v and Err() = %v, want true and nil", bound(), r.Err())
			}
		}},
		{"both closed at once", func(t *testing.T, a *ua.Agent, _ func(bind, unbind time.Duration), bound func() bool) {
			register(t, t.Context(), a)
			register(t, t.Context(), a)
			if err := a.Close(); err != nil || bound() {
				t.Errorf("closed the agent: bound is %v, error %v", bound(), err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				var mu sync.Mutex // guards what follows
				bound := false
				var bind, unbind time.Duration // before it answers
				with := func(use func()) {
					mu.Lock()
					defer mu.Unlock()
					use()
				}
				newPeer(t, n, "192.0.2.9", func(tx *transaction.Server, req *sip.Request) {
					expires, _ := sip.Get[sip.Expires](req)
					contact, _ := sip.Get[sip.Contact](req)
					var wait time.Duration
					with(func() {
						if wait = bind; expires == 0 {
							wait = unbind
						}
					})
					time.Sleep(wait)
					with(func() { bound = expires > 0 })
					if expires == 0 {
						tx.Reply(sip.StatusOK)
					} else {
						tx.Reply(sip.StatusOK, contact, expires)
					}
				})
				a := newAgent(t, n, "192.0.2.1", "sip:alice@192.0.2.9", ua.Config{})
				test.run(t, a, func(b, u time.Duration) { with(func() { bind, unbind = b, u }) }, func() (is bool) {
					with(func() { is = bound })
					return is
				})
			})
		})
	}
}
