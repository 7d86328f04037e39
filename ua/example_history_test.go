package ua_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A desk that has moved: who answers in its place reads whom the caller has asked for,
// and what the desk adds. The network is in memory.
func ExampleInviteOptions_history() {
	n := siptest.NewNetwork(nil)
	listen := func(name, host string, answer func(context.Context, *ua.Invitation)) *ua.Agent {
		a, err := ua.New("sip:"+name+"@"+host, &ua.Config{
			Network: n.Host(host), Listen: []string{"udp:" + host + ":5060"},
			Supported: []string{sip.OptionUUI},
			OnInvite:  answer,
		})
		if err != nil {
			log.Fatal(err)
		}
		return a
	}
	desk := listen("desk", "192.0.2.3", func(ctx context.Context, in *ua.Invitation) {
		bob := sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.2"}
		in.Reject(ctx, sip.StatusMovedTemporarily, sip.Contact{
			URI:    bob.WithHeader("User-to-User", "636173652037;encoding=hex"),
			Params: ";mp=1", // it is for another user
		})
	})
	defer desk.Close()
	bob := listen("bob", "192.0.2.2", func(ctx context.Context, in *ua.Invitation) {
		for entry, err := range sip.All[sip.HistoryInfo](in.Request()) {
			if err == nil {
				fmt.Printf("%s %s %q\n", entry.Index(), entry.URI.User, entry.Reason())
			}
		}
		data, err := sip.Get[sip.UserToUser](in.Request())
		if err != nil {
			log.Fatal(err)
		}
		text, err := data.Bytes()
		fmt.Printf("%s %v\n", text, err)
		in.Reject(ctx, sip.StatusBusyHere)
	})
	defer bob.Close()
	alice := listen("alice", "192.0.2.1", nil)
	defer alice.Close()

	_, err := alice.Invite(context.Background(), "sip:desk@192.0.2.3", &ua.InviteOptions{History: true})
	fmt.Println(err)
	// Output:
	// 1 desk "SIP;cause=302"
	// 2 bob ""
	// case 7 <nil>
	// invite sip:desk@192.0.2.3: 486 Busy Here
}
