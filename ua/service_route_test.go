package ua_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/registrar"
	"github.com/goparley/parley/ua"
)

func serviceRoute(hosts ...string) *registrar.Config {
	cfg := &registrar.Config{}
	for _, host := range hosts {
		cfg.ServiceRoute = append(cfg.ServiceRoute, sip.URI{Scheme: "sip", User: "orig", Host: host, Params: ";lr"})
	}
	return cfg
}

// route returns the Route that a request of Alice's has.
func (s *site) route(alice *ua.Agent) string {
	s.Helper()
	s.sent(sip.OPTIONS)
	alice.Options(s.Context(), "sip:"+homeAddr)
	sent := s.sent(sip.OPTIONS)
	if len(sent) == 0 {
		s.Fatal("nothing was sent")
	}
	return routeOf(sent[0])
}

func routeOf(req *sip.Request) string {
	var hops []string
	for hop := range sip.All[sip.Route](req) {
		hops = append(hops, hop.URI.String())
	}
	return strings.Join(hops, " ")
}

// The Service-Route of the registrar is the Route of requests outside of dialogs,
// behind the agent's proxy and in its order (RFC 3608 section 6.1), but not of
// REGISTER. It ends with the registration.
func TestServiceRoute(t *testing.T) {
	for name, test := range map[string]struct{ proxy, before, with string }{
		"without a proxy": {"", "", "sip:orig@192.0.2.12;lr sip:orig@192.0.2.10;lr"},
		"behind one":      {"sip:192.0.2.11", "sip:192.0.2.11;lr", "sip:192.0.2.11;lr sip:orig@192.0.2.12;lr sip:orig@192.0.2.10;lr"},
		"from one":        {"sip:192.0.2.12", "sip:192.0.2.12;lr", "sip:orig@192.0.2.12;lr sip:orig@192.0.2.10;lr"},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, serviceRoute(edge2, homeAddr), func(t *testing.T, s *site) {
				alice := s.alice(ua.Config{Proxy: test.proxy})
				if got := s.route(alice); got != test.before {
					t.Errorf("Route %q before it is registered, want %q", got, test.before)
				}
				reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Expires: 2 * time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				if got := s.route(alice); got != test.with {
					t.Errorf("Route %q, want %q", got, test.with)
				}
				time.Sleep(2 * time.Minute)
				if err := reg.Close(); err != nil {
					t.Error(err)
				}
				if got := s.route(alice); got != test.before {
					t.Errorf("Route %q when the registration is closed, want %q", got, test.before)
				}
				for _, req := range s.sent(sip.REGISTER) {
					if got := routeOf(req); got != test.before {
						t.Errorf("a REGISTER has Route %q, want %q", got, test.before)
					}
				}
			})
		})
	}
}

// The newest 2xx counts, also if it has none; a refusal ends it, for the registrar
// knows us no more (RFC 3608 section 6.1). One without lr, or with more hops than
// any domain has, is none.
func TestServiceRouteChanges(t *testing.T) {
	const hop = "<sip:192.0.2.11;lr>"
	for name, test := range map[string]struct {
		status sip.Status
		route  string
		want   string
	}{
		"another":  {sip.StatusOK, "<sip:192.0.2.12;lr>", "sip:192.0.2.12;lr"},
		"none":     {sip.StatusOK, "", ""},
		"no lr":    {sip.StatusOK, "<sip:192.0.2.12>", ""},
		"tel":      {sip.StatusOK, "<tel:+1;lr>", ""},
		"too long": {sip.StatusOK, strings.Repeat(hop+",", 16) + hop, ""},
		"refused":  {sip.StatusForbidden, hop, ""},
		"busy":     {sip.StatusServiceUnavailable, "", "sip:192.0.2.11;lr"},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, nil, func(t *testing.T, s *site) {
				answer := func(status sip.Status, route string) {
					s.set(func(tx *transaction.Server, req *sip.Request) bool {
						if req.Method() != sip.REGISTER {
							return false
						}
						edits := []sip.Edit{contact(s.T, req), sip.Expires(60)}
						if route != "" {
							edits = append(edits, sip.Field{Name: "Service-Route", Value: route})
						}
						tx.Reply(status, edits...)
						return true
					})
				}
				answer(sip.StatusOK, hop)
				alice := s.alice(ua.Config{})
				failed := make(chan error, 10)
				if _, err := alice.Register(t.Context(), &ua.RegisterOptions{OnError: func(err error) { failed <- err }}); err != nil {
					t.Fatal(err)
				}
				answer(test.status, test.route)
				time.Sleep(56 * time.Second) // it is refreshed by then, and has not expired
				if got := s.route(alice); got != test.want {
					t.Errorf("Route %q, want %q", got, test.want)
				}
				if test.status != sip.StatusOK {
					if err := <-failed; !errors.Is(err, test.status) {
						t.Errorf("OnError(%v), want %v", err, test.status)
					}
				}
			})
		})
	}
}
