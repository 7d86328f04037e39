package registrar_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
	"github.com/goparley/parley/transaction/registrar"
)

// Where nobody picks up within 20 seconds, or is there at all, the mailbox does. Bob
// has not registered.
func ExampleRegistrar_Lookup() {
	n := siptest.NewNetwork(nil)
	location, err := registrar.New(&registrar.Config{Domains: []string{"192.0.2.10"}})
	if err != nil {
		log.Fatal(err)
	}
	mailbox := proxy.Target{URI: sip.URI{Scheme: "sip", User: "mailbox", Host: "192.0.2.2"}}
	p, err := proxy.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.10:5060"}, Network: n.Host("192.0.2.10")},
		&proxy.Config{Handler: func(tx *proxy.Server, req *sip.Request) {
			targets, err := location.Lookup(tx.Context(), req.URI())
			switch {
			case errors.Is(err, registrar.ErrNotFound):
				tx.Reply(sip.StatusNotFound)
				return
			case err != nil:
				tx.Reply(sip.StatusServerInternalError)
				return
			}
			for i := range targets {
				targets[i].Wait = 20 * time.Second
			}
			tx.ForkThen(req, func(best *sip.Response) {
				switch {
				case best == nil: // somebody has picked up
				case best.Status() == sip.StatusRequestTerminated: // the caller has hung up: to forward it would do nothing
					tx.Respond(best)
				default:
					tx.Forward(req, mailbox)
				}
			}, targets...)
		}})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	phone := func(host string, handler func(*transaction.Server, *sip.Request)) *transaction.Layer {
		l, err := transaction.Listen(&transport.Config{Listen: []string{"udp:" + host + ":5060"}, Network: n.Host(host)}, &transaction.Config{Handler: handler})
		if err != nil {
			log.Fatal(err)
		}
		return l
	}
	defer phone("192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
		fmt.Println("for", req.URI())
		tx.Reply(sip.StatusOK)
	}).Close()
	alice := phone("192.0.2.1", nil)
	defer alice.Close()
	bob := sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.10"}
	resp, err := alice.Do(context.Background(), sip.NewRequest(sip.MESSAGE, bob, sip.MaxForwards(70), sip.To{URI: bob},
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1"}, Params: ";tag=1"}, sip.CallID("1"), sip.CSeq{Seq: 1, Method: sip.MESSAGE}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Status())
	// Output:
	// for sip:mailbox@192.0.2.2
	// 200 OK
}
