package ua_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Texts in message/cpim, for whom takes that, and as they are for others, who answer 415. Which of the two somebody
// is the program remembers: each is asked once. The network is in memory.
func ExampleAgent_Message_envelope() {
	n := siptest.NewNetwork(nil)
	bob, err := ua.New("sip:bob@192.0.2.2", &ua.Config{
		Network: n.Host("192.0.2.2"),
		Listen:  []string{"udp:192.0.2.2:5060"},
		OnMessage: func(_ context.Context, m ua.Message) error {
			if m.ContentType != "text/plain" {
				fmt.Println("refused:", m.ContentType)
				return sip.StatusUnsupportedMediaType
			}
			fmt.Println("shown:", m.Body)
			return nil
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

	plain := map[string]bool{} // who takes no envelopes
	send := func(to, text string) error {
		if !plain[to] {
			m := &cpim.Message{
				From: cpim.Address{URI: "sip:alice@192.0.2.1"}, To: []cpim.Address{{URI: to}},
				ContentType: "text/plain", Content: []byte(text),
			}
			envelope, err := m.Append(nil)
			if err != nil {
				return err
			}
			err = alice.Message(context.Background(), to, cpim.ContentType, string(envelope))
			if !errors.Is(err, sip.StatusUnsupportedMediaType) {
				return err
			}
			plain[to] = true
		}
		return alice.Message(context.Background(), to, "text/plain", text)
	}
	for _, text := range []string{"Hello", "Are you there?"} {
		if err := send("sip:bob@192.0.2.2", text); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// refused: message/cpim
	// shown: Hello
	// shown: Are you there?
}
