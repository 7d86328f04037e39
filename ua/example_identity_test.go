package ua_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

// A call without a name, and who is told all the same: what the proxy has found out, by
// a password say, which Alice is here for both. The network is in memory.
func ExampleInvitation_Asserted() {
	n := siptest.NewNetwork(nil)
	bob, err := ua.New("sip:bob@192.0.2.2", &ua.Config{
		Network: n.Host("192.0.2.2"),
		Listen:  []string{"udp:192.0.2.2:5060"},
		Trusts: func(f transport.Flow) bool { // nobody pretends to be the proxy in a network of one's own
			return f.RemoteAddr() == netip.MustParseAddrPort("192.0.2.1:5060")
		},
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			fmt.Println("From:", in.From().URI)
			fmt.Println("asserted:", in.Asserted()[0].URI)
			in.Reject(ctx, sip.StatusDecline)
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

	_, err = alice.Invite(context.Background(), "sip:bob@192.0.2.2", &ua.InviteOptions{
		Anonymous: true,
		Header:    []sip.Edit{sip.PAssertedIdentity{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.com"}}},
	})
	fmt.Println(err)
	// Output:
	// From: sip:anonymous@anonymous.invalid
	// asserted: sip:alice@example.com
	// invite sip:bob@192.0.2.2: 603 Decline
}
