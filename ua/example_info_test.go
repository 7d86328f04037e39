package ua_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Digits by INFO, as phones send them who know no other way. The network is in memory.
func ExampleCall_Info() {
	n := siptest.NewNetwork(nil)
	audio := func(host string) ua.Stream { return media.NewAudio(&media.AudioConfig{Network: n.Host(host)}) }
	bob, err := ua.New("sip:bob@192.0.2.2", &ua.Config{
		Network:  n.Host("192.0.2.2"),
		Listen:   []string{"udp:192.0.2.2:5060"},
		OnInvite: func(ctx context.Context, in *ua.Invitation) { in.Answer(ctx, audio("192.0.2.2")) },
		InfoPackages: map[string]func(context.Context, ua.Info) error{
			"": func(ctx context.Context, info ua.Info) error { // without a package
				if digit, _, ok := info.Digit(); ok {
					fmt.Printf("pressed %c\n", digit)
				}
				return nil
			},
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

	ctx := context.Background()
	call, err := alice.Invite(ctx, "sip:bob@192.0.2.2", &ua.InviteOptions{Streams: []ua.Stream{audio("192.0.2.1")}})
	if err != nil {
		log.Fatal(err)
	}
	for _, digit := range "42#" {
		if err := call.Info(ctx, "", ua.DTMF(digit, 160*time.Millisecond)); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// pressed 4
	// pressed 2
	// pressed #
}
