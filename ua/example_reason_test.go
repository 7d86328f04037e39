package ua_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Why a call is given up is the cause of the context, at both ends. Here it keeps a
// phone from counting a missed call. The network is in memory.
func Example_reason() {
	n := siptest.NewNetwork(nil)
	missed := make(chan bool, 1)
	bob, err := ua.New("sip:bob@192.0.2.2", &ua.Config{
		Network: n.Host("192.0.2.2"),
		Listen:  []string{"udp:192.0.2.2:5060"},
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			<-ctx.Done()
			var why sip.Reason
			elsewhere := errors.As(context.Cause(ctx), &why) && why.Protocol == "SIP" && why.Cause == 200
			missed <- !elsewhere
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	alice, err := ua.New("sip:alice@192.0.2.1", &ua.Config{Network: n.Host("192.0.2.1"), Listen: []string{"udp:192.0.2.1:5060"}})
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()

	ctx, cancel := context.WithCancelCause(context.Background())
	_, err = alice.Invite(ctx, "sip:bob@192.0.2.2", &ua.InviteOptions{
		OnProvisional: func(_ *ua.Call, resp *sip.Response) { // it rings
			cancel(sip.Reason{Protocol: "SIP", Cause: 200, Text: "Call completed elsewhere"})
		},
	})
	fmt.Println(err)
	fmt.Println("missed:", <-missed)
	// Output:
	// invite sip:bob@192.0.2.2: context canceled: SIP 200 Call completed elsewhere
	// missed: false
}
