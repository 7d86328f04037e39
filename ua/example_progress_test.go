package ua_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Early media: the caller hears a tone before the call is answered, and what is said then by
// the same stream. The network is in memory.
func ExampleInvitation_Progress() {
	n := siptest.NewNetwork(nil)
	bob, err := ua.New("sip:bob@192.0.2.2", &ua.Config{
		Network: n.Host("192.0.2.2"),
		Listen:  []string{"udp:192.0.2.2:5060"},
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			tone := media.NewAudio(&media.AudioConfig{Network: n.Host("192.0.2.2"), Play: media.Tone(440)})
			if err := in.Progress(ctx, tone); err != nil {
				return // the caller has given up, or takes no such stream
			}
			in.Answer(ctx) // with the stream that it has
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

	call, err := alice.Invite(context.Background(), "sip:bob@192.0.2.2", &ua.InviteOptions{
		Streams:       []ua.Stream{media.NewAudio(&media.AudioConfig{Network: n.Host("192.0.2.1")})},
		OnProvisional: func(_ *ua.Call, resp *sip.Response) { fmt.Println(resp.Status()) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("answered")
	call.Hangup(context.Background())
	// Output:
	// 183 Session Progress
	// answered
}
