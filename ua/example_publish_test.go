package ua_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// A presence server in a few lines, and somebody who publishes there. The network
// is in memory.
func ExampleAgent_Publish() {
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	n := siptest.NewNetwork(nil)
	esc := ua.NewCompositor(nil) // takes presence
	server, err := ua.New("sip:presence@example.com", &ua.Config{
		Network:    n.Host("192.0.2.2"),
		Listen:     []string{"udp:192.0.2.2:5060"},
		Compositor: esc,
	})
	check(err)
	defer server.Close()
	alice, err := ua.New("sip:alice@example.com", &ua.Config{
		Network: n.Host("192.0.2.1"),
		Listen:  []string{"udp:192.0.2.1:5060"},
		Proxy:   "sip:192.0.2.2",
	})
	check(err)
	defer alice.Close()

	ctx := context.Background()
	presence := func(basic string) sip.Body {
		return sip.Body{Type: "application/pidf+xml", Content: `<presence xmlns="urn:ietf:params:xml:ns:pidf" ` +
			`entity="sip:alice@example.com"><tuple id="t1"><status><basic>` + basic + `</basic></status></tuple></presence>`}
	}
	pub, err := alice.Publish(ctx, "presence", presence("open"), nil) // refreshed until closed
	check(err)
	check(pub.Update(ctx, presence("closed")))
	aor, err := sip.ParseURI("sip:alice@example.com")
	check(err)
	for _, state := range esc.States(aor, "presence") {
		fmt.Println(state.Body.Content == presence("closed").Content)
	}
	check(pub.Close())
	fmt.Println(len(esc.States(aor, "presence")))
	// Output:
	// true
	// 0
}
