package registrar_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/registrar"
)

// A phone registers, and a proxy asks where its user is. The network is one in
// memory, to have something that runs here.
func ExampleRegistrar() {
	n := siptest.NewNetwork(nil)
	location := registrar.New(&registrar.Config{Domains: []string{"192.0.2.10"}})
	server, err := transaction.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.10:5060"}, Network: n.Host("192.0.2.10")},
		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			location.Register(tx, req)
		}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	phone, err := transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: n.Host("192.0.2.1")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer phone.Close()

	ctx := context.Background()
	alice := sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.10"}
	ok, err := phone.Do(ctx, sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "192.0.2.10"},
		sip.MaxForwards(70), sip.From{URI: alice, Params: ";tag=1"}, sip.To{URI: alice},
		sip.CallID("843817637684230@998sdasdh09"), sip.CSeq{Seq: 1826, Method: sip.REGISTER},
		sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1"}}, sip.Expires(600)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ok.Status())
	for contact := range sip.All[sip.Contact](ok) {
		fmt.Println(contact.URI, contact.Params)
	}
	targets, err := location.Lookup(ctx, alice)
	if err != nil {
		log.Fatal(err)
	}
	for _, target := range targets {
		fmt.Println("alice is at", target.URI)
	}
	// Output:
	// 200 OK
	// sip:alice@192.0.2.1 ;expires=600
	// alice is at sip:alice@192.0.2.1
}

// Somebody else who has the Store sees who comes and goes.
func ExampleRegistrar_Watch() {
	store := registrar.NewMemory(nil)
	location := registrar.New(&registrar.Config{Store: store})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for bindings, err := range location.Watch(ctx, sip.URI{Scheme: "sip", User: "alice", Host: "example.com"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(bindings), "bindings")
		break // or go on, until ctx ends
	}
	// Output:
	// 0 bindings
}
