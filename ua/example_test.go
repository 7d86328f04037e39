package ua_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Register and call: the program that most people write first.
func ExampleNew() {
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	alice, err := ua.New("sip:alice@example.com", &ua.Config{Password: "secret"})
	check(err)
	defer alice.Close()
	_, err = alice.Register(ctx, nil) // refreshed until closed
	check(err)
	audio := media.NewAudio(&media.AudioConfig{Play: media.Tone(440)})
	call, err := alice.Invite(ctx, "sip:bob@example.com", &ua.InviteOptions{Streams: []ua.Stream{audio}})
	check(err) // a refusal is a *ua.StatusError
	<-call.Done()
}

// A refusal is told from all else that can go wrong by its type, and from other
// refusals by its code. The network is in memory.
func ExampleAgent_Invite() {
	n := siptest.NewNetwork(nil)
	bob, err := ua.New("sip:bob@192.0.2.2", &ua.Config{
		Network:  n.Host("192.0.2.2"),
		Listen:   []string{"udp:192.0.2.2:5060"},
		OnInvite: func(ctx context.Context, in *ua.Invitation) { in.Reject(ctx, sip.StatusBusyHere) },
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

	_, err = alice.Invite(context.Background(), "sip:bob@192.0.2.2", nil)
	var refused *ua.StatusError
	switch {
	case errors.Is(err, sip.StatusBusyHere):
		fmt.Println("try again later:", err)
	case errors.As(err, &refused):
		fmt.Println("refused:", refused.Reason)
	default:
		fmt.Println(err)
	}
	// Output: try again later: invite sip:bob@192.0.2.2: 486 Busy Here
}

// Ring, answer with a tone, and wait until one side hangs up.
func ExampleInvitation_Answer() {
	answer := func(ctx context.Context, in *ua.Invitation) { // ctx ends if the caller gives up
		if err := in.Ring(ctx); err != nil {
			return
		}
		call, err := in.Answer(ctx, media.NewAudio(&media.AudioConfig{Play: media.Tone(600)}))
		if err != nil {
			return // cancelled, nothing in common, or no ACK came
		}
		<-call.Done()
	}
	bob, err := ua.New("sip:bob@example.com", &ua.Config{Listen: []string{"udp:0.0.0.0:5060"}, OnInvite: answer})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	select {}
}
