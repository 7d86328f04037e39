package ua_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A door that opens by message for those who know the password, and tells anybody
// that it is there. The network is in memory.
func ExampleConfig_authenticate() {
	users, err := digest.NewServer(digest.ServerConfig{
		Realm:    "door.example",
		Password: digest.Passwords(map[string]string{"alice": "sesame"}),
		Nonces:   1000, // what was overheard is good for nothing
	})
	if err != nil {
		log.Fatal(err)
	}
	n := siptest.NewNetwork(nil)
	door, err := ua.New("sip:door@192.0.2.2", &ua.Config{
		Network: n.Host("192.0.2.2"), Listen: []string{"udp:192.0.2.2:5060"},
		Authenticate: func(req *sip.Request) *digest.Server {
			if req.Method() == sip.OPTIONS {
				return nil
			}
			return users
		},
		OnMessage: func(_ context.Context, m ua.Message) error {
			fmt.Println(m.User, "says:", m.Body)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer door.Close()
	alice, err := ua.New("sip:alice@192.0.2.1", &ua.Config{
		Network: n.Host("192.0.2.1"), Listen: []string{"udp:192.0.2.1:5060"},
		Credentials: []digest.Credentials{{Realm: "door.example", Username: "alice", Password: "sesame"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	if err := alice.Message(context.Background(), "sip:door@192.0.2.2", "text/plain", "open"); err != nil {
		log.Fatal(err)
	}
	// Output: alice says: open
}
