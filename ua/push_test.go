package ua_test

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

var webPush = sip.PushParams{Provider: "webpush", Param: "param", PRID: "https://push.example.net/1"}

// pushing is a registrar with a proxy that wakes agents.
func pushing(t *testing.T, s *site, caps string) {
	s.set(func(tx *transaction.Server, req *sip.Request) bool {
		if req.Method() != sip.REGISTER {
			return false
		}
		expires, _ := sip.Get[sip.Expires](req)
		edits := []sip.Edit{contact(t, req), expires}
		if caps != "" {
			edits = append(edits, sip.Field{Name: "Feature-Caps", Value: caps})
		}
		tx.Reply(sip.StatusOK, edits...)
		return true
	})
}

// An agent that sleeps is woken by a push notification: its Contact says how, in a
// REGISTER and nowhere else, and not when the binding is removed (RFC 8599 sections
// 4.1.1 and 4.1.2).
func TestPushParams(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		pushing(t, s, `*;+sip.pns="webpush";+sip.pnspurr="opaque"`)
		alice := s.alice(ua.Config{})
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Push: webPush})
		if err != nil {
			t.Fatal(err)
		}
		c := contact(t, s.sent(sip.REGISTER)[0])
		if got, _ := c.URI.PushParams(); got != webPush {
			t.Errorf("push parameters %+v, want %+v", got, webPush)
		}
		if _, ok := c.Params.Feature("+sip.pnsreg"); !ok {
			t.Errorf("no sip.pnsreg in %s", c.Params)
		}
		caps, err := sip.Get[sip.FeatureCaps](reg.Response())
		if pns, _ := caps.Params.Feature("+sip.pns"); err != nil || pns != "webpush" {
			t.Errorf("sip.pns = %q, %v", pns, err)
		}
		own := sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1"}}
		if got, want := alice.Contact(own, true, false).URI.String(), "sip:alice@192.0.2.1;pn-purr=opaque"; got != want {
			t.Errorf("Contact of a call: %s, want %s", got, want)
		}
		if got, want := alice.Contact(own, true, true).URI.String(), "sip:192.0.2.1"; got != want {
			t.Errorf("Contact of an anonymous call: %s, want %s", got, want)
		}
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
		last := contact(t, s.sent(sip.REGISTER)[0])
		if got, _ := last.URI.PushParams(); got.PRID != "" {
			t.Errorf("pn-prid %s when the binding is removed", got.PRID)
		}
	})
}

// Who refreshes a binding follows from what the proxy says: a push notification
// alone; the agent, so long before its end (RFC 8599 section 4.1.4); or the agent as
// ever, for no proxy is there.
func TestRefreshByPush(t *testing.T) {
	for name, test := range map[string]struct {
		caps             string
		earliest, latest time.Duration
	}{
		"push alone":      {`*;+sip.pns="webpush"`, time.Hour, time.Hour + time.Second},
		"the agent, too":  {`*;+sip.pns="webpush";+sip.pnsreg="1200"`, 40 * time.Minute, 40*time.Minute + time.Second},
		"another service": {`*;+sip.pns="apns"`, 48 * time.Minute, 54 * time.Minute},
		"no proxy":        {"", 48 * time.Minute, 54 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				pushing(t, s, test.caps)
				alice := s.alice(ua.Config{})
				if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Push: webPush}); err != nil {
					t.Fatal(err)
				}
				s.sent(sip.REGISTER)
				time.Sleep(test.earliest - time.Second)
				if n := len(s.sent(sip.REGISTER)); n != 0 {
					t.Errorf("refreshed before %v", test.earliest)
				}
				time.Sleep(test.latest - test.earliest + time.Second)
				if n := len(s.sent(sip.REGISTER)); n != 1 {
					t.Errorf("%d REGISTERs by %v, want 1", n, test.latest)
				}
			})
		})
	}
}

// A push notification has arrived, and then the service gives out a new PRID: each
// is a REGISTER with the same Call-ID.
func TestRefreshAndNewPRID(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		pushing(t, s, `*;+sip.pns="webpush"`)
		alice := s.alice(ua.Config{})
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Push: webPush})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		if err := reg.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if left := time.Until(reg.Expires()); left < 59*time.Minute {
			t.Errorf("the binding lives for %v", left)
		}
		newer := webPush
		newer.PRID = "https://push.example.net/2"
		if err := reg.SetPush(t.Context(), newer); err != nil {
			t.Error(err)
		}
		sent := s.sent(sip.REGISTER)
		if len(sent) != 3 {
			t.Fatalf("%d REGISTERs, want 3", len(sent))
		}
		for i, want := range []sip.PushParams{webPush, webPush, newer} {
			if got, _ := contact(t, sent[i]).URI.PushParams(); got != want || sent[i].CallID() != sent[0].CallID() {
				t.Errorf("REGISTER %d has %+v, want %+v", i, got, want)
			}
		}
	})
}

// A network that does not know the service says so (RFC 8599 section 4.1.1).
func TestPushServiceNotSupported(t *testing.T) {
	onSite(t, nil, func(t *testing.T, s *site) {
		s.set(func(tx *transaction.Server, req *sip.Request) bool {
			tx.Reply(sip.StatusPushServiceNotSupported)
			return true
		})
		_, err := s.alice(ua.Config{}).Register(t.Context(), &ua.RegisterOptions{Push: webPush, Proxies: proxies})
		if !errors.Is(err, sip.StatusPushServiceNotSupported) {
			t.Errorf("Register() = %v, want 555", err)
		}
		if n := len(s.took(homeAddr, sip.REGISTER)); n != 1 {
			t.Errorf("%d REGISTERs, want 1", n)
		}
	})
}
