package ua_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/registrar"
	"github.com/goparley/parley/ua"
)

// A phone in an office with two outbound proxies: it has a flow by each, tells what
// it can do, and is told of an address by which it is reached from anywhere. The
// network is one in memory, and so is the registrar.
func ExampleAgent_Register() {
	n := siptest.NewNetwork(nil)
	server, err := serveRegistrar(n.Host("192.0.2.10"))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	alice, err := ua.New("sip:alice@192.0.2.10", &ua.Config{
		Network:  n.Host("192.0.2.1"),
		Listen:   []string{"udp:192.0.2.1:5060", "tcp:192.0.2.1:5060"},
		Instance: "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", // of this phone, for ever
		Features: ";audio",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()

	ctx := context.Background()
	reg, err := alice.Register(ctx, &ua.RegisterOptions{
		Proxies: []string{"sip:192.0.2.10", "sip:192.0.2.10;transport=tcp"}, // there are two in earnest
		OnError: func(err error) { log.Print("not refreshed: ", err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	gruu, _ := reg.PublicGRUU()
	fmt.Println(gruu)

	// The program has learned that this machine has another address now.
	if err := alice.NetworkChanged(ctx); err != nil {
		log.Print("no way to the registrar yet, the agent goes on trying: ", err)
	}
	bindings, err := alice.Bindings(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range bindings {
		_, audio := c.Params.Feature("audio")
		fmt.Println("flow", c.RegID(), "audio", audio)
	}
	if err := reg.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(reg.Err(), ua.ErrClosed))
	// Unordered output:
	// sip:alice@192.0.2.10;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6
	// flow 1 audio true
	// flow 2 audio true
	// true
}

// serveRegistrar runs a registrar.
func serveRegistrar(host *siptest.Host) (*transaction.Layer, error) {
	location, err := registrar.New(&registrar.Config{Domains: []string{host.Addr().String()}})
	if err != nil {
		return nil, err
	}
	at := host.Addr().String() + ":5060"
	return transaction.Listen(
		&transport.Config{Listen: []string{"udp:" + at, "tcp:" + at}, Network: host},
		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) { location.Register(tx, req) }})
}
