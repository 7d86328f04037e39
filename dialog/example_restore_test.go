package dialog_test

import (
	"context"
	"fmt"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// Bob's program is started anew while a call is up. When Alice hangs up, the one
// that comes after it knows the call.
func ExampleLayer_Restore() {
	network := siptest.NewNetwork(nil)
	listen := func(host string, cfg *dialog.Config) *dialog.Layer {
		layer, err := dialog.Listen(&transport.Config{
			Listen:  []string{"udp:" + host + ":5060"},
			Network: network.Host(host),
		}, cfg)
		if err != nil {
			panic(err)
		}
		return layer
	}
	answered := make(chan bool, 1)
	bob := listen("192.0.2.2", &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
		if _, err := in.Accept(); err == nil {
			answered <- true
		}
	}})
	alice := listen("192.0.2.1", nil)
	defer alice.Close()

	target, _ := sip.ParseURI("sip:bob@192.0.2.2")
	call, _, err := alice.Invite(context.Background(), sip.NewRequest(sip.INVITE, target,
		sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1"}, Params: ";tag=9fxced76sl"},
		sip.To{URI: target},
		sip.CallID("3848276298220188511"),
		sip.CSeq{Seq: 1, Method: sip.INVITE}), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	call.Ack(context.Background())
	<-answered

	// What a program does when it is told to stop ...
	bob.Close()
	var store [][]byte
	for s := range bob.Dialogs() {
		if data, err := s.Snapshot(); err == nil {
			store = append(store, data)
		}
	}

	// ... and when it is started again.
	over := make(chan error, 1)
	bob = listen("192.0.2.2", &dialog.Config{
		Restore: func(layer *dialog.Layer) error {
			for _, data := range store {
				s, err := layer.Restore(data)
				if err != nil {
					return err
				}
				fmt.Println("bob: goes on to talk to", s.Remote().URI)
			}
			return nil
		},
		OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			// What rang comes here, too; in.Restored() tells it from new calls.
		},
		OnEnd: func(s *dialog.Session) { over <- s.Err() },
	})
	defer bob.Close()

	fmt.Println("alice:", call.Bye(context.Background()))
	fmt.Println("bob:", <-over)
	// Output:
	// bob: goes on to talk to sip:alice@192.0.2.1
	// alice: <nil>
	// bob: dialog: the peer ended the call
}
