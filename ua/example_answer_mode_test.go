package ua_test

import (
	"context"
	"log"

	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/ua"
)

// An intercom: users of ours are answered at once if they ask for it, others ring.
func ExampleInvitation_AnswerMode() {
	users, err := digest.NewServer(digest.ServerConfig{
		Realm:    "example.com",
		Password: digest.Passwords(map[string]string{"alice": "sesame"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	answer := func(ctx context.Context, in *ua.Invitation) {
		mode := in.AnswerMode(false)
		switch {
		case mode.Auto && in.User() == "alice":
		case mode.Auto && mode.Required:
			in.Reject(ctx, sip.StatusForbidden, sip.ReasonPhrase("automatic answer forbidden"))
			return
		default:
			in.Ring(ctx)
			// and ask the user
		}
		call, err := in.Answer(ctx, media.NewAudio(nil))
		if err != nil {
			return
		}
		<-call.Done()
	}
	door, err := ua.New("sip:door@example.com", &ua.Config{
		Listen:       []string{"udp:0.0.0.0:5060"},
		Authenticate: func(*sip.Request) *digest.Server { return users },
		Supported:    []string{sip.OptionAnswerMode},
		OnInvite:     answer,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer door.Close()
	select {}
}
