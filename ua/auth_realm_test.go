package ua_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// hosts is a resolver that knows addresses.
type hosts map[string]string

func (h hosts) Lookup(_ context.Context, host string, kind resolve.Type) (*resolve.Answer, error) {
	addr, ok := h[strings.TrimSuffix(host, ".")]
	if !ok || kind != resolve.TypeA {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return &resolve.Answer{Addrs: []netip.Addr{netip.MustParseAddr(addr)}, TTL: time.Hour}, nil
}

// world has our own domain and two others.
var world = hosts{"a.example": gateAddr, "proxy.example": gateAddr, "b.example": "192.0.2.2", "gw.example": "192.0.2.3"}

// tracing tells of requests that are sent, one after the other. What that has
// written is there after synctest.Wait.
func tracing(sent func(*sip.Request)) *transport.Trace {
	var mu sync.Mutex
	return &transport.Trace{Sent: func(m transport.TraceMessage) {
		if req, ok := m.Message.(*sip.Request); ok {
			mu.Lock()
			defer mu.Unlock()
			sent(req)
		}
	}}
}

// credentialsFor reports whether a request has credentials for a realm, in the
// header field of a name.
func credentialsFor(req *sip.Request, name, realm string) bool {
	for f := range req.Fields() {
		if strings.EqualFold(f.Name, name) && strings.Contains(f.Value, `realm="`+realm+`"`) {
			return true
		}
	}
	return false
}

// asker answers every request without credentials for a realm with a challenge,
// and lets the others in. "407 x" is a proxy's, "401 x" a user agent server's.
func asker(challenge *string) func(*transaction.Server, *sip.Request) {
	return func(tx *transaction.Server, req *sip.Request) {
		status, realm, _ := strings.Cut(*challenge, " ")
		text := `Digest realm="` + realm + `", nonce="n", qop="auth"`
		www := credentialsFor(req, "Authorization", realm)
		proxy := credentialsFor(req, "Proxy-Authorization", realm)
		switch {
		case req.Method() == sip.ACK:
		case status == "401" && !www:
			tx.Reply(sip.StatusUnauthorized, wwwAuthenticate(text))
		case status == "407" && !proxy:
			tx.Reply(sip.StatusProxyAuthRequired, sip.Field{Name: "Proxy-Authenticate", Value: text})
		case req.Method() == sip.REGISTER:
			contact, _ := sip.Get[sip.Contact](req)
			tx.Reply(sip.StatusOK, contact, sip.Expires(600))
		default:
			tx.Reply(sip.StatusOK)
		}
	}
}

// Who gets to see a digest of the password. The agent is alice of a.example; each
// line is a request, who answers it how, and whether it is answered with a digest.
// Everything that goes by the proxy may have been answered by whoever is behind.
func TestRealmOfThePassword(t *testing.T) {
	const foreign, own, register, options = "sip:bob@b.example", "sip:bob@a.example", "REGISTER", "OPTIONS"
	type step struct {
		method, target, challenge string
		want                      bool
	}
	for _, test := range []struct {
		name  string
		cfg   ua.Config
		steps []step
	}{
		{"the registrar teaches the realm", ua.Config{}, []step{
			{register, "", "401 asterisk", true},
			{options, own, "401 asterisk", true},
			{options, own, "401 mallory", false},
			{options, own, "407 mallory", false},
		}},
		{"it may have a new one", ua.Config{}, []step{
			{register, "", "401 old", true},
			{register, "", "401 new", true},
			{options, own, "401 new", true},
		}},
		{"without a registration the domain alone", ua.Config{}, []step{
			{options, own, "407 mallory", false},
			{options, own, "407 a.example", true},
			{options, own, "401 A.EXAMPLE", false}, // which is what the registrar may say
			{register, "", "401 A.EXAMPLE", true},
			{options, own, "407 A.EXAMPLE", true},
			{register, "", "401 registrar", true}, // which may have another one
			{options, own, "407 registrar", true},
			{options, own, "407 a.example", true},
		}},
		{"a callee elsewhere never does", ua.Config{}, []step{
			{options, foreign, "401 b.example", false},
			{options, foreign, "407 b.example", false},
			{options, foreign, "401 a.example", false},
		}},
		{"nor if it knows the name of our realm", ua.Config{}, []step{
			{register, "", "401 a.example", true},
			{options, foreign, "401 a.example", false},
			{options, foreign, "407 a.example", false},
		}},
		{"nor if that is in the configuration", ua.Config{Realm: "a.example"}, []step{
			{options, own, "407 a.example", true},
			{options, foreign, "401 a.example", false},
			{options, foreign, "407 a.example", false},
		}},
		{"a configured realm is the only one", ua.Config{Realm: "a.example"}, []step{
			{register, "", "401 other", false},
			{options, own, "407 other", false},
			{register, "", "401 a.example", true},
		}},
		{"our proxy asks a call to elsewhere", ua.Config{Proxy: "sip:proxy.example"}, []step{
			{options, foreign, "407 mallory", false},
			{options, foreign, "407 a.example", true},
			{options, foreign, "401 a.example", true}, // a B2BUA of ours
		}},
		{"behind our proxy a callee elsewhere", ua.Config{Proxy: "sip:proxy.example"}, []step{
			{options, foreign, "401 b.example", false},
			{options, foreign, "401 a.example", false},
			{options, own, "401 a.example", true},
		}},
		{"further realms are asked for by name", ua.Config{Credentials: []digest.Credentials{{Username: "x", Password: "y", Realm: "gw"}}}, []step{
			{options, foreign, "401 gw", true},
			{options, foreign, "407 gw", true},
			{options, foreign, "407 GW", false},
			{options, foreign, "407 ", false},
			{options, own, "407 gw", true},
			{options, own, "407 a.example", true},
			{options, own, "401 gw", true},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				var challenge string
				newPeer(t, n, gateAddr, asker(&challenge))
				newPeer(t, n, "192.0.2.2", asker(&challenge))
				digests := 0
				test.cfg.Password, test.cfg.Resolver = "secret", world
				test.cfg.Trace = tracing(func(req *sip.Request) {
					_, realm, _ := strings.Cut(challenge, " ")
					if credentialsFor(req, "Authorization", realm) || credentialsFor(req, "Proxy-Authorization", realm) {
						digests++
					}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", test.cfg)
				for _, s := range test.steps {
					synctest.Wait()
					challenge, digests = s.challenge, 0
					var err error
					if s.method == register {
						var reg *ua.Registration
						if reg, err = alice.Register(t.Context(), nil); err == nil {
							reg.Close()
						}
					} else {
						_, err = alice.Options(t.Context(), s.target)
					}
					synctest.Wait()
					if s.want != (err == nil) || s.want != (digests > 0) {
						t.Errorf("%s %s, answered with %s: %d digests, error %v; want one: %v", s.method, s.target, s.challenge, digests, err, s.want)
					}
					if !s.want && !errors.Is(err, digest.ErrUnexpectedRealm) {
						t.Errorf("%s %s: error %v, want ErrUnexpectedRealm", s.method, s.target, err)
					}
				}
			})
		})
	}
}

// A registrar elsewhere is one of our servers from then on.
func TestRegistrarElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		challenge := "401 gw"
		newPeer(t, n, "192.0.2.3", asker(&challenge))
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret", Resolver: world})
		if _, err := alice.Options(t.Context(), "sip:bob@gw.example"); !errors.Is(err, digest.ErrUnexpectedRealm) {
			t.Errorf("Options() = %v before the registration, want ErrUnexpectedRealm", err)
		}
		if _, err := alice.Register(t.Context(), &ua.RegisterOptions{Registrar: "sip:gw.example"}); err != nil {
			t.Fatal(err)
		}
		if _, err := alice.Options(t.Context(), "sip:bob@GW.example"); err != nil {
			t.Errorf("Options() = %v", err)
		}
	})
}

// A realm has to be named, and a user.
func TestCredentialsWithoutRealm(t *testing.T) {
	for _, c := range []digest.Credentials{{Username: "x", Password: "y"}, {Password: "y", Realm: "z"}} {
		if a, err := ua.New("sip:alice@a.example", &ua.Config{Credentials: []digest.Credentials{c}}); err == nil {
			a.Close()
			t.Errorf("New() takes %+v", c)
		}
	}
}

// Proxies that the program has named stay ours, however many registrars are met after that.
func TestConfiguredProxyIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		challenge := ""
		newPeer(t, n, "192.0.2.3", asker(&challenge))
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret", Realm: "a.example", Resolver: world})
		reg, err := alice.Register(t.Context(), &ua.RegisterOptions{Registrar: "sip:192.0.2.3", Proxies: []string{"sip:gw.example"}})
		if err != nil {
			t.Fatal(err)
		}
		reg.Close() // else requests have a Route to it
		for i := range 40 {
			host := fmt.Sprintf("192.0.2.%d", 100+i)
			newPeer(t, n, host, func(tx *transaction.Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
			if _, err := alice.Bindings(t.Context(), &ua.RegisterOptions{Registrar: "sip:" + host}); err != nil {
				t.Fatal(err)
			}
		}
		challenge = "401 a.example"
		if _, err := alice.Options(t.Context(), "sip:bob@gw.example"); err != nil {
			t.Errorf("Options() = %v, want the password to be for a proxy of ours", err)
		}
	})
}
