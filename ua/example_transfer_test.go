package ua_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Alice talks to Bob and has him call Carol instead of her. The network is in memory.
func ExampleCall_Transfer() {
	n := siptest.NewNetwork(nil)
	phone := func(host string, cfg ua.Config) *ua.Agent {
		cfg.Network, cfg.Listen = n.Host(host), []string{"udp:" + host + ":5060"}
		agent, err := ua.New("sip:phone@"+host, &cfg)
		if err != nil {
			log.Fatal(err)
		}
		return agent
	}
	audio := func(host string) ua.Stream { return media.NewAudio(&media.AudioConfig{Network: n.Host(host)}) }
	bob := phone("192.0.2.2", ua.Config{
		OnInvite: func(ctx context.Context, in *ua.Invitation) { in.Answer(ctx, audio("192.0.2.2")) },
		OnRefer: func(ctx context.Context, r *ua.Referral) {
			if r.Call() == nil { // a stranger's: calls cost money
				return
			}
			r.Invite(ctx, &ua.InviteOptions{Streams: []ua.Stream{audio("192.0.2.2")}})
		},
	})
	defer bob.Close()
	carol := phone("192.0.2.3", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
		fmt.Println("Carol is called by", in.From().URI.Host)
		in.Answer(ctx, audio("192.0.2.3"))
	}})
	defer carol.Close()
	alice := phone("192.0.2.1", ua.Config{})
	defer alice.Close()

	ctx := context.Background()
	call, err := alice.Invite(ctx, "sip:bob@192.0.2.2", &ua.InviteOptions{Streams: []ua.Stream{audio("192.0.2.1")}})
	if err != nil {
		log.Fatal(err)
	}
	if err := call.Transfer(ctx, "sip:carol@192.0.2.3", nil); err != nil {
		log.Fatal(err) // and the call with Bob goes on
	}
	<-call.Done()
	fmt.Println("Alice is out of it")
	// Output:
	// Carol is called by 192.0.2.2
	// Alice is out of it
}

// Alice talks to Bob, and then to Carol, and has the two talk to each other. The network is
// in memory.
func ExampleCall_TransferTo() {
	n := siptest.NewNetwork(nil)
	audio := func(host string) ua.Stream { return media.NewAudio(&media.AudioConfig{Network: n.Host(host)}) }
	phone := func(host string) *ua.Agent {
		agent, err := ua.New("sip:phone@"+host, &ua.Config{
			Network: n.Host(host),
			Listen:  []string{"udp:" + host + ":5060"},
			OnInvite: func(ctx context.Context, in *ua.Invitation) {
				if old := in.Replaces(); old != nil { // Answer hangs that up
					fmt.Println("in place of", old.Remote().URI.Host, "comes", in.From().URI.Host)
				}
				in.Answer(ctx, audio(host))
			},
			OnRefer: func(ctx context.Context, r *ua.Referral) {
				r.Invite(ctx, &ua.InviteOptions{Streams: []ua.Stream{audio(host)}})
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		return agent
	}
	alice, bob, carol := phone("192.0.2.1"), phone("192.0.2.2"), phone("192.0.2.3")
	defer alice.Close()
	defer bob.Close()
	defer carol.Close()

	ctx := context.Background()
	first, err := alice.Invite(ctx, "sip:bob@192.0.2.2", &ua.InviteOptions{Streams: []ua.Stream{audio("192.0.2.1")}})
	if err != nil {
		log.Fatal(err)
	}
	if err := first.Hold(ctx); err != nil {
		log.Fatal(err)
	}
	second, err := alice.Invite(ctx, "sip:carol@192.0.2.3", &ua.InviteOptions{Streams: []ua.Stream{audio("192.0.2.1")}})
	if err != nil {
		log.Fatal(err)
	}
	if err := first.TransferTo(ctx, second, nil); err != nil {
		log.Fatal(err) // and both go on
	}
	<-first.Done()
	<-second.Done()
	// Output: in place of 192.0.2.1 comes 192.0.2.2
}
