package digest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goparley/parley/msrp/internal/digest"
)

func Example() {
	relay, err := digest.NewServer(digest.ServerConfig{
		Realm: "relay.example.com",
		Password: func(_ context.Context, user string) (string, error) {
			if user != "alice" {
				return "", digest.ErrUnknownUser
			}
			return "secret", nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	const uri = "msrps://relay.example.com:2855;tcp"
	// auth stands for the network and what the relay does.
	auth := func(authorization string) (challenges []string, info string) {
		user, info, err := relay.Verify(context.Background(), "connection 1", authorization, "AUTH", uri)
		if err != nil {
			fmt.Println("relay: 401,", err)
			return relay.Challenge("connection 1", errors.Is(err, digest.ErrStale)), ""
		}
		fmt.Println("relay: 200, this is", user)
		return nil, info
	}

	client := digest.Client{Username: "alice", Password: "secret"}
	for range 2 { // for two sessions
		for {
			value, err := client.Authorize("AUTH", uri)
			if err != nil {
				log.Fatal(err)
			}
			challenges, info := auth(value)
			if challenges == nil {
				proved, err := client.Verify(info)
				fmt.Println("client: the relay is mine:", proved, err)
				break
			}
			if err := client.Challenged(challenges); err != nil {
				log.Fatal(err)
			}
		}
	}
	// Output:
	// relay: 401, digest: no credentials
	// relay: 200, this is alice
	// client: the relay is mine: true <nil>
	// relay: 200, this is alice
	// client: the relay is mine: true <nil>
}
