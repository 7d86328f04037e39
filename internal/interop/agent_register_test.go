package interop_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/ua"
)

// An agent is challenged, registers with its password, is in the registrar's
// table, and is out of it again when the registration is closed.
func TestRegisterWithKamailio(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		proxy := interop.StartKamailio(t, nil)
		for user, transport := range map[string]string{"alice": "udp", "bob": "tcp"} {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				agent := newAgent(t, "sip:"+user+"@sip.test", &ua.Config{
					Password: user + "pw",
					Proxy:    "sip:" + proxy.Addr + ";transport=" + transport,
				})
				reg, err := agent.Register(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := proxy.Contacts(t, user); len(got) != 1 {
					t.Errorf("registered contacts %v, want one", got)
				}
				if err := reg.Close(); err != nil {
					t.Error(err)
				}
				if got := proxy.Contacts(t, user); len(got) != 0 {
					t.Errorf("contacts after Close %v, want none", got)
				}
			})
		}
	})
}

// A wrong password is an error that says so, over either transport.
func TestWrongPassword(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		proxy := interop.StartKamailio(t, nil)
		for _, transport := range []string{"udp", "tcp"} {
			alice := newAgent(t, "sip:alice@sip.test", &ua.Config{
				Password: "guess",
				Proxy:    "sip:" + proxy.Addr + ";transport=" + transport,
			})
			_, err := alice.Register(t.Context(), nil)
			wantError(t, err, ua.ErrPassword)
			if got := proxy.Contacts(t, "alice"); len(got) != 0 {
				t.Errorf("%s: registered contacts %v, want none", transport, got)
			}
		}
	})
}

// A registrar that wants SHA-256 gets it (RFC 8760), and one whose nonces are
// stale at once is answered with the new nonce.
func TestRegisterChallenges(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		for name, opts := range map[string]*interop.KamailioOptions{
			"SHA-256":     {Algorithm: "SHA-256"},
			"stale nonce": {NonceExpire: time.Second},
			"423":         {MinExpires: 2 * time.Hour}, // we ask for one
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				proxy := interop.StartKamailio(t, opts)
				alice := newAgent(t, "sip:alice@sip.test", &ua.Config{Password: "alicepw", Proxy: "sip:" + proxy.Addr})
				reg, err := alice.Register(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := proxy.Contacts(t, "alice"); len(got) != 1 {
					t.Errorf("registered contacts %v, want one", got)
				}
				if err := reg.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	})
}
