package registrar_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/transaction/registrar"
)

// A proxy for 192.0.2.10 whose users call anybody, with their passwords. Strangers
// call its users, of whom none is there now.
func ExampleRegistrar_Authenticate() {
	n := siptest.NewNetwork(nil)
	users, err := digest.NewServer(digest.ServerConfig{
		Realm:    "192.0.2.10",
		Password: digest.Passwords(map[string]string{"alice": "wonder"}),
		Nonces:   10_000,
	})
	if err != nil {
		log.Fatal(err)
	}
	location, err := registrar.New(&registrar.Config{Domains: []string{"192.0.2.10"}, Users: users})
	if err != nil {
		log.Fatal(err)
	}
	p, err := proxy.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.10:5060"}, Network: n.Host("192.0.2.10")},
		&proxy.Config{RecordRoute: true, Handler: func(tx *proxy.Server, req *sip.Request) {
			if tx.Local() && req.Method() == sip.REGISTER {
				location.Register(tx.Server, req)
				return
			}
			req, user := location.Authenticate(tx, req)
			switch {
			case req == nil: // it has been answered
			case tx.Local():
				location.Forward(tx, req)
			case tx.Routed(), user != "":
				tx.Relay(req)
			default:
				tx.Reply(sip.StatusForbidden)
			}
		}})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	phone, err := transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: n.Host("192.0.2.1")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer phone.Close()
	ctx := context.Background()
	to := sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.10"}
	for _, host := range []string{"192.0.2.10", "192.0.2.1"} {
		req := sip.NewRequest(sip.MESSAGE, to, sip.MaxForwards(70), sip.To{URI: to}, sip.CallID(host), sip.CSeq{Seq: 1, Method: sip.MESSAGE},
			sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: host}, Params: ";tag=1"})
		resp, err := phone.Do(ctx, req)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("alice of", host, "gets", resp.Status())
		if resp.Status() != sip.StatusProxyAuthRequired {
			continue
		}
		client := digest.NewClient(digest.Credentials{Username: "alice", Password: "wonder"})
		if req, err = client.Authorize(req, resp); err != nil {
			log.Fatal(err)
		}
		if resp, err = phone.Do(ctx, req.With(sip.CSeq{Seq: 2, Method: sip.MESSAGE})); err != nil {
			log.Fatal(err)
		}
		fmt.Println("with the password", resp.Status())
	}
	// Output:
	// alice of 192.0.2.10 gets 407 Proxy Authentication Required
	// with the password 480 Temporarily Unavailable
	// alice of 192.0.2.1 gets 480 Temporarily Unavailable
}
