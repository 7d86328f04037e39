package interop_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A flow that has ended is not replaced by another one: who calls gets 430 (RFC
// 5626 section 5.3.1). A flow token that the edge has not made is 403.
func TestEdgeRefuses(t *testing.T) {
	interop.Need(t)
	registrar := interop.StartKamailio(t, nil)
	edge := interop.StartEdge(t, registrar.Addr, nil)
	capturing(t, func(t *testing.T) {
		cable := &interop.Cable{Network: &system{}}
		texts := make(chan string, 1)
		register(t, edge, "tcp", "127.0.0.1", "alice", &ua.Config{Network: cable, OnMessage: func(_ context.Context, m ua.Message) error {
			texts <- m.Body
			return nil
		}})
		bob := register(t, registrar, "udp", "127.0.0.1", "bob", &ua.Config{})
		const alice = "sip:alice@sip.test"
		if err := bob.Message(t.Context(), alice, "text/plain", "by the flow"); err != nil {
			t.Fatal(err)
		} else if got := <-texts; got != "by the flow" {
			t.Errorf("message %q", got)
		}

		path, err := sip.Get[sip.Route](sip.NewRequest(sip.OPTIONS, sip.URI{Scheme: "sip", Host: "sip.test"},
			sip.Field{Name: "Route", Value: registrar.Bindings(t, "alice")[0].Path}))
		if err != nil {
			t.Fatal(err)
		}
		byToken := func(token string) error {
			path.URI.User = token
			carol := newAgent(t, "sip:carol@sip.test", &ua.Config{Password: "carolpw", Proxy: path.URI.String()})
			return carol.Message(t.Context(), alice, "text/plain", "by the token")
		}
		token := path.URI.User
		if err := byToken(token); err != nil {
			t.Error(err)
		} else if got := <-texts; got != "by the token" {
			t.Errorf("message %q", got)
		}
		forged := strings.Map(func(r rune) rune { // any other letter
			if r == 'A' {
				return 'B'
			}
			return 'A'
		}, token[:1]) + token[1:]
		wantError(t, byToken(forged), sip.StatusForbidden)

		cable.Cut()
		interop.Eventually(5*time.Second, func() bool { // until the edge has seen it
			err = bob.Message(t.Context(), alice, "text/plain", "too late")
			return errors.Is(err, sip.StatusFlowFailed)
		})
		wantError(t, err, sip.StatusFlowFailed)
		wantError(t, byToken(token), sip.StatusFlowFailed)
	})
}

// system is the network of the machine.
type system struct {
	net.ListenConfig
	net.Dialer
}
