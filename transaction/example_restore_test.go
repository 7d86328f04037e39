package transaction_test

import (
	"context"
	"fmt"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Bob's server is started anew while a call rings. The one that comes after it
// answers, and Alice does not notice.
func ExampleLayer_Restore() {
	network := siptest.NewNetwork(nil)
	listen := func(host string, cfg *transaction.Config) *transaction.Layer {
		layer, err := transaction.Listen(&transport.Config{
			Listen:  []string{"udp:" + host + ":5060"},
			Network: network.Host(host),
		}, cfg)
		if err != nil {
			panic(err)
		}
		return layer
	}
	bob := listen("192.0.2.2", &transaction.Config{Handler: func(tx *transaction.Server, req *sip.Request) {
		tx.Reply(sip.StatusRinging)
		<-tx.Context().Done() // the server is closed
	}})
	alice := listen("192.0.2.1", nil)
	defer alice.Close()

	for resp, err := range alice.Responses(context.Background(), newRequest(sip.INVITE, "sip:bob@192.0.2.2")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("alice:", resp.Status().Error())
		if resp.Status() != sip.StatusRinging {
			continue
		}

		// What a program does when it is told to stop ...
		bob.Close()
		var store [][]byte
		for tx := range bob.Servers() {
			if data, err := tx.Snapshot(); err == nil {
				store = append(store, data)
			}
		}

		// ... and when it is started again.
		bob = listen("192.0.2.2", &transaction.Config{Restore: func(layer *transaction.Layer) error {
			for _, data := range store {
				tx, err := layer.Restore(data, func(tx *transaction.Server, req *sip.Request) {
					tx.Reply(sip.StatusOK)
				})
				if err != nil {
					return err
				}
				fmt.Println("bob: goes on with", tx.Request().Method())
			}
			return nil
		}})
		defer bob.Close()
	}
	// Output:
	// alice: 180 Ringing
	// bob: goes on with INVITE
	// alice: 200 OK
}
