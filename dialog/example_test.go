package dialog_test

import (
	"context"
	"fmt"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// One side answers each call that comes in; the other places one and hangs up.
func ExampleListen() {
	// A network in memory; without it the operating system's is used.
	network := siptest.NewNetwork(nil)

	over := make(chan error)
	bob, err := dialog.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.2:5060"}, Network: network.Host("192.0.2.2")},
		&dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			in.Provisional(sip.StatusRinging)
			_, err := in.Accept(sip.Body{Type: "text/plain", Content: "the answer"})
			if err != nil {
				fmt.Println(err) // cancelled, or no ACK came
				return
			}
			<-in.Session().Done()
			over <- in.Session().Err()
		}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()

	alice, err := dialog.Listen(
		&transport.Config{Listen: []string{"udp:192.0.2.1:5060"}, Network: network.Host("192.0.2.1")}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Close()

	target, _ := sip.ParseURI("sip:bob@192.0.2.2")
	invite := sip.NewRequest(sip.INVITE, target,
		sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.1"}, Params: ";tag=9fxced76sl"},
		sip.To{URI: target},
		sip.CallID("3848276298220188511"),
		sip.CSeq{Seq: 1, Method: sip.INVITE},
		sip.Body{Type: "text/plain", Content: "the offer"})

	ctx := context.Background() // its end is CANCEL
	call, resp, err := alice.Invite(ctx, invite, func(_ *dialog.Session, ringing *sip.Response) {
		fmt.Println(int(ringing.Status()), ringing.Status().Text())
	})
	if err != nil || call == nil {
		fmt.Println("refused or failed:", resp, err)
		return
	}
	fmt.Println(int(resp.Status()), resp.Body())
	call.Ack(ctx)
	call.Bye(ctx)
	fmt.Println(<-over)
	// Output:
	// 180 Ringing
	// 200 the answer
	// dialog: the peer ended the call
}
