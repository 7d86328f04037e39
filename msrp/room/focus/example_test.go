package focus_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/msrp/room/focus"
	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A room that Alice calls, and whose roster she watches. The network is in memory.
func Example() {
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	n := siptest.NewNetwork(nil)
	there, here := n.Host("192.0.2.1"), n.Host("192.0.2.2")

	endpoint, err := msrp.New(&msrp.Config{Network: there, Listen: []string{"tcp:192.0.2.1:2855"}})
	check(err)
	defer endpoint.Close()
	gophers, err := room.New(endpoint, "sip:gophers@192.0.2.1", &room.Config{Subject: "Gophers"})
	check(err)
	defer gophers.Close()
	f := focus.New(gophers)
	service, err := ua.New("sip:focus@192.0.2.1", &ua.Config{
		Network: there, Listen: []string{"udp:192.0.2.1:5060"},
		OnInvite:  f.OnInvite,
		Notifiers: []*ua.Notifier{f.Notifier()},
	})
	check(err)
	defer service.Close()

	alice, err := ua.New("sip:alice@192.0.2.2", &ua.Config{Network: here, Listen: []string{"udp:192.0.2.2:5060"}})
	check(err)
	defer alice.Close()
	chats, err := msrp.New(&msrp.Config{Network: here, Listen: []string{"tcp:192.0.2.2:2855"}})
	check(err)
	defer chats.Close()
	chat := msrp.NewSession(chats, &msrp.SessionConfig{AcceptTypes: []string{cpim.ContentType}, AcceptWrappedTypes: []string{"text/plain"}})
	_, err = alice.Invite(ctx, "sip:gophers@192.0.2.1", &ua.InviteOptions{Streams: []ua.Stream{chat}})
	check(err)
	sub, err := alice.Subscribe(ctx, "sip:gophers@192.0.2.1", "conference", nil)
	check(err)
	for notify, err := range sub.Notifies(ctx) {
		check(err)
		roster, err := confinfo.Apply(nil, notify.Body.Content)
		check(err)
		fmt.Println(roster.Description.Subject, roster.Users[0].Entity)
		break
	}
	check(sub.Close())
	// Output: Gophers sip:alice@192.0.2.2
}
