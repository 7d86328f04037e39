package proxy_test

import (
	"context"
	"fmt"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

// A proxy is started anew while Bob's phone rings. He does not notice, and Alice
// hears it ring once more.
func ExampleListen_restart() {
	network := siptest.NewNetwork(nil)
	start := func(store [][]byte) *proxy.Proxy {
		p, err := proxy.Listen(
			&transport.Config{
				Listen:  []string{"udp:192.0.2.3:5060"},
				Network: network.Host("192.0.2.3"),
				FlowKey: []byte("the same key each time"),
			},
			&proxy.Config{
				Handler: func(tx *proxy.Server, req *sip.Request) { tx.Relay(req) },
				Transaction: &transaction.Config{Restore: func(layer *transaction.Layer) error {
					for _, data := range store {
						if _, err := layer.Restore(data, nil); err != nil {
							return err
						}
					}
					return nil
				}},
			})
		if err != nil {
			panic(err)
		}
		return p
	}
	p := start(nil)

	pickUp := make(chan struct{})
	transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.11:5060"}, Network: network.Host("192.0.2.11")},
		&transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
			fmt.Println("bob:", req.Method())
			tx.Reply(sip.StatusRinging)
			<-pickUp
			tx.Reply(sip.StatusOK)
		}})
	alice, err := transaction.Listen(&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: network.Host("192.0.2.1")}, nil)
	if err != nil {
		panic(err)
	}
	defer alice.Close()

	bob := sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.11"}
	invite := sip.NewRequest(sip.INVITE, bob, sip.MaxForwards(70), sip.CallID("1"), sip.CSeq{Seq: 1, Method: sip.INVITE},
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.org"}, Params: ";tag=1"}, sip.To{URI: bob},
		sip.Route{URI: sip.URI{Scheme: "sip", Host: "192.0.2.3", Params: ";lr"}})
	restarted := false
	for resp, err := range alice.Responses(context.Background(), invite) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("alice:", resp.Status().Error())
		switch {
		case resp.Status().Final():
		case restarted:
			close(pickUp)
		default:
			// What a program does when it is told to stop, and when it starts.
			p.Close()
			var store [][]byte
			for tx := range p.Layer().Servers() {
				if data, err := tx.Snapshot(); err == nil {
					store = append(store, data)
				}
			}
			p = start(store)
			defer p.Close()
			restarted = true
		}
	}
	// Output:
	// bob: INVITE
	// alice: 180 Ringing
	// alice: 180 Ringing
	// alice: 200 OK
}
