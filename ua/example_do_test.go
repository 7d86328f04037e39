package ua_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A method of one's own, at both ends. The network is in memory.
func ExampleAgent_Do() {
	n := siptest.NewNetwork(nil)
	bob, err := ua.New("sip:bob@192.0.2.2", &ua.Config{
		Network: n.Host("192.0.2.2"),
		Listen:  []string{"udp:192.0.2.2:5060"},
		Methods: map[sip.Method]func(context.Context, *ua.Request){
			"PLAY": func(ctx context.Context, r *ua.Request) {
				r.Reply(sip.StatusOK, sip.Body{Type: "text/plain", Content: "playing " + r.Request.Body()})
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

	resp, err := alice.Do(context.Background(), "PLAY", "sip:bob@192.0.2.2", sip.Body{Type: "text/plain", Content: "chess"})
	if err != nil {
		log.Fatal(err) // a refusal is a *ua.StatusError
	}
	fmt.Println(resp.Body())
	// Output: playing chess
}
